package weights

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"ebm/internal/npz"
	"ebm/models/tensor"
)

// torchStorage is a block of elements that tensors look into. The elements
// come after the pickle.
type torchStorage struct {
	key      string
	dtype    tensor.DType
	len      int64
	users    int // tensors that look into it
	elements *tensor.Tensor
}

// maxKey bounds the key of a storage, which is a number in real files.
const maxKey = 256

// torchTensor is a view of a storage.
type torchTensor struct {
	storage *torchStorage
	offset  int64
	shape   []int
	stride  []int64
}

// storageTypes are PyTorch's storage classes, in the module torch.
var storageTypes = map[string]tensor.DType{
	"FloatStorage": tensor.Float32, "DoubleStorage": tensor.Float64,
	"HalfStorage": tensor.Float16, "BFloat16Storage": tensor.BFloat16,
	"CharStorage": tensor.Int8, "ShortStorage": tensor.Int16,
	"IntStorage": tensor.Int32, "LongStorage": tensor.Int64,
	"ByteStorage": tensor.Uint8, "BoolStorage": tensor.Bool,
}

// torchFile interprets the pickles of one PyTorch file.
type torchFile struct {
	legacy   bool
	storages map[string]*torchStorage
	order    []*torchStorage
	// allowed bounds the bytes of all tensors that are copies of parts of storages.
	allowed int64
}

// findGlobal is the list of the names that a file may use. Everything else is
// refused by name, before anything is made of it.
func (f *torchFile) findGlobal(g global) (any, error) {
	switch g.module {
	case "torch":
		if _, ok := storageTypes[g.name]; ok {
			return g, nil
		}
		switch g.name {
		case "Size", "device", "float32", "float64", "float16", "bfloat16",
			"int8", "int16", "int32", "int64", "uint8", "bool":
			return g, nil
		}
	case "torch._utils":
		switch g.name {
		case "_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter":
			return g, nil
		}
	case "collections":
		if g.name == "OrderedDict" || g.name == "defaultdict" {
			return g, nil
		}
	case "_codecs":
		if g.name == "encode" { // how protocol 2 spells bytes
			return g, nil
		}
	case "builtins", "__builtin__":
		switch g.name {
		case "dict", "list", "set", "int", "float", "bool", "str":
			return g, nil
		}
	}
	if g.module == "torch" && strings.HasSuffix(g.name, "Storage") {
		return nil, fmt.Errorf("elements of the class %q cannot be held here; save real numbers of up to 64 bits", g)
	}
	return nil, fmt.Errorf("the file wants to call %q, which is not among the functions that rebuild tensors; "+
		"save the state_dict alone", g)
}

// callGlobal is what the allowed functions mean.
func (f *torchFile) callGlobal(function any, args tuple) (any, error) {
	g, ok := function.(global)
	if !ok {
		return nil, fmt.Errorf("call of a %s", kindOf(function))
	}
	switch g.name {
	case "_rebuild_tensor", "_rebuild_tensor_v2":
		return rebuildTensor(args)
	case "_rebuild_parameter":
		if len(args) > 0 {
			if t, ok := args[0].(*torchTensor); ok {
				return t, nil
			}
		}
		return nil, errors.New("parameter without a tensor")
	case "OrderedDict", "dict":
		return newDict(args)
	case "defaultdict":
		return &dict{}, nil
	case "set":
		return opaque{"set"}, nil
	case "Size", "device", "encode":
		return opaque{g.name}, nil
	}
	return nil, fmt.Errorf("call of %s", g)
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

// findStorage interprets a persistent reference, ("storage", class, key,
// location, number of elements), and a view in old files.
func (f *torchFile) findStorage(id any) (any, error) {
	ref, _ := id.(tuple)
	if len(ref) < 5 || ref[0] != "storage" {
		return nil, fmt.Errorf("reference to a %s that is no storage", kindOf(id))
	}
	class, _ := ref[1].(global)
	key, okKey := ref[2].(string)
	n, okLen := ref[4].(int64)
	dtype, okType := storageTypes[class.name]
	if !okKey || len(key) > maxKey || !okLen || !okType || n < 0 || n > math.MaxInt64/int64(dtype.Size()) {
		return nil, fmt.Errorf("storage %s of %s elements of class %s", brief(ref[2]), brief(ref[4]), kindOf(ref[1]))
	}
	if f.legacy && len(ref) > 5 && ref[5] != nil {
		return nil, fmt.Errorf("storage %q is a view of another, as only PyTorch before 0.4 wrote them", key)
	}
	s, ok := f.storages[key]
	if !ok {
		s = &torchStorage{key: key, dtype: dtype, len: n}
		f.storages[key] = s
		f.order = append(f.order, s)
	}
	if s.dtype != dtype || s.len != n {
		return nil, fmt.Errorf("storage %q is %d elements of %v here and %d of %v elsewhere", key, n, dtype, s.len, s.dtype)
	}
	return s, nil
}

// rebuildTensor interprets (storage, offset, shape, strides, …).
func rebuildTensor(args tuple) (*torchTensor, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("tensor from %d arguments", len(args))
	}
	storage, ok1 := args[0].(*torchStorage)
	offset, ok2 := args[1].(int64)
	shape, ok3 := wholeNumbers(args[2])
	stride, ok4 := wholeNumbers(args[3])
	if !ok1 || !ok2 || !ok3 || !ok4 || len(shape) != len(stride) || offset < 0 {
		return nil, fmt.Errorf("tensor from %s, offset %s, shape %s and strides %s", kindOf(args[0]), brief(args[1]), brief(args[2]), brief(args[3]))
	}
	t := &torchTensor{storage: storage, offset: offset, stride: stride, shape: make([]int, len(shape))}
	last := offset // the largest index of an element
	for i, d := range shape {
		if d > math.MaxInt32 || stride[i] > math.MaxInt32 {
			return nil, fmt.Errorf("tensor of shape %v and strides %v is too large", shape, stride)
		}
		t.shape[i] = int(d)
		if last += max(d-1, 0) * stride[i]; last > math.MaxInt64/2 {
			return nil, fmt.Errorf("tensor of shape %v and strides %v is too large", shape, stride)
		}
	}
	size, err := npz.ByteSize(storage.dtype, t.shape)
	if err != nil {
		return nil, err
	}
	if size > 0 && last >= storage.len {
		return nil, fmt.Errorf("tensor of shape %v, strides %v and offset %d leaves its storage %q of %d elements",
			shape, stride, offset, storage.key, storage.len)
	}
	storage.users++
	return t, nil
}

// maxRank bounds the dimensions of a tensor; PyTorch's own limit is lower.
const maxRank = 64

// wholeNumbers returns a tuple's numbers, which must not be negative.
func wholeNumbers(v any) ([]int64, bool) {
	items, ok := v.(tuple)
	if !ok || len(items) > maxRank {
		return nil, false
	}
	out := make([]int64, len(items))
	for i, item := range items {
		n, ok := item.(int64)
		if !ok || n < 0 {
			return nil, false
		}
		out[i] = n
	}
	return out, true
}

// materialise returns a tensor of its own for a view. The elements of the
// storage must be there.
func (f *torchFile) materialise(t *torchTensor) (*tensor.Tensor, error) {
	elements := t.storage.elements
	if t.storage.users == 1 && t.contiguous() && int64(tensor.Volume(t.shape)) == t.storage.len {
		t.storage.users++ // should the view have a second name, that one gets a copy
		return elements.Reshape(t.shape...), nil
	}
	size, err := npz.ByteSize(elements.DType(), t.shape)
	if err != nil {
		return nil, err
	}
	if f.allowed -= int64(size); f.allowed < 0 {
		return nil, errors.New("the tensors that share storage would take more memory than the file's size allows")
	}
	out := tensor.New(elements.DType(), t.shape...)
	switch dst := out.Raw().(type) {
	case []float32:
		gather(dst, tensor.Data[float32](elements), t)
	case []float64:
		gather(dst, tensor.Data[float64](elements), t)
	case []tensor.Float16Bits:
		gather(dst, tensor.Data[tensor.Float16Bits](elements), t)
	case []tensor.BFloat16Bits:
		gather(dst, tensor.Data[tensor.BFloat16Bits](elements), t)
	case []int8:
		gather(dst, tensor.Data[int8](elements), t)
	case []int16:
		gather(dst, tensor.Data[int16](elements), t)
	case []int32:
		gather(dst, tensor.Data[int32](elements), t)
	case []int64:
		gather(dst, tensor.Data[int64](elements), t)
	case []uint8:
		gather(dst, tensor.Data[uint8](elements), t)
	case []bool:
		gather(dst, tensor.Data[bool](elements), t)
	}
	return out, nil
}

// contiguous reports whether the view is row-major without gaps.
func (t *torchTensor) contiguous() bool {
	want := int64(1)
	for i := len(t.shape) - 1; i >= 0; i-- {
		if t.shape[i] != 1 && t.stride[i] != want {
			return false
		}
		want *= int64(t.shape[i])
	}
	return true
}

// gather copies the elements of a view in row-major order.
func gather[T tensor.Element](dst, storage []T, t *torchTensor) {
	index := make([]int, len(t.shape))
	from := t.offset
	for to := range dst {
		dst[to] = storage[from]
		for axis := len(index) - 1; axis >= 0; axis-- {
			index[axis]++
			from += t.stride[axis]
			if index[axis] < t.shape[axis] {
				break
			}
			from -= t.stride[axis] * int64(t.shape[axis])
			index[axis] = 0
		}
	}
}
