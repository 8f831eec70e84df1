package tensor_test

import (
	"slices"
	"testing"

	"ebm/models/tensor"
)

func TestRows(t *testing.T) {
	x := tensor.Of([]uint8{0, 1, 2, 3, 4, 5, 6, 7}, 4, 2)
	r := x.Rows(1, 3)
	if !slices.Equal(r.Shape(), []int{2, 2}) || !slices.Equal(tensor.Data[uint8](r), []uint8{2, 3, 4, 5}) {
		t.Errorf("rows 1 to 3 are %v %v", r, r.Raw())
	}
	tensor.Data[uint8](r)[0] = 9
	if tensor.Data[uint8](x)[2] != 9 {
		t.Error("rows are a copy")
	}
	if none := x.Rows(4, 4); none.Len() != 0 || !slices.Equal(none.Shape(), []int{0, 2}) {
		t.Errorf("no rows are %v", none)
	}
	for _, bad := range [][2]int{{-1, 2}, {3, 2}, {0, 5}} {
		panics(t, func() { x.Rows(bad[0], bad[1]) })
	}
	panics(t, func() { tensor.New(tensor.Float32).Rows(0, 0) })
}

func TestConcat(t *testing.T) {
	for _, dtype := range []tensor.DType{tensor.Float32, tensor.Float64, tensor.Float16, tensor.BFloat16, tensor.Int8, tensor.Int16,
		tensor.Int32, tensor.Int64, tensor.Uint8, tensor.Bool} {
		if x := tensor.Concat(tensor.New(dtype, 2, 3), tensor.New(dtype, 0, 3), tensor.New(dtype, 1, 3)); x.DType() != dtype ||
			!slices.Equal(x.Shape(), []int{3, 3}) {
			t.Errorf("joined %v", x)
		}
	}
	a, b := tensor.Of([]float32{1, 2}, 1, 2), tensor.Of([]float32{3, 4, 5, 6}, 2, 2)
	x := tensor.Concat(a, b)
	if !slices.Equal(tensor.Data[float32](x), []float32{1, 2, 3, 4, 5, 6}) {
		t.Errorf("joined %v", x.Raw())
	}
	tensor.Data[float32](x)[0] = 9
	if tensor.Data[float32](a)[0] != 1 {
		t.Error("the result shares elements of a part")
	}
	panics(t, func() { tensor.Concat() })
	panics(t, func() { tensor.Concat(a, tensor.New(tensor.Float32, 1, 3)) })
	panics(t, func() { tensor.Concat(a, tensor.New(tensor.Float64, 1, 2)) })
}

func panics(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	f()
}
