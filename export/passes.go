package export

import (
	"fmt"
	"slices"
	"strings"

	"ebm/models/graph"
)

// Pass rewrites a graph into one that computes the same.
type Pass struct {
	Name  string
	Apply func(*graph.Graph) *graph.Graph
	// After names the passes whose results this one works on: those of them
	// that are in a list stand before it there.
	After []string
}

// The names of passes that others come after.
const (
	foldsPools     = "fold pools into convolutions"
	foldsConstants = "fold constants"
	simplifies     = "simplify"
)

// Passes returns the passes in the order in which Model runs them. Each of
// them also leaves out what was dead code before it, and works inside the
// bodies of Scans. In another order the graph is correct and larger: folded
// constants show what simplifies to nothing, pooled weights and simplified
// terms become alike, and all but sharing leave dead code.
func Passes() []Pass {
	return []Pass{
		{foldsPools, foldPools, nil},
		{foldsConstants, foldConstants, nil},
		{simplifies, simplify, []string{foldsConstants}},
		{"hoist out of loops", hoist, nil},
		{"share common subexpressions", shareCommon, []string{foldsPools, simplifies}},
		{"drop dead code", dropDead, []string{foldsPools, foldsConstants, simplifies}},
	}
}

// Optimise returns the graph that the passes make of g, in their order. After
// each pass, see, unless it is nil, gets the pass and the graph; the graph is
// verified first. The error says which pass is out of order, or made a graph
// that is not well formed.
func Optimise(g *graph.Graph, passes []Pass, see func(Pass, *graph.Graph) error) (*graph.Graph, error) {
	if err := checkOrder(passes); err != nil {
		return nil, err
	}
	for _, p := range passes {
		g = p.Apply(g)
		if see == nil {
			continue
		}
		if err := g.Verify(); err != nil {
			return nil, fmt.Errorf("after the pass %q: %w", p.Name, err)
		}
		if err := see(p, g); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// checkOrder finds a pass that stands before one that it comes after.
func checkOrder(passes []Pass) error {
	for i, p := range passes {
		for _, later := range passes[i+1:] {
			if slices.Contains(p.After, later.Name) {
				return fmt.Errorf("pass %q before %q, want it after", p.Name, later.Name)
			}
		}
	}
	return nil
}

// rewrite is graph.Rewrite with the same pass in the bodies of Scans.
func rewrite(g *graph.Graph, pass func(*graph.Graph) *graph.Graph,
	rule func(r *graph.Rewriter, old *graph.Node, in []*graph.Node) *graph.Node) *graph.Graph {
	return graph.Rewrite(g, func(r *graph.Rewriter, old *graph.Node, in []*graph.Node) *graph.Node {
		if a, ok := old.Attr().(graph.ScanAttr); ok {
			a.Body = pass(a.Body)
			return graph.Apply(graph.OpScan, a, in...)
		}
		return rule(r, old, in)
	})
}

func dropDead(g *graph.Graph) *graph.Graph {
	return rewrite(g, dropDead, (*graph.Rewriter).Keep)
}

// shareCommon computes once what several nodes compute alike.
func shareCommon(g *graph.Graph) *graph.Graph {
	seen := make(map[string]*graph.Node)
	return rewrite(g, shareCommon, func(r *graph.Rewriter, old *graph.Node, in []*graph.Node) *graph.Node {
		key := valueKey(old, in)
		n, ok := seen[key]
		if !ok {
			n = r.Keep(old, in)
			seen[key] = n
		}
		return n
	})
}

// valueKey is equal for nodes that compute the same.
func valueKey(n *graph.Node, in []*graph.Node) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v", n.Op())
	for _, x := range in {
		fmt.Fprintf(&b, " %d", x.ID())
	}
	switch v := n.ConstantValue(); {
	case v == nil:
		if n.Attr() != nil {
			fmt.Fprintf(&b, " %s", n.Attr())
		}
	case n.Attr().(graph.ConstantAttr).Name == "" && v.Len() <= 64:
		fmt.Fprintf(&b, " %v %v", v, v.Raw())
	default:
		fmt.Fprintf(&b, " %s %p", n.Attr(), v)
	}
	return b.String()
}

// fixSizes replaces symbolic dimensions by numbers.
func fixSizes(g *graph.Graph, sizes map[string]int) *graph.Graph {
	fixed := func(symbol string) graph.Dim {
		if n, ok := sizes[symbol]; ok {
			return graph.Const(n)
		}
		return graph.Sym(symbol)
	}
	bind := func(s graph.Shape) graph.Shape {
		out := make(graph.Shape, len(s))
		for i, d := range s {
			out[i] = d.Replace(fixed)
		}
		return out
	}
	return graph.Retype(g, bind)
}

// foldConstants computes nodes whose operands are small constants without a
// name. Weights stay as they are, and so does what broadcasts a scalar.
func foldConstants(g *graph.Graph) *graph.Graph {
	return rewrite(g, foldConstants, func(r *graph.Rewriter, old *graph.Node, in []*graph.Node) *graph.Node {
		if v := evaluate(old, in); v != nil {
			return r.Graph.Constant(v)
		}
		return r.Keep(old, in)
	})
}

// simplify removes arithmetic that changes nothing.
func simplify(g *graph.Graph) *graph.Graph {
	return rewrite(g, simplify, func(r *graph.Rewriter, old *graph.Node, in []*graph.Node) *graph.Node {
		switch old.Op() {
		case graph.OpNeg:
			if in[0].Op() == graph.OpNeg {
				return in[0].Inputs()[0]
			}
		case graph.OpAdd:
			if isScalar(in[0], 0) {
				return in[1]
			}
			if isScalar(in[1], 0) {
				return in[0]
			}
			if in[1].Op() == graph.OpNeg {
				return graph.Sub(in[0], in[1].Inputs()[0])
			}
		case graph.OpSub:
			if isScalar(in[1], 0) {
				return in[0]
			}
		case graph.OpMul:
			if isScalar(in[0], 1) {
				return in[1]
			}
			if isScalar(in[1], 1) {
				return in[0]
			}
			if c, ok := in[1].Repeats(); ok && in[0].Op() == graph.OpMul && old.DType().IsFloat() {
				if d, ok := in[0].Inputs()[1].Repeats(); ok {
					return graph.Scale(in[0].Inputs()[0], c*d)
				}
			}
		case graph.OpDiv:
			if isScalar(in[1], 1) {
				return in[0]
			}
		case graph.OpTranspose:
			if in[0].Op() == graph.OpTranspose {
				outer, inner := old.Attr().(graph.AxesAttr).Axes, in[0].Attr().(graph.AxesAttr).Axes
				both := make([]int, len(outer))
				for i, p := range outer {
					both[i] = inner[p]
				}
				return graph.Transpose(in[0].Inputs()[0], both...)
			}
		case graph.OpReshape:
			return graph.Reshape(in[0], old.Shape())
		}
		return r.Keep(old, in)
	})
}

func isScalar(n *graph.Node, want float64) bool {
	v, ok := n.Repeats()
	return ok && v == want
}

// foldPools merges a convolution of stride 1 and the mean pool behind it into
// one convolution with the pool's stride, whose weights are the mean of the
// shifted weights; and likewise both adjoints:
//
//	pool(conv(x, w))                    = conv'(x, pool¹(w))
//	convInputGrad(poolGrad(y), w)       = convInputGrad'(y, pool¹(w))
//	convFilterGrad(x, poolGrad(y))      = pool¹Grad(convFilterGrad'(x, y))
//
// where pool¹ has the same window, stride 1 and full padding.
func foldPools(g *graph.Graph) *graph.Graph {
	users := g.Uses()
	return rewrite(g, foldPools, func(r *graph.Rewriter, old *graph.Node, in []*graph.Node) *graph.Node {
		switch old.Op() {
		case graph.OpMeanPool:
			conv := in[0]
			if conv.Op() != graph.OpConv || users[old.Inputs()[0]] > 1 {
				break
			}
			f, ok := newFold(conv.Attr().(graph.ConvAttr), old.Attr().(graph.PoolAttr))
			if !ok {
				break
			}
			return graph.Conv(conv.Inputs()[0], graph.MeanPool(conv.Inputs()[1], f.weights), f.conv)
		case graph.OpConvInputGrad:
			if in[0].Op() != graph.OpMeanPoolGrad {
				break
			}
			f, ok := newFold(old.Attr().(graph.ConvAttr), in[0].Attr().(graph.PoolAttr))
			if !ok {
				break
			}
			return graph.ConvInputGrad(in[0].Inputs()[0], graph.MeanPool(in[1], f.weights), f.conv, old.Shape()[2:])
		case graph.OpConvFilterGrad:
			if in[1].Op() != graph.OpMeanPoolGrad {
				break
			}
			f, ok := newFold(old.Attr().(graph.ConvAttr), in[1].Attr().(graph.PoolAttr))
			if !ok {
				break
			}
			size := graph.Spatial(old)
			larger := make([]int, len(size))
			for i, k := range size {
				larger[i] = k + f.weights.Window[i] - 1
			}
			w := graph.ConvFilterGrad(in[0], in[1].Inputs()[0], f.conv, larger)
			return graph.MeanPoolGrad(w, f.weights, size)
		}
		return r.Keep(old, in)
	})
}

// fold is a convolution that a pool has been merged into.
type fold struct {
	conv    graph.ConvAttr // with the pool's stride
	weights graph.PoolAttr // makes its weights
}

func newFold(conv graph.ConvAttr, pool graph.PoolAttr) (fold, bool) {
	one := func(v int) bool { return v == 1 }
	rank := len(pool.Window)
	if len(conv.Strides) != rank || !all(conv.Strides, one) || !all(conv.Dilations, one) ||
		!slices.Equal(pool.Strides, pool.Window) || slices.Max(pool.PadLo) > 0 || slices.Max(pool.PadHi) > 0 {
		return fold{}, false
	}
	conv.Strides = pool.Strides
	conv.Size = nil
	full := make([]int, rank)
	for i, w := range pool.Window {
		full[i] = w - 1
	}
	return fold{conv, graph.PoolAttr{Window: pool.Window, Strides: slices.Repeat([]int{1}, rank), PadLo: full, PadHi: full}}, true
}

func all(v []int, ok func(int) bool) bool {
	return !slices.ContainsFunc(v, func(n int) bool { return !ok(n) })
}
