package session

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"

	"ebm/export"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
)

// Load makes a session of g, with the given sizes of symbolic dimensions. Its
// numbers are those of g up to rounding.
func Load(rt *runtime.Runtime, g *graph.Graph, sizes map[string]int, o runtime.SessionOptions) (*runtime.Session, error) {
	return load(rt, o, func(form Form) ([]byte, error) {
		return export.Bytes(g, form.In(export.Options{Sizes: sizes}))
	})
}

// Form is how a model that is loaded at once computes on a runtime.
type Form struct {
	Block      int               // as export.Options.Block
	Arithmetic export.Arithmetic // of the runtime's precision
	Captured   bool              // as export.Options.Captured
	Elu        bool              // as export.Options.Elu
	Halves     bool              // as export.Counted.Halves
}

// FormFor returns the form that is fastest on rt at its precision.
func FormFor(rt *runtime.Runtime) Form {
	info := rt.Info()
	form := Form{Captured: info.Provider == runtime.CUDA, Elu: info.Choices.Has(runtime.Elu)}
	if info.Precision.Half() {
		p := export.Arithmetic{DType: tensor.Float16, Rounding: info.Provider == runtime.CPU}
		if info.Precision == runtime.BF16 {
			p.DType = tensor.BFloat16
		}
		form.Arithmetic = p
		return form
	}
	form.Block = Block(rt)
	return form
}

// In returns options for a model of the form.
func (f Form) In(o export.Options) export.Options {
	o.Block, o.Arithmetic, o.Captured, o.Elu = f.Block, f.Arithmetic, f.Captured, f.Elu
	return o
}

// load makes a session of the model that make gives for the form of rt. What
// making a large one leaves behind goes back to the system, so that it is not
// held while ONNX Runtime takes memory of its own.
func load(rt *runtime.Runtime, o runtime.SessionOptions, make func(Form) ([]byte, error)) (*runtime.Session, error) {
	model, err := make(FormFor(rt))
	if err != nil {
		return nil, err
	}
	if len(model) > largeModel {
		debug.FreeOSMemory()
		defer debug.FreeOSMemory()
	}
	return rt.Load(model, o)
}

// largeModel is a number of bytes beside which a collection costs nothing.
const largeModel = 64 << 20

// Block returns the number of channels in the blocks that rt's convolutions
// work on, for export.Options.Block: 16, 8 or 4, or 0 where there are none.
func Block(rt *runtime.Runtime) int {
	if rt.Info().Provider != runtime.CPU {
		return 0
	}
	for _, block := range []int{16, 8, 4} {
		if check(rt, block) == nil {
			return block
		}
	}
	return 0
}

// channels is a number of channels that blocks of every size fill, so that a
// wrong guess reads nothing but wrong numbers.
const channels = 32

// check compares operators on blocks of a size with the standard ones.
func check(rt *runtime.Runtime, block int) error {
	g := trial()
	source := rng.New(1)
	inputs := make(map[string]*tensor.Tensor)
	for i, in := range g.Inputs() {
		shape, _ := in.Shape().Static()
		t := tensor.New(tensor.Float32, shape...)
		source.Normal(tensor.Data[float32](t), rng.Init, uint64(i), 0)
		inputs[in.InputName()] = t
	}
	var results [2]map[string]*tensor.Tensor
	for i, b := range []int{0, block} {
		model, err := export.Bytes(g, export.Options{Block: b})
		if err != nil {
			return err
		}
		s, err := rt.Load(model, runtime.SessionOptions{Threads: 1})
		if err != nil {
			return err
		}
		results[i], err = s.Run(context.Background(), inputs)
		s.Close()
		if err != nil {
			return err
		}
	}
	for name, want := range results[0] {
		if e := difference(results[1][name], want); !(e < 1e-4) {
			return fmt.Errorf("%s differs by %g of its largest element", name, e)
		}
	}
	return nil
}

// trial returns a graph with the convolutions, pools and derivatives of
// residual blocks.
func trial() *graph.Graph {
	g := graph.New("trial")
	x := g.Input("x", tensor.Float32, graph.Dims(2, channels, 8, 8))
	few := g.Input("few", tensor.Float32, graph.Dims(2, 1, 8, 8))
	w3 := g.Input("w3", tensor.Float32, graph.Dims(channels, channels, 3, 3))
	w4 := g.Input("w4", tensor.Float32, graph.Dims(channels, channels, 4, 4))
	w1 := g.Input("w1", tensor.Float32, graph.Dims(channels, 1, 3, 3))
	bias := g.Input("bias", tensor.Float32, graph.Dims(channels))
	half, same, down := graph.Pool2D(2, 2, 0), graph.Conv2D(1, 1), graph.Conv2D(2, 1)
	first := graph.Conv(few, w1, same)
	wide := graph.Conv(graph.Elu(x), w3, same)
	wide = graph.Add(graph.Add(wide, graph.BroadcastAlong(bias, wide.Shape(), 1)), first)
	small := graph.Add(graph.Conv(wide, w4, down), graph.MeanPool(wide, half))
	back := graph.ConvInputGrad(small, w4, down, []int{8, 8})
	back = graph.Add(back, graph.MeanPoolGrad(small, half, []int{8, 8}))
	back = graph.ConvInputGrad(back, w3, same, []int{8, 8})
	g.Output("back", back)
	g.Output("few_back", graph.ConvInputGrad(back, w1, same, []int{8, 8}))
	g.Output("filter", graph.ConvFilterGrad(x, back, same, []int{3, 3}))
	g.Output("filter_down", graph.ConvFilterGrad(x, small, down, []int{4, 4}))
	g.Output("filter_bias", graph.ReduceSum(back, 0, 2, 3))
	// Convolutions with constants may have another form.
	many := graph.Concat(1, back, back)
	weights := tensor.New(tensor.Float32, 2*channels, 2*channels, 3, 3)
	rng.New(1).Normal(tensor.Data[float32](weights), rng.Init, 0, 1)
	constant := g.Constant(weights)
	g.Output("many", graph.ConvInputGrad(graph.Conv(many, constant, same), constant, same, []int{8, 8}))
	return g
}

// difference returns the largest difference over the largest element.
func difference(a, b *tensor.Tensor) float64 {
	var worst, largest float64
	for i, v := range tensor.Data[float32](b) {
		worst = max(worst, math.Abs(float64(tensor.Data[float32](a)[i]-v)))
		largest = max(largest, math.Abs(float64(v)))
	}
	if worst == 0 {
		return 0
	}
	return worst / largest
}
