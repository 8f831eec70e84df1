package graph

// Functions made of operators: activations and normalisers.

// Softplus returns log(1+eˣ), computed without overflow as
// m + log(e⁻ᵐ + eˣ⁻ᵐ) with m = max(x, 0). The value does not depend on m,
// which is held constant so that the derivatives of every order are smooth.
func Softplus(x *Node) *Node {
	m := StopGradient(Relu(x))
	return Add(m, Log(Add(Exp(Neg(m)), Exp(Sub(x, m)))))
}

// Swish returns x·sigmoid(x), also called SiLU.
func Swish(x *Node) *Node { return Mul(x, Sigmoid(x)) }

// Gelu returns x·Φ(x) with Φ the standard normal distribution function.
func Gelu(x *Node) *Node {
	const invSqrt2 = 0.70710678118654752440
	return Mul(x, Scale(Shift(Erf(Scale(x, invSqrt2)), 1), 0.5))
}

// LogSumExp returns log Σ eˣ over the last axis, which it drops, computed
// without overflow.
func LogSumExp(x *Node) *Node {
	last := x.Rank() - 1
	top := StopGradient(ReduceMax(x, last))
	shifted := Sub(x, Broadcast(KeepDims(top, x, last), x.Shape()))
	return Add(Log(ReduceSum(Exp(shifted), last)), top)
}

// LogSoftmax returns x − log Σ eˣ over the last axis.
func LogSoftmax(x *Node) *Node {
	last := x.Rank() - 1
	return Sub(x, Broadcast(KeepDims(LogSumExp(x), x, last), x.Shape()))
}

// Linear returns x·wᵀ + b for x [N k], w [m k] and b [m], or without b when
// it is nil.
func Linear(x, w, b *Node) *Node {
	y := MatMul(x, Transpose(w, 1, 0))
	if b != nil {
		y = Add(y, Broadcast(b, y.Shape()))
	}
	return y
}
