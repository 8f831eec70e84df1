package autodiff

import (
	"slices"

	g "ebm/models/graph"
)

// vectorise returns results as functions of u for several values of u at once:
// stack has them along a new first axis, [M … of u], and so have what is
// returned. Nodes that do not depend on u are shared.
func vectorise(u, stack *g.Node, results []*g.Node) []*g.Node {
	v := &vectoriser{count: stack.Shape()[0], stacks: map[*g.Node]*g.Node{u: stack}, loops: make(map[*g.Node][]*g.Node)}
	last := u.ID()
	for _, r := range results {
		last = max(last, r.ID())
	}
	for _, n := range u.Graph().Nodes()[u.ID()+1 : last+1] {
		for _, in := range n.Inputs() {
			if v.stacks[in] != nil {
				v.stacks[n] = v.apply(n)
				break
			}
		}
	}
	out := make([]*g.Node, len(results))
	for i, r := range results {
		out[i] = v.stack(r)
	}
	return out
}

type vectoriser struct {
	count  g.Dim                 // M
	stacks map[*g.Node]*g.Node   // of what depends on u
	loops  map[*g.Node][]*g.Node // Scan → the stacks of its outputs
	// images are nodes in the graph at hand of those that are the same for every
	// u, nil where that is their own graph.
	images map[*g.Node]*g.Node
}

// same returns what n, which does not depend on u, is in the graph at hand.
func (v *vectoriser) same(n *g.Node) *g.Node {
	if v.images == nil {
		return n
	}
	return v.images[n]
}

// stack returns the stack of n, which is n repeated where it is the same for
// every u.
func (v *vectoriser) stack(n *g.Node) *g.Node {
	if s := v.stacks[n]; s != nil {
		return s
	}
	return g.Broadcast(v.same(n), v.shape(n.Shape()))
}

func (v *vectoriser) shape(s g.Shape) g.Shape { return append(g.Shape{v.count}, s...) }

// apply adds the node that does for stacks what n does.
func (v *vectoriser) apply(n *g.Node) *g.Node {
	in := n.Inputs()
	switch n.Op() {
	case g.OpReshape:
		return g.Reshape(v.stack(in[0]), v.shape(n.Shape()))
	case g.OpBroadcast:
		wide := slices.Concat(g.Shape{v.count}, slices.Repeat(g.Dims(1), n.Rank()-in[0].Rank()), in[0].Shape())
		return g.Broadcast(g.Reshape(v.stack(in[0]), wide), v.shape(n.Shape()))
	case g.OpTranspose:
		return g.Transpose(v.stack(in[0]), slices.Insert(moved(n.Attr().(g.AxesAttr).Axes), 0, 0)...)
	case g.OpReduceSum, g.OpReduceMax:
		return g.Apply(n.Op(), g.AxesAttr{Axes: moved(n.Attr().(g.AxesAttr).Axes)}, v.stack(in[0]))
	case g.OpConcat:
		return g.Concat(n.Attr().(g.AxesAttr).Axes[0]+1, v.all(in)...)
	case g.OpSlice:
		a := n.Attr().(g.SliceAttr)
		a.Axes = moved(a.Axes)
		return g.SliceAxes(v.stack(in[0]), a)
	case g.OpPad:
		a := n.Attr().(g.PadAttr)
		front := g.Shape{g.Const(0)}
		return g.Pad(v.stack(in[0]), slices.Concat(front, a.Lo), slices.Concat(front, a.Hi), slices.Insert(slices.Clone(a.Between), 0, 0))
	case g.OpGather, g.OpGatherGrad:
		a := n.Attr().(g.GatherAttr)
		a.Axis++
		return g.Apply(n.Op(), a, v.stack(in[0]), v.same(in[1]))
	case g.OpMatMul:
		return v.matMul(n)
	case g.OpConv, g.OpConvInputGrad:
		if v.stacks[in[1]] == nil {
			return v.merged(n, v.merge(in[0]), v.same(in[1]))
		}
		return v.each(n)
	case g.OpConvFilterGrad:
		if v.stacks[in[0]] == nil && n.Attr().(g.ConvAttr).Groups == 1 {
			return v.filterGrad(n)
		}
		return v.each(n)
	case g.OpMeanPool, g.OpMeanPoolGrad:
		return v.merged(n, v.merge(in[0]))
	case g.OpMaxPoolGrad, g.OpMaxPoolTake:
		return v.merged(n, v.merge(in[0]), v.merge(in[1]))
	case g.OpScan:
		return v.scan(n)
	case g.OpProject:
		return v.loops[in[0]][n.Attr().(g.ProjectAttr).Index]
	case g.OpMaxPool:
		return v.merged(n, v.merge(in[0]))
	}
	// What is left is element by element.
	return g.Apply(n.Op(), n.Attr(), v.all(in)...)
}

func (v *vectoriser) all(nodes []*g.Node) []*g.Node {
	stacks := make([]*g.Node, len(nodes))
	for i, n := range nodes {
		stacks[i] = v.stack(n)
	}
	return stacks
}

// moved returns axes counted behind the new one.
func moved(axes []int) []int {
	out := make([]int, len(axes))
	for i, a := range axes {
		out[i] = a + 1
	}
	return out
}

// merge returns the stack of n [N …] as [M·N …].
func (v *vectoriser) merge(n *g.Node) *g.Node {
	shape := slices.Clone(n.Shape())
	shape[0] = v.count.Mul(shape[0])
	return g.Reshape(v.stack(n), shape)
}

// merged applies n to operands whose batch is merged with the new axis.
func (v *vectoriser) merged(n *g.Node, operands ...*g.Node) *g.Node {
	return g.Reshape(g.Apply(n.Op(), n.Attr(), operands...), v.shape(n.Shape()))
}

// matMul multiplies all rows at once where one operand is a plain matrix that
// is the same for every u.
func (v *vectoriser) matMul(n *g.Node) *g.Node {
	a, b := n.Inputs()[0], n.Inputs()[1]
	switch {
	case a.Rank() == 2 && v.stacks[b] == nil:
		return v.merged(n, v.merge(a), v.same(b))
	case a.Rank() == 2 && v.stacks[a] == nil: // a·B = (Bᵀ·aᵀ)ᵀ
		s := b.Shape()
		rows := g.Reshape(g.SwapLast(v.stack(b)), g.Shape{v.count.Mul(s[1]), s[0]})
		y := g.MatMul(rows, g.SwapLast(v.same(a)))
		return g.SwapLast(g.Reshape(y, g.Shape{v.count, s[1], a.Shape()[0]}))
	}
	return g.MatMul(v.stack(a), v.stack(b))
}

// filterGrad has the rows of the stack as channels of y: they share x.
func (v *vectoriser) filterGrad(n *g.Node) *g.Node {
	x, y := n.Inputs()[0], n.Inputs()[1]
	perm := []int{1, 0}
	for i := 2; i <= y.Rank(); i++ {
		perm = append(perm, i)
	}
	wide := slices.Clone(y.Shape())
	wide[1] = v.count.Mul(wide[1])
	channels := g.Reshape(g.Transpose(v.stack(y), perm...), wide)
	return g.Reshape(g.Apply(n.Op(), n.Attr(), v.same(x), channels), v.shape(n.Shape()))
}

// each applies n to one row of the stacks after the other.
func (v *vectoriser) each(n *g.Node) *g.Node {
	count, _ := v.count.Constant()
	rows := make([]*g.Node, count)
	for i := range rows {
		operands := slices.Clone(n.Inputs())
		for j, in := range operands {
			if s := v.stacks[in]; s != nil {
				operands[j] = g.Reshape(g.Slice(s, 0, i, i+1, 1), in.Shape())
			} else {
				operands[j] = v.same(in)
			}
		}
		rows[i] = g.ExpandDims(g.Apply(n.Op(), n.Attr(), operands...), 0)
	}
	return g.Concat(0, rows...)
}

// scan adds a loop whose body is applied to stacks: all states are, and those of
// the other operands that depend on u. What the body stacks has the new axis
// behind that of the steps, and is turned.
func (v *vectoriser) scan(n *g.Node) *g.Node {
	a, in := n.Attr().(g.ScanAttr), n.Inputs()
	shared := len(in) - a.Shared
	body := &loopAdjoint{body: g.New(a.Body.Name() + "_stacked")}
	inner := &vectoriser{count: v.count, stacks: make(map[*g.Node]*g.Node), loops: make(map[*g.Node][]*g.Node),
		images: make(map[*g.Node]*g.Node)}
	operands := slices.Clone(in)
	for i, x := range in {
		t := a.Body.Inputs()[i].Type()
		if !x.DType().IsFloat() || i >= a.Carried && v.stacks[x] == nil {
			operands[i] = v.same(x)
			inner.images[a.Body.Inputs()[i]] = body.input(t)
			continue
		}
		operands[i] = v.stack(x)
		if i >= a.Carried && i < shared {
			operands[i] = swapFirst(operands[i])
		}
		t.Shape = v.shape(t.Shape)
		inner.stacks[a.Body.Inputs()[i]] = body.input(t)
	}
	for _, m := range a.Body.Nodes() {
		if m.Op() != g.OpInput {
			inner.copy(body.body, m)
		}
	}
	for _, out := range a.Body.Outputs() {
		if out.Node.DType().IsFloat() {
			body.output(inner.stack(out.Node))
		} else {
			body.output(inner.same(out.Node))
		}
	}
	results := g.ScanShared(body.body, operands[:a.Carried], operands[a.Carried:shared], operands[shared:], a.Reverse)
	for i, t := range n.Types() {
		switch {
		case !t.DType.IsFloat():
			results[i] = nil // the same for every u
		case i >= a.Carried:
			results[i] = swapFirst(results[i])
		}
	}
	v.loops[n] = results
	for _, r := range results {
		if r != nil {
			return r // which stands for the loop
		}
	}
	return nil
}

// copy adds a node of a body, or the node that does the same for stacks.
func (v *vectoriser) copy(body *g.Graph, n *g.Node) {
	inputs := make([]*g.Node, len(n.Inputs()))
	for i, in := range n.Inputs() {
		if v.stacks[in] != nil {
			v.stacks[n] = v.apply(n)
			return
		}
		inputs[i] = v.same(in)
	}
	if a, ok := n.Attr().(g.ConstantAttr); ok {
		v.images[n] = body.Weight(a.Name, a.Value)
		return
	}
	v.images[n] = g.Apply(n.Op(), n.Attr(), inputs...)
}

// swapFirst exchanges the first two axes.
func swapFirst(n *g.Node) *g.Node {
	perm := []int{1, 0}
	for i := 2; i < n.Rank(); i++ {
		perm = append(perm, i)
	}
	return g.Transpose(n, perm...)
}
