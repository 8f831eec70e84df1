package autodiff

import (
	"slices"

	g "ebm/models/graph"
)

// splitScan is g.ScanShared with all that need not wait for the step before done
// for every step at once, outside of the loop:
//
//	what does not depend on the state, in front of it,
//	what the state does not depend on, behind it, and
//	states that only add up, s + v, as sums over the steps.
//
// What is in between stays: of the adjoint of a recurrent layer, one product of
// matrices and some ten operators a step. Values that cross are stacked, [K …],
// as other frameworks keep all activations.
func splitScan(body *g.Graph, carried, stacked, shared []*g.Node, reverse bool) []*g.Node {
	body = regroup(body, len(carried))
	l := &splitLoop{body: body, carried: len(carried), shared: len(body.Inputs()) - len(shared), place: make(map[*g.Node]place)}
	l.findSums()
	l.divide()
	if !l.moves() {
		return g.ScanShared(body, carried, stacked, shared, reverse)
	}
	return l.build(carried, stacked, shared, reverse)
}

// place is where a node of the body goes.
type place int

const (
	front  place = iota // in front of the loop
	within              // into the loop
	behind              // behind it
)

type splitLoop struct {
	body            *g.Graph
	carried, shared int               // inputs before the first that is stacked, and before the first that is shared
	sums            map[int]*g.Node   // state → what every step adds to it
	place           map[*g.Node]place // of every node that an output needs, and of the inputs
}

// regroup turns (s·u)·v into s·(u·v) where only s depends on the state: one product the fewer that has to wait.
func regroup(body *g.Graph, carried int) *g.Graph {
	uses := body.Uses()
	waits := make(map[*g.Node]bool) // of the new graph
	return g.Rewrite(body, func(r *g.Rewriter, old *g.Node, in []*g.Node) *g.Node {
		for _, state := range r.Graph.Inputs()[:carried] {
			waits[state] = true
		}
		n := (*g.Node)(nil)
		if old.Op() == g.OpMul {
			for i, product := range in {
				v := in[1-i]
				if waits[v] || !waits[product] || product.Op() != g.OpMul || uses[old.Inputs()[i]] != 1 {
					continue
				}
				s, u := product.Inputs()[0], product.Inputs()[1]
				if waits[u] {
					s, u = u, s
				}
				if !waits[u] {
					n = g.Mul(s, g.Mul(u, v))
					break
				}
			}
		}
		if n == nil {
			n = r.Keep(old, in)
		}
		waits[n] = slices.ContainsFunc(in, func(in *g.Node) bool { return waits[in] })
		return n
	})
}

// findSums finds states that a step does nothing with but to add to them.
func (l *splitLoop) findSums() {
	l.sums = make(map[int]*g.Node)
	uses := l.body.Uses()
	for i, slot := range l.body.Inputs()[:l.carried] {
		next := l.body.Outputs()[i].Node
		if next.Op() != g.OpAdd || uses[next] != 1 || uses[slot] != 1 {
			continue
		}
		switch in := next.Inputs(); slot {
		case in[0]:
			l.sums[i] = in[1]
		case in[1]:
			l.sums[i] = in[0]
		}
	}
}

// divide gives every node its place.
func (l *splitLoop) divide() {
	inputs := l.body.Inputs()
	for i, in := range inputs {
		if i < l.carried {
			l.place[in] = within
		} else {
			l.place[in] = front
		}
	}
	needed := l.needed()
	for _, n := range l.body.Nodes() {
		if n.Op() == g.OpInput || !needed[n] {
			continue
		}
		l.place[n] = behind
		if stackable(n) && !slices.ContainsFunc(n.Inputs(), func(in *g.Node) bool { return l.place[in] != front }) {
			l.place[n] = front
		}
	}
	// The state needs what it is made of, and what cannot be done for all steps at once stays too.
	for _, n := range l.body.Nodes() {
		if l.place[n] == behind && !stackable(n) {
			l.keep(n)
		}
	}
	for i, out := range l.body.Outputs()[:l.carried] {
		if l.sums[i] == nil {
			l.keep(out.Node)
		}
	}
}

// needed marks what outputs and sums need.
func (l *splitLoop) needed() map[*g.Node]bool {
	needed := make(map[*g.Node]bool)
	for i, out := range l.body.Outputs() {
		if v := l.sums[i]; v != nil {
			needed[v] = true
		} else {
			needed[out.Node] = true
		}
	}
	for _, n := range slices.Backward(l.body.Nodes()) {
		if needed[n] {
			for _, in := range n.Inputs() {
				needed[in] = true
			}
		}
	}
	return needed
}

// keep puts n and what it is made of into the loop.
func (l *splitLoop) keep(n *g.Node) {
	if l.place[n] != behind {
		return
	}
	l.place[n] = within
	for _, in := range n.Inputs() {
		l.keep(in)
	}
}

// stackable reports whether the vectoriser has n for operands all of which are stacks.
func stackable(n *g.Node) bool {
	switch n.Op() {
	case g.OpGather, g.OpGatherGrad, g.OpTopK, g.OpNonZero, g.OpRange, g.OpIota, g.OpConv, g.OpConvInputGrad, g.OpConvFilterGrad,
		g.OpMeanPool, g.OpMeanPoolGrad, g.OpMaxPool, g.OpMaxPoolGrad, g.OpMaxPoolTake, g.OpScan, g.OpProject:
		return false
	}
	return true
}

// moves reports whether anything but constants and what the steps share leaves the loop.
func (l *splitLoop) moves() bool {
	if len(l.sums) > 0 {
		return true
	}
	varies := make(map[*g.Node]bool)
	for i, in := range l.body.Inputs() {
		varies[in] = i < l.shared
	}
	for _, n := range l.body.Nodes() {
		varies[n] = varies[n] || slices.ContainsFunc(n.Inputs(), func(in *g.Node) bool { return varies[in] })
		if p, ok := l.place[n]; ok && p != within && n.Op() != g.OpInput && varies[n] {
			return true
		}
	}
	return false
}

// build adds the loop and what is outside of it, and returns the results of the whole.
func (l *splitLoop) build(carried, stacked, shared []*g.Node, reverse bool) []*g.Node {
	outer, inputs := stacked[0].Graph(), l.body.Inputs()
	v := &vectoriser{count: stacked[0].Shape()[0], stacks: make(map[*g.Node]*g.Node), loops: make(map[*g.Node][]*g.Node),
		images: make(map[*g.Node]*g.Node)}
	for i, x := range stacked {
		v.stacks[inputs[l.carried+i]] = x
	}
	for i, x := range shared {
		v.images[inputs[l.shared+i]] = x
	}
	nodes := l.body.Nodes()
	for _, n := range nodes {
		if p, ok := l.place[n]; ok && p == front && n.Op() != g.OpInput {
			v.copy(outer, n)
		}
	}
	finals := l.loop(v, carried, stacked, shared, reverse)
	for _, n := range nodes {
		if l.place[n] == behind {
			v.copy(outer, n)
		}
	}
	var results []*g.Node
	for i, out := range l.body.Outputs() {
		switch sum := l.sums[i]; {
		case sum != nil:
			results = append(results, g.Add(carried[i], v.total(sum)))
		case i < l.carried:
			results = append(results, finals[i])
		default:
			results = append(results, v.stack(out.Node))
		}
	}
	return results
}

// loop adds the loop of what has to stay, gives v the stacks of what others need
// of it, and returns its final states.
func (l *splitLoop) loop(v *vectoriser, carried, stacked, shared []*g.Node, reverse bool) map[int]*g.Node {
	finals := make(map[int]*g.Node)
	inner := &loopAdjoint{body: g.New(l.body.Name())}
	images, inputs := make(map[*g.Node]*g.Node), l.body.Inputs()

	var states, scanned, same []*g.Node
	var held []int // states of the loop
	for i, x := range carried {
		if l.sums[i] == nil {
			images[inputs[i]] = inner.input(x.Type())
			states, held = append(states, x), append(held, i)
		}
	}
	wanted := l.wantedWithin()
	for _, n := range l.body.Nodes() {
		if stack := v.stacks[n]; stack != nil && wanted[n] {
			images[n] = inner.input(n.Type())
			scanned = append(scanned, stack)
		}
	}
	if len(scanned) == 0 { // which says how many steps there are
		inner.input(inputs[l.carried].Type())
		scanned = append(scanned, stacked[0])
	}
	for i, x := range shared {
		images[inputs[l.shared+i]] = inner.input(x.Type())
		same = append(same, x)
	}
	for _, n := range l.body.Nodes() {
		p, ok := l.place[n]
		if !ok || p == behind || images[n] != nil || n.Op() == g.OpInput {
			continue
		}
		if a, constant := n.Attr().(g.ConstantAttr); constant {
			images[n] = inner.body.Weight(a.Name, a.Value)
			continue
		}
		if p == front && v.stacks[n] != nil {
			continue // and nothing within needs it
		}
		operands := make([]*g.Node, len(n.Inputs()))
		for i, in := range n.Inputs() {
			operands[i] = images[in]
		}
		images[n] = g.Apply(n.Op(), n.Attr(), operands...)
	}
	for _, i := range held {
		inner.output(images[l.body.Outputs()[i].Node])
	}
	var crossing []*g.Node
	for _, n := range l.body.Nodes() {
		if l.place[n] == within && images[n] != nil && len(n.Types()) == 1 && l.wantedBehind(n) {
			inner.output(images[n])
			crossing = append(crossing, n)
		}
	}
	if len(held)+len(crossing) == 0 {
		return finals // nothing has to wait
	}
	results := g.ScanShared(inner.body, states, scanned, same, reverse)
	for k, i := range held {
		finals[i] = results[k]
	}
	for k, n := range crossing {
		v.stacks[n] = results[len(held)+k]
	}
	return finals
}

// wantedWithin marks the nodes that the loop takes operands or next states from.
func (l *splitLoop) wantedWithin() map[*g.Node]bool {
	wanted := make(map[*g.Node]bool)
	for _, n := range l.body.Nodes() {
		if l.place[n] == within {
			for _, in := range n.Inputs() {
				wanted[in] = true
			}
		}
	}
	for i, out := range l.body.Outputs()[:l.carried] {
		if l.sums[i] == nil {
			wanted[out.Node] = true
		}
	}
	return wanted
}

// wantedBehind reports whether n, of the loop, is needed after it at every step.
func (l *splitLoop) wantedBehind(n *g.Node) bool {
	for i, out := range l.body.Outputs() {
		if i >= l.carried && out.Node == n || l.sums[i] == n {
			return true
		}
	}
	return slices.ContainsFunc(l.body.Nodes(), func(user *g.Node) bool {
		p, ok := l.place[user]
		return ok && p == behind && slices.Contains(user.Inputs(), n)
	})
}

// total returns the sum of n over the steps. Products of matrices are added up
// by one product, whose inner axis has all steps.
func (v *vectoriser) total(n *g.Node) *g.Node {
	in := n.Inputs()
	stacked := func(n *g.Node) bool { return v.stacks[n] != nil }
	if !stacked(n) || slices.ContainsFunc(in, func(in *g.Node) bool { return !stacked(in) && v.images[in] == nil }) {
		return g.ReduceSum(v.stack(n), 0)
	}
	switch n.Op() {
	case g.OpAdd:
		return g.Add(v.total(in[0]), v.total(in[1]))
	case g.OpReshape:
		return g.Reshape(v.total(in[0]), n.Shape())
	case g.OpTranspose:
		return g.Transpose(v.total(in[0]), n.Attr().(g.AxesAttr).Axes...)
	case g.OpReduceSum:
		return g.ReduceSum(v.stack(in[0]), slices.Insert(moved(n.Attr().(g.AxesAttr).Axes), 0, 0)...)
	case g.OpMatMul:
		if in[0].Rank() == 2 && in[1].Rank() == 2 && stacked(in[0]) && stacked(in[1]) {
			return g.MatMul(v.columns(in[0]), v.rows(in[1]))
		}
	}
	return g.ReduceSum(v.stack(n), 0)
}

// rows returns the stack of a matrix [m n] as [M·m n], in the order that takes no matrix
// apart.
func (v *vectoriser) rows(n *g.Node) *g.Node {
	if n.Op() == g.OpTranspose && v.stacks[n.Inputs()[0]] != nil {
		return g.SwapLast(v.columns(n.Inputs()[0]))
	}
	return v.merge(n)
}

// columns returns the stack of a matrix [m n] as [m M·n].
func (v *vectoriser) columns(n *g.Node) *g.Node {
	if n.Op() == g.OpTranspose && v.stacks[n.Inputs()[0]] != nil {
		return g.SwapLast(v.merge(n.Inputs()[0]))
	}
	s := n.Shape()
	return g.Reshape(g.Transpose(v.stack(n), 1, 0, 2), g.Shape{s[0], v.count.Mul(s[1])})
}
