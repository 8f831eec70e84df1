package parallel

import (
	"math"
	"slices"
	"testing"

	"ebm/models/tensor"
	"ebm/runtime"
)

func TestLayout(t *testing.T) {
	cpu, cuda := runtime.Info{Provider: runtime.CPU, Threads: 4}, runtime.Info{Provider: runtime.CUDA}
	for _, c := range []struct {
		info          runtime.Info
		shape         []int
		fixed, batch  int
		size, workers int
	}{
		{cpu, []int{1, 16, 16}, 0, 0, 16, 4},
		{cpu, []int{1, 16, 16}, 0, 17, 16, 2}, // a batch bounds what is computed at once, not the group
		{cpu, []int{1, 16, 16}, 5, 0, 5, 4},
		{cpu, []int{2}, 0, 0, 256, 4},
		{cpu, []int{3, 64, 64}, 0, 0, 8, 4},
		{cuda, []int{1, 16, 16}, 0, 0, 128, 2},
		{cuda, []int{1, 16, 16}, 0, 40, 40, 2},
	} {
		l := NewLayout(c.info, c.shape, c.fixed, c.batch)
		if l.Size != c.size || l.Workers != c.workers || l.Each() != tensor.Volume(c.shape) ||
			!slices.Equal(l.New().Shape(), append([]int{c.size}, c.shape...)) {
			t.Errorf("%v, fixed %d, batch %d: %+v, want groups of %d and %d at once", c.shape, c.fixed, c.batch, l, c.size, c.workers)
		}
	}
	if Threads(cpu) != 1 || Threads(cuda) != 0 {
		t.Error("a group has one thread on the CPU alone")
	}
}

func TestShape(t *testing.T) {
	x := runtime.ValueInfo{Name: "x", DType: tensor.Float32, Shape: []int{-1, 3, -1}}
	if got, err := Shape(x, []int{3, 7}); err != nil || !slices.Equal(got, []int{3, 7}) {
		t.Errorf("%v, error %v", got, err)
	}
	for _, wanted := range [][]int{nil, {3}, {4, 7}, {3, 0}} {
		if got, err := Shape(x, wanted); err == nil {
			t.Errorf("%v of %v is %v, want an error", wanted, x, got)
		}
	}
}

func TestNotFinite(t *testing.T) {
	inf, nan := float32(math.Inf(-1)), float32(math.NaN())
	for want, v := range map[int][]float32{-1: {0, 1, math.MaxFloat32}, 0: {nan, 1}, 2: {0, 1, inf}} {
		if got := NotFinite(v); got != want {
			t.Errorf("%v: %d, want %d", v, got, want)
		}
	}
}
