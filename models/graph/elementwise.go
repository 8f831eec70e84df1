package graph

import (
	"ebm/models/tensor"
)

// Neg returns −x.
func Neg(x *Node) *Node { return apply(OpNeg, nil, x) }

// Exp returns eˣ.
func Exp(x *Node) *Node { return apply(OpExp, nil, x) }

// Log returns the natural logarithm of x.
func Log(x *Node) *Node { return apply(OpLog, nil, x) }

// Sqrt returns the square root of x.
func Sqrt(x *Node) *Node { return apply(OpSqrt, nil, x) }

// Abs returns |x|; its derivative at 0 is 0.
func Abs(x *Node) *Node { return apply(OpAbs, nil, x) }

// Tanh returns the hyperbolic tangent of x.
func Tanh(x *Node) *Node { return apply(OpTanh, nil, x) }

// Sigmoid returns 1/(1+e⁻ˣ).
func Sigmoid(x *Node) *Node { return apply(OpSigmoid, nil, x) }

// Erf returns the error function of x.
func Erf(x *Node) *Node { return apply(OpErf, nil, x) }

// Sin returns the sine of x in radians.
func Sin(x *Node) *Node { return apply(OpSin, nil, x) }

// Cos returns the cosine of x in radians.
func Cos(x *Node) *Node { return apply(OpCos, nil, x) }

// Atan returns the inverse tangent of x, between −π/2 and π/2.
func Atan(x *Node) *Node { return apply(OpAtan, nil, x) }

// Floor returns the largest integer that is not above x; its derivative is 0.
func Floor(x *Node) *Node { return apply(OpFloor, nil, x) }

// Round returns the integer nearest to x, the even one of two that are
// equally near; its derivative is 0.
func Round(x *Node) *Node { return apply(OpRound, nil, x) }

// Relu returns max(x, 0); its derivative at 0 is 0.
func Relu(x *Node) *Node { return apply(OpRelu, nil, x) }

// Elu returns x where x > 0 and eˣ−1 elsewhere.
func Elu(x *Node) *Node { return apply(OpElu, nil, x) }

// EluSlope returns the derivative of Elu from its output y: min(y, 0) + 1.
func EluSlope(y *Node) *Node { return apply(OpEluSlope, nil, y) }

// Cast converts x to another element type.
func Cast(x *Node, dtype tensor.DType) *Node {
	if x.DType() == dtype {
		return x
	}
	return apply(OpCast, CastAttr{dtype}, x)
}

// StopGradient returns x as a constant for differentiation.
func StopGradient(x *Node) *Node { return apply(OpStopGradient, nil, x) }

// Add returns a+b.
func Add(a, b *Node) *Node { return apply(OpAdd, nil, a, b) }

// Plus returns sum+term, or the term where sum is nil and has none yet.
func Plus(sum, term *Node) *Node {
	if sum == nil {
		return term
	}
	return Add(sum, term)
}

// Sub returns a−b.
func Sub(a, b *Node) *Node { return apply(OpSub, nil, a, b) }

// Mul returns a·b, element by element.
func Mul(a, b *Node) *Node { return apply(OpMul, nil, a, b) }

// Div returns a/b, element by element.
func Div(a, b *Node) *Node { return apply(OpDiv, nil, a, b) }

// Pow returns aᵇ, element by element.
func Pow(a, b *Node) *Node { return apply(OpPow, nil, a, b) }

// Maximum returns the larger of a and b; where they are equal, its
// derivative is shared between both.
func Maximum(a, b *Node) *Node { return apply(OpMaximum, nil, a, b) }

// Minimum returns the smaller of a and b; where they are equal, its
// derivative is shared between both.
func Minimum(a, b *Node) *Node { return apply(OpMinimum, nil, a, b) }

// Less returns a < b as bool.
func Less(a, b *Node) *Node { return apply(OpLess, nil, a, b) }

// Equal returns a = b as bool.
func Equal(a, b *Node) *Node { return apply(OpEqual, nil, a, b) }

// Where returns a where cond is true and b elsewhere.
func Where(cond, a, b *Node) *Node { return apply(OpWhere, nil, cond, a, b) }

// CastAttr is the attribute of Cast.
type CastAttr struct{ DType tensor.DType }

func (a CastAttr) String() string { return "to=" + a.DType.String() }

func inferSame(_ Op, in []*Node, _ Attr) []Type { return []Type{in[0].Type()} }

func inferFloat(op Op, in []*Node, attr Attr) []Type {
	if !in[0].DType().IsFloat() {
		fail(op, attr, in, "want a floating-point operand")
	}
	return inferSame(op, in, attr)
}

func inferCast(_ Op, in []*Node, attr Attr) []Type {
	return []Type{{attr.(CastAttr).DType, in[0].Shape()}}
}

func inferArithmetic(op Op, in []*Node, attr Attr) []Type {
	if !in[0].Type().Equal(in[1].Type()) {
		fail(op, attr, in, "want operands of one type and shape")
	}
	checkNumbers(op, attr, in)
	return inferSame(op, in, attr)
}

func checkNumbers(op Op, attr Attr, in []*Node) {
	if in[0].DType() == tensor.Bool {
		fail(op, attr, in, "want numbers")
	}
}

func inferCompare(op Op, in []*Node, attr Attr) []Type {
	inferArithmetic(op, in, attr)
	return []Type{{tensor.Bool, in[0].Shape()}}
}

func inferWhere(op Op, in []*Node, attr Attr) []Type {
	if in[0].DType() != tensor.Bool || !in[1].Type().Equal(in[2].Type()) || !in[0].Shape().Equal(in[1].Shape()) {
		fail(op, attr, in, "want a bool and two operands of one type, all of one shape")
	}
	return []Type{in[1].Type()}
}
