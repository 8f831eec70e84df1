package export

import (
	"ebm/models/graph"
)

func unary(op string) lowerFunc {
	return func(l *lowering, n *graph.Node) string {
		return l.emit(op, l.values(n.Inputs()))
	}
}

func binary(op string) lowerFunc { return unary(op) }

func alias(l *lowering, n *graph.Node) string { return l.value(n.Inputs()[0]) }

// elementwise lowers an operator on operands of one shape, leaving out
// Broadcasts that ONNX makes by itself.
func elementwise(op string) lowerFunc {
	return func(l *lowering, n *graph.Node) string {
		operands := l.implicit(n)
		names := l.values(operands)
		shape := withoutLastOnes(n.Shape(), operands)
		if len(shape) == n.Rank() {
			return l.emit(op, names)
		}
		for i, x := range operands {
			if x.Rank() == n.Rank() {
				names[i] = l.reshape(names[i], x.Shape(), shape)
			}
		}
		return l.reshape(l.emit(op, names), shape, n.Shape())
	}
}

// withoutLastOnes returns a shape without the ones that it ends in, where an
// operand is a scalar beside others of that shape: ONNX Runtime would take such
// operands element by element. Otherwise it returns the shape as it is.
func withoutLastOnes(s graph.Shape, operands []*graph.Node) graph.Shape {
	scalar := false
	for _, x := range operands {
		switch {
		case x.Rank() == 0:
			scalar = true
		case !x.Shape().Equal(s):
			return s
		}
	}
	if !scalar {
		return s
	}
	for len(s) > 1 && s[len(s)-1] == graph.Const(1) {
		s = s[:len(s)-1]
	}
	return s
}

// implicit returns n's operands before their Broadcasts, as far as ONNX's own
// broadcasting of them still gives the shape of n.
func (l *lowering) implicit(n *graph.Node) []*graph.Node {
	sources := make([]*graph.Node, len(n.Inputs()))
	for i, in := range n.Inputs() {
		for in.Op() == graph.OpBroadcast {
			in = in.Inputs()[0]
		}
		sources[i] = in
	}
	if !covers(sources, n.Shape()) {
		sources[0] = n.Inputs()[0]
	}
	return sources
}

// covers reports whether each dimension of shape is one of an operand's,
// with operands aligned at the right.
func covers(operands []*graph.Node, shape graph.Shape) bool {
	for i, d := range shape {
		found := d == graph.Const(1)
		for _, x := range operands {
			if j := i - (len(shape) - x.Rank()); j >= 0 && x.Shape()[j] == d {
				found = true
			}
		}
		if !found {
			return false
		}
	}
	// Rank counts too: [1 3] from [3] alone would lose an axis.
	for _, x := range operands {
		if x.Rank() == len(shape) {
			return true
		}
	}
	return false
}

// eluExp returns the name of exp(min(x, 0)), the part that ELU and its
// derivative share.
func (l *lowering) eluExp(x *graph.Node) string {
	return l.shared(extraKey{x, "elu exp"}, func() string {
		return l.emit("Exp", []string{l.emit("Min", []string{l.value(x), l.scalar(x, 0)})})
	})
}

// lowerElu computes ELU as max(x, exp(min(x, 0)) − 1), which is faster than
// ONNX Runtime's Elu on the CPU and does not depend on how work is split over threads there.
func lowerElu(l *lowering, n *graph.Node) string {
	x := n.Inputs()[0]
	if l.elu {
		return l.emit("Elu", []string{l.value(x)})
	}
	minusOne := l.emit("Sub", []string{l.eluExp(x), l.scalar(x, 1)})
	return l.emit("Max", []string{l.value(x), minusOne})
}

// lowerEluSlope takes the exponential of the ELU whose output it is given, or
// else computes min(1, y+1), which is what HardSigmoid is for y ≥ −1.
func lowerEluSlope(l *lowering, n *graph.Node) string {
	y := n.Inputs()[0]
	if l.elu {
		return l.emit("HardSigmoid", []string{l.value(y)}, floatAttr("alpha", 1), floatAttr("beta", 1))
	}
	if y.Op() == graph.OpElu {
		return l.eluExp(y.Inputs()[0])
	}
	one := l.scalar(y, 1)
	return l.emit("Min", []string{one, l.emit("Add", []string{l.value(y), one})})
}

func lowerCast(l *lowering, n *graph.Node) string {
	to := int(onnxTypes[n.DType()])
	return l.emit("Cast", l.values(n.Inputs()), intAttr("to", to))
}
