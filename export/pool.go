package export

import (
	"math"
	"slices"

	"ebm/export/onnxpb"
	"ebm/models/graph"
	"ebm/models/tensor"
)

func poolAttrs(a graph.PoolAttr) []*onnxpb.AttributeProto {
	return []*onnxpb.AttributeProto{
		intsAttr("kernel_shape", a.Window...), intsAttr("strides", a.Strides...),
		intsAttr("pads", slices.Concat(a.PadLo, a.PadHi)...),
	}
}

func lowerMeanPool(l *lowering, n *graph.Node) string {
	return l.meanPool(l.value(n.Inputs()[0]), n.Attr().(graph.PoolAttr))
}

// meanPool emits an AveragePool. ONNX Runtime merges a Pad with the pool
// behind it, and then refuses paddings as large as the window; it leaves a Pad
// alone whose constant is not all zero bits, such as −0.
func (l *lowering) meanPool(value string, a graph.PoolAttr) string {
	if n := l.makerOf(value); n.GetOpType() == "Pad" && len(n.Input) == 2 {
		n.Input = append(n.Input, l.constant("", tensor.Of([]float32{float32(math.Copysign(0, -1))})))
	}
	return l.emit("AveragePool", []string{value}, append(poolAttrs(a), intAttr("count_include_pad", 1))...)
}

// makerOf returns the ONNX node that gives a value, nil for inputs and
// initialisers.
func (l *lowering) makerOf(value string) *onnxpb.NodeProto {
	for _, n := range slices.Backward(l.proto.Node) {
		if slices.Contains(n.Output, value) {
			return n
		}
	}
	return nil
}

// lowerMeanPoolGrad repeats every element over its window where windows tile
// the picture. With a stride of 1 it is a mean pool itself, padded to the
// other size. Otherwise it adds windows up by a ConvTranspose over pictures of
// one channel.
func lowerMeanPoolGrad(l *lowering, n *graph.Node) string {
	y, a := n.Inputs()[0], n.Attr().(graph.PoolAttr)
	mirror := graph.PoolAttr{Window: a.Window, Strides: a.Strides}
	volume, dense := area(a.Window), true
	for i, w := range a.Window {
		dense = dense && a.Strides[i] == 1
		mirror.PadLo = append(mirror.PadLo, w-1-a.PadLo[i])
		mirror.PadHi = append(mirror.PadHi, w-1-a.PadHi[i])
	}
	if dense {
		return l.meanPool(l.value(y), mirror)
	}
	if tiles(n) && n.DType() != tensor.Float64 {
		scales := []float32{1, 1}
		for _, w := range a.Window {
			scales = append(scales, float32(w))
		}
		mean := l.emit("Mul", []string{l.value(y), l.scalar(y, 1/float64(volume))})
		return l.emit("Resize", []string{mean, "", l.constant("", tensor.Of(scales, len(scales)))},
			stringAttr("mode", "nearest"), stringAttr("coordinate_transformation_mode", "asymmetric"), stringAttr("nearest_mode", "floor"))
	}
	planes := y.Shape()[0].Mul(y.Shape()[1])
	one := append(graph.Shape{planes, graph.Const(1)}, y.Shape()[2:]...)
	value := l.reshape(l.value(y), y.Shape(), one)
	rest, cut := leftover(a.Size, a.Strides, a.PadLo, a.PadHi, a.Window)
	value = l.emit("ConvTranspose", []string{value, l.constant("", filled(n.DType(), 1/float64(volume), append([]int{1, 1}, a.Window...)))},
		intsAttr("strides", a.Strides...), intsAttr("pads", slices.Concat(a.PadLo, a.PadHi)...), intsAttr("output_padding", rest...))
	value = l.slice(value, cut)
	return l.reshape(value, append(graph.Shape{planes, graph.Const(1)}, n.Shape()[2:]...), n.Shape())
}

// tiles reports whether the windows of a MeanPoolGrad cover each pixel once.
func tiles(n *graph.Node) bool {
	a := n.Attr().(graph.PoolAttr)
	for i, w := range a.Window {
		if _, whole := a.Size[i].DivExact(graph.Const(w)); a.Strides[i] != w || a.PadLo[i] != 0 || a.PadHi[i] != 0 || !whole {
			return false
		}
	}
	return true
}

func filled(dtype tensor.DType, v float64, shape []int) *tensor.Tensor {
	t := tensor.New(tensor.Float64, shape...)
	for i := range tensor.Data[float64](t) {
		tensor.Data[float64](t)[i] = v
	}
	switch dtype {
	case tensor.Float64:
		return t
	case tensor.Float16:
		return t.AsFloat16()
	}
	return t.AsFloat32()
}

func lowerMaxPool(l *lowering, n *graph.Node) string {
	return l.maxPool(n.Inputs()[0], n.Attr().(graph.PoolAttr))
}

// maxPool returns the name of the maxima of x.
func (l *lowering) maxPool(x *graph.Node, a graph.PoolAttr) string {
	return l.shared(extraKey{x, "max " + a.String()}, func() string {
		return l.emit("MaxPool", []string{l.value(x)}, poolAttrs(a)...)
	})
}

// maxPlaces returns the name of the maxima's places, counted in row-major
// order over all of x. They are an output of the same operator only where they
// are asked for: with them, ONNX Runtime leaves its blocked layout.
func (l *lowering) maxPlaces(x *graph.Node, a graph.PoolAttr) string {
	return l.shared(extraKey{x, "argmax " + a.String()}, func() string {
		maker := l.makerOf(l.maxPool(x, a))
		places := l.fresh("places")
		maker.Output = append(maker.Output, places)
		return places
	})
}

func lowerMaxPoolGrad(l *lowering, n *graph.Node) string {
	x, y, a := n.Inputs()[0], n.Inputs()[1], n.Attr().(graph.PoolAttr)
	flat := l.ints(-1)
	places := l.emit("Reshape", []string{l.maxPlaces(x, a), flat})
	size := l.emit("Shape", []string{l.value(x)})
	count := l.emit("ReduceProd", []string{size}, intAttr("keepdims", 1))
	zeros := l.emit("ConstantOfShape", []string{count}, tensorAttr("value", filled(n.DType(), 0, []int{1})))
	updates := l.emit("Reshape", []string{l.value(y), flat})
	sum := l.emit("ScatterElements", []string{zeros, places, updates}, intAttr("axis", 0), stringAttr("reduction", "add"))
	return l.emit("Reshape", []string{sum, size})
}

func lowerMaxPoolTake(l *lowering, n *graph.Node) string {
	x, t, a := n.Inputs()[0], n.Inputs()[1], n.Attr().(graph.PoolAttr)
	flat := l.ints(-1)
	where := l.maxPlaces(x, a)
	places := l.emit("Reshape", []string{where, flat})
	taken := l.emit("GatherElements", []string{l.emit("Reshape", []string{l.value(t), flat}), places}, intAttr("axis", 0))
	return l.emit("Reshape", []string{taken, l.emit("Shape", []string{where})})
}
