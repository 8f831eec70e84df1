package export

import (
	"ebm/export/onnxpb"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// ONNX Runtime's fast convolutions on the CPU work on pictures whose channels
// lie in blocks of b, as many as a vector register holds floats, and on weights
// laid out to match:
//
//	x [N C H W]     as [N C/b H W b]
//	w [Co Ci K L]   as [Co/b Ci/b K L b(i) b(o)]
//
// It goes over to that layout by itself only where weights are constants. With
// Options.Block the lowering does so everywhere, through the operators that
// ONNX Runtime keeps for it in a domain of its own. A value in blocks has the
// shape [N C H W]; only its elements lie in another order, so that element-wise
// operators take it as it is.

// blockedDomain is that of the operators on values in blocks.
const blockedDomain = "com.microsoft.nchwc"

// blocks lowers the nodes of a graph whose values are made in blocks. A nil
// one makes none.
type blocks struct {
	size  int
	plain *lowering // of the same graph, to values in ONNX's own layout
	// inside is plain with names for values in blocks.
	inside *lowering
	made   map[*graph.Node]bool // the answers of makes
	uses   map[*graph.Node]int  // how many nodes and outputs take a value
}

func newBlocks(l *lowering, size int) *blocks {
	b := &blocks{size: size, plain: l, made: make(map[*graph.Node]bool), uses: make(map[*graph.Node]int)}
	inside := *l
	inside.names, inside.extra = make(map[*graph.Node]string), make(map[extraKey]string)
	inside.blocks, inside.inBlocks = b, true
	b.inside = &inside
	for _, n := range l.graph.Nodes() {
		for _, in := range n.Inputs() {
			b.uses[in]++
		}
	}
	for _, out := range l.graph.Outputs() {
		b.uses[out.Node]++
	}
	return b
}

// channels returns the number of channels in a block, 0 without blocks.
func (b *blocks) channels() int {
	if b == nil {
		return 0
	}
	return b.size
}

// makes reports whether n's value is made in blocks.
func (b *blocks) makes(n *graph.Node) bool {
	if b == nil || !b.fits(n.Shape()) {
		return false
	}
	made, ok := b.made[n]
	if !ok {
		made = b.decide(n)
		b.made[n] = made
	}
	return made
}

// fits reports whether a shape is that of pictures whose channels fill blocks.
func (b *blocks) fits(s graph.Shape) bool {
	if len(s) != 4 {
		return false
	}
	size, static := s[1:].Static()
	return static && size[0]%b.size == 0
}

func (b *blocks) decide(n *graph.Node) bool {
	in := n.Inputs()
	switch n.Op() {
	case graph.OpConv:
		return b.convolves(n)
	case graph.OpConvInputGrad:
		return b.convolves(n) && phases(n) != nil
	case graph.OpMeanPool:
		return b.makes(in[0])
	case graph.OpMeanPoolGrad:
		return b.makes(in[0]) && tiles(n)
	case graph.OpAdd:
		if conv, _ := b.biased(n); conv != nil {
			return true
		}
	}
	if !isElementwise(n.Op()) {
		return false
	}
	// One operand in blocks is enough, if the others can be had so.
	one := false
	for _, x := range in {
		switch {
		case x.Op() == graph.OpBroadcast:
			if !sameInEveryPixel(x) {
				return false
			}
		case b.makes(x):
			one = true
		case x.DType() != tensor.Float32:
			return false // no operator reorders these
		}
	}
	return one
}

// isElementwise reports whether an operator computes each element from those
// in the same place.
func isElementwise(op graph.Op) bool {
	switch op {
	case graph.OpNeg, graph.OpExp, graph.OpLog, graph.OpSqrt, graph.OpAbs, graph.OpTanh, graph.OpSigmoid, graph.OpErf,
		graph.OpSin, graph.OpCos, graph.OpAtan, graph.OpFloor, graph.OpRound, graph.OpRelu, graph.OpElu, graph.OpEluSlope,
		graph.OpCast, graph.OpStopGradient, graph.OpAdd, graph.OpSub, graph.OpMul, graph.OpDiv, graph.OpPow,
		graph.OpMaximum, graph.OpMinimum, graph.OpLess, graph.OpEqual, graph.OpWhere:
		return true
	}
	return false
}

// sameInEveryPixel reports whether a Broadcast repeats one number for each
// picture, or one for all, which it does in any layout.
func sameInEveryPixel(n *graph.Node) bool {
	for n.Op() == graph.OpBroadcast {
		n = n.Inputs()[0]
	}
	s := n.Shape()
	if len(s) == 4 {
		s = s[1:]
	}
	for _, d := range s {
		if d != graph.Const(1) {
			return false
		}
	}
	return true
}

// outside returns the name of the value, made in blocks, in ONNX's layout.
func (b *blocks) outside(n *graph.Node) string {
	return b.reorderOutput(n, 0)
}

// channelsLast returns the name of the value, made in blocks, as [N H W C].
func (b *blocks) channelsLast(n *graph.Node) string {
	return b.reorderOutput(n, 1)
}

func (b *blocks) reorderOutput(n *graph.Node, last int) string {
	channels, _ := n.Shape()[1].Constant()
	return b.emit("ReorderOutput", []string{b.inside.value(n)}, intAttr("channels", channels), intAttr("channels_last", last))
}

// value returns the name of n's value in blocks. What no blocks fit, such as
// numbers that repeat, is as it is outside.
func (b *blocks) value(n *graph.Node) string {
	switch {
	case !b.fits(n.Shape()):
		return b.plain.value(n)
	case !b.makes(n):
		return b.emit("ReorderInput", []string{b.plain.value(n)})
	}
	switch n.Op() {
	case graph.OpConv, graph.OpConvInputGrad:
		return b.conv(n, nil, nil)
	case graph.OpMeanPool:
		return b.meanPool(b.inside.value(n.Inputs()[0]), n.Attr().(graph.PoolAttr))
	case graph.OpMeanPoolGrad:
		return b.meanPoolGrad(n)
	case graph.OpAdd:
		return b.add(n)
	}
	return b.plain.table[n.Op()](b.inside, n)
}

func (b *blocks) meanPool(value string, a graph.PoolAttr) string {
	return b.emit("AveragePool", []string{value}, append(poolAttrs(a), intAttr("count_include_pad", 1))...)
}

// meanPoolGrad repeats every element over its window.
func (b *blocks) meanPoolGrad(n *graph.Node) string {
	window := n.Attr().(graph.PoolAttr).Window
	y := n.Inputs()[0]
	mean := b.inside.emit("Mul", []string{b.inside.value(y), b.inside.scalar(y, 1/float64(area(window)))})
	return b.emit("Upsample", []string{mean}, intsAttr("scales", 1, 1, window[0], window[1]), stringAttr("mode", "nearest"))
}

// add lets a convolution add its bias, and the other operand, where it can.
func (b *blocks) add(n *graph.Node) string {
	if conv, bias := b.biased(n); conv != nil {
		return b.conv(conv, bias, nil)
	}
	for i, x := range n.Inputs() {
		other := n.Inputs()[1-i]
		if b.uses[x] > 1 || !b.makes(x) || other.Op() == graph.OpBroadcast {
			continue
		}
		if conv, bias := b.biased(x); conv != nil {
			return b.conv(conv, bias, other)
		}
		if b.accumulates(x) {
			return b.conv(x, nil, other)
		}
	}
	return b.plain.table[graph.OpAdd](b.inside, n)
}

// biased returns the convolution and the bias whose sum n is, if it is one and
// nothing else takes the convolution.
func (b *blocks) biased(n *graph.Node) (conv, bias *graph.Node) {
	if n.Op() != graph.OpAdd {
		return nil, nil
	}
	for i, x := range n.Inputs() {
		other := n.Inputs()[1-i]
		if b.uses[x] == 1 && b.makes(x) && b.accumulates(x) && other.Op() == graph.OpBroadcast && oneForEachChannel(other) {
			return x, other
		}
	}
	return nil, nil
}

// accumulates reports whether n is a convolution that can add to its result.
func (b *blocks) accumulates(n *graph.Node) bool {
	return n.Op() == graph.OpConv || n.Op() == graph.OpConvInputGrad && len(phases(n)) == 1
}

// oneForEachChannel reports whether a Broadcast repeats a number for each
// channel.
func oneForEachChannel(n *graph.Node) bool {
	channels := n.Shape()[1]
	for n.Op() == graph.OpBroadcast {
		n = n.Inputs()[0]
	}
	s := n.Shape()
	switch len(s) {
	case 4:
		if s[0] != graph.Const(1) {
			return false
		}
		s = s[1:]
	case 3:
	default:
		return false
	}
	return s[0] == channels && s[1] == graph.Const(1) && s[2] == graph.Const(1)
}

func (b *blocks) emit(op string, inputs []string, attrs ...*onnxpb.AttributeProto) string {
	return b.plain.emitIn(blockedDomain, op, 1, inputs, attrs...)[0]
}
