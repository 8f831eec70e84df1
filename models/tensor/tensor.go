package tensor

import (
	"fmt"
	"slices"
)

// DType is the type of a tensor's elements. The zero value is Invalid.
type DType uint8

// The element types. Float16 and BFloat16 elements are held as their bit
// patterns (Float16Bits, BFloat16Bits).
const (
	Invalid DType = iota
	Float32
	Float64
	Float16
	BFloat16
	Int8
	Int16
	Int32
	Int64
	Uint8
	Bool
)

// Float16Bits is one IEEE 754 binary16 value, as its bit pattern.
type Float16Bits uint16

// BFloat16Bits is one bfloat16 value (the upper half of a float32).
type BFloat16Bits uint16

// Element lists the Go types that a tensor's data may have.
type Element interface {
	float32 | float64 | Float16Bits | BFloat16Bits | int8 | int16 | int32 | int64 | uint8 | bool
}

var dtypes = [...]struct {
	name string
	size int
}{
	Invalid: {"invalid", 0}, Float32: {"float32", 4}, Float64: {"float64", 8},
	Float16: {"float16", 2}, BFloat16: {"bfloat16", 2},
	Int8: {"int8", 1}, Int16: {"int16", 2}, Int32: {"int32", 4}, Int64: {"int64", 8},
	Uint8: {"uint8", 1}, Bool: {"bool", 1},
}

// String returns the type's usual name, such as "float32".
func (d DType) String() string {
	if int(d) < len(dtypes) {
		return dtypes[d].name
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}

// Size returns the number of bytes of one element.
func (d DType) Size() int { return dtypes[d].size }

// IsFloat reports whether d is a floating-point type.
func (d DType) IsFloat() bool {
	return d == Float32 || d == Float64 || d == Float16 || d == BFloat16
}

// DTypeOf returns the element type that holds values of the Go type T.
func DTypeOf[T Element]() DType {
	var zero T
	switch any(zero).(type) {
	case float32:
		return Float32
	case float64:
		return Float64
	case Float16Bits:
		return Float16
	case BFloat16Bits:
		return BFloat16
	case int8:
		return Int8
	case int16:
		return Int16
	case int32:
		return Int32
	case int64:
		return Int64
	case uint8:
		return Uint8
	default:
		return Bool
	}
}

// Tensor is a dense array in row-major order. Its shape and type never
// change; its elements may.
type Tensor struct {
	dtype DType
	shape []int
	data  any // a slice of the Go type of dtype
}

// New returns a tensor of zeros. It panics when a dimension is negative or
// the type is Invalid, both errors of the program.
func New(dtype DType, shape ...int) *Tensor {
	n := Volume(shape)
	var data any
	switch dtype {
	case Float32:
		data = make([]float32, n)
	case Float64:
		data = make([]float64, n)
	case Float16:
		data = make([]Float16Bits, n)
	case BFloat16:
		data = make([]BFloat16Bits, n)
	case Int8:
		data = make([]int8, n)
	case Int16:
		data = make([]int16, n)
	case Int32:
		data = make([]int32, n)
	case Int64:
		data = make([]int64, n)
	case Uint8:
		data = make([]uint8, n)
	case Bool:
		data = make([]bool, n)
	default:
		panic(fmt.Sprintf("tensor: no elements of type %v", dtype))
	}
	return &Tensor{dtype: dtype, shape: slices.Clone(shape), data: data}
}

// Of wraps data, which is not copied, as a tensor of the given shape. It
// panics when the number of elements does not fit the shape.
func Of[T Element](data []T, shape ...int) *Tensor {
	if n := Volume(shape); n != len(data) {
		panic(fmt.Sprintf("tensor: shape %v holds %d elements, not %d", shape, n, len(data)))
	}
	return &Tensor{dtype: DTypeOf[T](), shape: slices.Clone(shape), data: data}
}

// Volume returns the number of elements of a shape: the product of its
// dimensions, 1 for the empty shape. It panics on a negative dimension.
func Volume(shape []int) int {
	n := 1
	for _, d := range shape {
		if d < 0 {
			panic(fmt.Sprintf("tensor: negative dimension in shape %v", shape))
		}
		n *= d
	}
	return n
}

// Data returns the elements of t, which it shares. It panics when T is not
// the element type of t.
func Data[T Element](t *Tensor) []T {
	data, ok := t.data.([]T)
	if !ok {
		panic(fmt.Sprintf("tensor: elements are %v, not %v", t.dtype, DTypeOf[T]()))
	}
	return data
}

// DType returns the type of t's elements.
func (t *Tensor) DType() DType { return t.dtype }

// Shape returns t's dimensions. The caller must not change them.
func (t *Tensor) Shape() []int { return t.shape }

// Rank returns the number of t's dimensions.
func (t *Tensor) Rank() int { return len(t.shape) }

// Len returns the number of t's elements.
func (t *Tensor) Len() int { return Volume(t.shape) }

// Raw returns t's elements as a slice of its Go element type, such as
// []float32, for code that switches over types.
func (t *Tensor) Raw() any { return t.data }

// Reshape returns a tensor of another shape that shares t's elements. It
// panics when the number of elements differs.
func (t *Tensor) Reshape(shape ...int) *Tensor {
	if Volume(shape) != t.Len() {
		panic(fmt.Sprintf("tensor: cannot reshape %v to %v", t.shape, shape))
	}
	return &Tensor{dtype: t.dtype, shape: slices.Clone(shape), data: t.data}
}

// Clone returns a copy of t that shares nothing with it.
func (t *Tensor) Clone() *Tensor {
	c := New(t.dtype, t.shape...)
	c.CopyFrom(t)
	return c
}

// CopyFrom copies the elements of src, which must have t's type and number
// of elements.
func (t *Tensor) CopyFrom(src *Tensor) {
	if t.dtype != src.dtype || t.Len() != src.Len() {
		panic(fmt.Sprintf("tensor: cannot copy %v to %v", src, t))
	}
	switch d := t.data.(type) {
	case []float32:
		copy(d, src.data.([]float32))
	case []float64:
		copy(d, src.data.([]float64))
	case []Float16Bits:
		copy(d, src.data.([]Float16Bits))
	case []BFloat16Bits:
		copy(d, src.data.([]BFloat16Bits))
	case []int8:
		copy(d, src.data.([]int8))
	case []int16:
		copy(d, src.data.([]int16))
	case []int32:
		copy(d, src.data.([]int32))
	case []int64:
		copy(d, src.data.([]int64))
	case []uint8:
		copy(d, src.data.([]uint8))
	case []bool:
		copy(d, src.data.([]bool))
	}
}

// Float64s returns a copy of t's elements converted to float64 (false is 0,
// true is 1).
func (t *Tensor) Float64s() []float64 {
	out := make([]float64, t.Len())
	switch d := t.data.(type) {
	case []float32:
		convert(out, d)
	case []float64:
		copy(out, d)
	case []Float16Bits:
		for i, v := range d {
			out[i] = float64(v.Float32())
		}
	case []BFloat16Bits:
		for i, v := range d {
			out[i] = float64(v.Float32())
		}
	case []int8:
		convert(out, d)
	case []int16:
		convert(out, d)
	case []int32:
		convert(out, d)
	case []int64:
		convert(out, d)
	case []uint8:
		convert(out, d)
	case []bool:
		for i, v := range d {
			if v {
				out[i] = 1
			}
		}
	}
	return out
}

// AsFloat32 returns t itself when its elements are float32 and a converted
// copy otherwise.
func (t *Tensor) AsFloat32() *Tensor {
	if t.dtype == Float32 {
		return t
	}
	out := New(Float32, t.shape...)
	convert(out.data.([]float32), t.Float64s())
	return out
}

// AsFloat64 returns t itself when its elements are float64 and a converted
// copy otherwise.
func (t *Tensor) AsFloat64() *Tensor {
	if t.dtype == Float64 {
		return t
	}
	return Of(t.Float64s(), t.shape...)
}

// String describes t without its elements, such as "float32[2 3]".
func (t *Tensor) String() string { return fmt.Sprintf("%v%v", t.dtype, t.shape) }

type number interface {
	float32 | float64 | int8 | int16 | int32 | int64 | uint8
}

func convert[D, S number](dst []D, src []S) {
	for i, v := range src {
		dst[i] = D(v)
	}
}
