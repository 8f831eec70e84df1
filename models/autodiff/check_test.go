package autodiff_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"ebm/models/autodiff"
	"ebm/models/gradcheck"
	g "ebm/models/graph"
	"ebm/models/interp"
	"ebm/models/tensor"
)

// input is one random operand of a check: its shape, and where its elements
// lie.
type input struct {
	shape []int
	kind  kind
}

type kind int

const (
	normal   kind = iota
	positive      // between ½ and 2½
	away          // ½ or more from 0 on either side
	distinct      // every two elements ½ or more apart
	truth         // bool
)

func (in input) value(rng *rand.Rand) *tensor.Tensor {
	if in.kind == truth {
		t := tensor.New(tensor.Bool, in.shape...)
		for i := range tensor.Data[bool](t) {
			tensor.Data[bool](t)[i] = rng.IntN(2) == 1
		}
		return t
	}
	t := tensor.New(tensor.Float64, in.shape...)
	data := tensor.Data[float64](t)
	order := rng.Perm(len(data))
	for i := range data {
		switch v := rng.NormFloat64(); in.kind {
		case normal:
			data[i] = v
		case positive:
			data[i] = 0.5 + 2*rng.Float64()
		case away:
			data[i] = v
			if v < 0 {
				data[i] -= 0.5
			} else {
				data[i] += 0.5
			}
		case distinct:
			data[i] = float64(order[i]-len(data)/2) + 0.25*rng.Float64()
		}
	}
	return t
}

func n(shape ...int) input { return input{shape, normal} }

// check is one row of the table: an operator or composite, its operands and
// the order up to which it is checked, 2 where none is given.
type check struct {
	name   string
	op     g.Op // the operator that the row is for; 0 for composites
	inputs []input
	build  func(xs []*g.Node) *g.Node
	order  int
}

func unary(op g.Op, f func(*g.Node) *g.Node, in input, order int) check {
	return check{op.String(), op, []input{in}, func(xs []*g.Node) *g.Node { return f(xs[0]) }, order}
}

func composite(name string, f func(*g.Node) *g.Node, in input, order int) check {
	return check{name, 0, []input{in}, func(xs []*g.Node) *g.Node { return f(xs[0]) }, order}
}

func binary(op g.Op, f func(a, b *g.Node) *g.Node, a, b input) check {
	return check{op.String(), op, []input{a, b}, func(xs []*g.Node) *g.Node { return f(xs[0], xs[1]) }, 3}
}

// bent is a linear function of one operand made non-linear, so that second
// derivatives are not all zero.
func bent(name string, op g.Op, in input, f func(x *g.Node) *g.Node) check {
	return check{name, op, []input{in}, func(xs []*g.Node) *g.Node { return g.Tanh(f(xs[0])) }, 2}
}

func checks() []check {
	return slices.Concat(elementwiseChecks(), layoutChecks(), reductionChecks(), convChecks(), poolChecks(), scanChecks(), compositeChecks())
}

func elementwiseChecks() []check {
	v := []int{5}
	return []check{
		unary(g.OpNeg, g.Neg, input{v, normal}, 2),
		unary(g.OpExp, g.Exp, input{v, normal}, 3),
		unary(g.OpLog, g.Log, input{v, positive}, 3),
		unary(g.OpSqrt, g.Sqrt, input{v, positive}, 3),
		unary(g.OpAbs, g.Abs, input{v, away}, 3),
		unary(g.OpTanh, g.Tanh, input{v, normal}, 3),
		unary(g.OpSigmoid, g.Sigmoid, input{v, normal}, 3),
		unary(g.OpErf, g.Erf, input{v, normal}, 3),
		unary(g.OpSin, g.Sin, input{v, normal}, 3),
		unary(g.OpCos, g.Cos, input{v, normal}, 3),
		unary(g.OpAtan, g.Atan, input{v, normal}, 3),
		{"Floor", g.OpFloor, []input{{v, distinct}}, func(xs []*g.Node) *g.Node { // which lie in [k, k+¼]
			return g.Tanh(g.Mul(g.Shift(xs[0], 0.3), g.Floor(g.Shift(xs[0], 0.3))))
		}, 2},
		{"Round", g.OpRound, []input{{v, distinct}}, func(xs []*g.Node) *g.Node { return g.Tanh(g.Mul(xs[0], g.Round(xs[0]))) }, 2},
		unary(g.OpRelu, g.Relu, input{v, away}, 3),
		unary(g.OpElu, g.Elu, input{[]int{8}, away}, 3),
		unary(g.OpEluSlope, g.EluSlope, input{v, away}, 3),
		bent("Cast", g.OpCast, input{v, normal}, func(x *g.Node) *g.Node {
			return g.Cast(g.Exp(g.Cast(x, tensor.Float32)), tensor.Float64)
		}),
		binary(g.OpAdd, g.Add, n(4), n(4)),
		binary(g.OpSub, g.Sub, n(4), n(4)),
		binary(g.OpMul, g.Mul, n(4), n(4)),
		binary(g.OpDiv, g.Div, n(4), input{[]int{4}, away}),
		binary(g.OpPow, g.Pow, input{[]int{4}, positive}, n(4)),
		{"Maximum", g.OpMaximum, []input{{[]int{6}, distinct}}, func(xs []*g.Node) *g.Node {
			return g.Tanh(g.Maximum(g.Slice(xs[0], 0, 0, 3, 1), g.Slice(xs[0], 0, 3, 6, 1)))
		}, 2},
		{"Minimum", g.OpMinimum, []input{{[]int{6}, distinct}}, func(xs []*g.Node) *g.Node {
			return g.Tanh(g.Minimum(g.Slice(xs[0], 0, 0, 3, 1), g.Slice(xs[0], 0, 3, 6, 1)))
		}, 2},
		{"Where", g.OpWhere, []input{{[]int{6}, truth}, n(6), n(6)}, func(xs []*g.Node) *g.Node {
			return g.Where(xs[0], g.Tanh(xs[1]), g.Exp(xs[2]))
		}, 3},
		{"Mul of one operand", g.OpMul, []input{n(4)}, func(xs []*g.Node) *g.Node {
			return g.Mul(xs[0], g.Mul(xs[0], xs[0]))
		}, 3},
	}
}

func layoutChecks() []check {
	return []check{
		bent("Reshape", g.OpReshape, n(2, 3, 2), func(x *g.Node) *g.Node { return g.Reshape(x, g.Dims(4, 3)) }),
		bent("Transpose", g.OpTranspose, n(2, 3, 4), func(x *g.Node) *g.Node { return g.Transpose(x, 2, 0, 1) }),
		bent("Broadcast scalar", g.OpBroadcast, n(), func(x *g.Node) *g.Node { return g.Broadcast(x, g.Dims(2, 3)) }),
		bent("Broadcast lead", g.OpBroadcast, n(3), func(x *g.Node) *g.Node { return g.Broadcast(x, g.Dims(2, 3)) }),
		bent("Broadcast ones", g.OpBroadcast, n(2, 1, 3, 1), func(x *g.Node) *g.Node { return g.Broadcast(x, g.Dims(2, 2, 2, 3, 2)) }),
		bent("Broadcast 1 to 1", g.OpBroadcast, n(1, 2), func(x *g.Node) *g.Node { return g.Broadcast(x, g.Dims(1, 1, 2)) }),
		bent("BroadcastAlong", 0, n(3), func(x *g.Node) *g.Node { return g.BroadcastAlong(x, g.Dims(2, 3, 2, 2), 1) }),
		bent("Slice", g.OpSlice, n(3, 7), func(x *g.Node) *g.Node { return g.Slice(x, 1, 1, 6, 2) }),
		bent("Slice to the end", g.OpSlice, n(8), func(x *g.Node) *g.Node { return g.Slice(x, 0, 1, 8, 3) }),
		bent("Slice of nothing", g.OpSlice, n(3), func(x *g.Node) *g.Node {
			return g.Concat(0, g.Slice(x, 0, 2, 2, 1), g.Slice(x, 0, 1, 2, 1))
		}),
		bent("Slice of two axes", g.OpSlice, n(4, 2, 5), func(x *g.Node) *g.Node {
			return g.SliceAxes(x, g.SliceAttr{Axes: []int{0, 2}, Starts: g.Dims(1, 0), Limits: g.Dims(4, 5), Steps: []int{2, 3}})
		}),
		bent("Pad", g.OpPad, n(2, 3), func(x *g.Node) *g.Node { return g.Pad(x, []int{0, 2}, []int{0, 1}, nil) }),
		bent("Pad between", g.OpPad, n(2, 3, 2), func(x *g.Node) *g.Node {
			return g.Pad(x, []int{1, 0, 0}, []int{0, 2, 0}, []int{2, 1, 0})
		}),
		{"Concat", g.OpConcat, []input{n(2, 1), n(2, 3), n(2, 2)}, func(xs []*g.Node) *g.Node {
			return g.Tanh(g.Concat(1, xs[0], xs[1], xs[2], xs[0]))
		}, 2},
		bent("Gather", g.OpGather, n(2, 3, 2), func(x *g.Node) *g.Node {
			return g.Gather(x, indices(x, []int64{2, 0, 0, 1}, 2, 2), 1)
		}),
		bent("Gather of one", g.OpGather, n(3, 2), func(x *g.Node) *g.Node { return g.Gather(x, indices(x, []int64{1}), 0) }),
		bent("GatherGrad", g.OpGatherGrad, n(2, 4), func(x *g.Node) *g.Node {
			return g.GatherGrad(x, indices(x, []int64{2, 0, 0, 2}, 4), 1, 3)
		}),
	}
}

func indices(x *g.Node, at []int64, shape ...int) *g.Node {
	return x.Graph().Constant(tensor.Of(at, shape...))
}

func reductionChecks() []check {
	return []check{
		bent("ReduceSum", g.OpReduceSum, n(2, 3), func(x *g.Node) *g.Node { return g.ReduceSum(x) }),
		bent("ReduceSum of some", g.OpReduceSum, n(2, 3, 2, 2), func(x *g.Node) *g.Node { return g.ReduceSum(x, 1, 3) }),
		bent("ReduceMean", 0, n(2, 3, 2), func(x *g.Node) *g.Node { return g.ReduceMean(x, 0, 2) }),
		bent("ReduceMax", g.OpReduceMax, input{[]int{2, 3}, distinct}, func(x *g.Node) *g.Node { return g.ReduceMax(g.Scale(x, 0.3)) }),
		bent("ReduceMax of some", g.OpReduceMax, input{[]int{2, 3, 2}, distinct},
			func(x *g.Node) *g.Node { return g.ReduceMax(g.Scale(x, 0.1), 0, 2) }),
		binary(g.OpMatMul, g.MatMul, n(2, 3), n(3, 2)),
		{"MatMul of batches", g.OpMatMul, []input{n(2, 1, 2, 3), n(2, 1, 3, 2)}, func(xs []*g.Node) *g.Node {
			return g.Tanh(g.MatMul(xs[0], xs[1]))
		}, 2},
		{"MatMul with itself", g.OpMatMul, []input{n(3, 3)}, func(xs []*g.Node) *g.Node {
			return g.MatMul(xs[0], g.SwapLast(xs[0]))
		}, 3},
	}
}

// geometries of convolution: x, w and the attributes.
func geometries() []struct {
	name string
	x, w []int
	attr g.ConvAttr
} {
	return []struct {
		name string
		x, w []int
		attr g.ConvAttr
	}{
		{"1-D", []int{2, 2, 5}, []int{2, 2, 3}, g.ConvAttr{
			Strides: []int{1}, Dilations: []int{1}, PadLo: []int{1}, PadHi: []int{1}, Groups: 1}},
		{"1-D strides that leave a rest", []int{1, 1, 8}, []int{2, 1, 2}, g.ConvAttr{
			Strides: []int{3}, Dilations: []int{2}, PadLo: []int{0}, PadHi: []int{1}, Groups: 1}},
		{"2-D 3x3", []int{1, 2, 3, 4}, []int{2, 2, 3, 3}, g.Conv2D(1, 1)},
		{"2-D 1x1", []int{2, 2, 2, 2}, []int{3, 2, 1, 1}, g.Conv2D(1, 0)},
		{"2-D everything", []int{1, 4, 5, 4}, []int{2, 2, 2, 3}, g.ConvAttr{
			Strides: []int{2, 1}, Dilations: []int{2, 1}, PadLo: []int{1, 0}, PadHi: []int{0, 2}, Groups: 2}},
		{"2-D depthwise", []int{1, 3, 3, 3}, []int{3, 1, 2, 2}, g.ConvAttr{
			Strides: []int{1, 2}, Dilations: []int{1, 1}, PadLo: []int{0, 1}, PadHi: []int{0, 1}, Groups: 3}},
		{"3-D", []int{1, 1, 3, 2, 3}, []int{2, 1, 2, 2, 2}, g.ConvAttr{
			Strides: []int{1, 1, 2}, Dilations: []int{1, 1, 1}, PadLo: []int{0, 1, 1}, PadHi: []int{1, 0, 0}, Groups: 1}},
	}
}

func convChecks() []check {
	var all []check
	for _, c := range geometries() {
		y := convShape(c.x, c.w, c.attr)
		all = append(all,
			check{"Conv " + c.name, g.OpConv, []input{n(c.x...), n(c.w...)},
				func(xs []*g.Node) *g.Node { return g.Conv(xs[0], xs[1], c.attr) }, 2},
			check{"ConvInputGrad " + c.name, g.OpConvInputGrad, []input{n(y...), n(c.w...)},
				func(xs []*g.Node) *g.Node { return g.ConvInputGrad(xs[0], xs[1], c.attr, c.x[2:]) }, 2},
			check{"ConvFilterGrad " + c.name, g.OpConvFilterGrad, []input{n(c.x...), n(y...)},
				func(xs []*g.Node) *g.Node { return g.ConvFilterGrad(xs[0], xs[1], c.attr, c.w[2:]) }, 2},
		)
	}
	strided := g.ConvAttr{Strides: []int{2}, Dilations: []int{1}, PadLo: []int{1}, PadHi: []int{0}, Groups: 1}
	return append(all, check{"Conv of order 3", g.OpConv, []input{n(1, 2, 4), n(2, 2, 3)},
		func(xs []*g.Node) *g.Node { return g.Tanh(g.Conv(xs[0], xs[1], strided)) }, 3})
}

func convShape(x, w []int, a g.ConvAttr) []int {
	f := g.New("shape")
	y := g.Conv(f.Input("x", tensor.Float64, g.Dims(x...)), f.Input("w", tensor.Float64, g.Dims(w...)), a)
	shape, _ := y.Shape().Static()
	return shape
}

func poolChecks() []check {
	var all []check
	for _, c := range []struct {
		name string
		x    []int
		attr g.PoolAttr
	}{
		{"2x2", []int{1, 2, 4, 4}, g.Pool2D(2, 2, 0)},
		{"overlapping and padded", []int{1, 1, 4, 5}, g.PoolAttr{
			Window: []int{3, 2}, Strides: []int{2, 1}, PadLo: []int{1, 0}, PadHi: []int{2, 1}}},
		{"1-D", []int{2, 1, 6}, g.PoolAttr{Window: []int{3}, Strides: []int{1}, PadLo: []int{2}, PadHi: []int{0}}},
		{"with gaps", []int{1, 1, 7}, g.PoolAttr{Window: []int{2}, Strides: []int{4}, PadLo: []int{0}, PadHi: []int{0}}},
		{"3-D", []int{1, 1, 2, 3, 2}, g.PoolAttr{
			Window: []int{2, 2, 2}, Strides: []int{1, 2, 1}, PadLo: []int{0, 1, 0}, PadHi: []int{0, 0, 0}}},
	} {
		x := input{c.x, distinct}
		y := n(poolShape(c.x, c.attr)...)
		squash := func(y *g.Node) *g.Node { return g.Tanh(g.Scale(y, 0.1)) }
		all = append(all,
			check{"MeanPool " + c.name, g.OpMeanPool, []input{n(c.x...)},
				func(xs []*g.Node) *g.Node { return g.Tanh(g.MeanPool(xs[0], c.attr)) }, 2},
			check{"MeanPoolGrad " + c.name, g.OpMeanPoolGrad, []input{y},
				func(xs []*g.Node) *g.Node { return g.Tanh(g.MeanPoolGrad(xs[0], c.attr, c.x[2:])) }, 2},
			check{"MaxPool " + c.name, g.OpMaxPool, []input{x},
				func(xs []*g.Node) *g.Node { return squash(g.MaxPool(xs[0], c.attr)) }, 2},
			check{"MaxPoolGrad " + c.name, g.OpMaxPoolGrad, []input{x, y},
				func(xs []*g.Node) *g.Node { return g.Tanh(g.MaxPoolGrad(xs[0], xs[1], c.attr)) }, 2},
			check{"MaxPoolTake " + c.name, g.OpMaxPoolTake, []input{x, n(c.x...)},
				func(xs []*g.Node) *g.Node { return g.Tanh(g.MaxPoolTake(xs[0], xs[1], c.attr)) }, 2},
		)
	}
	return all
}

func poolShape(x []int, a g.PoolAttr) []int {
	f := g.New("shape")
	shape, _ := g.MeanPool(f.Input("x", tensor.Float64, g.Dims(x...)), a).Shape().Static()
	return shape
}

// scanChecks are loops whose states are stacked and not, forwards and in
// reverse, with operands that every step sees.
func scanChecks() []check {
	loop := func(stacked, reverse bool) func(xs []*g.Node) *g.Node {
		return func(xs []*g.Node) *g.Node {
			body := g.New("body")
			a := body.Input("a", tensor.Float64, g.Dims(2))
			b := body.Input("b", tensor.Float64, nil)
			x := body.Input("x", tensor.Float64, g.Dims(2))
			w := body.Input("w", tensor.Float64, g.Dims(2, 2))
			row := g.Reshape(g.Mul(a, x), g.Dims(1, 2))
			next := g.Tanh(g.Add(g.Reshape(g.MatMul(row, w), g.Dims(2)), g.Broadcast(b, g.Dims(2))))
			body.Output("a", next)
			body.Output("b", g.Add(g.Scale(b, 0.5), g.ReduceSum(g.Mul(x, x))))
			if stacked {
				body.Output("all", next)
			}
			body.Output("y", g.Mul(next, g.Exp(g.Scale(x, 0.5))))
			out := g.ScanShared(body, xs[:2], xs[2:3], xs[3:], reverse)
			return g.Add(g.ReduceSum(out[len(out)-1], 0), g.Add(out[0], g.Broadcast(g.Tanh(out[1]), g.Dims(2))))
		}
	}
	operands := []input{n(2), n(), n(3, 2), n(2, 2)}
	return []check{
		{"Scan", g.OpScan, operands, loop(false, false), 2},
		{"Scan in reverse", g.OpProject, operands, loop(false, true), 2},
		{"Scan with stacked states", g.OpScan, operands, loop(true, false), 2},
		{"Scan with stacked states in reverse", g.OpScan, operands, loop(true, true), 3},
	}
}

func compositeChecks() []check {
	v := n(5)
	row := n(2, 4)
	return []check{
		composite("Softplus", g.Softplus, v, 3),
		composite("Swish", g.Swish, v, 3),
		composite("Gelu", g.Gelu, v, 3),
		composite("LogSumExp", g.LogSumExp, row, 3),
		composite("LogSoftmax", g.LogSoftmax, row, 3),
		{"Linear", 0, []input{n(2, 3), n(2, 3), n(2)}, func(xs []*g.Node) *g.Node { return g.Tanh(g.Linear(xs[0], xs[1], xs[2])) }, 2},
		{"Linear without bias", 0, []input{n(2, 3), n(2, 3)}, func(xs []*g.Node) *g.Node { return g.Linear(xs[0], xs[1], nil) }, 2},
		// A small energy network: its third derivatives are those of a
		// training step through the score.
		{"network", 0, []input{n(2, 1, 4, 4), n(2, 1, 3, 3), n(2), n(2, 2, 1, 1), n(1, 8)}, func(xs []*g.Node) *g.Node {
			x, w1, b1, w2, head := xs[0], xs[1], xs[2], xs[3], xs[4]
			h := g.Conv(x, w1, g.Conv2D(1, 1))
			h = g.Tanh(g.Add(h, g.BroadcastAlong(b1, h.Shape(), 1)))
			h = g.Add(h, g.Conv(g.Sigmoid(h), w2, g.Conv2D(1, 0)))
			h = g.Flatten(g.MeanPool(h, g.Pool2D(2, 2, 0)))
			return g.Add(g.Linear(h, head, nil), g.Linear(g.Mul(h, h), head, nil))
		}, 3},
	}
}

// TestDerivatives compares every operator and composite with finite
// differences at orders 1, 2 and, for some, 3.
func TestDerivatives(t *testing.T) {
	for i, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(i), 5))
			values := make([]*tensor.Tensor, len(c.inputs))
			for j, in := range c.inputs {
				values[j] = in.value(rng)
			}
			used := c.op == 0
			err := gradcheck.Check(func(f *g.Graph, xs ...*g.Node) *g.Node {
				y := c.build(xs)
				for _, node := range f.Nodes() {
					used = used || node.Op() == c.op
				}
				return y
			}, values, gradcheck.Options{Order: c.order, Seed: uint64(i)})
			if err != nil {
				t.Error(err)
			}
			if !used {
				t.Errorf("the check of %v does not use it", c.op)
			}
		})
	}
}

// withoutDerivative are the operators that nothing flows back through.
var withoutDerivative = []g.Op{
	g.OpInput, g.OpConstant, g.OpStopGradient, g.OpLess, g.OpEqual, g.OpTopK, g.OpNonZero, g.OpRange, g.OpIota,
}

// TestEveryOperator fails when an operator lacks its entry in a table: a
// name, an evaluation, a derivative, or the check of that derivative.
func TestEveryOperator(t *testing.T) {
	checked := make(map[g.Op]bool)
	for _, c := range checks() {
		checked[c.op] = true
	}
	for _, op := range g.Ops() {
		if op.String() == "" {
			t.Errorf("operator %d has no name", op)
		}
		if !interp.Has(op) {
			t.Errorf("operator %v has no evaluation in models/interp", op)
		}
		if !autodiff.Has(op) {
			t.Errorf("operator %v has no entry in models/autodiff", op)
		}
		if checked[op] == slices.Contains(withoutDerivative, op) {
			t.Errorf("operator %v: checked is %v, and that nothing flows back through it is %v", op, checked[op], !checked[op])
		}
	}
}
