package autodiff

import (
	"math"

	g "ebm/models/graph"
)

// rule returns the cotangents of n's operands from the cotangent bar of its
// output. Entries that want leaves out may be nil; a nil entry is zero.
type rule func(n, bar *g.Node, want []bool) []*g.Node

// rules is the table of vector-Jacobian products. A nil rule belongs to an
// operator that nothing flows back through, or that cannot be differentiated.
var rules = map[g.Op]rule{
	g.OpInput:        nil,
	g.OpConstant:     nil,
	g.OpStopGradient: nil,
	g.OpLess:         nil,
	g.OpEqual:        nil,
	g.OpTopK:         nil,
	g.OpNonZero:      nil,
	g.OpRange:        nil,
	g.OpIota:         nil,
	g.OpScan:         nil, // see scan.go
	g.OpProject:      nil,

	// y = f(x):  x̄ = ȳ·f'(x), from the output y where that is cheaper.
	g.OpNeg: unary(func(x, y, bar *g.Node) *g.Node { return g.Neg(bar) }),
	g.OpExp: unary(func(x, y, bar *g.Node) *g.Node { return g.Mul(bar, y) }),
	g.OpLog: unary(func(x, y, bar *g.Node) *g.Node { return g.Div(bar, x) }),
	g.OpSqrt: unary(func(x, y, bar *g.Node) *g.Node {
		return g.Div(g.Scale(bar, 0.5), y)
	}),
	g.OpAbs: unary(func(x, y, bar *g.Node) *g.Node { return g.Mul(bar, sign(x)) }),
	g.OpTanh: unary(func(x, y, bar *g.Node) *g.Node {
		return g.Mul(bar, g.Sub(g.Like(y, 1), g.Mul(y, y)))
	}),
	g.OpSigmoid: unary(func(x, y, bar *g.Node) *g.Node {
		return g.Mul(bar, g.Mul(y, g.Sub(g.Like(y, 1), y)))
	}),
	g.OpErf: unary(func(x, y, bar *g.Node) *g.Node {
		return g.Mul(bar, g.Scale(g.Exp(g.Neg(g.Mul(x, x))), 2/math.Sqrt(math.Pi)))
	}),
	g.OpSin: unary(func(x, y, bar *g.Node) *g.Node { return g.Mul(bar, g.Cos(x)) }),
	g.OpCos: unary(func(x, y, bar *g.Node) *g.Node { return g.Neg(g.Mul(bar, g.Sin(x))) }),
	g.OpAtan: unary(func(x, y, bar *g.Node) *g.Node {
		return g.Div(bar, g.Shift(g.Mul(x, x), 1))
	}),
	g.OpFloor: constantAlmostEverywhere,
	g.OpRound: constantAlmostEverywhere,
	g.OpRelu: unary(func(x, y, bar *g.Node) *g.Node {
		return g.Mul(bar, mask(g.Less(g.Like(x, 0), x), x))
	}),
	g.OpElu: unary(func(x, y, bar *g.Node) *g.Node { return g.Mul(bar, g.EluSlope(y)) }),
	g.OpEluSlope: unary(func(y, s, bar *g.Node) *g.Node {
		return g.Mul(bar, mask(g.Less(y, g.Like(y, 0)), y))
	}),
	g.OpCast: unary(func(x, y, bar *g.Node) *g.Node { return g.Cast(bar, x.DType()) }),

	g.OpAdd: binary(
		func(a, b, y, bar *g.Node) *g.Node { return bar },
		func(a, b, y, bar *g.Node) *g.Node { return bar }),
	g.OpSub: binary(
		func(a, b, y, bar *g.Node) *g.Node { return bar },
		func(a, b, y, bar *g.Node) *g.Node { return g.Neg(bar) }),
	g.OpMul: binary(
		func(a, b, y, bar *g.Node) *g.Node { return g.Mul(bar, b) },
		func(a, b, y, bar *g.Node) *g.Node { return g.Mul(bar, a) }),
	g.OpDiv: binary(
		func(a, b, y, bar *g.Node) *g.Node { return g.Div(bar, b) },
		func(a, b, y, bar *g.Node) *g.Node { return g.Neg(g.Div(g.Mul(bar, y), b)) }),
	// b·aᵇ⁻¹ and aᵇ·log a. Where b is 0 or a is 0 the factor in front is 0,
	// and the one behind must not be infinite.
	g.OpPow: binary(
		func(a, b, y, bar *g.Node) *g.Node {
			return g.Mul(bar, g.Mul(b, g.Pow(a, g.Where(isZero(b), g.Like(b, 1), g.Shift(b, -1)))))
		},
		func(a, b, y, bar *g.Node) *g.Node {
			return g.Mul(bar, g.Mul(y, g.Log(g.Where(isZero(a), g.Like(a, 1), a))))
		}),
	g.OpMaximum: binary(
		func(a, b, y, bar *g.Node) *g.Node { return g.Mul(bar, share(b, a)) },
		func(a, b, y, bar *g.Node) *g.Node { return g.Mul(bar, share(a, b)) }),
	g.OpMinimum: binary(
		func(a, b, y, bar *g.Node) *g.Node { return g.Mul(bar, share(a, b)) },
		func(a, b, y, bar *g.Node) *g.Node { return g.Mul(bar, share(b, a)) }),
	g.OpWhere: func(n, bar *g.Node, want []bool) []*g.Node {
		cond, zero := n.Inputs()[0], g.Like(bar, 0)
		return []*g.Node{nil, g.Where(cond, bar, zero), g.Where(cond, zero, bar)}
	},

	g.OpReshape:    reshapeRule,
	g.OpTranspose:  transposeRule,
	g.OpBroadcast:  broadcastRule,
	g.OpSlice:      sliceRule,
	g.OpPad:        padRule,
	g.OpConcat:     concatRule,
	g.OpGather:     gatherRule,
	g.OpGatherGrad: gatherGradRule,

	g.OpReduceSum: reduceSumRule,
	g.OpReduceMax: reduceMaxRule,
	g.OpMatMul:    matMulRule,

	g.OpConv:           convRule,
	g.OpConvInputGrad:  convInputGradRule,
	g.OpConvFilterGrad: convFilterGradRule,

	g.OpMeanPool:     meanPoolRule,
	g.OpMeanPoolGrad: meanPoolGradRule,
	g.OpMaxPool:      maxPoolRule,
	g.OpMaxPoolGrad:  maxPoolGradRule,
	g.OpMaxPoolTake:  maxPoolTakeRule,
}

// constantAlmostEverywhere passes nothing back through steps.
func constantAlmostEverywhere(n, _ *g.Node, _ []bool) []*g.Node {
	return make([]*g.Node, len(n.Inputs()))
}

func unary(f func(x, y, bar *g.Node) *g.Node) rule {
	return func(n, bar *g.Node, _ []bool) []*g.Node {
		return []*g.Node{f(n.Inputs()[0], n, bar)}
	}
}

func binary(fa, fb func(a, b, y, bar *g.Node) *g.Node) rule {
	return func(n, bar *g.Node, want []bool) []*g.Node {
		a, b := n.Inputs()[0], n.Inputs()[1]
		grads := make([]*g.Node, 2)
		if want[0] {
			grads[0] = fa(a, b, n, bar)
		}
		if want[1] {
			grads[1] = fb(a, b, n, bar)
		}
		return grads
	}
}

// mask returns cond as 0 and 1 in the type of x.
func mask(cond, x *g.Node) *g.Node { return g.Cast(cond, x.DType()) }

func isZero(x *g.Node) *g.Node { return g.Equal(x, g.Like(x, 0)) }

// sign returns −1, 0 or 1.
func sign(x *g.Node) *g.Node {
	zero := g.Like(x, 0)
	return g.Sub(mask(g.Less(zero, x), x), mask(g.Less(x, zero), x))
}

// share returns 1 where a < b, ½ where they are equal, and 0 elsewhere.
func share(a, b *g.Node) *g.Node {
	return g.Add(mask(g.Less(a, b), a), g.Scale(mask(g.Equal(a, b), a), 0.5))
}
