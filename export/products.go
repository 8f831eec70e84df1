package export

import (
	"ebm/models/graph"
)

// Products is a pass, for gradients and training steps of models from elsewhere, that writes
// products and sums, which these have much of, as those that cost least:
//
//	(Aᵀ·B)ᵀ = Bᵀ·A        the gradient of a matrix that a model uses transposed
//	Σᵢ xᵢ…  = (1 … 1)·x   the gradient of a bias, whose rows lie far apart
//	Σᵢ −xᵢ  = −Σᵢ xᵢ      the gradient of a mean that is taken away
//
// Sums change in their last bits.
func Products() Pass { return Pass{"products", products, nil} }

func products(g *graph.Graph) *graph.Graph {
	users := g.Uses()
	return rewrite(g, products, func(r *graph.Rewriter, old *graph.Node, in []*graph.Node) *graph.Node {
		switch old.Op() {
		case graph.OpTranspose:
			x := in[0]
			if x.Op() != graph.OpMatMul || x.Rank() != 2 || users[old.Inputs()[0]] > 1 || old.Attr().(graph.AxesAttr).Axes[0] == 0 {
				break
			}
			a, b := x.Inputs()[0], x.Inputs()[1]
			if a.Op() == graph.OpTranspose || b.Op() == graph.OpTranspose {
				return graph.MatMul(transposed(b), transposed(a))
			}
		case graph.OpReduceSum:
			x := in[0]
			if x.Op() == graph.OpNeg && users[old.Inputs()[0]] == 1 {
				return graph.Neg(graph.ReduceSum(x.Inputs()[0], old.Attr().(graph.AxesAttr).Axes...))
			}
			if rows := leadingRows(old); rows > 0 {
				s := x.Shape()
				sum := graph.MatMul(graph.Broadcast(r.Graph.Scalar(x.DType(), 1), graph.Shape{graph.Const(1), s[:rows].Volume()}),
					graph.Reshape(x, graph.Shape{s[:rows].Volume(), s[rows:].Volume()}))
				return graph.Reshape(sum, old.Shape())
			}
		}
		return r.Keep(old, in)
	})
}

// leadingRows returns the number of axes that a sum over the first axes of a matrix
// worth a product takes away, and 0 for other sums.
func leadingRows(sum *graph.Node) int {
	x, axes := sum.Inputs()[0], sum.Attr().(graph.AxesAttr).Axes
	if !x.DType().IsFloat() || len(axes) == x.Rank() || axes[len(axes)-1] != len(axes)-1 {
		return 0
	}
	for _, d := range []graph.Dim{x.Shape()[:len(axes)].Volume(), sum.Shape().Volume()} {
		if n, ok := d.Constant(); ok && n < 32 {
			return 0
		}
	}
	return len(axes)
}

// transposed returns the transpose of a matrix.
func transposed(x *graph.Node) *graph.Node {
	if x.Op() == graph.OpTranspose {
		return x.Inputs()[0]
	}
	return graph.Transpose(x, 1, 0)
}
