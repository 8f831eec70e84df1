package gradcheck

import (
	"fmt"
	"math/rand/v2"

	"ebm/models/autodiff"
	"ebm/models/graph"
	"ebm/models/interp"
	"ebm/models/tensor"
)

// Builder adds a function of xs to g and returns its floating-point output.
type Builder func(g *graph.Graph, xs ...*graph.Node) *graph.Node

// Options says how to check. The zero value asks for the defaults.
type Options struct {
	Order     int     // the highest order of derivatives, 1 or more; default 2
	Step      float64 // h, the distance between points; default 1e-4
	Tolerance float64 // the largest relative error allowed; default 1e-7
	Seed      uint64  // of the random cotangents
}

func (o Options) withDefaults() Options {
	if o.Order == 0 {
		o.Order = 2
	}
	if o.Step == 0 {
		o.Step = 1e-4
	}
	if o.Tolerance == 0 {
		o.Tolerance = 1e-7
	}
	return o
}

// Check builds a function of the inputs and compares its derivatives up to
// o.Order with finite differences. All float64 inputs are varied; others, such
// as bool and int64, are passed to build as they are. The inputs must be
// further than 2·o.Step from points where the derivatives jump.
//
// Errors are relative to the largest magnitude of a gradient. The error
// names the order, the variable, the element and both values. A wrong use of
// the graph while building is returned as an error, too.
func Check(build Builder, inputs []*tensor.Tensor, o Options) error {
	o = o.withDefaults()
	c := &checker{
		g: graph.New("gradcheck"), values: make(map[string]*tensor.Tensor),
		rng: rand.New(rand.NewPCG(o.Seed, 0x67726164)), options: o,
	}
	var err error
	caught := graph.Catch(func() {
		xs := make([]*graph.Node, len(inputs))
		for i, in := range inputs {
			xs[i] = c.input(fmt.Sprintf("x%d", i), in.Clone())
			if in.DType() == tensor.Float64 {
				c.variables = append(c.variables, xs[i])
			}
		}
		ys := []*graph.Node{build(c.g, xs...)}
		for order := 1; order <= o.Order && err == nil; order++ {
			ys, err = c.check(order, ys)
		}
	})
	if caught != nil {
		return fmt.Errorf("gradcheck: %w", caught)
	}
	return err
}

type checker struct {
	g         *graph.Graph
	variables []*graph.Node             // float64 inputs to differentiate by
	values    map[string]*tensor.Tensor // of all inputs
	rng       *rand.Rand
	options   Options
}

func (c *checker) input(name string, value *tensor.Tensor) *graph.Node {
	c.values[name] = value
	return c.g.Input(name, value.DType(), graph.Dims(value.Shape()...))
}

// check compares one order, and returns the outputs of the next.
func (c *checker) check(order int, ys []*graph.Node) ([]*graph.Node, error) {
	s, cotangents := c.project(order, ys)
	grads := autodiff.Gradient(s, c.variables...)
	tensors, err := interp.Eval(c.g, c.values, grads...)
	if err != nil {
		return nil, err
	}
	var analytic []float64
	for _, t := range tensors {
		analytic = append(analytic, t.Float64s()...)
	}
	x := c.point()
	report, err := Directional(func(x []float64) (float64, error) {
		c.set(x)
		v, err := interp.Eval(c.g, c.values, s)
		if err != nil {
			return 0, err
		}
		return v[0].Float64s()[0], nil
	}, x, analytic, Directions{Step: c.options.Step})
	c.set(x)
	if err != nil {
		return nil, err
	}
	if !(report.Relative() <= c.options.Tolerance) {
		name, element := c.locate(report.Worst)
		return nil, fmt.Errorf("gradcheck: order %d: the derivative by element %d of %s is %g, differences give %g (relative error %.2g, want "+
			"at most %.2g)",
			order, element, name, report.Given, report.Difference, report.Relative(), c.options.Tolerance)
	}
	c.variables = append(c.variables, cotangents...)
	return grads, nil
}

// project returns Σ c·y over all outputs, with random cotangents c.
func (c *checker) project(order int, ys []*graph.Node) (s *graph.Node, cotangents []*graph.Node) {
	for i, y := range ys {
		shape, ok := y.Shape().Static()
		if !ok || y.DType() != tensor.Float64 {
			panic(&graph.Error{Op: y.Op(), Operands: []string{y.Type().String()}, Want: "want a float64 output of constant shape"})
		}
		value := tensor.New(tensor.Float64, shape...)
		for j := range tensor.Data[float64](value) {
			tensor.Data[float64](value)[j] = c.rng.NormFloat64()
		}
		cotangent := c.input(fmt.Sprintf("c%d.%d", order, i), value)
		cotangents = append(cotangents, cotangent)
		s = graph.Plus(s, graph.ReduceSum(graph.Mul(cotangent, y)))
	}
	return s, cotangents
}

// point returns the values of the variables one after the other.
func (c *checker) point() []float64 {
	var x []float64
	for _, v := range c.variables {
		x = append(x, c.values[v.InputName()].Float64s()...)
	}
	return x
}

// set gives the variables values from one list.
func (c *checker) set(x []float64) {
	for _, v := range c.variables {
		data := tensor.Data[float64](c.values[v.InputName()])
		copy(data, x)
		x = x[len(data):]
	}
}

// locate returns the variable of the i-th element of the list and the
// element's position in it.
func (c *checker) locate(i int) (name string, element int) {
	for _, v := range c.variables {
		n := c.values[v.InputName()].Len()
		if i < n {
			return v.InputName(), i
		}
		i -= n
	}
	return "", 0
}
