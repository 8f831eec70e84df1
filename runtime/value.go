package runtime

import (
	"fmt"
	goruntime "runtime"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"ebm/models/tensor"
)

// value is a tensor as ONNX Runtime sees it. C memory holds the address of the
// tensor's elements for as long as the value lives, so they are pinned.
//
// A scalar (rank 0) is the exception: the binding has scalars only with memory
// of their own, so that its element is copied in when the value is made and
// out by fetch.
type value struct {
	tensor *tensor.Tensor
	ort    ort.Value
	pin    goruntime.Pinner
	read   func() // copies the element of a scalar to the tensor, nil for others

	held   bool // ort is that of a Held
	staged bool // ort is a copy on the device, made anew by every run
}

// newValue wraps t without copying it. The caller closes the value.
func newValue(t *tensor.Tensor) (*value, error) {
	v := &value{tensor: t}
	var err error
	switch d := t.Raw().(type) {
	case []float32:
		err = wrap(v, d)
	case []float64:
		err = wrap(v, d)
	case []int8:
		err = wrap(v, d)
	case []int16:
		err = wrap(v, d)
	case []int32:
		err = wrap(v, d)
	case []int64:
		err = wrap(v, d)
	case []uint8:
		err = wrap(v, d)
	case []bool:
		err = wrap(v, d)
	case []tensor.Float16Bits:
		err = wrapBits(v, d, ort.TensorElementDataTypeFloat16)
	case []tensor.BFloat16Bits:
		err = wrapBits(v, d, ort.TensorElementDataTypeBFloat16)
	default:
		err = fmt.Errorf("no ONNX type for %v", t)
	}
	if err != nil {
		v.pin.Unpin()
		return nil, fmt.Errorf("wrap %v: %w", t, err)
	}
	return v, nil
}

func wrap[T ort.TensorData](v *value, data []T) (err error) {
	if v.tensor.Rank() == 0 {
		scalar, err := ort.NewScalar(data[0])
		if err == nil {
			v.ort, v.read = scalar, func() { data[0] = scalar.GetData() }
		}
		return err
	}
	if len(data) > 0 {
		v.pin.Pin(&data[0])
	}
	v.ort, err = ort.NewTensor(dims(v.tensor), data)
	return err
}

// wrapBits wraps 16-bit floats, which the binding takes as bytes only, and
// neither as scalars nor empty.
func wrapBits[T ~uint16](v *value, data []T, typ ort.TensorElementDataType) (err error) {
	if v.tensor.Rank() == 0 || len(data) == 0 {
		return fmt.Errorf("scalars and empty tensors of 16-bit floats are not supported, want at least one dimension and element")
	}
	v.pin.Pin(&data[0])
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&data[0])), 2*len(data))
	v.ort, err = ort.NewCustomDataTensor(dims(v.tensor), bytes, typ)
	return err
}

func dims(t *tensor.Tensor) ort.Shape {
	shape := make(ort.Shape, t.Rank())
	for i, d := range t.Shape() {
		shape[i] = int64(d)
	}
	return shape
}

// fetch brings what a run wrote into v to v's tensor, where they are apart.
func (v *value) fetch() {
	if v.read != nil {
		v.read()
	}
}

func (v *value) close() {
	if v.ort != nil && !v.held {
		v.ort.Destroy()
	}
	v.ort = nil
	v.pin.Unpin()
}

// closeAll closes the values that are not nil.
func closeAll(values []*value) {
	for _, v := range values {
		if v != nil {
			v.close()
		}
	}
}

// fromORT turns a value that ONNX Runtime allocated, and whose elements the
// binding has copied to Go memory, into a tensor that shares that copy.
func fromORT(v ort.Value) (*tensor.Tensor, error) {
	shape := make([]int, len(v.GetShape()))
	for i, d := range v.GetShape() {
		shape[i] = int(d)
	}
	switch v := v.(type) {
	case *ort.Tensor[float32]:
		return tensor.Of(v.GetData(), shape...), nil
	case *ort.Tensor[float64]:
		return tensor.Of(v.GetData(), shape...), nil
	case *ort.Tensor[int8]:
		return tensor.Of(v.GetData(), shape...), nil
	case *ort.Tensor[int16]:
		return tensor.Of(v.GetData(), shape...), nil
	case *ort.Tensor[int32]:
		return tensor.Of(v.GetData(), shape...), nil
	case *ort.Tensor[int64]:
		return tensor.Of(v.GetData(), shape...), nil
	case *ort.Tensor[uint8]:
		return tensor.Of(v.GetData(), shape...), nil
	case *ort.Tensor[bool]:
		return tensor.Of(v.GetData(), shape...), nil
	}
	return nil, fmt.Errorf("a %T cannot be returned unless its shape follows from the inputs' shapes", v)
}

// memory returns the range of addresses of t's elements, empty for none.
func memory(t *tensor.Tensor) (start, end uintptr) {
	start = uintptr(elements(t))
	return start, start + uintptr(t.Len()*t.DType().Size())
}

// elements returns where t's elements are, nil for none.
func elements(t *tensor.Tensor) unsafe.Pointer {
	if t.Len() == 0 {
		return nil
	}
	switch d := t.Raw().(type) {
	case []float32:
		return unsafe.Pointer(&d[0])
	case []float64:
		return unsafe.Pointer(&d[0])
	case []tensor.Float16Bits:
		return unsafe.Pointer(&d[0])
	case []tensor.BFloat16Bits:
		return unsafe.Pointer(&d[0])
	case []int8:
		return unsafe.Pointer(&d[0])
	case []int16:
		return unsafe.Pointer(&d[0])
	case []int32:
		return unsafe.Pointer(&d[0])
	case []int64:
		return unsafe.Pointer(&d[0])
	case []uint8:
		return unsafe.Pointer(&d[0])
	case []bool:
		return unsafe.Pointer(&d[0])
	}
	return nil
}
