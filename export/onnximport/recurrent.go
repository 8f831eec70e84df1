package onnximport

import (
	"fmt"
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// mostUnrolled is the length up to which every step of a sequence becomes nodes
// of its own. Longer ones, and those of symbolic length, are a Scan.
const mostUnrolled = 16

// recurrence is one direction of an RNN, GRU or LSTM: weights w [G·H I],
// r [G·H H], biases wb and rb [G·H] or nil, and peepholes [3·H] or nil.
type recurrence struct {
	c            *call
	w, r, wb, rb *graph.Node
	peepholes    *graph.Node
	hidden       int
	linearFirst  bool // GRU: the recurrent product before the reset gate
	inputForget  bool // LSTM: forget gate 1 − input gate
	// batchFirst has the batch as the first axis of all but weights.
	batchFirst bool
	within     *graph.Node // bool [T B], where sequences have not ended; nil for everywhere
	// columns has a column for each sequence in the place of a row: states [H B] and
	// gates [G·H B]. A product r·h takes r as it lies, where one with rᵀ has it laid out
	// anew at each step.
	columns bool
}

// cell computes the next hidden state and cell state from what x contributes
// to the gates, x·wᵀ + b [B G·H], or its transpose where a recurrence has columns.
// inside is what an adjoint needs of a step beside its states.
type cell func(r *recurrence, fromX, h, state *graph.Node) (nextH, nextState *graph.Node, inside []*graph.Node)

// recurrent reads an operator over sequences X [T B I].
func recurrent(gates int, step cell) reader {
	return func(c *call) []*value {
		x := c.float(0)
		for _, name := range []string{"activations", "activation_alpha", "activation_beta", "clip"} {
			if _, ok := c.op.attributes[name]; ok && name != "activations" {
				c.fail("attribute %q is not supported", name)
			}
		}
		c.checkActivations(gates)
		if x.Rank() != 3 {
			c.fail("%v, want sequences [T B I]", x.Type())
		}
		if x.Shape()[0] == (graph.Dim{}) {
			c.fail("a sequence of 0 steps, want 1 or more")
		}
		first := c.integer("layout", 0) != 0
		if first {
			x = graph.Transpose(x, 1, 0, 2)
		}
		direction := c.text("direction", "forward")
		directions := 1
		switch direction {
		case "forward", "reverse":
		case "bidirectional":
			directions = 2
		default:
			c.fail("direction %q is not known", direction)
		}
		flags := recurrence{c: c, linearFirst: c.integer("linear_before_reset", 0) != 0, inputForget: c.integer("input_forget", 0) != 0,
			batchFirst: first}
		if c.has(4) {
			grid := x.Shape()[:2]
			length := graph.BroadcastAlong(graph.Cast(c.x(4), tensor.Int64), grid, 1)
			flags.within = graph.Less(places(c, length, 0), length)
		}
		c.ignore("hidden_size", "output_sequence") // which the shapes say
		var ys, hs, states []*graph.Node
		for d := range directions {
			r := flags
			r.part(d, gates)
			backwards := direction == "reverse" || d == 1
			y, h, state := r.sequence(x, d, backwards, step)
			ys, hs = append(ys, y), append(hs, graph.ExpandDims(h, 0))
			if state != nil {
				states = append(states, graph.ExpandDims(state, 0))
			}
		}
		y, last := graph.Concat(1, ys...), []*graph.Node{graph.Concat(0, hs...)}
		if len(states) > 0 {
			last = append(last, graph.Concat(0, states...))
		}
		if first {
			y = graph.Transpose(y, 2, 0, 1, 3)
		}
		results := one(y)
		for _, n := range last {
			if first {
				n = graph.Transpose(n, 1, 0, 2)
			}
			results = append(results, &value{node: n})
		}
		return results
	}
}

// checkActivations asks for the default functions.
func (c *call) checkActivations(gates int) {
	defaults := map[int][]string{1: {"Tanh"}, 3: {"Sigmoid", "Tanh"}, 4: {"Sigmoid", "Tanh", "Tanh"}}[gates]
	given, _ := attribute[[]string](c, "activations")
	for i, name := range given {
		if want := defaults[i%len(defaults)]; name != want {
			c.fail("activation %q is not supported, want %q", name, want)
		}
	}
}

// part takes the weights of direction d out of the operands.
func (r *recurrence) part(d, gates int) {
	c := r.c
	take := func(i int) *graph.Node {
		n := c.x(i)
		if n.Rank() < 2 || d >= c.size(n, 0) {
			c.fail("operand %d of type %v has no direction %d", i, n.Type(), d)
		}
		return graph.Reshape(graph.Slice(n, 0, d, d+1, 1), n.Shape()[1:])
	}
	r.w, r.r = take(1), take(2)
	if r.w.Rank() != 2 || r.r.Rank() != 2 {
		c.fail("weights %v and %v", r.w.Type(), r.r.Type())
	}
	r.hidden = c.size(r.r, 1)
	rows := gates * r.hidden
	if c.size(r.w, 0) != rows || c.size(r.r, 0) != rows {
		c.fail("weights %v and %v for %d gates", r.w.Type(), r.r.Type(), gates)
	}
	if c.has(3) {
		b := take(3)
		if c.size(b, 0) != 2*rows {
			c.fail("biases %v for %d gates of %d", b.Type(), gates, r.hidden)
		}
		r.wb, r.rb = graph.Slice(b, 0, 0, rows, 1), graph.Slice(b, 0, rows, 2*rows, 1)
	}
	if c.has(7) {
		r.peepholes = take(7)
		if c.size(r.peepholes, 0) != 3*r.hidden {
			c.fail("peepholes %v for %d units", r.peepholes.Type(), r.hidden)
		}
	}
}

// initial returns the state of direction d that operand i gives, or zeros.
func (r *recurrence) initial(i, d int, x *graph.Node) *graph.Node {
	shape := graph.Shape{x.Shape()[1], graph.Const(r.hidden)}
	if !r.c.has(i) {
		return graph.Broadcast(number(r.c.graph, x.DType(), 0), shape)
	}
	n := r.c.x(i)
	if r.batchFirst && n.Rank() == 3 {
		n = graph.Transpose(n, 1, 0, 2)
	}
	if n.Rank() != 3 || d >= r.c.size(n, 0) {
		r.c.fail("operand %d of type %v has no direction %d", i, n.Type(), d)
	}
	return graph.Reshape(graph.Slice(n, 0, d, d+1, 1), shape)
}

// sequence returns the hidden states [T 1 B H], and the last ones.
func (r *recurrence) sequence(x *graph.Node, d int, backwards bool, step cell) (y, h, state *graph.Node) {
	h = r.initial(5, d, x)
	if r.c.op.kind == "LSTM" {
		state = r.initial(6, d, x)
	}
	if steps, ok := x.Shape()[0].Constant(); ok && steps <= mostUnrolled {
		return r.unroll(x, h, state, steps, backwards, step)
	}
	return r.scan(x, h, state, backwards, step)
}

// scan computes the products with all of x at once, and the rest in a loop. It
// stacks what its adjoint needs.
func (r *recurrence) scan(x, h, state *graph.Node, backwards bool, step cell) (y, lastH, lastState *graph.Node) {
	s, inner := x.Shape(), *r
	inner.columns = true
	bias := r.wb
	if r.rb != nil && r.c.op.kind != "GRU" { // whose reset gate stands before it
		bias, inner.rb = graph.Add(r.wb, r.rb), nil
	}
	gates := inner.product(graph.Reshape(graph.Transpose(x, 2, 0, 1), graph.Shape{s[2], r.c.times(s[0], s[1])}), r.w, bias)
	gates = graph.Transpose(graph.Reshape(gates, graph.Shape{gates.Shape()[0], s[0], s[1]}), 1, 0, 2)
	h = graph.SwapLast(h)

	body := graph.New("step")
	input := func(name string, n *graph.Node, shape graph.Shape) *graph.Node {
		return body.Input(name, n.DType(), shape)
	}
	states := []*graph.Node{h}
	innerH, innerState := input("h", h, h.Shape()), (*graph.Node)(nil)
	if state != nil {
		state = graph.SwapLast(state)
		states = append(states, state)
		innerState = input("state", state, state.Shape())
	}
	fromX := input("x", gates, gates.Shape()[1:])
	scanned := []*graph.Node{gates}
	var within *graph.Node
	if r.within != nil {
		scanned, within = append(scanned, r.within), input("within", r.within, r.within.Shape()[1:])
	}
	shared := []*graph.Node{r.r}
	inner.r = input("r", r.r, r.r.Shape())
	if inner.rb != nil {
		shared, inner.rb = append(shared, r.rb), input("rb", r.rb, r.rb.Shape())
	}
	if r.peepholes != nil {
		shared, inner.peepholes = append(shared, r.peepholes), input("peepholes", r.peepholes, r.peepholes.Shape())
	}
	nextH, nextState, inside := step(&inner, fromX, innerH, innerState)
	shown := nextH
	if within != nil {
		shown = inner.held(within, nextH, graph.Like(nextH, 0))
		nextH, nextState = inner.held(within, nextH, innerH), inner.held(within, nextState, innerState)
	}
	next := []*graph.Node{nextH}
	if state != nil {
		next = append(next, nextState)
	}
	stacked := slices.Clone(next)
	stacked[0] = shown
	for i, name := range []string{"h", "state"}[:len(next)] {
		body.Output(name, next[i])
	}
	for i, name := range []string{"all_h", "all_states"}[:len(next)] {
		body.Output(name, stacked[i])
	}
	for i, n := range inside {
		body.Output(fmt.Sprint("inside_", i), n)
	}
	out := graph.ScanShared(body, states, scanned, shared, backwards)
	stack := graph.SwapLast(out[len(states)])
	y = graph.Reshape(stack, slices.Concat(stack.Shape()[:1], graph.Dims(1), stack.Shape()[1:]))
	if state != nil {
		lastState = graph.SwapLast(out[1])
	}
	return y, graph.SwapLast(out[0]), lastState
}

// unroll has nodes of its own for every step.
func (r *recurrence) unroll(x, h, state *graph.Node, steps int, backwards bool, step cell) (y, lastH, lastState *graph.Node) {
	all := make([]*graph.Node, steps)
	for i := range steps {
		t := i
		if backwards {
			t = steps - 1 - i
		}
		fromX := affine(graph.Reshape(graph.Slice(x, 0, t, t+1, 1), x.Shape()[1:]), r.w, r.wb)
		nextH, nextState, _ := step(r, fromX, h, state)
		shown := nextH
		if r.within != nil {
			within := graph.Reshape(graph.Slice(r.within, 0, t, t+1, 1), r.within.Shape()[1:])
			shown = r.held(within, nextH, graph.Like(nextH, 0))
			nextH, nextState = r.held(within, nextH, h), r.held(within, nextState, state)
		}
		h, state = nextH, nextState
		all[t] = graph.Reshape(shown, slices.Concat(graph.Dims(1, 1), h.Shape()))
	}
	return graph.Concat(0, all...), h, state
}

// held is next where a sequence goes on, and otherwise what it was.
func (r *recurrence) held(within, next, otherwise *graph.Node) *graph.Node {
	if next == nil {
		return nil
	}
	return graph.Where(graph.BroadcastAlong(within, next.Shape(), 1-r.units()), next, otherwise)
}

// units returns the axis of states and gates that units lie along.
func (r *recurrence) units() int {
	if r.columns {
		return 0
	}
	return 1
}

// gate returns units g·H … (g+1)·H of a product.
func (r *recurrence) gate(z *graph.Node, g int) *graph.Node {
	return graph.Slice(z, r.units(), g*r.hidden, (g+1)*r.hidden, 1)
}

// product returns h·wᵀ + b of states, or its transpose where they are columns.
func (r *recurrence) product(h, w, b *graph.Node) *graph.Node {
	if !r.columns {
		return affine(h, w, b)
	}
	y := graph.MatMul(w, h)
	if b == nil {
		return y
	}
	return graph.Add(graph.BroadcastAlong(b, y.Shape(), 0), y)
}

// affine is x·wᵀ + b.
func affine(x, w, b *graph.Node) *graph.Node { return graph.Linear(x, w, b) }

func rnnCell(r *recurrence, fromX, h, _ *graph.Node) (nextH, nextState *graph.Node, inside []*graph.Node) {
	return graph.Tanh(graph.Add(r.product(h, r.r, r.rb), fromX)), nil, nil
}

// gruCell has the gates z (update), r (reset) and h (new).
func gruCell(r *recurrence, fromX, h, _ *graph.Node) (nextH, nextState *graph.Node, inside []*graph.Node) {
	fromH := r.product(h, r.r, r.rb)
	update := graph.Sigmoid(graph.Add(r.gate(fromX, 0), r.gate(fromH, 0)))
	reset := graph.Sigmoid(graph.Add(r.gate(fromX, 1), r.gate(fromH, 1)))
	inside = []*graph.Node{update, reset}
	var recurrent *graph.Node
	if r.linearFirst {
		inside = append(inside, r.gate(fromH, 2))
		recurrent = graph.Mul(reset, inside[2])
	} else {
		rows := func(n *graph.Node) *graph.Node {
			if n == nil {
				return nil
			}
			return graph.Slice(n, 0, 2*r.hidden, 3*r.hidden, 1)
		}
		recurrent = r.product(graph.Mul(reset, h), rows(r.r), rows(r.rb))
	}
	fresh := graph.Tanh(graph.Add(r.gate(fromX, 2), recurrent))
	return graph.Add(graph.Mul(graph.Sub(graph.Like(update, 1), update), fresh), graph.Mul(update, h)), nil, append(inside, fresh)
}

// lstmCell has the gates i (input), o (output), f (forget) and c (new).
func lstmCell(r *recurrence, fromX, h, state *graph.Node) (nextH, nextState *graph.Node, inside []*graph.Node) {
	z := graph.Add(r.product(h, r.r, r.rb), fromX)
	gate := func(g, peephole int, state *graph.Node) *graph.Node {
		v := r.gate(z, g)
		if r.peepholes != nil {
			p := graph.Slice(r.peepholes, 0, peephole*r.hidden, (peephole+1)*r.hidden, 1)
			v = graph.Add(v, graph.Mul(graph.BroadcastAlong(p, state.Shape(), r.units()), state))
		}
		return graph.Sigmoid(v)
	}
	input := gate(0, 0, state)
	forget := gate(2, 2, state)
	if r.inputForget {
		forget = graph.Sub(graph.Like(input, 1), input)
	}
	fresh := graph.Tanh(r.gate(z, 3))
	next := graph.Add(graph.Mul(forget, state), graph.Mul(input, fresh))
	output, shown := gate(1, 1, next), graph.Tanh(next)
	return graph.Mul(output, shown), next, []*graph.Node{input, forget, fresh, output, shown}
}
