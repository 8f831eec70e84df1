package train

import (
	"fmt"
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// LossName names what a supervised training minimises.
type LossName string

// The losses, of an output y and a target t.
const (
	MSE          LossName = "mse"           // mean of (y − t)²
	Huber        LossName = "huber"         // d²/2 for d = |y − t| below δ, and δ·(d − δ/2) above
	BCE          LossName = "bce"           // −log σ(y) where t is 1, −log σ(−y) where it is 0
	CrossEntropy LossName = "cross-entropy" // −log softmax(y) of the class t
	OutputLoss   LossName = "output"        // the mean of y itself
)

// LossNames returns all losses.
func LossNames() []LossName { return []LossName{MSE, CrossEntropy, BCE, Huber, OutputLoss} }

// TargetInput is the input of a step that has the target: float32 of the output's
// shape, or for CrossEntropy int64 classes of its shape without the axis of
// classes.
const TargetInput = "target"

// Loss is what a supervised training minimises, as a mean over all that is in a
// batch.
type Loss struct {
	Name   LossName `toml:"name"`
	Output string   `toml:"output,omitempty"`     // of the graph, that the loss is of; "" for the first
	Delta  float64  `toml:"huber_delta,omitzero"` // Huber's δ, 0 for 1
	// For CrossEntropy: the axis of classes, 0 for the last one, or for pictures
	// [N C H W] and volumes the second; what of a target is spread over all classes;
	// classes that are left out; and the weight of each class, none for 1. A target
	// that is no class is left out.
	Axis      int       `toml:"class_axis,omitzero"`
	Smoothing float64   `toml:"label_smoothing,omitzero"`
	Ignore    []int     `toml:"ignore,omitempty"`
	Weights   []float32 `toml:"class_weights,omitempty"`
}

// Validate reports the first setting that cannot be.
func (l Loss) Validate() error {
	return firstOf(
		oneOf("loss.name", l.Name, LossNames()...), fromZero("loss.huber_delta", l.Delta), atLeast("loss.class_axis", l.Axis, 0),
		when(l.Smoothing >= 0 && l.Smoothing <= 1, "loss.label_smoothing", l.Smoothing, "a number from 0 to 1"),
		when(!slices.ContainsFunc(l.Weights, func(w float32) bool { return !(w >= 0) }), "loss.class_weights", l.Weights, "numbers from 0"),
		when(l.Name == CrossEntropy || l.Smoothing == 0 && len(l.Ignore) == 0 && l.Weights == nil && l.Axis == 0,
			"loss.name", l.Name, "cross-entropy for settings of classes"),
	)
}

// outcome is what a loss gives: sums over a batch, of shape [].
type outcome struct {
	loss, weight *graph.Node // whose quotient is the loss
	hits         *graph.Node // for CrossEntropy, the weight 1 of every target that has the largest output; else nil
	targets      *graph.Node // how many there are, hits counted by 1 each; else nil
}

// mean is the loss.
func (o outcome) mean() *graph.Node { return graph.Div(o.loss, o.weight) }

// of adds the loss of an output y. target adds its input.
func (l Loss) of(y *graph.Node, target func(tensor.DType, graph.Shape) *graph.Node) outcome {
	y = graph.Cast(y, tensor.Float32)
	if l.Name == CrossEntropy {
		return l.crossEntropy(y, target)
	}
	each := y
	if l.Name != OutputLoss {
		t := target(tensor.Float32, y.Shape())
		d := graph.Sub(y, t)
		switch l.Name {
		case MSE:
			each = graph.Mul(d, d)
		case BCE:
			each = graph.Sub(graph.Softplus(y), graph.Mul(y, t))
		case Huber:
			delta := l.Delta
			if delta == 0 {
				delta = 1
			}
			size := graph.Abs(d)
			small := graph.Scale(graph.Mul(d, d), 0.5)
			large := graph.Scale(graph.Shift(size, -delta/2), delta)
			each = graph.Where(graph.Less(size, graph.Like(size, delta)), small, large)
		}
	}
	return outcome{loss: graph.ReduceSum(each), weight: graph.ReduceSum(graph.Like(each, 1))}
}

// crossEntropy adds the loss of logits. The classes come last, as rows [M C].
func (l Loss) crossEntropy(y *graph.Node, target func(tensor.DType, graph.Shape) *graph.Node) outcome {
	g, shape := y.Graph(), y.Shape()
	axis := l.Axis
	if axis == 0 {
		if axis = y.Rank() - 1; y.Rank() > 3 {
			axis = 1
		}
	}
	if y.Rank() < 2 || axis >= y.Rank() {
		panic(&graph.Error{Op: y.Op(), Operands: []string{y.Type().String()},
			Want: fmt.Sprintf("want logits with an axis %d of classes", max(axis, 1))})
	}
	classes, ok := shape[axis].Constant()
	if !ok || l.Weights != nil && len(l.Weights) != classes {
		panic(&graph.Error{Op: y.Op(), Operands: []string{y.Type().String()},
			Want: fmt.Sprintf("want a fixed number of classes on axis %d, as many as class weights (%d)", axis, len(l.Weights))})
	}
	places := slices.Delete(slices.Clone(shape), axis, axis+1)
	rows := places.Volume()
	t := graph.Reshape(target(tensor.Int64, places), graph.Shape{rows})
	var perm []int
	for i := range shape {
		if i != axis {
			perm = append(perm, i)
		}
	}
	logits := graph.Reshape(graph.Transpose(y, append(perm, axis)...), graph.Shape{rows, graph.Const(classes)})

	number := func(v int64) *graph.Node { return graph.Broadcast(g.Constant(tensor.Of([]int64{v})), t.Shape()) }
	zero := graph.Like(t, 0)
	inside := graph.Where(graph.Less(t, zero), zero, graph.Where(graph.Less(t, number(int64(classes))), number(1), zero))
	for _, c := range l.Ignore {
		inside = graph.Where(graph.Equal(t, number(int64(c))), zero, inside)
	}
	counts := graph.Equal(inside, number(1))
	safe := graph.Where(counts, t, zero)
	at := graph.Add(graph.Mul(graph.Iota(g.Scalar(tensor.Int64, 0), rows), number(int64(classes))), safe)
	pick := func(v *graph.Node) *graph.Node {
		return graph.Gather(graph.Reshape(v, graph.Shape{rows.Mul(graph.Const(classes))}), at, 0)
	}
	logs := graph.LogSoftmax(logits)
	picked := pick(logs)
	none, one := graph.Like(picked, 0), graph.Like(picked, 1)
	weight, smooth := one, logs
	if l.Weights != nil {
		w := g.Constant(tensor.Of(slices.Clone(l.Weights), classes))
		weight, smooth = graph.Gather(w, safe, 0), graph.Mul(logs, graph.BroadcastAlong(w, logs.Shape(), 1))
	}
	each := graph.Mul(weight, picked)
	if l.Smoothing > 0 {
		each = graph.Add(graph.Scale(each, 1-l.Smoothing), graph.Scale(graph.ReduceSum(smooth, 1), l.Smoothing/float64(classes)))
	}
	top := graph.Less(graph.Sub(graph.ReduceMax(logits, 1), pick(logits)), graph.Like(picked, 1e-30))
	count := graph.Where(counts, one, none)
	return outcome{
		loss:   graph.Neg(graph.ReduceSum(graph.Where(counts, each, none))),
		weight: graph.ReduceSum(graph.Where(counts, weight, none)),
		hits:   graph.ReduceSum(graph.Where(top, count, none)), targets: graph.ReduceSum(count),
	}
}
