package onnximport

import (
	"math"

	"ebm/models/graph"
)

// gelu is x·Φ(x), or its approximation by a hyperbolic tangent.
func gelu(c *call, x *graph.Node) *graph.Node {
	switch how := c.text("approximate", "none"); how {
	case "none":
		return graph.Gelu(x)
	case "tanh":
		return tanhGelu(x)
	default:
		c.fail("approximate %q is not known", how)
	}
	return nil
}

// tanhGelu is x·½(1 + tanh u) = x·σ(2u) with u = √(2/π)·(x + 0.044715x³).
func tanhGelu(x *graph.Node) *graph.Node {
	return graph.Mul(x, graph.Sigmoid(cubic(x, 2*math.Sqrt(2/math.Pi), 0.044715)))
}

// cubic is c·(x + a·x³).
func cubic(x *graph.Node, c, a float64) *graph.Node {
	return graph.Mul(x, graph.Shift(graph.Scale(graph.Mul(x, x), a*c), c))
}

// readMul reads a product. Those of exporters that write GELU by its parts become what
// costs less, with its derivative:
//
//	½·x·(1 + tanh u) = x·σ(2u)
//	½·x·(1 + erf u)  = x·(½(1 + erf u)), which the derivative has too
//	c·(x + a·x³)     = x·(c + c·a·x²), under the σ
func readMul(c *call) []*value {
	return integerArithmetic(c.multiply, mulDim)(c)
}

func (c *call) multiply(a, b *graph.Node) *graph.Node {
	if v, x, ok := c.multiple(a, b); ok && v == 0.5 {
		if h := c.half(x); h != nil {
			return h
		}
		if x.Op() == graph.OpMul {
			if y := c.halfOfProduct(x.Inputs()[0], x.Inputs()[1]); y != nil {
				return y
			}
		}
		return graph.Mul(a, b)
	}
	for _, pair := range [][2]*graph.Node{{a, b}, {b, a}} {
		if x := pair[0]; x.Op() == graph.OpMul {
			if v, rest, ok := c.multiple(x.Inputs()[0], x.Inputs()[1]); ok && v == 0.5 {
				if h := c.half(pair[1]); h != nil {
					return graph.Mul(rest, h)
				}
			}
		}
	}
	return graph.Mul(a, b)
}

// halfOfProduct returns ½·p·q where one of them is 1 + tanh or 1 + erf, else nil.
func (c *call) halfOfProduct(p, q *graph.Node) *graph.Node {
	if h := c.half(q); h != nil {
		return graph.Mul(p, h)
	}
	if h := c.half(p); h != nil {
		return graph.Mul(q, h)
	}
	return nil
}

// half returns ½·n where n is 1 + tanh u or 1 + erf u, else nil.
func (c *call) half(n *graph.Node) *graph.Node {
	if n.Op() != graph.OpAdd {
		return nil
	}
	v, f, ok := c.multiple(n.Inputs()[0], n.Inputs()[1])
	switch {
	case !ok || v != 1:
	case f.Op() == graph.OpErf:
		return graph.Scale(n, 0.5)
	case f.Op() == graph.OpTanh:
		u := f.Inputs()[0]
		if u.Op() == graph.OpMul {
			if v, sum, ok := c.multiple(u.Inputs()[0], u.Inputs()[1]); ok {
				if x, a := c.withCube(sum); x != nil {
					return graph.Sigmoid(cubic(x, 2*v, a))
				}
			}
		}
		return graph.Sigmoid(graph.Scale(u, 2))
	}
	return nil
}

// withCube returns x and a where n is x + a·x³.
func (c *call) withCube(n *graph.Node) (*graph.Node, float64) {
	if n.Op() != graph.OpAdd {
		return nil, 0
	}
	for i, x := range n.Inputs() {
		term := n.Inputs()[1-i]
		if term.Op() != graph.OpMul {
			continue
		}
		if a, cube, ok := c.multiple(term.Inputs()[0], term.Inputs()[1]); ok && isCube(cube, x) {
			return x, a
		}
	}
	return nil, 0
}

// isCube reports whether n is x³.
func isCube(n, x *graph.Node) bool {
	square := func(n *graph.Node) bool { return n.Op() == graph.OpMul && n.Inputs()[0] == x && n.Inputs()[1] == x }
	if n.Op() != graph.OpMul {
		return false
	}
	a, b := n.Inputs()[0], n.Inputs()[1]
	return a == x && square(b) || b == x && square(a)
}

// multiple returns the number that one of two operands repeats everywhere, and the
// other operand.
func (c *call) multiple(a, b *graph.Node) (float64, *graph.Node, bool) {
	if v, ok := c.repeats(b); ok {
		return v, a, true
	}
	v, ok := c.repeats(a)
	return v, b, ok
}

// repeats returns the number that a floating-point node repeats everywhere.
func (c *call) repeats(n *graph.Node) (float64, bool) {
	for n.Op() == graph.OpBroadcast || n.Op() == graph.OpReshape {
		n = n.Inputs()[0]
	}
	if count, ok := n.Shape().Volume().Constant(); !ok || count != 1 || !n.DType().IsFloat() {
		return 0, false
	}
	v := c.folder.value(n)
	if v == nil {
		return 0, false
	}
	return v.Float64s()[0], true
}
