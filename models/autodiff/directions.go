package autodiff

import (
	"fmt"

	g "ebm/models/graph"
	"ebm/models/tensor"
)

// JVP returns the products (∂y/∂x)·t of each of ys, in the shapes of ys: how
// they change as every x moves along its tangent t, summed over xs. A
// vector-Jacobian product is linear in its cotangent u, so that its own
// derivative by u is
//
//	∂/∂u ⟨(∂y/∂x)ᵀ·u, t⟩ = (∂y/∂x)·t
//
// in which u no longer occurs: what computes it is left out as dead code.
func JVP(ys, xs, tangents []*g.Node) []*g.Node {
	us := make([]*g.Node, len(ys))
	for i, y := range ys {
		us[i] = placeholder(y)
	}
	return Gradient(Along(Gradients(ys, us, xs), tangents), us...)
}

// Along returns Σ slope·vector over all elements and all pairs. Its gradient is
// a product with the Hessian where the slopes are gradients themselves.
func Along(slopes, vectors []*g.Node) (sum *g.Node) {
	for i, s := range slopes {
		part := g.ReduceSum(g.Mul(s, vectors[i]))
		if sum != nil {
			part = g.Add(sum, part)
		}
		sum = part
	}
	return sum
}

// placeholder is a node of y's type that nothing else uses, to differentiate
// by.
func placeholder(y *g.Node) *g.Node {
	return g.StopGradient(g.Like(y, 0))
}

// Jacobian returns ∂y/∂x for each of xs. The elements of y are those along its
// axes of constant size, of shape [d …]; over its symbolic axes, such as a
// batch, y is summed. The results have the shapes [d … of x]. All rows are
// computed in one pass.
func Jacobian(y *g.Node, xs ...*g.Node) []*g.Node {
	elements, beside := g.Shape{}, make(g.Shape, y.Rank())
	for i, d := range y.Shape() {
		beside[i] = g.Const(1)
		if _, ok := d.Constant(); ok {
			elements, beside[i] = append(elements, d), d
		}
	}
	rows, _ := elements.Volume().Constant()
	const most = 1 << 14
	if rows > most {
		panic(&g.Error{Op: y.Op(), Operands: []string{y.Type().String()}, Want: fmt.Sprintf("want at most %d elements for a Jacobian", most)})
	}
	u := placeholder(y)
	grads := VJP(y, u, xs...)
	count := iota64(y.Graph(), rows)
	square := g.Dims(rows, rows)
	unit := g.Equal(g.Broadcast(g.ExpandDims(count, 1), square), g.Broadcast(g.ExpandDims(count, 0), square))
	seeds := g.Reshape(g.Cast(unit, y.DType()), append(g.Dims(rows), beside...))
	seeds = g.Broadcast(seeds, append(g.Dims(rows), y.Shape()...))
	jacobians := vectorise(u, seeds, grads)
	for i, x := range xs {
		jacobians[i] = g.Reshape(jacobians[i], append(elements[:len(elements):len(elements)], x.Shape()...))
	}
	return jacobians
}

// Hessian returns ∂²(Σ y)/∂a∂b for each pair of xs, at [i][j] with the elements
// of xs[i] in front, as [Jacobian] has them, and the shape of xs[j] behind.
func Hessian(y *g.Node, xs ...*g.Node) [][]*g.Node {
	rows := make([][]*g.Node, len(xs))
	for i, slope := range Gradient(y, xs...) {
		rows[i] = Jacobian(slope, xs...)
	}
	return rows
}

// iota64 returns 0, 1, … n−1 as int64.
func iota64(f *g.Graph, n int) *g.Node {
	t := tensor.New(tensor.Int64, n)
	for i := range n {
		tensor.Data[int64](t)[i] = int64(i)
	}
	return f.Constant(t)
}
