package graph

// Op is an operator. The zero Op is not an operator.
type Op uint8

// The operators. Shapes are given where they are not plain.
const (
	_ Op = iota

	OpInput    // an argument of the function
	OpConstant // a value known when the graph is built

	// Element-wise, one operand.
	OpNeg
	OpExp
	OpLog
	OpSqrt
	OpAbs
	OpTanh
	OpSigmoid
	OpErf
	OpSin
	OpCos
	OpAtan
	OpFloor
	OpRound        // to the nearest integer, halves to even ones
	OpRelu         // max(x, 0)
	OpElu          // x if x > 0, else exp(x)-1 (α = 1)
	OpEluSlope     // the derivative of ELU from its output y: min(y, 0) + 1
	OpCast         // to another element type
	OpStopGradient // the identity, with derivative zero

	// Element-wise, operands of one shape.
	OpAdd
	OpSub
	OpMul
	OpDiv
	OpPow
	OpMaximum
	OpMinimum
	OpLess  // bool
	OpEqual // bool
	OpWhere // (bool, a, b): a where true, b elsewhere

	// Shape.
	OpReshape
	OpTranspose
	OpBroadcast // right-aligned, dimensions of 1 repeat
	OpSlice     // from, to, step along some axes
	OpPad       // zeros before, after and between the elements of each axis
	OpConcat
	OpGather     // (x, indices) → elements of x along an axis
	OpGatherGrad // (y, indices) → x, the adjoint of Gather
	OpTopK       // x → int64 indices of its largest elements along an axis
	OpNonZero    // x → the indices of its elements that are not 0
	OpRange      // n → 0, 1, … n−1, as many as the value of n says, int64
	OpIota       // start → start, start+1, … along one axis, int64

	// Reductions, which drop their axes.
	OpReduceSum
	OpReduceMax

	OpMatMul // [… m k] × [… k n] → [… m n]

	// Convolution (cross-correlation) of x [N Ci …] with w [Co Ci/groups …].
	OpConv           // (x, w) → y [N Co …]
	OpConvInputGrad  // (y, w) → x, the adjoint of Conv in x
	OpConvFilterGrad // (x, y) → w, the adjoint of Conv in w

	// Pooling over windows of the trailing axes of x [N C …].
	OpMeanPool     // x → y; padding counts as zeros
	OpMeanPoolGrad // y → x, the adjoint of MeanPool
	OpMaxPool      // x → y; padding never wins
	OpMaxPoolGrad  // (x, y) → x-shaped: y added at the place of each window's first maximum of x
	OpMaxPoolTake  // (x, t) → y-shaped: t at the place of each window's first maximum of x

	OpScan    // a body repeated along the first axis of some operands
	OpProject // one output of a Scan

	numOps
)

type opInfo struct {
	name  string
	arity int // -1: one or more
	infer func(op Op, in []*Node, attr Attr) []Type
}

// ops is the operator table: the name, the number of operands and the type
// rule of every operator.
var ops = [numOps]opInfo{
	OpInput:    {name: "Input"},
	OpConstant: {name: "Constant"},

	OpNeg:          {"Neg", 1, inferFloat},
	OpExp:          {"Exp", 1, inferFloat},
	OpLog:          {"Log", 1, inferFloat},
	OpSqrt:         {"Sqrt", 1, inferFloat},
	OpAbs:          {"Abs", 1, inferFloat},
	OpTanh:         {"Tanh", 1, inferFloat},
	OpSigmoid:      {"Sigmoid", 1, inferFloat},
	OpErf:          {"Erf", 1, inferFloat},
	OpSin:          {"Sin", 1, inferFloat},
	OpCos:          {"Cos", 1, inferFloat},
	OpAtan:         {"Atan", 1, inferFloat},
	OpFloor:        {"Floor", 1, inferFloat},
	OpRound:        {"Round", 1, inferFloat},
	OpRelu:         {"Relu", 1, inferFloat},
	OpElu:          {"Elu", 1, inferFloat},
	OpEluSlope:     {"EluSlope", 1, inferFloat},
	OpCast:         {"Cast", 1, inferCast},
	OpStopGradient: {"StopGradient", 1, inferSame},

	OpAdd:     {"Add", 2, inferArithmetic},
	OpSub:     {"Sub", 2, inferArithmetic},
	OpMul:     {"Mul", 2, inferArithmetic},
	OpDiv:     {"Div", 2, inferArithmetic},
	OpPow:     {"Pow", 2, inferArithmetic},
	OpMaximum: {"Maximum", 2, inferArithmetic},
	OpMinimum: {"Minimum", 2, inferArithmetic},
	OpLess:    {"Less", 2, inferCompare},
	OpEqual:   {"Equal", 2, inferCompare},
	OpWhere:   {"Where", 3, inferWhere},

	OpReshape:    {"Reshape", 1, inferReshape},
	OpTranspose:  {"Transpose", 1, inferTranspose},
	OpBroadcast:  {"Broadcast", 1, inferBroadcast},
	OpSlice:      {"Slice", 1, inferSlice},
	OpPad:        {"Pad", 1, inferPad},
	OpConcat:     {"Concat", -1, inferConcat},
	OpGather:     {"Gather", 2, inferGather},
	OpGatherGrad: {"GatherGrad", 2, inferGatherGrad},
	OpTopK:       {"TopK", 1, inferTopK},
	OpNonZero:    {"NonZero", 1, inferNonZero},
	OpRange:      {"Range", 1, inferRange},
	OpIota:       {"Iota", 1, inferIota},

	OpReduceSum: {"ReduceSum", 1, inferReduce},
	OpReduceMax: {"ReduceMax", 1, inferReduce},

	OpMatMul: {"MatMul", 2, inferMatMul},

	OpConv:           {"Conv", 2, inferConv},
	OpConvInputGrad:  {"ConvInputGrad", 2, inferConvInputGrad},
	OpConvFilterGrad: {"ConvFilterGrad", 2, inferConvFilterGrad},

	OpMeanPool:     {"MeanPool", 1, inferPool},
	OpMeanPoolGrad: {"MeanPoolGrad", 1, inferMeanPoolGrad},
	OpMaxPool:      {"MaxPool", 1, inferPool},
	OpMaxPoolGrad:  {"MaxPoolGrad", 2, inferMaxPoolGrad},
	OpMaxPoolTake:  {"MaxPoolTake", 2, inferMaxPoolTake},

	OpScan:    {"Scan", -1, inferScan},
	OpProject: {"Project", 1, inferProject},
}

// String returns the operator's name.
func (op Op) String() string {
	if op > 0 && op < numOps {
		return ops[op].name
	}
	return "no operator"
}

// Ops returns every operator, in order. Tests use it to find an operator
// that another package's table lacks.
func Ops() []Op {
	all := make([]Op, 0, numOps-1)
	for op := Op(1); op < numOps; op++ {
		all = append(all, op)
	}
	return all
}
