package energy

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/models/weights"
)

// Network is an energy with parameters.
type Network interface {
	// InputShape returns the shape of one x, without the batch.
	InputShape() []int
	// Parameters lists the parameters in a fixed order.
	Parameters() []Parameter
	// Energy adds E(x) [N] to the graph of x [N …], with the parameters
	// given by name. A missing parameter or a shape that does not fit is a
	// panic with a *graph.Error.
	Energy(x *graph.Node, params Params) *graph.Node
}

// Parameter describes one parameter of a network.
type Parameter struct {
	Name  string
	Shape []int
	FanIn int     // the number of inputs of each output, which sets the initial range
	First float64 // the initial value of each element, where FanIn is 0
}

// Params are the nodes that stand for a network's parameters, by name.
type Params map[string]*graph.Node

// Get returns the parameter called name. One that is not there is a panic with
// a *graph.Error that names it.
func (p Params) Get(name string) *graph.Node {
	n, ok := p[name]
	if !ok {
		panic(&graph.Error{Op: graph.OpInput, Want: fmt.Sprintf("parameter %q is missing", name)})
	}
	return n
}

// Weights are the values of a network's parameters, by name.
type Weights map[string]*tensor.Tensor

// Init returns float32 weights drawn as PyTorch draws those of Conv2d and
// Linear: uniform in ±1/√FanIn, weights and biases alike. Those without FanIn
// begin at First, as a normalisation's do.
func Init(n Network, source rng.Source) Weights {
	w := make(Weights)
	for i, p := range n.Parameters() {
		t := tensor.New(tensor.Float32, p.Shape...)
		w[p.Name] = t
		values := tensor.Data[float32](t)
		if p.FanIn == 0 {
			for j := range values {
				values[j] = float32(p.First)
			}
			continue
		}
		source.Uniform(values, rng.Init, uint64(i), 0)
		bound := float32(1 / math.Sqrt(float64(p.FanIn)))
		for j, u := range values {
			values[j] = bound * (2*u - 1)
		}
	}
	return w
}

// Check compares weights with what the network wants and lists every name
// that is missing, unexpected or of another shape in one error.
func (w Weights) Check(n Network) error {
	problems, others := compare(w.infos(), n)
	for _, name := range others {
		problems = append(problems, fmt.Sprintf("unexpected %s %v", name, w[name].Shape()))
	}
	if len(problems) > 0 {
		return &MismatchError{Problems: problems}
	}
	return nil
}

func (w Weights) infos() map[string]weights.Info {
	infos := make(map[string]weights.Info, len(w))
	for name, t := range w {
		infos[name] = weights.Info{DType: t.DType(), Shape: t.Shape()}
	}
	return infos
}

// compare lists what is missing or of another shape or type, and the names of the tensors that
// the network does not have.
func compare(infos map[string]weights.Info, n Network) (problems, others []string) {
	known := make(map[string]bool)
	for _, p := range n.Parameters() {
		known[p.Name] = true
		t, ok := infos[p.Name]
		switch {
		case !ok:
			problems = append(problems, fmt.Sprintf("missing %s %v", p.Name, p.Shape))
		case !slices.Equal(t.Shape, p.Shape):
			problems = append(problems, fmt.Sprintf("%s has shape %v, want %v", p.Name, t.Shape, p.Shape))
		case t.DType != tensor.Invalid && !t.DType.IsFloat(): // Read says what an invalid one is
			problems = append(problems, fmt.Sprintf("%s holds %v, want floating-point numbers", p.Name, t.DType))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(infos)) {
		if !known[name] {
			others = append(others, name)
		}
	}
	return problems, others
}

// Constants adds the weights to g as named constants of the given
// floating-point type.
func (w Weights) Constants(g *graph.Graph, n Network, dtype tensor.DType) Params {
	params := make(Params)
	for _, p := range n.Parameters() {
		t, ok := w[p.Name]
		if !ok {
			continue // Energy names what it misses
		}
		if dtype == tensor.Float64 {
			t = t.AsFloat64()
		} else {
			t = t.AsFloat32()
		}
		params[p.Name] = g.Weight(p.Name, t)
	}
	return params
}

// Inputs adds the network's parameters to g as inputs of the given type.
func Inputs(g *graph.Graph, n Network, dtype tensor.DType) Params {
	params := make(Params)
	for _, p := range n.Parameters() {
		params[p.Name] = g.Input(p.Name, dtype, graph.Dims(p.Shape...))
	}
	return params
}
