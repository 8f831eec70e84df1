package interp

import (
	"math"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// call is the evaluation of one node.
type call struct {
	node   *graph.Node
	in     []*tensor.Tensor // operands: float64, int64 or bool
	shapes [][]int          // of the outputs
	sizes  map[string]int   // of symbols
	arg    []*tensor.Tensor // the value of an Input
	run    func(body *graph.Graph, args []*tensor.Tensor) ([]*tensor.Tensor, error)
}

// kernel returns the outputs of a node: one, except for Scan. It does not
// change the operands, but may return one of them.
type kernel func(c *call) ([]*tensor.Tensor, error)

// kernels is the evaluation of every operator.
var kernels = map[graph.Op]kernel{
	graph.OpInput:    func(c *call) ([]*tensor.Tensor, error) { return c.arg, nil },
	graph.OpConstant: func(c *call) ([]*tensor.Tensor, error) { return one(widen(c.node.ConstantValue())) },

	graph.OpNeg:          unary(func(x float64) float64 { return -x }),
	graph.OpExp:          unary(math.Exp),
	graph.OpLog:          unary(math.Log),
	graph.OpSqrt:         unary(math.Sqrt),
	graph.OpAbs:          unary(math.Abs),
	graph.OpTanh:         unary(math.Tanh),
	graph.OpSigmoid:      unary(func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }),
	graph.OpErf:          unary(math.Erf),
	graph.OpSin:          unary(math.Sin),
	graph.OpCos:          unary(math.Cos),
	graph.OpAtan:         unary(math.Atan),
	graph.OpFloor:        unary(math.Floor),
	graph.OpRound:        unary(math.RoundToEven),
	graph.OpRelu:         unary(func(x float64) float64 { return max(x, 0) }),
	graph.OpElu:          unary(elu),
	graph.OpEluSlope:     unary(func(y float64) float64 { return min(y, 0) + 1 }),
	graph.OpCast:         cast,
	graph.OpStopGradient: func(c *call) ([]*tensor.Tensor, error) { return c.in, nil },

	graph.OpAdd:     arithmetic(add[float64], add[int64]),
	graph.OpSub:     arithmetic(sub[float64], sub[int64]),
	graph.OpMul:     arithmetic(mul[float64], mul[int64]),
	graph.OpDiv:     divide,
	graph.OpPow:     arithmetic(math.Pow, integerPow),
	graph.OpMaximum: arithmetic(larger[float64], larger[int64]),
	graph.OpMinimum: arithmetic(smaller[float64], smaller[int64]),
	graph.OpLess:    arithmetic(less[float64], less[int64]),
	graph.OpEqual:   arithmetic(equal[float64], equal[int64]),
	graph.OpWhere:   where,

	graph.OpReshape:    func(c *call) ([]*tensor.Tensor, error) { return one(c.in[0].Reshape(c.shapes[0]...)) },
	graph.OpTranspose:  transpose,
	graph.OpBroadcast:  broadcast,
	graph.OpSlice:      slice,
	graph.OpPad:        pad,
	graph.OpConcat:     concat,
	graph.OpGather:     takeAlong,
	graph.OpGatherGrad: addAlong,
	graph.OpTopK:       topK,
	graph.OpNonZero:    nonZero,
	graph.OpRange:      indices,
	graph.OpIota:       iota64,

	graph.OpReduceSum: reduceSum,
	graph.OpReduceMax: reduceMax,
	graph.OpMatMul:    matMul,

	graph.OpConv:           conv,
	graph.OpConvInputGrad:  convInputGrad,
	graph.OpConvFilterGrad: convFilterGrad,

	graph.OpMeanPool:     meanPool,
	graph.OpMeanPoolGrad: meanPoolGrad,
	graph.OpMaxPool:      maxPool,
	graph.OpMaxPoolGrad:  maxPoolGrad,
	graph.OpMaxPoolTake:  maxPoolTake,

	graph.OpScan:    scan,
	graph.OpProject: func(c *call) ([]*tensor.Tensor, error) { return one(c.in[c.node.Attr().(graph.ProjectAttr).Index]) },
}

// Has reports whether the package evaluates an operator. Tests use it to
// find one that the table lacks.
func Has(op graph.Op) bool { return kernels[op] != nil }

// one is the result of a kernel that cannot fail.
func one(t *tensor.Tensor) ([]*tensor.Tensor, error) { return []*tensor.Tensor{t}, nil }

func floats(t *tensor.Tensor) []float64 { return tensor.Data[float64](t) }
