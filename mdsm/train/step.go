package train

import (
	"fmt"
	"slices"

	"ebm/export"
	"ebm/export/onnximport"
	"ebm/mdsm"
	"ebm/models/autodiff"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Function is a graph that can be trained: some of its inputs are parameters, the
// others data.
type Function struct {
	Graph *graph.Graph
	// Parameters are the inputs that an optimiser changes, float32, in the order of
	// records.
	Parameters []string
	// States are inputs that the graph renews by itself, such as the running means of
	// batch normalisation, float32 of fixed sizes. The next value of a state S is the
	// output S.next.
	States []string
	// Seed is that of first values that are drawn, which are those of LoRA.
	Seed uint64

	lora     LoRA
	adapters []adapter // of LoRA, whose A and B are parameters
}

// Imported returns the function of a model that was read with some initialisers
// free (onnximport.Options.Free): these are its parameters, and what training mode
// renews are its states.
func Imported(m *onnximport.Model) Function {
	f := Function{Graph: m.Graph, States: m.Statistics}
	for _, name := range m.Parameters {
		if _, free := m.Initial[name]; free && !slices.Contains(m.Statistics, name) {
			f.Parameters = append(f.Parameters, name)
		}
	}
	for _, name := range m.Statistics {
		m.Graph.Output(name+next, m.Renewed[name])
	}
	return f
}

// next stands behind the name of an input in that of the output with its next
// value.
const next = ".next"

// Step returns a training step of a function as one graph:
//
//	the function's data, target (see TargetInput), learning_rate [1], step [1] (int64,
//	from 1), every state S, every parameter P and its optimiser state
//	→ loss [1], grad_norm [1], S.next, P.next and the next optimiser state, see
//	mdsm.Minimise
//
// A loss or an optimiser that cannot be, names that are taken twice and shapes that do not fit are errors.
func Step(f Function, l Loss, o mdsm.Optimiser) (whole *graph.Graph, err error) {
	if err := firstOf(l.Validate(), o.Validate(), f.check()); err != nil {
		return nil, err
	}
	g := graph.New("train")
	err = graph.Catch(func() {
		c := f.call(g, l)
		rate, step := g.Input("learning_rate", tensor.Float32, graph.Dims(1)), g.Input("step", tensor.Int64, graph.Dims(1))
		c.addParameters()
		c.compute()
		loss := c.outcome.mean()
		g.Output("loss", graph.Reshape(loss, graph.Dims(1)))
		for _, s := range f.States {
			g.Output(s+next, c.outputs[s+next])
		}
		mdsm.Descend(o, c.gradients(loss, 1), f.Parameters, c.parameters, rate, step)
		whole = export.Products().Apply(g)
	})
	return whole, err
}

// gradientStep returns the part of Step up to the gradients, for one of a batch's
// shards of equal size: the data, target and every P → loss [1], P.grad. The shards'
// gradients add up to that of the batch.
func gradientStep(f Function, l Loss, shards int) *graph.Graph {
	g := graph.New("gradient")
	c := f.call(g, l)
	c.addParameters()
	c.compute()
	loss := c.outcome.mean()
	g.Output("loss", graph.Reshape(loss, graph.Dims(1)))
	for i, d := range c.gradients(loss, 1/float64(shards)) {
		g.Output(f.Parameters[i]+".grad", d)
	}
	return export.Products().Apply(g)
}

// Measure returns the graph of a function's loss on a batch: the data, target, every
// S and P → loss [], weight [], the sums whose quotient is the loss, and for
// CrossEntropy hits [] and targets [], how many of the targets have the largest
// output.
func Measure(f Function, l Loss) (*graph.Graph, error) {
	if err := firstOf(l.Validate(), f.check()); err != nil {
		return nil, err
	}
	g := graph.New("measure")
	return g, graph.Catch(func() {
		c := f.call(g, l)
		c.addParameters()
		c.compute()
		g.Output("loss", c.outcome.loss)
		g.Output("weight", c.outcome.weight)
		if c.outcome.hits != nil {
			g.Output("hits", c.outcome.hits)
			g.Output("targets", c.outcome.targets)
		}
	})
}

// check reports a function that Step cannot train.
func (f Function) check() error {
	inputs := make(map[string]*graph.Node)
	for _, in := range f.Graph.Inputs() {
		inputs[in.InputName()] = in
	}
	if len(f.Parameters) == 0 {
		return fmt.Errorf("%s: no parameters, want one or more to train", f.Graph.Name())
	}
	for _, name := range slices.Concat(f.Parameters, f.States) {
		in, ok := inputs[name]
		if !ok {
			return fmt.Errorf("%s: parameter %q is no input", f.Graph.Name(), name)
		}
		if _, static := in.Shape().Static(); !static || in.DType() != tensor.Float32 {
			return fmt.Errorf("%s: parameter %q is %v, want float32 of a fixed size", f.Graph.Name(), name, in.Type())
		}
	}
	if len(f.Graph.Outputs()) == 0 {
		return fmt.Errorf("%s: no outputs, want one for a loss", f.Graph.Name())
	}
	return nil
}

// output returns the place of the output that a loss is of.
func (f Function) output(l Loss) int {
	outputs := f.Graph.Outputs()
	if l.Output == "" {
		return 0
	}
	at := slices.IndexFunc(outputs, func(o graph.Output) bool { return o.Name == l.Output })
	if at < 0 {
		panic(&graph.Error{Err: fmt.Errorf("%s: it has no output called %s", f.Graph.Name(), l.Output)})
	}
	return at
}

// called is a function inside another graph.
type called struct {
	Function
	loss       Loss
	in         *graph.Graph
	args       map[string]*graph.Node
	parameters map[string]*graph.Node
	outputs    map[string]*graph.Node
	outcome    outcome
	target     *graph.Node
}

// call adds the data's inputs of f to g, and the target.
func (f Function) call(g *graph.Graph, l Loss) *called {
	c := &called{Function: f, loss: l, in: g, args: make(map[string]*graph.Node), parameters: make(map[string]*graph.Node),
		outputs: make(map[string]*graph.Node)}
	for _, in := range f.Graph.Inputs() {
		if name := in.InputName(); !slices.Contains(f.Parameters, name) && !slices.Contains(f.States, name) {
			c.args[name] = g.Input(name, in.DType(), in.Shape())
		}
	}
	// The input is made now, before those of the parameters, and of the type that the
	// loss asks for.
	y := graph.New("shapes").Input("y", tensor.Float32, f.Graph.Outputs()[f.output(l)].Node.Shape())
	l.of(y, func(dtype tensor.DType, shape graph.Shape) *graph.Node {
		c.target = g.Input(TargetInput, dtype, shape)
		return y.Graph().Input(TargetInput, dtype, shape)
	})
	return c
}

// addParameters adds the inputs of states and parameters.
func (c *called) addParameters() {
	for _, in := range c.Graph.Inputs() {
		name := in.InputName()
		if c.args[name] != nil {
			continue
		}
		c.args[name] = c.in.Input(name, in.DType(), in.Shape())
		if slices.Contains(c.Parameters, name) {
			c.parameters[name] = c.args[name]
		}
	}
}

// compute adds the function and its loss.
func (c *called) compute() {
	var args []*graph.Node
	for _, in := range c.Graph.Inputs() {
		args = append(args, c.args[in.InputName()])
	}
	results := graph.Call(c.Graph, args...)
	for i, o := range c.Graph.Outputs() {
		c.outputs[o.Name] = results[i]
	}
	c.outcome = c.loss.of(results[c.output(c.loss)], func(tensor.DType, graph.Shape) *graph.Node { return c.target })
}

// gradients adds scale·∇loss by each of the parameters.
func (c *called) gradients(loss *graph.Node, scale float64) []*graph.Node {
	xs := make([]*graph.Node, len(c.Parameters))
	for i, name := range c.Parameters {
		xs[i] = c.parameters[name]
	}
	return autodiff.GradientsBySlopes([]*graph.Node{loss}, []*graph.Node{graph.Like(loss, scale)}, xs)
}

// Data returns the names and types of what a batch of a function has beside the
// target.
func (f Function) Data() map[string]graph.Type {
	data := make(map[string]graph.Type)
	for _, in := range f.Graph.Inputs() {
		data[in.InputName()] = in.Type()
	}
	for _, name := range slices.Concat(f.Parameters, f.States) {
		delete(data, name)
	}
	return data
}
