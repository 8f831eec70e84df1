package tensor_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"ebm/models/tensor"
)

// dtypes are all element types with their Go values of 0, 1 and the largest
// or most telling one.
var dtypes = []struct {
	dtype tensor.DType
	name  string
	size  int
	float bool
	of    *tensor.Tensor
	want  []float64
}{
	{tensor.Float32, "float32", 4, true, tensor.Of([]float32{0, 1, -1.5}, 3), []float64{0, 1, -1.5}},
	{tensor.Float64, "float64", 8, true, tensor.Of([]float64{0, 1, 0.1}, 3), []float64{0, 1, 0.1}},
	{tensor.Float16, "float16", 2, true, tensor.Of([]tensor.Float16Bits{0, 0x3c00, 0x7bff}, 3), []float64{0, 1, 65504}},
	{tensor.BFloat16, "bfloat16", 2, true, tensor.Of([]tensor.BFloat16Bits{0, 0x3f80, 0xc000}, 3), []float64{0, 1, -2}},
	{tensor.Int8, "int8", 1, false, tensor.Of([]int8{0, 1, -128}, 3), []float64{0, 1, -128}},
	{tensor.Int16, "int16", 2, false, tensor.Of([]int16{0, 1, -32768}, 3), []float64{0, 1, -32768}},
	{tensor.Int32, "int32", 4, false, tensor.Of([]int32{0, 1, math.MinInt32}, 3), []float64{0, 1, math.MinInt32}},
	{tensor.Int64, "int64", 8, false, tensor.Of([]int64{0, 1, -1 << 53}, 3), []float64{0, 1, -1 << 53}},
	{tensor.Uint8, "uint8", 1, false, tensor.Of([]uint8{0, 1, 255}, 3), []float64{0, 1, 255}},
	{tensor.Bool, "bool", 1, false, tensor.Of([]bool{false, true, true}, 3), []float64{0, 1, 1}},
}

func TestTypes(t *testing.T) {
	for _, test := range dtypes {
		d := test.dtype
		if d.String() != test.name || d.Size() != test.size || d.IsFloat() != test.float {
			t.Errorf("%v has size %d and is a float: %v", d, d.Size(), d.IsFloat())
		}
		if got := test.of; got.DType() != d || got.String() != test.name+"[3]" || got.Len() != 3 || got.Rank() != 1 {
			t.Errorf("a tensor of %v is %v", d, got)
		}
		if got := test.of.Float64s(); !slices.Equal(got, test.want) {
			t.Errorf("%v as float64 is %v, want %v", test.of, got, test.want)
		}
		zeros := tensor.New(d, 2, 3)
		if zeros.String() != test.name+"[2 3]" || zeros.DType() != d || !slices.Equal(zeros.Float64s(), make([]float64, 6)) {
			t.Errorf("a new tensor is %v", zeros)
		}
		clone := test.of.Clone()
		if clone.String() != test.of.String() || !slices.Equal(clone.Float64s(), test.want) {
			t.Errorf("the clone of %v is %v %v", test.of, clone, clone.Float64s())
		}
		clone.CopyFrom(tensor.New(d, 3))
		if !slices.Equal(clone.Float64s(), make([]float64, 3)) || !slices.Equal(test.of.Float64s(), test.want) {
			t.Errorf("the clone of %v shares its elements, or zeros are not copied", test.of)
		}
	}
	if tensor.Invalid.String() != "invalid" || tensor.DType(200).String() != "DType(200)" || tensor.Invalid.IsFloat() {
		t.Error("types that are none are named wrongly")
	}
}

func TestDTypeOf(t *testing.T) {
	for _, test := range []struct{ got, want tensor.DType }{
		{tensor.DTypeOf[float32](), tensor.Float32}, {tensor.DTypeOf[float64](), tensor.Float64},
		{tensor.DTypeOf[tensor.Float16Bits](), tensor.Float16}, {tensor.DTypeOf[tensor.BFloat16Bits](), tensor.BFloat16},
		{tensor.DTypeOf[int8](), tensor.Int8}, {tensor.DTypeOf[int16](), tensor.Int16},
		{tensor.DTypeOf[int32](), tensor.Int32}, {tensor.DTypeOf[int64](), tensor.Int64},
		{tensor.DTypeOf[uint8](), tensor.Uint8}, {tensor.DTypeOf[bool](), tensor.Bool},
	} {
		if test.got != test.want {
			t.Errorf("type %v, want %v", test.got, test.want)
		}
	}
}

func TestFloat16(t *testing.T) {
	inf := math.Inf(1)
	for _, test := range []struct {
		bits tensor.Float16Bits
		want float64
	}{
		{0x0000, 0}, {0x3c00, 1}, {0xbc00, -1}, {0x3555, 0.333251953125}, {0x7bff, 65504}, {0xfbff, -65504},
		{0x0400, 0x1p-14}, {0x03ff, 0x3ffp-24}, {0x0001, 0x1p-24}, {0x8001, -0x1p-24}, {0x0200, 0x1p-15},
		{0x3c01, 1 + 0x1p-10}, {0x4248, 3.140625}, {0x7c00, inf}, {0xfc00, -inf},
	} {
		if got := float64(test.bits.Float32()); got != test.want {
			t.Errorf("float16 %#04x is %v, want %v", uint16(test.bits), got, test.want)
		}
	}
	if got := tensor.Float16Bits(0x8000).Float32(); got != 0 || !math.Signbit(float64(got)) {
		t.Errorf("−0 is %v", got)
	}
	for _, bits := range []tensor.Float16Bits{0x7e00, 0xfe01, 0x7c01} {
		if got := bits.Float32(); got == got {
			t.Errorf("float16 %#04x is %v, want not a number", uint16(bits), got)
		}
	}
	// Every finite value in the order of its bits, against the definition.
	for bits := range tensor.Float16Bits(0x7c00) {
		exponent, fraction := int(bits>>10), float64(bits&0x3ff)
		want := math.Ldexp(1024+fraction, exponent-25)
		if exponent == 0 {
			want = math.Ldexp(fraction, -24)
		}
		if got := float64(bits.Float32()); got != want {
			t.Fatalf("float16 %#04x is %v, want %v", uint16(bits), got, want)
		}
		if got := float64((bits | 0x8000).Float32()); got != -want {
			t.Fatalf("float16 %#04x is %v, want %v", uint16(bits|0x8000), got, -want)
		}
	}
}

func TestBFloat16(t *testing.T) {
	for _, test := range []struct {
		bits tensor.BFloat16Bits
		want float32
	}{
		{0x3f80, 1}, {0xbf80, -1}, {0x4049, 3.140625}, {0x7f7f, 0x1.fep127}, {0x0080, 0x1p-126}, {0x0001, 0x1p-133},
		{0x7f80, float32(math.Inf(1))}, {0xff80, float32(math.Inf(-1))},
	} {
		if got := test.bits.Float32(); got != test.want {
			t.Errorf("bfloat16 %#04x is %v, want %v", uint16(test.bits), got, test.want)
		}
	}
	if got := tensor.BFloat16Bits(0x7fc0).Float32(); got == got {
		t.Errorf("not a number is %v", got)
	}
}

func TestConversions(t *testing.T) {
	half := tensor.Of([]tensor.Float16Bits{0x3c00, 0x4000}, 2, 1)
	if got := half.AsFloat32(); got.String() != "float32[2 1]" || !slices.Equal(tensor.Data[float32](got), []float32{1, 2}) {
		t.Errorf("float16 as float32 is %v %v", got, got.Raw())
	}
	if got := half.AsFloat64(); got.String() != "float64[2 1]" || !slices.Equal(tensor.Data[float64](got), []float64{1, 2}) {
		t.Errorf("float16 as float64 is %v %v", got, got.Raw())
	}
	single, double := tensor.New(tensor.Float32, 2), tensor.New(tensor.Float64, 2)
	if single.AsFloat32() != single || double.AsFloat64() != double {
		t.Error("a conversion to the same type copies")
	}
	if got := tensor.Of([]float64{0.1}, 1).AsFloat32(); tensor.Data[float32](got)[0] != 0.1 {
		t.Errorf("0.1 is rounded to %v", got.Raw())
	}
	tensor.Of([]float64{1}).Float64s()[0] = 5
	copied := double.Float64s()
	copied[0] = 5
	if tensor.Data[float64](double)[0] != 0 {
		t.Error("Float64s shares the elements")
	}
}

func TestSharing(t *testing.T) {
	data := []float32{1, 2, 3, 4, 5, 6}
	shape := []int{2, 3}
	x := tensor.Of(data, shape...)
	y := x.Reshape(3, 2, 1)
	data[0] = 10
	tensor.Data[float32](y)[5] = 60
	if got := tensor.Data[float32](x); got[0] != 10 || got[5] != 60 {
		t.Errorf("elements are not shared: %v", got)
	}
	if x.String() != "float32[2 3]" || y.String() != "float32[3 2 1]" {
		t.Errorf("the tensors are %v and %v", x, y)
	}
	shape[0] = 99
	if x.Shape()[0] != 2 {
		t.Error("the shape is shared with the caller's list")
	}
	z := tensor.New(tensor.Float32, 6)
	z.CopyFrom(x) // the number of elements counts, not the shape
	if !slices.Equal(tensor.Data[float32](z), data) {
		t.Errorf("the copy is %v", z.Raw())
	}
	if raw, ok := z.Raw().([]float32); !ok || &raw[0] != &tensor.Data[float32](z)[0] {
		t.Error("Raw does not return the elements")
	}
}

func TestScalarsAndEmpty(t *testing.T) {
	scalar := tensor.Of([]int64{7})
	if scalar.Rank() != 0 || scalar.Len() != 1 || scalar.String() != "int64[]" {
		t.Errorf("a scalar is %v", scalar)
	}
	empty := tensor.New(tensor.Uint8, 3, 0, 2)
	if empty.Len() != 0 || len(empty.Clone().Float64s()) != 0 || empty.Reshape(0).Len() != 0 {
		t.Errorf("an empty tensor is %v", empty)
	}
}

func TestPanics(t *testing.T) {
	x := tensor.New(tensor.Float32, 2, 3)
	for _, test := range []struct {
		name string
		f    func()
		want string
	}{
		{"negative", func() { tensor.New(tensor.Float32, 2, -3) }, "tensor: negative dimension in shape [2 -3]"},
		{"negative twice", func() { tensor.New(tensor.Float32, -2, -3) }, "tensor: negative dimension in shape [-2 -3]"},
		{"invalid", func() { tensor.New(tensor.Invalid, 2) }, "tensor: no elements of type invalid"},
		{"unknown", func() { tensor.New(tensor.DType(99), 2) }, "tensor: no elements of type DType(99)"},
		{"too few", func() { tensor.Of([]float32{1, 2}, 3) }, "tensor: shape [3] holds 3 elements, not 2"},
		{"empty scalar", func() { tensor.Of([]float32{}) }, "tensor: shape [] holds 1 elements, not 0"},
		{"type", func() { tensor.Data[float64](x) }, "tensor: elements are float32, not float64"},
		{"reshape", func() { x.Reshape(2, 2) }, "tensor: cannot reshape [2 3] to [2 2]"},
		{"copy of another type", func() { x.CopyFrom(tensor.New(tensor.Float64, 2, 3)) }, "tensor: cannot copy float64[2 3] to float32[2 3]"},
		{"copy of another size", func() { x.CopyFrom(tensor.New(tensor.Float32, 2)) }, "tensor: cannot copy float32[2] to float32[2 3]"},
	} {
		func() {
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, test.want) {
					t.Errorf("%s: panic %q, want %q", test.name, got, test.want)
				}
			}()
			test.f()
		}()
	}
}
