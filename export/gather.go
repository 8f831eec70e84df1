package export

import (
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

func lowerGather(l *lowering, n *graph.Node) string {
	return l.emit("Gather", l.values(n.Inputs()), intAttr("axis", n.Attr().(graph.GatherAttr).Axis))
}

// lowerGatherGrad adds to zeros by ScatterElements, with the indices as one
// axis and repeated to the shape of what is added.
func lowerGatherGrad(l *lowering, n *graph.Node) string {
	y, indices, a := n.Inputs()[0], n.Inputs()[1], n.Attr().(graph.GatherAttr)
	count := indices.Shape().Volume()
	flat := slices.Concat(n.Shape()[:a.Axis], graph.Shape{count}, n.Shape()[a.Axis+1:])
	updates := l.reshape(l.value(y), y.Shape(), flat)

	beside := slices.Repeat(graph.Dims(1), len(flat))
	beside[a.Axis] = count
	places := l.reshape(l.value(indices), indices.Shape(), beside)
	places = l.emit("Expand", []string{places, l.shapeVector(flat)})

	zero := tensor.New(n.DType())
	zeros := l.emit("Expand", []string{l.constant("", zero), l.shapeVector(n.Shape())})
	return l.emit("ScatterElements", []string{zeros, places, updates}, intAttr("axis", a.Axis), stringAttr("reduction", "add"))
}

// lowerTopK leaves the values of TopK alone.
func lowerTopK(l *lowering, n *graph.Node) string {
	a := n.Attr().(graph.TopKAttr)
	largest := 1
	if a.Smallest {
		largest = 0
	}
	return l.emitN("TopK", 2, []string{l.value(n.Inputs()[0]), l.dimension(a.K)}, intAttr("axis", a.Axis), intAttr("largest", largest))[1]
}

func lowerNonZero(l *lowering, n *graph.Node) string {
	return l.emit("NonZero", l.values(n.Inputs()))
}

// lowerRange emits a Range, which is empty where its end is negative.
func lowerRange(l *lowering, n *graph.Node) string {
	zero, one := l.constant("", tensor.Of([]int64{0})), l.constant("", tensor.Of([]int64{1}))
	return l.emit("Range", []string{zero, l.value(n.Inputs()[0]), one})
}

// lowerIota emits a Range from the start to as many places behind it.
func lowerIota(l *lowering, n *graph.Node) string {
	start := l.value(n.Inputs()[0])
	count := l.reshape(l.dimension(n.Shape()[0]), graph.Dims(1), nil)
	return l.emit("Range", []string{start, l.emit("Add", []string{start, count}), l.constant("", tensor.Of([]int64{1}))})
}
