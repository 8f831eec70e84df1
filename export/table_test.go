package export_test

import (
	"math/rand/v2"
	"slices"

	g "ebm/models/graph"
	"ebm/models/tensor"
)

// N and K stand for the symbolic dimensions in the shapes of operands.
const (
	N = -1
	K = -2
)

// operand is one argument of a row: its shape, and where its elements lie.
type operand struct {
	shape []int
	kind  kind
	fixed bool // a weight, not an input
}

type kind int

const (
	normal   kind = iota
	positive      // between ½ and 2½
	away          // ½ or more from 0 on either side
	distinct      // every two elements ½ or more apart
	ties          // 0, 1 or 2
	truth         // bool
	whole         // int64 between −9 and 9
	nonzero       // int64 between 1 and 9
	double        // float64
)

func n(shape ...int) operand { return operand{shape: shape} }

func of(k kind, shape ...int) operand { return operand{shape: shape, kind: k} }

func weight(shape ...int) operand { return operand{shape: shape, fixed: true} }

func (o operand) dtype() tensor.DType {
	switch o.kind {
	case truth:
		return tensor.Bool
	case whole, nonzero:
		return tensor.Int64
	case double:
		return tensor.Float64
	}
	return tensor.Float32
}

func (o operand) symbolic() g.Shape { return symbolic(o.shape) }

func symbolic(shape []int) g.Shape {
	s := make(g.Shape, len(shape))
	for i, d := range shape {
		switch d {
		case N:
			s[i] = g.Sym("N")
		case K:
			s[i] = g.Sym("K")
		default:
			s[i] = g.Const(d)
		}
	}
	return s
}

// value draws the operand for given sizes of the symbols.
func (o operand) value(rng *rand.Rand, sizes map[string]int) *tensor.Tensor {
	shape, err := o.symbolic().Bind(sizes)
	if err != nil {
		panic(err)
	}
	t := tensor.New(o.dtype(), shape...)
	order := rng.Perm(t.Len())
	draw := func(i int) float64 {
		switch v := rng.NormFloat64(); o.kind {
		case positive:
			return 0.5 + 2*rng.Float64()
		case away:
			if v < 0 {
				return v - 0.5
			}
			return v + 0.5
		case distinct:
			return float64(order[i]-len(order)/2) + 0.25*rng.Float64()
		case ties:
			return float64(rng.IntN(3))
		default:
			return v
		}
	}
	switch data := t.Raw().(type) {
	case []bool:
		for i := range data {
			data[i] = rng.IntN(2) == 1
		}
	case []int64:
		for i := range data {
			data[i] = int64(rng.IntN(19) - 9)
			if o.kind == nonzero {
				data[i] = int64(rng.IntN(9) + 1)
			}
		}
	case []float32:
		for i := range data {
			data[i] = float32(draw(i))
		}
	case []float64:
		for i := range data {
			data[i] = draw(i)
		}
	}
	return t
}

// row is one small function: what is lowered, run and compared with the
// interpreter, together with its first and second derivatives.
type row struct {
	name     string
	op       g.Op // the operator that the row is for; 0 for composites
	operands []operand
	build    func(xs []*g.Node) []*g.Node
	// order is the highest order of derivatives, 2 where none is given; −1
	// for none.
	order int
}

func unary(op g.Op, f func(*g.Node) *g.Node, o operand) row {
	return row{name: op.String(), op: op, operands: []operand{o}, build: func(xs []*g.Node) []*g.Node { return []*g.Node{f(xs[0])} }}
}

func named(name string, op g.Op, o operand, f func(x *g.Node) *g.Node) row {
	r := unary(op, f, o)
	r.name = name
	return r
}

func binary(name string, op g.Op, f func(a, b *g.Node) *g.Node, a, b operand) row {
	return row{name: name, op: op, operands: []operand{a, b}, build: func(xs []*g.Node) []*g.Node { return []*g.Node{f(xs[0], xs[1])} }}
}

func several(name string, op g.Op, f func(xs []*g.Node) *g.Node, operands ...operand) row {
	return row{name: name, op: op, operands: operands, build: func(xs []*g.Node) []*g.Node { return []*g.Node{f(xs)} }}
}

// without returns r without derivatives.
func without(r row) row {
	r.order = -1
	return r
}

// table covers every operator, in every form that it is lowered to.
func table() []row {
	return slices.Concat(elementwiseRows(), broadcastRows(), layoutRows(), reductionRows(), integerRows(),
		convRows(), poolRows(), scanRows(), compositeRows())
}

func elementwiseRows() []row {
	return []row{
		unary(g.OpNeg, g.Neg, n(N, 5)),
		unary(g.OpExp, g.Exp, n(N, 5)),
		unary(g.OpLog, g.Log, of(positive, N, 5)),
		unary(g.OpSqrt, g.Sqrt, of(positive, N, 5)),
		unary(g.OpAbs, g.Abs, of(away, N, 5)),
		unary(g.OpTanh, g.Tanh, n(N, 5)),
		unary(g.OpSigmoid, g.Sigmoid, n(N, 5)),
		unary(g.OpErf, g.Erf, n(N, 5)),
		unary(g.OpSin, g.Sin, n(N, 5)),
		unary(g.OpCos, g.Cos, n(N, 5)),
		unary(g.OpAtan, g.Atan, n(N, 5)),
		named("Floor", g.OpFloor, of(distinct, N, 5), func(x *g.Node) *g.Node { return g.Mul(x, g.Floor(g.Shift(x, 0.3))) }),
		named("Round", g.OpRound, of(distinct, N, 5), func(x *g.Node) *g.Node { return g.Mul(x, g.Round(x)) }),
		unary(g.OpRelu, g.Relu, of(away, N, 5)),
		unary(g.OpElu, g.Elu, of(away, N, 9)),
		named("EluSlope of an ELU", g.OpEluSlope, of(away, N, 9), func(x *g.Node) *g.Node { return g.EluSlope(g.Elu(x)) }),
		named("EluSlope of anything", g.OpEluSlope, of(away, N, 9), g.EluSlope),
		named("Elu of float64", g.OpElu, of(double, N, 9), g.Elu),
		named("Cast to float64 and back", g.OpCast, n(N, 3), func(x *g.Node) *g.Node {
			return g.Cast(g.Exp(g.Cast(x, tensor.Float64)), tensor.Float32)
		}),
		named("Cast of a comparison", g.OpCast, n(N, 3), func(x *g.Node) *g.Node {
			return g.Mul(x, g.Cast(g.Less(g.Like(x, 0), x), tensor.Float32))
		}),
		named("Cast to int64 and back", g.OpCast, of(distinct, N, 3), func(x *g.Node) *g.Node {
			return g.Cast(g.Cast(x, tensor.Int64), tensor.Float32)
		}),
		named("StopGradient", g.OpStopGradient, n(N, 3), func(x *g.Node) *g.Node {
			return g.Mul(x, g.StopGradient(g.Exp(x)))
		}),
		binary("Add", g.OpAdd, g.Add, n(N, 4), n(N, 4)),
		binary("Sub", g.OpSub, g.Sub, n(N, 4), n(N, 4)),
		binary("Mul", g.OpMul, g.Mul, n(N, 4), n(N, 4)),
		binary("Div", g.OpDiv, g.Div, n(N, 4), of(away, N, 4)),
		binary("Pow", g.OpPow, g.Pow, of(positive, N, 4), n(N, 4)),
		binary("Maximum", g.OpMaximum, g.Maximum, n(N, 4), n(N, 4)),
		binary("Minimum", g.OpMinimum, g.Minimum, n(N, 4), n(N, 4)),
		binary("Maximum of ties", g.OpMaximum, g.Maximum, of(ties, N, 9), of(ties, N, 9)),
		binary("Minimum of ties", g.OpMinimum, g.Minimum, of(ties, N, 9), of(ties, N, 9)),
		without(binary("Less", g.OpLess, g.Less, of(ties, N, 9), of(ties, N, 9))),
		without(binary("Equal", g.OpEqual, g.Equal, of(ties, N, 9), of(ties, N, 9))),
		several("Where", g.OpWhere, func(xs []*g.Node) *g.Node { return g.Where(xs[0], g.Exp(xs[1]), xs[2]) },
			of(truth, N, 4), n(N, 4), n(N, 4)),
	}
}

// broadcastRows have Broadcasts in every place: left to ONNX where an operand
// has the whole shape, and written out where none has.
func broadcastRows() []row {
	to := func(shape ...int) func(x *g.Node) *g.Node {
		return func(x *g.Node) *g.Node { return g.Broadcast(x, symbolic(shape)) }
	}
	// both makes a row with two operands that are repeated to one shape.
	both := func(name string, a, b operand, shape ...int) row {
		up := to(shape...)
		return binary(name, g.OpBroadcast, func(a, b *g.Node) *g.Node { return g.Mul(up(a), up(b)) }, a, b)
	}
	along := func(name string, a operand, axis int, x operand) row {
		return binary(name, 0, func(a, x *g.Node) *g.Node {
			return g.Mul(g.Exp(x), g.BroadcastAlong(a, x.Shape(), axis))
		}, a, x)
	}
	return []row{
		both("Broadcast first", n(3), n(N, 3), N, 3),
		both("Broadcast second", n(N, 3), n(1, 3), N, 3),
		both("Broadcast both", n(N, 1, 3), n(1, 2, 1), N, 2, 3),
		both("Broadcast both, neither whole", n(1, 3), n(2, 1), 4, 2, 3),
		both("Broadcast both, none has the batch", n(3), n(1, 3), N, 3),
		both("Broadcast both, lower rank", n(1), n(3), 2, 1, 3),
		both("Broadcast scalars", n(), n(), N, 2),
		both("Broadcast scalar to scalar", n(), n(1), 1),
		both("Broadcast in the middle", n(N, 2, 1, 3), n(2, 4, 1), N, 2, 4, 3),
		along("Broadcast along channels", n(2), 1, n(N, 2, 3, 3)),
		along("Broadcast along the batch", n(N), 0, n(N, 2, 3)),
		along("Broadcast along the last axis", n(3), 2, n(N, 2, 3)),
		named("Broadcast of a Broadcast", g.OpBroadcast, n(3), func(x *g.Node) *g.Node {
			s := g.Broadcast(x, g.Dims(2, 3))
			return g.Exp(g.Broadcast(s, g.Dims(4, 2, 3)))
		}),
		several("Broadcast to a batch that another input has", g.OpBroadcast, func(xs []*g.Node) *g.Node {
			return g.Concat(1, g.Broadcast(xs[0], symbolic([]int{N, 3})), xs[1])
		}, n(3), n(N, 2)),
		several("Broadcast to a product of symbols", g.OpBroadcast, func(xs []*g.Node) *g.Node {
			flat := g.Reshape(xs[1], g.Shape{g.Sym("N").Mul(g.Const(4)), g.Const(2)})
			return g.Concat(1, g.Broadcast(xs[0], g.Shape{flat.Shape()[0], g.Const(3)}), flat)
		}, n(3), n(N, 4, 2)),
		several("Broadcast of Where", g.OpWhere, func(xs []*g.Node) *g.Node {
			shape := symbolic([]int{N, 2, 3})
			return g.Where(g.Broadcast(xs[0], shape), g.Broadcast(xs[1], shape), g.Broadcast(xs[2], shape))
		}, of(truth, 2, 1), n(N, 1, 1), n(3)),
		several("Broadcast of a condition alone", g.OpWhere, func(xs []*g.Node) *g.Node {
			shape := symbolic([]int{N, 3})
			return g.Where(g.Broadcast(xs[0], shape), xs[1], g.Like(xs[1], 2))
		}, of(truth, N, 1), n(N, 3)),
		several("Broadcast for a product", g.OpMatMul, func(xs []*g.Node) *g.Node {
			return g.MatMul(xs[0], g.Broadcast(xs[1], symbolic([]int{N, 3, 2})))
		}, n(N, 2, 3), n(3, 2)),
	}
}

func layoutRows() []row {
	return []row{
		named("Reshape", g.OpReshape, n(2, 3, 2), func(x *g.Node) *g.Node { return g.Exp(g.Reshape(x, g.Dims(4, 3))) }),
		named("Reshape beside the batch", g.OpReshape, n(N, 3, 2), func(x *g.Node) *g.Node {
			return g.Exp(g.Reshape(x, symbolic([]int{N, 6})))
		}),
		named("Reshape into the batch", g.OpReshape, n(N, 3, 2), func(x *g.Node) *g.Node {
			return g.Exp(g.Reshape(x, g.Shape{g.Sym("N").Mul(g.Const(3)), g.Const(2)}))
		}),
		several("Reshape of two symbols", g.OpReshape, func(xs []*g.Node) *g.Node {
			return g.Exp(g.Reshape(xs[0], g.Shape{g.Sym("K").Mul(g.Sym("N")), g.Const(2)}))
		}, n(K, N, 2)),
		named("Reshape to a scalar", g.OpReshape, n(1, 1), func(x *g.Node) *g.Node { return g.Exp(g.Reshape(x, nil)) }),
		named("Transpose", g.OpTranspose, n(N, 3, 4), func(x *g.Node) *g.Node { return g.Exp(g.Transpose(x, 2, 0, 1)) }),
		named("Slice", g.OpSlice, n(N, 7), func(x *g.Node) *g.Node { return g.Exp(g.Slice(x, 1, 1, 6, 2)) }),
		named("Slice to the end", g.OpSlice, n(8, N), func(x *g.Node) *g.Node { return g.Exp(g.Slice(x, 0, 1, 8, 3)) }),
		named("Slice of nothing", g.OpSlice, n(N, 3), func(x *g.Node) *g.Node {
			return g.Exp(g.Concat(1, g.Slice(x, 1, 2, 2, 1), g.Slice(x, 1, 1, 2, 1)))
		}),
		named("Slice of two axes", g.OpSlice, n(4, N, 5), func(x *g.Node) *g.Node {
			return g.Exp(g.SliceAxes(x, g.SliceAttr{Axes: []int{0, 2}, Starts: g.Dims(1, 0), Limits: g.Dims(4, 5), Steps: []int{2, 3}}))
		}),
		named("Pad", g.OpPad, n(N, 3), func(x *g.Node) *g.Node { return g.Exp(g.Pad(x, []int{0, 2}, []int{0, 1}, nil)) }),
		named("Pad between", g.OpPad, n(2, 3, N), func(x *g.Node) *g.Node {
			return g.Exp(g.Pad(x, []int{1, 0, 0}, []int{0, 2, 0}, []int{2, 1, 0}))
		}),
		named("Pad between and nowhere else", g.OpPad, n(N, 3), func(x *g.Node) *g.Node {
			return g.Exp(g.Pad(x, []int{0, 0}, []int{0, 0}, []int{0, 3}))
		}),
		several("Concat", g.OpConcat, func(xs []*g.Node) *g.Node {
			return g.Exp(g.Concat(1, xs[0], xs[1], xs[2], xs[0]))
		}, n(N, 1), n(N, 3), n(N, 2)),
		named("Gather", g.OpGather, n(N, 3, 2), func(x *g.Node) *g.Node { return g.Exp(g.Gather(x, indices(x, 2, 0, 0, 1), 1)) }),
		named("Gather of rows by a matrix", g.OpGather, n(4, N), func(x *g.Node) *g.Node {
			return g.Exp(g.Gather(x, g.Reshape(indices(x, 2, 0, 0, 3, 1, 2), g.Dims(2, 3)), 0))
		}),
		named("Gather of one", g.OpGather, n(N, 3), func(x *g.Node) *g.Node {
			return g.Exp(g.Gather(x, g.Reshape(indices(x, 1), nil), 1))
		}),
		several("Gather by a batch of indices", g.OpGather, func(xs []*g.Node) *g.Node {
			table := xs[0].Graph().Weight("table", tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 3, 2))
			return g.Mul(xs[0], g.Gather(table, g.Cast(g.Less(xs[1], g.Like(xs[1], 0)), tensor.Int64), 0))
		}, n(N, 2, 2), of(whole, N, 2)),
		several("Gather from an input by a batch of indices", g.OpGatherGrad, func(xs []*g.Node) *g.Node {
			return g.Exp(g.Gather(xs[0], g.Cast(g.Less(xs[1], g.Like(xs[1], 0)), tensor.Int64), 0))
		}, n(3, 2), of(whole, N, 2)),
		named("GatherGrad", g.OpGatherGrad, n(N, 4), func(x *g.Node) *g.Node {
			return g.Exp(g.GatherGrad(x, indices(x, 2, 0, 0, 2), 1, 3))
		}),
		several("TopK", g.OpTopK, func(xs []*g.Node) *g.Node {
			return g.Mul(xs[0], g.Cast(g.TopK(xs[0], g.TopKAttr{Axis: 1, K: g.Const(5)}), tensor.Float32))
		}, n(N, 5)),
		several("TopK, the smallest", g.OpTopK, func(xs []*g.Node) *g.Node {
			all := xs[0].Shape()[0]
			return g.Mul(xs[0], g.Cast(g.TopK(xs[0], g.TopKAttr{Axis: 0, K: all, Smallest: true}), tensor.Float32))
		}, n(N, 3)),
		several("NonZero", g.OpNonZero, func(xs []*g.Node) *g.Node {
			at := g.NonZero(g.Less(g.Like(xs[0], 0), xs[0]), "found")
			rows := g.Reshape(g.Slice(at, 0, 0, 1, 1), g.Shape{at.Shape()[1]})
			sum := g.ReduceSum(g.Exp(g.Mul(g.Gather(xs[0], rows, 0), g.Scale(g.Gather(xs[0], rows, 0), 0.5))))
			return g.Mul(xs[0], g.Broadcast(sum, xs[0].Shape()))
		}, n(N, 5)),
		several("Range", g.OpRange, func(xs []*g.Node) *g.Node {
			count := g.ReduceSum(g.Cast(g.Less(g.Like(xs[0], 0), xs[0]), tensor.Int64))
			ones := g.Like(g.Cast(g.Range(count, "many"), tensor.Float32), 1) // which needs the size alone
			return g.Mul(xs[0], g.Broadcast(g.ReduceSum(ones), xs[0].Shape()))
		}, n(N)),
		several("Iota", g.OpIota, func(xs []*g.Node) *g.Node {
			one := xs[0].Graph().Scalar(tensor.Int64, 1)
			return g.Mul(xs[0], g.Cast(g.Iota(one, xs[0].Shape()[0]), tensor.Float32))
		}, n(N)),
		without(named("GatherGrad of int64", g.OpGatherGrad, of(whole, N, 4), func(x *g.Node) *g.Node {
			return g.GatherGrad(x, indices(x, 1, 0, 0, 2), 1, 3)
		})),
	}
}

func indices(x *g.Node, at ...int64) *g.Node { return x.Graph().Constant(tensor.Of(at, len(at))) }

func reductionRows() []row {
	return []row{
		named("ReduceSum", g.OpReduceSum, n(N, 3), func(x *g.Node) *g.Node { return g.ReduceSum(g.Exp(x)) }),
		named("ReduceSum of some", g.OpReduceSum, n(N, 3, 2, 2), func(x *g.Node) *g.Node { return g.ReduceSum(g.Exp(x), 1, 3) }),
		named("ReduceSum of the batch", g.OpReduceSum, n(N, 3), func(x *g.Node) *g.Node { return g.ReduceSum(g.Exp(x), 0) }),
		named("ReduceMean", 0, n(N, 3, 2), func(x *g.Node) *g.Node { return g.ReduceMean(g.Exp(x), 1, 2) }),
		named("ReduceMax", g.OpReduceMax, n(N, 3), func(x *g.Node) *g.Node { return g.Exp(g.ReduceMax(x)) }),
		named("ReduceMax of some", g.OpReduceMax, n(2, N, 3), func(x *g.Node) *g.Node { return g.Exp(g.ReduceMax(x, 0, 2)) }),
		named("ReduceMax of ties", g.OpReduceMax, of(ties, N, 9), func(x *g.Node) *g.Node { return g.Exp(g.ReduceMax(x, 1)) }),
		binary("MatMul", g.OpMatMul, g.MatMul, n(N, 3), n(3, 2)),
		binary("MatMul with a weight", g.OpMatMul, g.MatMul, n(N, 3), weight(3, 2)),
		binary("MatMul over the batch", g.OpMatMul, func(a, b *g.Node) *g.Node { return g.MatMul(g.SwapLast(a), b) }, n(N, 3), n(N, 2)),
		binary("MatMul of batches", g.OpMatMul, g.MatMul, n(N, 2, 2, 3), n(N, 2, 3, 4)),
		named("MatMul with itself", g.OpMatMul, n(N, 3, 3), func(x *g.Node) *g.Node { return g.MatMul(x, g.SwapLast(x)) }),
	}
}

// integerRows are the operators on int64.
func integerRows() []row {
	pair := func(op g.Op, f func(a, b *g.Node) *g.Node, b kind) row {
		return without(binary(op.String()+" of int64", op, f, of(whole, N, 4), of(b, N, 4)))
	}
	return []row{
		pair(g.OpAdd, g.Add, whole), pair(g.OpSub, g.Sub, whole), pair(g.OpMul, g.Mul, whole),
		pair(g.OpDiv, g.Div, nonzero), pair(g.OpMaximum, g.Maximum, whole), pair(g.OpMinimum, g.Minimum, whole),
		pair(g.OpLess, g.Less, whole), pair(g.OpEqual, g.Equal, whole),
		without(several("Layout of int64", 0, func(xs []*g.Node) *g.Node {
			x := g.Concat(1, xs[0], g.Pad(xs[0], []int{0, 1}, []int{0, 0}, []int{0, 1}))
			return g.Transpose(g.Slice(x, 1, 0, 10, 3), 1, 0)
		}, of(whole, N, 4))),
		without(named("Reductions of int64", 0, of(whole, N, 4), func(x *g.Node) *g.Node {
			return g.Add(g.ReduceSum(x, 1), g.ReduceMax(x, 1))
		})),
		without(several("Where of int64", g.OpWhere, func(xs []*g.Node) *g.Node { return g.Where(xs[0], xs[1], g.Scale(xs[1], 2)) },
			of(truth, N, 4), of(whole, N, 4))),
		without(named("Scale of int64", g.OpMul, of(whole, N, 4), func(x *g.Node) *g.Node { return g.Scale(g.Scale(x, 3), 5) })),
	}
}

func scanRows() []row {
	float := tensor.Float32
	scan := row{name: "Scan of two states and two stacks", op: g.OpScan, order: 1,
		operands: []operand{n(N, 3), n(), n(K, N, 3), n(K)},
		build: func(xs []*g.Node) []*g.Node {
			body := g.New("body")
			a := body.Input("a", float, symbolic([]int{N, 3}))
			b := body.Input("b", float, nil)
			x := body.Input("x", float, symbolic([]int{N, 3}))
			s := body.Input("s", float, nil)
			w := body.Weight("w", tensor.Of([]float32{0.5, -1, 2, 0, 1, 0.25, -0.5, 1, 1}, 3, 3))
			next := g.Tanh(g.MatMul(g.Add(a, g.Mul(x, g.Broadcast(s, x.Shape()))), w))
			body.Output("a", next)
			body.Output("b", g.Add(b, g.ReduceSum(x)))
			body.Output("sum", g.ReduceSum(next, 1))
			body.Output("again", x) // an input as it is
			return g.Scan(body, xs[:2], xs[2:])
		}}
	states := row{name: "Scan that carries a state as it is", op: g.OpScan, order: -1,
		operands: []operand{n(2), of(whole), n(K, 2)},
		build: func(xs []*g.Node) []*g.Node {
			body := g.New("body")
			a := body.Input("a", float, g.Dims(2))
			count := body.Input("count", tensor.Int64, nil)
			x := body.Input("x", float, g.Dims(2))
			body.Output("a", a)
			body.Output("count", g.Shift(count, 1))
			body.Output("y", g.Mul(a, x))
			results := g.Scan(body, xs[:2], xs[2:])
			return append(results, g.Exp(results[2]))
		}}
	stateless := row{name: "Scan without a state", op: g.OpProject,
		operands: []operand{n(K, N)},
		build: func(xs []*g.Node) []*g.Node {
			body := g.New("body")
			x := body.Input("x", float, symbolic([]int{N}))
			total := g.Broadcast(g.ReduceSum(x), x.Shape()) // the batch's size is the body's own affair
			body.Output("y", g.Concat(0, g.Reshape(g.ReduceMax(total), g.Dims(1)), g.Reshape(g.ReduceSum(total), g.Dims(1))))
			return g.Scan(body, nil, xs)
		}}
	nested := row{name: "Scan in a Scan", op: g.OpScan,
		operands: []operand{n(2), n(K, 3, 2)},
		build: func(xs []*g.Node) []*g.Node {
			inner := g.New("inner")
			s := inner.Input("s", float, g.Dims(2))
			x := inner.Input("x", float, g.Dims(2))
			inner.Output("s", g.Tanh(g.Add(s, x)))
			outer := g.New("outer")
			s = outer.Input("s", float, g.Dims(2))
			x = outer.Input("x", float, g.Dims(3, 2))
			outer.Output("s", g.Scan(inner, []*g.Node{s}, []*g.Node{x})[0])
			return g.Scan(outer, xs[:1], xs[1:])
		}}
	shared := row{name: "Scan in reverse with shared operands", op: g.OpScan,
		operands: []operand{n(N, 3), n(K, N, 3), n(3, 3), weight(3)},
		build: func(xs []*g.Node) []*g.Node {
			body := g.New("body")
			h := body.Input("h", float, symbolic([]int{N, 3}))
			x := body.Input("x", float, symbolic([]int{N, 3}))
			w := body.Input("w", float, g.Dims(3, 3))
			b := body.Input("b", float, g.Dims(3))
			next := g.Tanh(g.Add(g.Linear(h, w, b), x))
			body.Output("next", next)
			body.Output("h", next)
			return g.ScanShared(body, xs[:1], xs[1:2], xs[2:], true)
		}}
	return []row{scan, states, stateless, nested, shared}
}

func compositeRows() []row {
	return []row{
		named("Softplus", 0, n(N, 5), g.Softplus),
		named("Swish", 0, n(N, 5), g.Swish),
		named("Gelu", 0, n(N, 5), g.Gelu),
		named("LogSumExp", 0, n(N, 4), g.LogSumExp),
		named("LogSoftmax", 0, n(N, 4), g.LogSoftmax),
		several("Linear", 0, func(xs []*g.Node) *g.Node { return g.Tanh(g.Linear(xs[0], xs[1], xs[2])) }, n(N, 3), n(2, 3), n(2)),
		// A residual block with a pool behind one branch, as the energy networks have.
		several("residual block", 0, func(xs []*g.Node) *g.Node {
			x, w1, w2, short := xs[0], xs[1], xs[2], xs[3]
			half := g.Pool2D(2, 2, 0)
			y := g.Conv(g.Elu(x), w1, g.Conv2D(1, 1))
			y = g.MeanPool(g.Conv(g.Elu(y), w2, g.Conv2D(1, 1)), half)
			return g.Add(y, g.Conv(g.MeanPool(x, half), short, g.Conv2D(1, 0)))
		}, n(N, 2, 6, 6), n(2, 2, 3, 3), n(3, 2, 3, 3), n(3, 2, 1, 1)),
	}
}
