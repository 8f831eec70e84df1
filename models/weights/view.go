package weights

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"ebm/internal/npz"
	"ebm/models/tensor"
)

// storage is a block of elements that tensors look into.
type storage struct {
	key      string
	class    string       // PyTorch's, such as FloatStorage
	dtype    tensor.DType // where sized
	size     int          // bytes of an element
	held     bool         // dtype says what the elements are
	len      int64
	users    int // tensors that look into it
	elements *tensor.Tensor
	open     func() (*tensor.Tensor, error) // reads the elements
}

// view is a tensor: a part of a storage.
type view struct {
	storage *storage
	offset  int64
	shape   []int
	stride  []int64
	why     string // it cannot be held; "" when it can
}

// storageTypes are PyTorch's storage classes, in the module torch, whose
// elements can be held.
var storageTypes = map[string]tensor.DType{
	"FloatStorage": tensor.Float32, "DoubleStorage": tensor.Float64,
	"HalfStorage": tensor.Float16, "BFloat16Storage": tensor.BFloat16,
	"CharStorage": tensor.Int8, "ShortStorage": tensor.Int16,
	"IntStorage": tensor.Int32, "LongStorage": tensor.Int64,
	"ByteStorage": tensor.Uint8, "BoolStorage": tensor.Bool,
}

// otherStorages are the bytes of an element of the classes that can be skipped alone.
var otherStorages = map[string]int{
	"ComplexFloatStorage": 8, "ComplexDoubleStorage": 16, "QUInt8Storage": 1, "QInt8Storage": 1, "QInt32Storage": 4,
	"QUInt4x2Storage": 1, "QUInt2x4Storage": 1, "UntypedStorage": 1,
}

// rebuildTensor interprets (storage, offset, shape, strides, …).
func rebuildTensor(args tuple) (*view, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("tensor from %d arguments", len(args))
	}
	s, ok1 := args[0].(*storage)
	offset, ok2 := args[1].(int64)
	shape, ok3 := wholeNumbers(args[2])
	stride, ok4 := wholeNumbers(args[3])
	if !ok1 || !ok2 || !ok3 || !ok4 || len(shape) != len(stride) || offset < 0 {
		return nil, fmt.Errorf("tensor from %s, offset %s, shape %s and strides %s", kindOf(args[0]), brief(args[1]),
			brief(args[2]), brief(args[3]))
	}
	t := &view{storage: s, offset: offset, stride: stride, shape: make([]int, len(shape))}
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
	if !s.held {
		t.why = "torch." + s.class
		return t, nil
	}
	size, err := npz.ByteSize(s.dtype, t.shape)
	if err != nil {
		return nil, err
	}
	if size > 0 && last >= s.len {
		return nil, fmt.Errorf("tensor of shape %v, strides %v and offset %d leaves its storage %q of %d elements",
			shape, stride, offset, s.key, s.len)
	}
	s.users++
	return t, nil
}

// maxRank bounds the dimensions of a tensor; PyTorch's own limit is lower.
const maxRank = 64

// wholeNumbers returns a tuple's numbers, or those of a torch.Size, which must not be negative.
func wholeNumbers(v any) ([]int64, bool) {
	items, ok := v.(tuple)
	if size, isSize := v.(*object); isSize && size.class == "torch.Size" {
		items, ok = arg[tuple](size.items, 0)
	}
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

// source returns what reads a view.
func (o *objects) source(t *view) *source {
	type place struct {
		storage *storage
		offset  int64
	}
	return &source{dtype: t.storage.dtype, shape: t.shape, why: t.why, id: place{t.storage, t.offset}, read: func() (*tensor.Tensor, error) {
		if t.storage.elements == nil {
			if t.storage.open == nil {
				return nil, fmt.Errorf("storage %q is missing", t.storage.key)
			}
			elements, err := t.storage.open()
			if err != nil {
				return nil, err
			}
			t.storage.elements = elements
		}
		return o.materialise(t)
	}}
}

// materialise returns a tensor of its own for a view. The elements of the
// storage must be there.
func (o *objects) materialise(t *view) (*tensor.Tensor, error) {
	elements := t.storage.elements
	if t.storage.users == 1 && t.contiguous() && int64(tensor.Volume(t.shape)) == t.storage.len {
		t.storage.users++ // should the view have a second name, that one gets a copy
		return elements.Reshape(t.shape...), nil
	}
	size, err := npz.ByteSize(elements.DType(), t.shape)
	if err != nil {
		return nil, err
	}
	if o.allowed -= int64(size); o.allowed < 0 {
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
func (t *view) contiguous() bool {
	want := int64(1)
	for i, d := range slices.Backward(t.shape) {
		if d != 1 && t.stride[i] != want {
			return false
		}
		want *= int64(d)
	}
	return true
}

// gather copies the elements of a view in row-major order.
func gather[T tensor.Element](dst, storage []T, t *view) {
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
