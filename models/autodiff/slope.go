package autodiff

import (
	"slices"

	g "ebm/models/graph"
)

// GradientsBySlopes returns what [Gradients] does, and takes functions of one value in
// one piece: where element-wise operators make y of x alone, x̄ = ȳ·f'(x), with the
// slope f' of the rules going forward from x. Each ȳ is then multiplied once, where
// going back through x·σ(x) or x·Φ(x) multiplies it along both ways and adds. Fewer
// passes over memory, and other last bits.
func GradientsBySlopes(ys, cotangents, xs []*g.Node) []*g.Node {
	return gradients(ys, cotangents, xs, true)
}

// curves are the functions of one value in a graph: for each result of
// element-wise operators alone of one value, that value. What does not
// depend on the variables is no value of these, and what is a variable begins one.
type curves struct {
	variables []*g.Node
	depends   map[*g.Node]bool
	of        map[*g.Node]*g.Node
	uses      map[*g.Node]int // by nodes that depend on the variables
}

// longestCurve is how many operators are taken in one piece.
const longestCurve = 64

func newCurves(last *g.Node, depends map[*g.Node]bool, xs []*g.Node) curves {
	c := curves{xs, depends, make(map[*g.Node]*g.Node), make(map[*g.Node]int)}
	for _, n := range last.Graph().Nodes()[:last.ID()+1] {
		if !depends[n] {
			continue
		}
		var origin *g.Node
		whole := elementwise[n.Op()] && !slices.Contains(xs, n)
		for _, in := range n.Inputs() {
			if !depends[in] {
				continue
			}
			c.uses[in]++
			from := in
			if c.of[in] != nil {
				from = c.of[in]
			}
			whole = whole && (origin == nil || origin == from) && from.Type().Equal(n.Type())
			origin = from
		}
		if whole && origin != nil {
			c.of[n] = origin
		}
	}
	return c
}

// elementwise are the operators whose results have the type of their operands, each
// element from those at its place.
var elementwise = map[g.Op]bool{
	g.OpNeg: true, g.OpExp: true, g.OpLog: true, g.OpSqrt: true, g.OpAbs: true, g.OpTanh: true, g.OpSigmoid: true, g.OpErf: true,
	g.OpSin: true, g.OpCos: true, g.OpAtan: true, g.OpRelu: true, g.OpElu: true, g.OpEluSlope: true,
	g.OpAdd: true, g.OpSub: true, g.OpMul: true, g.OpDiv: true, g.OpPow: true, g.OpMaximum: true, g.OpMinimum: true, g.OpWhere: true,
}

// slope returns the value that n is a function of and the slope of n by it. That is the
// last of which all others on the way are made: what leads to it goes back as ever. It
// returns nil where going back is as cheap: where no value on the way is used twice, or
// one is used elsewhere too.
func (c curves) slope(n *g.Node) (origin *g.Node, slope tangent) {
	origin = c.of[n]
	if origin == nil {
		return nil, slope
	}
	users := make(map[*g.Node][]*g.Node) // of what is on the way
	on := []*g.Node{n}
	for i := 0; i < len(on); i++ {
		for _, in := range on[i].Inputs() {
			if !c.depends[in] {
				continue
			}
			if users[in] = append(users[in], on[i]); len(users[in]) == 1 && in != origin {
				on = append(on, in)
			}
		}
		if len(on) > longestCurve {
			return nil, slope
		}
	}
	for len(users[origin]) == 1 {
		origin = users[origin][0]
	}
	if origin == n {
		return nil, slope
	}
	slices.SortFunc(on, func(a, b *g.Node) int { return a.ID() - b.ID() })
	on = on[slices.Index(on, origin)+1:] // all where it is not among them
	at := map[*g.Node]tangent{origin: {factor: 1}}
	for _, z := range on {
		if z != n && len(users[z]) < c.uses[z] {
			return nil, slope
		}
	}
	for _, z := range on {
		at[z] = c.forward(z, at)
	}
	return origin, at[n]
}

// tangent is how a value changes with the one that it is a function of: factor·by,
// or the factor alone where by is nil. The factor is that of operators which only
// scale, so that several are one multiplication.
type tangent struct {
	factor float64
	by     *g.Node
}

// forward returns the tangent of z from those of its operands. As every element of z
// has only what stands at its place, the rule that goes back goes forward as well.
func (c curves) forward(z *g.Node, at map[*g.Node]tangent) (sum tangent) {
	if in := z.Inputs(); z.Op() == g.OpMul && in[0] == in[1] {
		t := along(z, 0, at[in[0]])
		return tangent{2 * t.factor, t.by}
	}
	first := true
	for i, in := range z.Inputs() {
		if !c.depends[in] {
			continue
		}
		t := along(z, i, at[in])
		switch {
		case t.factor == 0:
		case first:
			sum, first = t, false
		default:
			sum = sum.plus(t, z)
		}
	}
	return sum
}

// along returns t·∂z/∂in of operand i, with the constants of the product in its factor.
func along(z *g.Node, i int, t tangent) tangent {
	one := g.Like(z, 1)
	bar, want := t.by, make([]bool, len(z.Inputs()))
	if bar == nil {
		bar = one
	}
	want[i] = true
	if t.by = apply(z, bar, want)[i]; t.by == nil {
		return tangent{}
	}
	for {
		v, number := t.by.Repeats()
		n := t.by
		switch {
		case number:
			return tangent{t.factor * v, nil}
		case n.Op() == g.OpNeg:
			t.factor, t.by = -t.factor, n.Inputs()[0]
			continue
		case n.Op() != g.OpMul:
			return t
		}
		a, b := n.Inputs()[0], n.Inputs()[1]
		if v, number := a.Repeats(); number {
			t.factor, t.by = t.factor*v, b
		} else if v, number := b.Repeats(); number {
			t.factor, t.by = t.factor*v, a
		} else if v, number := scale(b); number {
			t.factor, t.by = t.factor*v, g.Mul(a, b.Inputs()[0])
		} else {
			return t
		}
	}
}

// scale returns the number that n is a multiple of its first operand by.
func scale(n *g.Node) (float64, bool) {
	if n.Op() != g.OpMul {
		return 0, false
	}
	return n.Inputs()[1].Repeats()
}

func (t tangent) plus(u tangent, like *g.Node) tangent {
	if t.by == u.by {
		return tangent{t.factor + u.factor, t.by}
	}
	if t.by == nil {
		t, u = u, t
	}
	if u.by == nil {
		return tangent{1, g.Shift(t.node(like), u.factor)}
	}
	if t.factor == u.factor {
		return tangent{t.factor, g.Add(t.by, u.by)}
	}
	return tangent{1, g.Add(t.node(like), u.node(like))}
}

// node returns the tangent as a node of like's type.
func (t tangent) node(like *g.Node) *g.Node {
	switch {
	case t.by == nil:
		return g.Like(like, t.factor)
	case t.factor == 1:
		return t.by
	}
	return g.Scale(t.by, t.factor)
}

// of returns bar·t. What only repeats smaller values is scaled before it does.
func (t tangent) of(bar *g.Node) *g.Node {
	bar = scaled(bar, t.factor)
	if t.by == nil {
		return bar
	}
	return g.Mul(bar, t.by)
}

func scaled(x *g.Node, factor float64) *g.Node {
	switch {
	case factor == 1:
		return x
	case x.Op() == g.OpBroadcast:
		return g.Broadcast(scaled(x.Inputs()[0], factor), x.Shape())
	case x.Op() == g.OpReshape:
		return g.Reshape(scaled(x.Inputs()[0], factor), x.Shape())
	}
	return g.Scale(x, factor)
}
