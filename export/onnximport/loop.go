package onnximport

import (
	"fmt"
	"slices"

	"ebm/export/onnxpb"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// mostIterations is how often a loop is unrolled whose end is known only from what it
// computes.
const mostIterations = 1 << 10

// readLoop reads a loop. One of a few steps, and one whose end follows from constants,
// has nodes of its own for each step; one whose length is large or symbolic is a Scan.
// Where the condition depends on inputs, a number of steps bounds the loop, and states
// stay what they were after the condition was false.
func readLoop(c *call) []*value {
	g := c.branchGraph("body")
	if len(g.Input) < 2 || len(g.Input) != len(c.in) && len(g.Input) != len(c.in)+1 || len(g.Output) < len(g.Input)-1 {
		c.fail("a body of %d inputs and %d outputs for %d operands", len(g.Input), len(g.Output), len(c.in))
	}
	carried := len(g.Input) - 2
	l := loop{call: c, body: g, carried: carried, states: make([]*value, carried), stacks: make([][]*value, len(g.Output)-1-carried)}
	for i := range l.states {
		l.states[i] = c.operand(2 + i)
	}
	steps, known := graph.Const(mostIterations), false
	if c.has(0) {
		if s := c.sizesOf(c.operand(0)); s != nil && len(s.elems) == 1 {
			steps, known = s.elems[0], true
		}
	}
	n, fixed := steps.Constant()
	if known && (!fixed || n > mostUnrolled && n <= mostFolded) && l.unconditional() {
		if results, err := l.scan(steps); err == nil || !fixed {
			if err != nil {
				panic(failure{err})
			}
			return results
		}
	}
	if !fixed {
		c.fail("a loop of %v steps, want a number or a body whose condition is constant", steps)
	}
	l.unroll(n, known)
	return l.results()
}

// loop is a Loop on its way into the graph.
type loop struct {
	*call
	body    *onnxpb.GraphProto
	carried int
	states  []*value
	stacks  [][]*value
}

// unconditional reports whether the condition of the next step is surely true.
func (l *loop) unconditional() bool {
	if l.has(1) {
		if yes, ok := l.truth(l.operand(1)); !ok || !yes {
			return false
		}
	}
	out, in := l.body.Output[0].GetName(), l.body.Input[1].GetName()
	for {
		if out == in {
			return true
		}
		i := slices.IndexFunc(l.body.Node, func(n *onnxpb.NodeProto) bool { return slices.Contains(n.Output, out) })
		if i < 0 {
			v := slices.IndexFunc(l.body.Initializer, func(t *onnxpb.TensorProto) bool { return t.GetName() == out })
			return v >= 0
		}
		n := l.body.Node[i]
		switch n.GetOpType() {
		case "Identity", "Cast":
			out = n.Input[0]
		case "Constant":
			return true // a false one ends the loop after a step; unroll finds it
		default:
			return false
		}
	}
}

// truth returns a condition that is constant.
func (c *call) truth(v *value) (yes, ok bool) {
	if s := c.sizesOf(v); s != nil && len(s.elems) == 1 {
		n, ok := s.elems[0].Constant()
		return n != 0, ok
	}
	return false, false
}

// unroll imports the body for each step, n of them at most.
func (l *loop) unroll(n int, bounded bool) {
	var running *graph.Node // where the condition depends on inputs
	cond := &value{sizes: &sizes{elems: graph.Dims(1), truth: true}}
	if l.has(1) {
		cond = l.operand(1)
	}
	for i := 0; ; i++ {
		if bounded && i >= n {
			return
		}
		if yes, ok := l.truth(cond); ok && !yes {
			return
		} else if !ok {
			c := graph.Reshape(l.nodeOf(cond), nil)
			if running != nil {
				c = and(running, c)
			}
			running = c
		}
		if running != nil && (!bounded || len(l.stacks) > 0) {
			l.fail("the condition of the loop depends on inputs, want a number of steps that bounds it, and no stacked results")
		}
		if i >= mostIterations {
			l.fail("a loop of more than %d steps", mostIterations)
		}
		index := &value{sizes: &sizes{elems: graph.Dims(i)}}
		out := l.call.body(l.body, slices.Concat([]*value{index, cond}, l.states))
		cond = out[0]
		for j := range l.states {
			next := out[1+j]
			if running != nil {
				old, new := l.nodeOf(l.states[j]), l.nodeOf(next)
				if !old.Type().Equal(new.Type()) {
					l.fail("state %d of type %v becomes %v, and the loop's end depends on inputs", j, old.Type(), new.Type())
				}
				next = &value{node: graph.Where(graph.Broadcast(running, old.Shape()), new, old)}
			}
			l.states[j] = next
		}
		for j := range l.stacks {
			l.stacks[j] = append(l.stacks[j], out[1+l.carried+j])
		}
	}
}

func (l *loop) results() []*value {
	results := slices.Clone(l.states)
	for j, list := range l.stacks {
		if len(list) == 0 {
			results = append(results, l.nothing(l.body.Output[1+l.carried+j]))
			continue
		}
		var xs []*graph.Node
		for _, v := range list {
			xs = append(xs, graph.ExpandDims(l.nodeOf(v), 0))
		}
		results = append(results, &value{node: graph.Concat(0, xs...)})
	}
	return results
}

// nothing is the stack of a loop of no steps, whose shape the file has to say.
func (l *loop) nothing(out *onnxpb.ValueInfoProto) *value {
	_, dtype, shape, err := l.typeOf(out)
	if err != nil {
		return nil
	}
	empty := slices.Concat(graph.Dims(1), shape)
	return &value{node: graph.Slice(graph.Broadcast(number(l.graph, dtype, 0), empty), 0, 0, 0, 1)}
}

// scan imports the body once.
func (l *loop) scan(steps graph.Dim) (results []*value, err error) {
	err = catch(func() {
		index := l.iota(steps)
		s := l.scanning("loop", l.states)
		at := s.input("index", index.DType(), nil)
		yes := &value{sizes: &sizes{elems: graph.Dims(1), truth: true}}
		inputs := slices.Concat([]*value{{node: at}, yes}, s.carried)
		results = s.run(l.body, inputs, 1, []*graph.Node{index}, false)
	})
	return results, err
}

// scanning is the body of a Scan on its way: a graph of its own, and what it takes
// from the graph around it.
type scanning struct {
	*call
	graph   *graph.Graph
	states  []*graph.Node // around it
	carried []*value      // inside
	shared  []*graph.Node // around it
}

func (c *call) scanning(name string, states []*value) *scanning {
	s := &scanning{call: c, graph: graph.New(name)}
	for i, v := range states {
		n := c.nodeOf(v)
		s.states = append(s.states, n)
		s.carried = append(s.carried, &value{node: s.input(fmt.Sprintf("state%d", i), n.DType(), n.Shape())})
	}
	return s
}

func (s *scanning) input(name string, dtype tensor.DType, shape graph.Shape) *graph.Node {
	return s.graph.Input(name, dtype, shape)
}

// capture brings a value from around into the body: what is constant as a constant.
func (s *scanning) capture(v *value) *value {
	if v.items != nil || v.absent != "" {
		return v
	}
	if v.node == nil {
		return &value{sizes: v.sizes}
	}
	if t := s.folder.value(v.node); t != nil && t.Len() <= mostSizes {
		return &value{node: s.graph.Constant(typed(t, v.node.DType())), sizes: v.sizes, kind: v.kind}
	}
	for i, n := range s.shared {
		if n == v.node {
			return &value{node: s.graph.Inputs()[len(s.graph.Inputs())-len(s.shared)+i], sizes: v.sizes}
		}
	}
	s.shared = append(s.shared, v.node)
	return &value{node: s.input(fmt.Sprintf("outer%d", len(s.shared)), v.node.DType(), v.node.Shape()), sizes: v.sizes}
}

// run imports a body with the given inputs and makes the Scan. Of its results those from
// first on are the states and then what is stacked.
func (s *scanning) run(body *onnxpb.GraphProto, inputs []*value, first int, scanned []*graph.Node, reverse bool) []*value {
	c := s.call
	outer, counts, values := c.graph, c.counts, c.values
	inner := make(map[string]*value, len(values))
	_, names := neededFor(&onnxpb.GraphProto{Node: body.Node}, outputsOf(body))
	for name := range values {
		if names[name] {
			inner[name] = s.capture(values[name])
		}
	}
	var out []*graph.Node
	func() {
		defer func() { c.graph, c.counts, c.values = outer, counts, values }()
		c.importer.graph, c.counts, c.values = s.graph, make(map[graph.Dim]*graph.Node), inner
		for i, v := range c.body(body, inputs)[first:] {
			n := c.nodeOf(v)
			if i < len(s.states) && !n.Type().Equal(s.states[i].Type()) {
				c.fail("state %d of type %v becomes %v", i, s.states[i].Type(), n.Type())
			}
			if slices.Contains(s.graph.Inputs(), n) || slices.Contains(out, n) {
				n = graph.Reshape(n, n.Shape())
			}
			out = append(out, n)
		}
	}()
	for i, n := range out {
		s.graph.Output(fmt.Sprintf("result%d", i), n)
	}
	nodes := graph.ScanShared(s.graph, s.states, scanned, s.shared, reverse)
	results := make([]*value, len(nodes))
	for i, n := range nodes {
		results[i] = &value{node: n}
	}
	return results
}

func outputsOf(g *onnxpb.GraphProto) (names []string) {
	for _, out := range g.Output {
		names = append(names, out.GetName())
	}
	return names
}

// readScan reads a body along axes of its last operands.
func readScan(c *call) []*value {
	g := c.branchGraph("body")
	n := c.integer("num_scan_inputs", 0)
	if c.version < 9 || n < 1 || n > len(c.in) || len(g.Input) != len(c.in) {
		c.fail("%d scanned operands of %d, want those of version 9", n, len(c.in))
	}
	const mostAxes = 64
	carried := len(c.in) - n
	stacked := len(g.Output) - carried
	axes, backwards := c.numbers("scan_input_axes", 0, n, -mostAxes), c.numbers("scan_input_directions", 0, n, 0)
	outAxes, outBackwards := c.numbers("scan_output_axes", 0, stacked, -mostAxes), c.numbers("scan_output_directions", 0, stacked, 0)
	s := c.scanning("scan", c.in[:carried])
	inputs := slices.Clone(s.carried)
	var scanned []*graph.Node
	for i := range n {
		x := c.x(carried + i)
		x, _ = front(x, c.axis(axes[i], x.Rank()))
		if backwards[i] != 0 {
			x = c.reversed(x)
		}
		scanned = append(scanned, x)
		inputs = append(inputs, &value{node: s.input(fmt.Sprintf("scanned%d", i), x.DType(), x.Shape()[1:])})
	}
	results := s.run(g, inputs, 0, scanned, false)
	for i := range stacked {
		y := results[carried+i].node
		if outBackwards[i] != 0 {
			y = c.reversed(y)
		}
		_, back := front(y, c.axis(outAxes[i], y.Rank()))
		results[carried+i] = &value{node: back(y)}
	}
	return results
}

// reversed turns the first axis around.
func (c *call) reversed(x *graph.Node) *graph.Node {
	return c.slice(x, 0, graph.Const(-1), graph.Const(-1<<40), -1)
}
