package onnximport

import (
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// readNegativeLogLikelihoodLoss reads −weight[t]·x[t] at the target classes t.
func readNegativeLogLikelihoodLoss(c *call) []*value {
	return one(c.likelihood(c.float(0)))
}

// readSoftmaxCrossEntropyLoss also returns the logarithms of the softmax.
func readSoftmaxCrossEntropyLoss(c *call) []*value {
	x := c.float(0)
	if x.Rank() < 2 {
		c.fail("%v, want scores [N C …]", x.Type())
	}
	logs := logSoftmaxOver(x, []int{1})
	return []*value{{node: c.likelihood(logs)}, {node: logs}}
}

// likelihood is the loss of logs [N C …] for targets [N …], operand 1, with
// weights [C], operand 2, if given.
func (c *call) likelihood(logs *graph.Node) *graph.Node {
	targets := c.x(1)
	want := slices.Clone(logs.Shape())
	if logs.Rank() < 2 || targets.DType().IsFloat() || !targets.Shape().Equal(slices.Delete(want, 1, 2)) {
		c.fail("targets %v for %v", targets.Type(), logs.Type())
	}
	targets = graph.Cast(targets, tensor.Int64)
	hot := graph.Equal(graph.Broadcast(graph.ExpandDims(targets, 1), logs.Shape()), places(c, logs, 1))
	zero := graph.Like(logs, 0)
	weight := graph.Like(logs, 1)
	if c.has(2) {
		weight = graph.BroadcastAlong(c.x(2), logs.Shape(), 1)
	}
	weight = graph.ReduceSum(graph.Where(hot, weight, zero), 1) // 0 for a class that is not there
	if ignored, ok := attribute[int64](c, "ignore_index"); ok {
		skip := graph.Equal(targets, constantLike(targets, float64(ignored)))
		weight = graph.Where(skip, graph.Like(weight, 0), weight)
	}
	loss := graph.Neg(graph.Mul(weight, graph.ReduceSum(graph.Where(hot, logs, zero), 1)))
	switch how := c.text("reduction", "mean"); how {
	case "none":
		return loss
	case "sum":
		return graph.ReduceSum(loss)
	case "mean":
		return graph.Div(graph.ReduceSum(loss), graph.ReduceSum(weight))
	default:
		c.fail("reduction %q is not known", how)
	}
	return nil
}
