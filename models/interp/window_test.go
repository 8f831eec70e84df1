package interp_test

import (
	"fmt"
	"math/rand/v2"
	goruntime "runtime"
	"slices"
	"testing"

	"ebm/models/graph"
	"ebm/models/tensor"
)

func random(rng *rand.Rand, shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float64, shape...)
	for i := range tensor.Data[float64](t) {
		tensor.Data[float64](t)[i] = rng.NormFloat64()
	}
	return t
}

// indices calls visit with every index of a shape in row-major order.
func indices(shape []int, visit func(index []int)) {
	index := make([]int, len(shape))
	for range tensor.Volume(shape) {
		visit(index)
		for axis := len(index) - 1; axis >= 0; axis-- {
			if index[axis]++; index[axis] < shape[axis] {
				break
			}
			index[axis] = 0
		}
	}
}

// at returns the element of x at [lead… spatial…], 0 outside of it.
func at(x *tensor.Tensor, index ...int) float64 {
	pos := 0
	for axis, i := range index {
		if i < 0 || i >= x.Shape()[axis] {
			return 0
		}
		pos = pos*x.Shape()[axis] + i
	}
	return tensor.Data[float64](x)[pos]
}

// sumConv is the definition of convolution, one output element at a time.
func sumConv(x, w *tensor.Tensor, a graph.ConvAttr, index []int) float64 {
	cg := w.Shape()[1]
	group := index[1] / (w.Shape()[0] / a.Groups)
	sum := 0.0
	indices(w.Shape()[1:], func(k []int) {
		from := []int{index[0], group*cg + k[0]}
		for i := range a.Strides {
			from = append(from, index[2+i]*a.Strides[i]+k[1+i]*a.Dilations[i]-a.PadLo[i])
		}
		sum += at(x, from...) * at(w, append([]int{index[1]}, k...)...)
	})
	return sum
}

// Random geometries in one to three dimensions against the definition, and
// the two adjoints against <Conv(x, w), y>.
func TestConvolution(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for trial := range 200 {
		rank := 1 + trial%3
		groups := 1 + rng.IntN(2)
		a := graph.ConvAttr{Groups: groups}
		xs := []int{1 + rng.IntN(2), groups * (1 + rng.IntN(2))}
		ws := []int{groups * (1 + rng.IntN(2)), xs[1] / groups}
		for range rank {
			k, dilation := 1+rng.IntN(3), 1+rng.IntN(2)
			lo, hi := rng.IntN(3), rng.IntN(3)
			least := max(1, dilation*(k-1)+1-lo-hi)
			a.Strides = append(a.Strides, 1+rng.IntN(3))
			a.Dilations = append(a.Dilations, dilation)
			a.PadLo, a.PadHi = append(a.PadLo, lo), append(a.PadHi, hi)
			xs, ws = append(xs, least+rng.IntN(4)), append(ws, k)
		}
		t.Run(fmt.Sprintf("%d/x=%v w=%v %v", trial, xs, ws, a), func(t *testing.T) {
			g := graph.New("conv")
			xv, wv := random(rng, xs...), random(rng, ws...)
			x, w := g.Constant(xv), g.Constant(wv)
			out := graph.Conv(x, w, a)
			y := eval(t, out)
			var want []float64
			indices(y.Shape(), func(index []int) { want = append(want, sumConv(xv, wv, a, index)) })
			if !near(tensor.Data[float64](y), want) {
				t.Fatalf("convolution is %v, want %v", tensor.Data[float64](y), want)
			}
			cv := random(rng, y.Shape()...)
			c := g.Constant(cv)
			product := []float64{dot(y, cv)}
			if got := dot(eval(t, graph.ConvInputGrad(c, w, a, xs[2:])), xv); !near(product, []float64{got}) {
				t.Errorf("<Conv(x,w), y> = %v, <x, ConvInputGrad(y,w)> = %v", product[0], got)
			}
			if got := dot(eval(t, graph.ConvFilterGrad(x, c, a, ws[2:])), wv); !near(product, []float64{got}) {
				t.Errorf("<Conv(x,w), y> = %v, <w, ConvFilterGrad(x,y)> = %v", product[0], got)
			}
		})
	}
}

func dot(a, b *tensor.Tensor) float64 {
	sum := 0.0
	for i, v := range tensor.Data[float64](a) {
		sum += v * tensor.Data[float64](b)[i]
	}
	return sum
}

// Results do not depend on how many goroutines compute them.
func TestConvolutionIsDeterministic(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	g := graph.New("conv")
	x, w := g.Constant(random(rng, 4, 8, 16, 16)), g.Constant(random(rng, 8, 8, 3, 3))
	a := graph.Conv2D(1, 1)
	y := graph.Conv(x, w, a)
	for _, n := range []*graph.Node{y, graph.ConvInputGrad(y, w, a, []int{16, 16}), graph.ConvFilterGrad(x, y, a, []int{3, 3})} {
		before := goruntime.GOMAXPROCS(1)
		want := tensor.Data[float64](eval(t, n))
		goruntime.GOMAXPROCS(4)
		got := tensor.Data[float64](eval(t, n))
		goruntime.GOMAXPROCS(before)
		if !slices.Equal(got, want) {
			t.Errorf("%v differs between one and four processors", n.Op())
		}
	}
}

func TestPooling(t *testing.T) {
	g := graph.New("pool")
	// One row, with a tie in the second and third window.
	x := g.Constant(tensor.Of([]float64{-1, -2, 5, 5, 3}, 1, 1, 5))
	a := graph.PoolAttr{Window: []int{3}, Strides: []int{2}, PadLo: []int{1}, PadHi: []int{1}}
	y := g.Constant(tensor.Of([]float64{10, 20, 30}, 1, 1, 3))
	p := g.Constant(tensor.Of([]float64{1, 2, 3, 4, 5}, 1, 1, 5))
	// Two rows and columns, padded at the end of both.
	x2 := g.Constant(tensor.Of([]float64{1, 2, 3, 4}, 1, 1, 2, 2))
	a2 := graph.PoolAttr{Window: []int{2, 2}, Strides: []int{1, 1}, PadLo: []int{0, 0}, PadHi: []int{1, 1}}
	for _, test := range []struct {
		name string
		got  *graph.Node
		want []float64
	}{
		{"mean", graph.MeanPool(x, a), []float64{-1, 8. / 3, 8. / 3}},
		{"mean adjoint", graph.MeanPoolGrad(y, a, []int{5}), []float64{10. / 3, 10, 20. / 3, 50. / 3, 10}},
		{"max", graph.MaxPool(x, a), []float64{-1, 5, 5}},
		{"max adjoint", graph.MaxPoolGrad(x, y, a), []float64{10, 0, 20, 30, 0}},
		{"max take", graph.MaxPoolTake(x, p, a), []float64{1, 3, 4}},
		{"mean 2", graph.MeanPool(x2, a2), []float64{2.5, 1.5, 1.75, 1}},
		{"max 2", graph.MaxPool(x2, a2), []float64{4, 4, 4, 4}},
		{"max 2 adjoint", graph.MaxPoolGrad(x2, x2, a2), []float64{0, 0, 0, 10}},
	} {
		if got := eval(t, test.got).Float64s(); !near(got, test.want) {
			t.Errorf("%s is %v, want %v", test.name, got, test.want)
		}
	}
}
