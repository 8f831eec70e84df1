package graph_test

import (
	"errors"
	"testing"

	g "ebm/models/graph"
	"ebm/models/tensor"
)

const (
	float  = tensor.Float32
	double = tensor.Float64
	whole  = tensor.Int64
	truth  = tensor.Bool
)

// operands are inputs to try operators on.
type operands struct {
	f *g.Graph
	n int
}

func (o *operands) of(dtype tensor.DType, shape g.Shape) *g.Node {
	o.n++
	return o.f.Input(string(rune('a'+o.n-1)), dtype, shape)
}

func (o *operands) float(n ...int) *g.Node { return o.of(float, g.Dims(n...)) }
func (o *operands) batch(n ...int) *g.Node { return o.of(float, g.Batch(n...)) }

var (
	conv   = g.Conv2D(2, 1)
	groups = g.ConvAttr{Strides: []int{1}, Dilations: []int{2}, PadLo: []int{0}, PadHi: []int{1}, Groups: 2}
	pool   = g.PoolAttr{Window: []int{3}, Strides: []int{2}, PadLo: []int{1}, PadHi: []int{0}}
)

// TestInference builds every operator rightly and wrongly: want is the type
// of the result, or the text of the error.
func TestInference(t *testing.T) {
	for _, test := range []struct {
		name  string
		build func(o *operands) *g.Node
		want  string
	}{
		{"Exp", func(o *operands) *g.Node { return g.Exp(o.batch(2)) }, "float32[N 2]"},
		{"Exp of integers", func(o *operands) *g.Node { return g.Exp(o.of(whole, nil)) },
			"graph: Exp(int64[]), want a floating-point operand"},
		{"Cast", func(o *operands) *g.Node { return g.Cast(o.batch(2), whole) }, "int64[N 2]"},
		{"Cast to nothing", func(o *operands) *g.Node { return g.Cast(o.float(), tensor.Invalid) },
			"graph: Cast(float32[]) to=invalid, want an element type"},
		{"StopGradient", func(o *operands) *g.Node { return g.StopGradient(o.of(truth, nil)) }, "bool[]"},
		{"Add", func(o *operands) *g.Node { return g.Add(o.of(whole, g.Dims(2)), o.of(whole, g.Dims(2))) }, "int64[2]"},
		{"Add of two types", func(o *operands) *g.Node { return g.Add(o.float(2), o.of(double, g.Dims(2))) },
			"graph: Add(float32[2], float64[2]), want operands of one type and shape"},
		{"Mul without broadcast", func(o *operands) *g.Node { return g.Mul(o.batch(3), o.float(3)) },
			"graph: Mul(float32[N 3], float32[3]), want operands of one type and shape"},
		{"Maximum of bool", func(o *operands) *g.Node { return g.Maximum(o.of(truth, nil), o.of(truth, nil)) },
			"graph: Maximum(bool[], bool[]), want numbers"},
		{"Less", func(o *operands) *g.Node { return g.Less(o.batch(), o.batch()) }, "bool[N]"},
		{"Where", func(o *operands) *g.Node { return g.Where(o.of(truth, g.Dims(2)), o.float(2), o.float(2)) }, "float32[2]"},
		{"Where of numbers", func(o *operands) *g.Node { return g.Where(o.float(2), o.float(2), o.float(2)) },
			"graph: Where(float32[2], float32[2], float32[2]), want a bool and two operands of one type, all of one shape"},

		{"Reshape", func(o *operands) *g.Node { return g.Reshape(o.batch(6), g.Batch(2, 3)) }, "float32[N 2 3]"},
		{"Reshape of another volume", func(o *operands) *g.Node { return g.Reshape(o.batch(6), g.Batch(2, 2)) },
			"graph: Reshape(float32[N 6]) to=[N 2 2], want a shape of 6·N elements"},
		{"Reshape to negative", func(o *operands) *g.Node { return g.Reshape(o.float(6), g.Dims(-2, -3)) },
			"graph: Reshape(float32[6]) to=[-2 -3], want dimensions of 0 or more, not [-2 -3]"},
		{"Flatten", func(o *operands) *g.Node { return g.Flatten(o.batch(2, 3)) }, "float32[N 6]"},
		{"Flatten of a scalar", func(o *operands) *g.Node { return g.Flatten(o.float()) },
			"graph: Reshape(float32[]), want a first dimension to keep"},
		{"ExpandDims too far", func(o *operands) *g.Node { return g.ExpandDims(o.float(2), 2, 4) },
			"graph: Reshape(float32[2]) axes=[2 4], want axes within the result"},
		{"Transpose", func(o *operands) *g.Node { return g.Transpose(o.batch(2, 3), 2, 0, 1) }, "float32[3 N 2]"},
		{"Transpose of too few", func(o *operands) *g.Node { return g.Transpose(o.batch(2, 3), 1, 0) },
			"graph: Transpose(float32[N 2 3]) axes=[1 0], want a permutation of 3 axes"},
		{"Transpose twice", func(o *operands) *g.Node { return g.Transpose(o.batch(2), 1, 1) },
			"graph: Transpose(float32[N 2]) axes=[1 1], want a permutation of the operand's axes"},
		{"SwapLast of a vector", func(o *operands) *g.Node { return g.SwapLast(o.float(2)) },
			"graph: Transpose(float32[2]), want two or more axes"},
		{"Broadcast", func(o *operands) *g.Node { return g.Broadcast(o.float(1, 3), g.Batch(2, 3)) }, "float32[N 2 3]"},
		{"Broadcast to fewer", func(o *operands) *g.Node { return g.Broadcast(o.float(1, 3), g.Dims(3)) },
			"graph: Broadcast(float32[1 3]) to=[3], want a shape of at least 2 dimensions"},
		{"Broadcast of 2", func(o *operands) *g.Node { return g.Broadcast(o.float(2), g.Batch()) },
			"graph: Broadcast(float32[2]) to=[N]: dimension 2 cannot repeat to N"},
		{"BroadcastAlong", func(o *operands) *g.Node { return g.BroadcastAlong(o.float(3), g.Batch(3, 2), 1) }, "float32[N 3 2]"},
		{"BroadcastAlong too far", func(o *operands) *g.Node { return g.BroadcastAlong(o.float(3), g.Batch(3), 2) },
			"graph: Broadcast(float32[3]) axes=[2], want axes of [N 3]"},
		{"BroadcastAlong too many", func(o *operands) *g.Node { return g.BroadcastAlong(o.float(3), g.Batch(3), 0, 1) },
			"graph: Broadcast(float32[3]) axes=[0 1], want one axis for each of the operand's"},
		{"Slice", func(o *operands) *g.Node { return g.Slice(o.batch(7), 1, 1, 6, 2) }, "float32[N 3]"},
		{"Slice to nothing", func(o *operands) *g.Node { return g.Slice(o.batch(7), 1, 7, 7, 1) }, "float32[N 0]"},
		{"Slice too far", func(o *operands) *g.Node { return g.Slice(o.batch(7), 1, 1, 8, 2) },
			"graph: Slice(float32[N 7]) axes=[1] starts=[1] limits=[8] steps=[2], want 0 ≤ start ≤ limit ≤ 7 and step ≥ 1 along axis 1"},
		{"Slice of the batch", func(o *operands) *g.Node { return g.Slice(o.batch(7), 0, 0, 1, 1) },
			"float32[1 7]"},
		{"Slice of no axis", func(o *operands) *g.Node { return g.Slice(o.float(7), 1, 0, 1, 1) },
			"graph: Slice(float32[7]) axes=[1] starts=[0] limits=[1] steps=[1], want increasing axes below 1"},
		{"Slice with a list missing", func(o *operands) *g.Node { return g.SliceAxes(o.float(7), g.SliceAttr{Axes: []int{0}}) },
			"graph: Slice(float32[7]) axes=[0] starts=[] limits=[] steps=[], want one start, limit and step for each axis"},
		{"Pad", func(o *operands) *g.Node { return g.Pad(o.batch(3), []int{0, 1}, []int{0, 2}, []int{0, 3}) }, "float32[N 12]"},
		{"Pad of the batch", func(o *operands) *g.Node { return g.Pad(o.batch(3), []int{1, 1}, []int{0, 2}, nil) },
			"float32[N+1 6]"},
		{"Pad of one axis", func(o *operands) *g.Node { return g.Pad(o.float(2, 3), []int{0}, []int{0}, nil) },
			"graph: Pad(float32[2 3]) lo=[0] hi=[0] between=[0], want 2 values of each kind"},
		{"Concat", func(o *operands) *g.Node { return g.Concat(1, o.batch(3), o.batch(1)) }, "float32[N 4]"},
		{"Concat of batches", func(o *operands) *g.Node { return g.Concat(0, o.batch(3), o.batch(3)) },
			"float32[2·N 3]"},
		{"Concat of other sizes", func(o *operands) *g.Node { return g.Concat(1, o.float(2, 3), o.float(1, 3)) },
			"graph: Concat(float32[2 3], float32[1 3]) axes=[1], want operands that differ along axis 1 only"},
		{"Concat of two types", func(o *operands) *g.Node { return g.Concat(0, o.float(2), o.of(whole, g.Dims(2))) },
			"graph: Concat(float32[2], int64[2]) axes=[0], want operands of one type and rank"},
		{"Concat of nothing", func(o *operands) *g.Node { return g.Concat(0) }, "graph: Concat() axes=[0], want operands"},

		{"ReduceSum", func(o *operands) *g.Node { return g.ReduceSum(o.batch(2, 3), 2, 0) }, "float32[2]"},
		{"ReduceSum of all", func(o *operands) *g.Node { return g.ReduceSum(o.batch(2, 3)) }, "float32[]"},
		{"ReduceSum of bool", func(o *operands) *g.Node { return g.ReduceSum(o.of(truth, g.Dims(2))) },
			"graph: ReduceSum(bool[2]) axes=[0], want numbers"},
		{"ReduceMax twice", func(o *operands) *g.Node { return g.ReduceMax(o.batch(2, 3), 1, 1) },
			"graph: ReduceMax(float32[N 2 3]) axes=[1 1], want increasing axes below 3"},
		{"ReduceMean of the batch", func(o *operands) *g.Node { return g.ReduceMean(o.batch(2), 0) },
			"graph: ReduceSum(float32[N 2]) axes=[0], want constant dimensions for a mean"},
		{"LogSumExp of a scalar", func(o *operands) *g.Node { return g.LogSumExp(o.float()) },
			"graph: ReduceMax(float32[]) axes=[-1], want increasing axes below 0"},
		{"MatMul", func(o *operands) *g.Node { return g.MatMul(o.batch(2, 3), o.batch(3, 4)) }, "float32[N 2 4]"},
		{"MatMul that does not fit", func(o *operands) *g.Node { return g.MatMul(o.float(2, 3), o.float(2, 3)) },
			"graph: MatMul(float32[2 3], float32[2 3]), want [… m k] and [… k n] of one type with the same leading dimensions"},
		{"MatMul of bool", func(o *operands) *g.Node { return g.MatMul(o.of(truth, g.Dims(1, 1)), o.of(truth, g.Dims(1, 1))) },
			"graph: MatMul(bool[1 1], bool[1 1]), want numbers"},
		{"Linear", func(o *operands) *g.Node { return g.Linear(o.batch(3), o.float(2, 3), o.float(2)) }, "float32[N 2]"},

		{"Conv", func(o *operands) *g.Node { return g.Conv(o.batch(3, 8, 7), o.float(5, 3, 3, 3), conv) }, "float32[N 5 4 4]"},
		{"Conv in groups", func(o *operands) *g.Node { return g.Conv(o.batch(4, 6), o.float(6, 2, 3), groups) }, "float32[N 6 3]"},
		{"Conv of other channels", func(o *operands) *g.Node { return g.Conv(o.batch(4, 8, 7), o.float(5, 3, 3, 3), conv) },
			"graph: Conv(float32[N 4 8 7], float32[5 3 3 3]) strides=[2 2] dilations=[1 1] lo=[1 1] hi=[1 1] groups=1, want channels that fit: x " +
				"[N 4 …], w [5 3 …], y [N 5 …] in 1 groups"},
		{"Conv of other axes", func(o *operands) *g.Node { return g.Conv(o.batch(3, 8), o.float(5, 3, 3), conv) },
			"graph: Conv(float32[N 3 8], float32[5 3 3]) strides=[2 2] dilations=[1 1] lo=[1 1] hi=[1 1] groups=1, want attributes for 1 spatial " +
				"axes"},
		{"Conv of a matrix", func(o *operands) *g.Node { return g.Conv(o.batch(3), o.float(5, 3), conv) },
			"graph: Conv(float32[N 3], float32[5 3]) strides=[2 2] dilations=[1 1] lo=[1 1] hi=[1 1] groups=1, want x [N C …] and w [O C …] with " +
				"the same number of spatial axes"},
		{"Conv that does not fit", func(o *operands) *g.Node { return g.Conv(o.batch(4, 3), o.float(6, 2, 3), groups) },
			"graph: Conv(float32[N 4 3], float32[6 2 3]) strides=[1] dilations=[2] lo=[0] hi=[1] groups=2: a window of 3 with dilation 2 does " +
				"not fit 3 with padding 0+1"},
		{"Conv of symbolic size", func(o *operands) *g.Node {
			return g.Conv(o.of(float, g.Shape{g.Const(1), g.Const(4), g.Sym("L")}), o.float(6, 2, 3), groups)
		}, "float32[1 6 L-3]"},
		{"Conv without stride", func(o *operands) *g.Node { return g.Conv(o.batch(3, 8, 8), o.float(5, 3, 3, 3), g.Conv2D(0, 1)) },
			"graph: Conv(float32[N 3 8 8], float32[5 3 3 3]) strides=[0 0] dilations=[1 1] lo=[1 1] hi=[1 1] groups=1, want sizes, strides, " +
				"dilations and windows of at least 1 and paddings of at least 0"},
		{"Conv of two types", func(o *operands) *g.Node {
			return g.Conv(o.float(1, 3, 8, 8), o.of(double, g.Dims(5, 3, 3, 3)), conv)
		}, "graph: Conv(float32[1 3 8 8], float64[5 3 3 3]) strides=[2 2] dilations=[1 1] lo=[1 1] hi=[1 1] groups=1, want operands of one " +
			"floating-point type with the same number of spatial axes"},
		{"ConvInputGrad", func(o *operands) *g.Node {
			return g.ConvInputGrad(o.batch(5, 4, 4), o.float(5, 3, 3, 3), conv, []int{8, 7})
		},
			"float32[N 3 8 7]"},
		{"ConvInputGrad of another size", func(o *operands) *g.Node {
			return g.ConvInputGrad(o.batch(5, 4, 4), o.float(5, 3, 3, 3), conv, []int{9, 7})
		}, "graph: ConvInputGrad(float32[N 5 4 4], float32[5 3 3 3]) strides=[2 2] dilations=[1 1] lo=[1 1] hi=[1 1] groups=1 size=[9 7], " +
			"want an output of spatial size [5 4], not [4 4]"},
		{"ConvInputGrad of a negative size", func(o *operands) *g.Node {
			return g.ConvInputGrad(o.batch(5, 1, 1), o.float(5, 3, 1, 1), g.Conv2D(1, 1), []int{-1, -1})
		}, "graph: ConvInputGrad(float32[N 5 1 1], float32[5 3 1 1]) strides=[1 1] dilations=[1 1] lo=[1 1] hi=[1 1] groups=1 size=[-1 -1], " +
			"want sizes, strides, dilations and windows of at least 1 and paddings of at least 0"},
		{"ConvFilterGrad", func(o *operands) *g.Node { return g.ConvFilterGrad(o.batch(4, 6), o.batch(6, 3), groups, []int{3}) },
			"float32[6 2 3]"},
		{"ConvFilterGrad in odd groups", func(o *operands) *g.Node { return g.ConvFilterGrad(o.batch(5, 6), o.batch(6, 3), groups, []int{3}) },
			"graph: ConvFilterGrad(float32[N 5 6], float32[N 6 3]) strides=[1] dilations=[2] lo=[0] hi=[1] groups=2 size=[3], want channels that " +
				"2 groups divide"},
		{"ConvFilterGrad of two batches", func(o *operands) *g.Node {
			return g.ConvFilterGrad(o.float(2, 4, 6),
				o.batch(6, 3), groups, []int{3})
		},
			"graph: ConvFilterGrad(float32[2 4 6], float32[N 6 3]) strides=[1] dilations=[2] lo=[0] hi=[1] groups=2 size=[3], want channels that " +
				"fit: x [N 4 …], w [6 2 …], y [N 6 …] in 2 groups"},

		{"MeanPool", func(o *operands) *g.Node { return g.MeanPool(o.batch(4, 8, 8), g.Pool2D(2, 2, 0)) }, "float32[N 4 4 4]"},
		{"MaxPool", func(o *operands) *g.Node { return g.MaxPool(o.batch(4, 8), pool) }, "float32[N 4 4]"},
		{"MaxPool of padding", func(o *operands) *g.Node { return g.MaxPool(o.batch(4, 8, 8), g.Pool2D(2, 2, 2)) },
			"graph: MaxPool(float32[N 4 8 8]) window=[2 2] strides=[2 2] lo=[2 2] hi=[2 2], want paddings smaller than the window"},
		{"MaxPool of a matrix", func(o *operands) *g.Node { return g.MaxPool(o.batch(4), pool) },
			"graph: MaxPool(float32[N 4]) window=[3] strides=[2] lo=[1] hi=[0], want a value [N C …] with spatial axes"},
		{"MeanPoolGrad", func(o *operands) *g.Node { return g.MeanPoolGrad(o.batch(4, 4), pool, []int{9}) }, "float32[N 4 9]"},
		{"MeanPoolGrad of another size", func(o *operands) *g.Node { return g.MeanPoolGrad(o.batch(4, 4), pool, []int{10}) },
			"graph: MeanPoolGrad(float32[N 4 4]) window=[3] strides=[2] lo=[1] hi=[0] size=[10], want a value [N C …] of the pooled size"},
		{"MeanPoolGrad of integers", func(o *operands) *g.Node { return g.MeanPoolGrad(o.of(whole, g.Dims(1, 4, 4)), pool, []int{9}) },
			"graph: MeanPoolGrad(int64[1 4 4]) window=[3] strides=[2] lo=[1] hi=[0] size=[9], want a floating-point operand"},
		{"MaxPoolGrad", func(o *operands) *g.Node { return g.MaxPoolGrad(o.batch(4, 8), o.batch(4, 4), pool) }, "float32[N 4 8]"},
		{"MaxPoolGrad of another size", func(o *operands) *g.Node { return g.MaxPoolGrad(o.batch(4, 8), o.batch(4, 8), pool) },
			"graph: MaxPoolGrad(float32[N 4 8], float32[N 4 8]) window=[3] strides=[2] lo=[1] hi=[0], want a second operand float32[N 4 4]"},
		{"MaxPoolTake", func(o *operands) *g.Node { return g.MaxPoolTake(o.batch(4, 8), o.batch(4, 8), pool) }, "float32[N 4 4]"},
		{"MaxPoolTake of another size", func(o *operands) *g.Node { return g.MaxPoolTake(o.batch(4, 8), o.batch(4, 4), pool) },
			"graph: MaxPoolTake(float32[N 4 8], float32[N 4 4]) window=[3] strides=[2] lo=[1] hi=[0], want operands of one type and shape"},
		{"Spatial", func(o *operands) *g.Node { g.Spatial(o.batch(4)); return nil },
			"graph: Input(float32[N 4]) a, want a value [N C …] with spatial axes"},

		{"Input twice", func(o *operands) *g.Node { o.f.Input("x", float, nil); return o.f.Input("x", float, nil) },
			"graph: Input() x: an input of this name exists"},
		{"Input of negative size", func(o *operands) *g.Node { return o.float(-1) },
			"graph: Input() a, want dimensions of 0 or more, not [-1]"},
		{"Output twice", func(o *operands) *g.Node { x := o.float(); o.f.Output("y", x); o.f.Output("y", x); return x },
			`graph: Input(float32[]): output "y" exists`},
		{"Scalar of bool", func(o *operands) *g.Node { return o.f.Scalar(truth, 1) },
			"graph: Constant(): scalars are float32, float64 or int64, not bool"},
		{"two graphs", func(o *operands) *g.Node { return g.Add(o.float(), g.New("other").Input("x", float, nil)) },
			`graph: Add(float32[]), want operands of one graph, this one is of graph "other", not "test"`},
		{"nil", func(o *operands) *g.Node { return g.Add(o.float(), nil) }, "graph: Add(): an operand is nil"},
		{"nil first", func(o *operands) *g.Node { return g.Exp(nil) }, "graph: Exp(), want operands"},
		{"too many operands", func(o *operands) *g.Node { return g.Apply(g.OpExp, nil, o.float(), o.float()) },
			"graph: Exp(float32[], float32[]), want 1 operands"},
		{"Input of operands", func(o *operands) *g.Node { return g.Apply(g.OpInput, nil, o.float()) },
			"graph: Input(float32[]), want an operator that takes operands"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := &operands{f: g.New("test")}
			var node *g.Node
			err := g.Catch(func() { node = test.build(o) })
			got := ""
			if err != nil {
				got = err.Error()
				var typed *g.Error
				if !errors.As(err, &typed) {
					t.Errorf("the error is a %T", err)
				}
			} else if node != nil {
				got = node.Type().String()
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if err := o.f.Verify(); err != nil {
				t.Errorf("the graph after it: %v", err)
			}
		})
	}
}

func TestCatchPassesOtherPanics(t *testing.T) {
	if err := g.Catch(func() {}); err != nil {
		t.Errorf("error %v of nothing", err)
	}
	defer func() {
		if r := recover(); r != "other" {
			t.Errorf("recovered %v", r)
		}
	}()
	_ = g.Catch(func() { panic("other") })
	t.Error("another panic was caught")
}
