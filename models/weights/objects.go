package weights

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"

	"ebm/internal/npz"
	"ebm/models/tensor"
)

// objects gives the pickles of one file their meaning. The functions and
// classes that it knows build dictionaries, tensors and arrays; a value of any other is an
// *object, of which nothing is made and nothing is run.
type objects struct {
	storages map[string]*storage
	nested   int // files inside pickles, which may be inside files
	// allowed bounds the bytes of all tensors that are expanded or are copies of parts of storages.
	allowed int64
}

// maxKey bounds the key of a storage, which is a number in real files.
const maxKey = 256

// array is a NumPy array; its elements are bytes, or values if it is one of objects.
type array struct {
	header npz.Header
	descr  string
	data   []byte
	items  []any
}

// call is what the known functions mean.
func (o *objects) call(g global, args tuple) (any, error) {
	switch module := strings.Replace(g.module, "numpy._core", "numpy.core", 1); module + "." + g.name {
	case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2":
		return rebuildTensor(args)
	case "torch._utils._rebuild_tensor_v3":
		t, err := rebuildTensor(args)
		if err == nil && len(args) > 6 {
			t.why = kindOf(args[6])
		}
		return t, err
	case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state", "torch.nn.parameter.Parameter",
		"torch.nn.parameter.Buffer", "torch._utils._rebuild_device_tensor_from_cpu_tensor", "torch._utils._rebuild_device_tensor_from_numpy":
		if len(args) > 0 {
			switch args[0].(type) {
			case *view, *array:
				return args[0], nil
			}
		}
	case "torch._tensor._rebuild_from_type_v2", "torch._utils._rebuild_from_type_v2": // function, class, arguments, state
		if f, ok := arg[global](args, 0); ok && len(args) > 2 && f.name != g.name {
			if inner, ok := args[2].(tuple); ok {
				return o.call(f, inner)
			}
		}
	case "torch.storage._load_from_bytes":
		if data, ok := arg[[]byte](args, 0); ok {
			return o.nestedFile(data)
		}
	case "collections.OrderedDict", "builtins.dict", "__builtin__.dict":
		return newDict(args)
	case "collections.defaultdict":
		return &dict{}, nil
	case "_codecs.encode": // how protocol 2 spells bytes
		if text, ok := arg[string](args, 0); ok {
			return latin1(text), nil
		}
	case "builtins.bytearray", "__builtin__.bytearray":
		if data, ok := arg[[]byte](args, 0); ok {
			return data, nil
		}
	case "numpy.core.multiarray._reconstruct":
		return &array{}, nil
	case "numpy.dtype":
		if code, ok := arg[string](args, 0); ok {
			return &object{class: "numpy.dtype", state: "=" + code}, nil
		}
	case "numpy.core.numeric._frombuffer": // data, dtype, shape, order
		if data, ok := arg[[]byte](args, 0); ok && len(args) == 4 {
			a := &array{}
			return a, a.set(args[2], args[1], args[3] == "F", data)
		}
	}
	return &object{class: g.String(), list: list{args}}, nil
}

// arg returns an argument of a type.
func arg[T any](args tuple, i int) (T, bool) {
	var v T
	if i >= len(args) {
		return v, false
	}
	v, ok := args[i].(T)
	return v, ok
}

// latin1 returns the bytes that a text of code points below 256 stands for.
func latin1(text string) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range text {
		out = append(out, byte(r))
	}
	return out
}

// build gives an object its state.
func (o *objects) build(v, state any) error {
	switch v := v.(type) {
	case *array: // version, shape, dtype, Fortran order, data
		if s, ok := state.(tuple); ok && len(s) == 5 {
			return v.set(s[1], s[2], s[3] == true, s[4])
		}
		return errors.New("state of an array, want version, shape, type, order and data")
	case *object:
		if s, ok := state.(tuple); ok && v.class == "numpy.dtype" {
			if code, isText := v.state.(string); isText && len(s) > 1 {
				if order, _ := s[1].(string); len(order) == 1 {
					v.state = order + code[1:]
				}
			}
			return nil
		}
		v.state = state
	case *dict, *list, *view, *storage: // attributes, such as an OrderedDict's _metadata
	default:
		return fmt.Errorf("attributes of a %s", kindOf(v))
	}
	return nil
}

// set describes an array. A type that cannot be held is an error only when
// the array is wanted.
func (a *array) set(shape, dtype any, fortran bool, data any) error {
	dims, ok := wholeNumbers(shape)
	t, isType := dtype.(*object)
	if !ok || !isType {
		return fmt.Errorf("array of shape %s and type %s", brief(shape), kindOf(dtype))
	}
	a.descr, _ = t.state.(string)
	for _, d := range dims {
		a.header.Shape = append(a.header.Shape, int(d))
	}
	a.header.Fortran = fortran
	switch data := data.(type) {
	case []byte:
		a.data = data
	case string: // Python 2's, which happened to be a text
		a.data = []byte(data)
	case *list:
		a.items = data.items
	}
	return nil
}

func (a *array) source() *source {
	s := &source{shape: a.header.Shape, id: a}
	var err error
	if s.dtype, a.header.BigEndian, err = npz.ParseType(a.descr); err != nil {
		s.why = fmt.Sprintf("NumPy's %q", a.descr)
		return s
	}
	a.header.DType = s.dtype
	s.read = func() (*tensor.Tensor, error) {
		size, err := npz.ByteSize(s.dtype, s.shape)
		if err == nil && size != len(a.data) {
			err = fmt.Errorf("array %v%v of %d bytes, want %d", s.dtype, s.shape, len(a.data), size)
		}
		if err != nil {
			return nil, err
		}
		return npz.ReadArray(bytes.NewReader(a.data), a.header, int64(size))
	}
	return s
}

// newDict makes a dictionary, empty or (Python 2) from a list of pairs.
func newDict(args tuple) (any, error) {
	d := &dict{}
	if len(args) == 0 {
		return d, nil
	}
	pairs, ok := args[0].(*list)
	if !ok || len(args) != 1 {
		return nil, fmt.Errorf("dictionary from a %s", kindOf(args[0]))
	}
	for _, item := range pairs.items {
		var pair []any
		switch item := item.(type) {
		case tuple:
			pair = item
		case *list:
			pair = item.items
		}
		if len(pair) != 2 {
			return nil, errors.New("dictionary from a list of other things than pairs")
		}
		if err := d.set(pair); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// persist interprets a persistent reference, ("storage", class, key,
// location, number of elements), and a view in old files.
func (o *objects) persist(id any) (any, error) {
	ref, _ := id.(tuple)
	if len(ref) < 5 || ref[0] != "storage" {
		return nil, fmt.Errorf("reference to a %s that is no storage", kindOf(id))
	}
	class, okClass := ref[1].(global)
	key, okKey := ref[2].(string)
	n, okLen := ref[4].(int64)
	if !okClass || !okKey || len(key) > maxKey || !okLen || n < 0 {
		return nil, fmt.Errorf("storage %s of %s elements of class %s", brief(ref[2]), brief(ref[4]), kindOf(ref[1]))
	}
	if len(ref) > 5 && ref[5] != nil {
		return nil, fmt.Errorf("storage %q is a view of another, as only PyTorch before 0.4 wrote them", key)
	}
	s, ok := o.storages[key]
	if !ok {
		s = &storage{key: key, class: class.name, len: n}
		if s.dtype, s.held = storageTypes[class.name]; s.held {
			s.size = s.dtype.Size()
		} else {
			s.size = otherStorages[class.name]
		}
		if n > math.MaxInt64/int64(max(s.size, 1)) {
			return nil, fmt.Errorf("storage %q of %d elements is too large", key, n)
		}
		o.storages[key] = s
	}
	if s.class != class.name || s.len != n {
		return nil, fmt.Errorf("storage %q is %d of %s here and %d of %s elsewhere", key, n, class.name, s.len, s.class)
	}
	return s, nil
}
