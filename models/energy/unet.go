package energy

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"ebm/models/graph"
)

// UNetName is the name of a UNet among Names.
const UNetName = "unet"

// UNet describes a U-Net-shaped energy network: level l has Multipliers[l]·Dim
// channels at 2⁻ˡ of the pictures' size; a path goes down to the lowest level,
// where each pixel attends to all others, and up again, with a connection from
// the way down at each level. It is no function of the noise level and drops
// nothing out. Zero fields but the first three mean the defaults below.
type UNet struct {
	Channels    int   // channels of the pictures
	Dim         int   // channels of level 0, for a first multiplier of 1
	Size        int   // height and width of the pictures
	Multipliers []int // channels of each level over Dim; 1, 2, 2 by default
	Blocks      int   // residual blocks of a level, on each way; 1 by default
	// Head is Quadratic by default. Residual has no parameters that depend on the
	// size: one network is an energy of pictures of any size.
	Head       Head
	Activation Activation
}

// Plan returns the fields, with the defaults.
func (u UNet) Plan() Plan {
	p := Plan{Net: UNetName, Channels: u.Channels, Dim: u.Dim, Size: u.Size, Head: u.Head, Activation: u.Activation}.withDefaults()
	if p.Multipliers = u.Multipliers; len(p.Multipliers) == 0 {
		p.Multipliers = []int{1, 2, 2}
	}
	p.Blocks = cmp.Or(u.Blocks, 1)
	return p
}

// mostLevels bounds the times that a picture can be halved.
const mostLevels = 16

// Validate reports the first field that cannot be.
func (u UNet) Validate() error {
	p := u.Plan()
	if n := len(p.Multipliers); n > mostLevels || slices.Min(p.Multipliers) < 1 {
		return fmt.Errorf("%s with multipliers %v, want 1 to %d positive numbers", p.Net, p.Multipliers, mostLevels)
	}
	if p.Blocks < 1 {
		return fmt.Errorf("%s with %d blocks a level, want a positive number", p.Net, p.Blocks)
	}
	if err := p.validate(); err != nil {
		return err
	}
	return halves(u)
}

// SizeMultiple returns 2 to the power of the times that the network halves the picture.
func (u UNet) SizeMultiple() int { return 1 << min(u.Plan().lowest(), mostLevels) }

// String describes the network in a few words, such as
// "unet dim 32, multipliers 1,2,2, 1×16×16, quadratic head, elu".
func (u UNet) String() string {
	p := u.Plan()
	size := "any size"
	if p.Size != 0 {
		size = fmt.Sprintf("%d×%d", p.Size, p.Size)
	}
	blocks := ""
	if p.Blocks > 1 {
		blocks = fmt.Sprintf(", %d blocks a level", p.Blocks)
	}
	multipliers := strings.Trim(strings.ReplaceAll(fmt.Sprint(p.Multipliers), " ", ","), "[]")
	return fmt.Sprintf("%s dim %d, multipliers %s%s, %d×%s, %s head, %s", p.Net, p.Dim, multipliers, blocks, p.Channels, size,
		p.Head, p.Activation)
}

// InputShape returns [Channels Size Size].
func (u UNet) InputShape() []int { return []int{u.Channels, u.Size, u.Size} }

// A unetBlock is a residual block of a UNet with the prefix of its parameters.
type unetBlock struct {
	name    string
	in, out int // channels
}

// blocks lists the blocks of a level on the way "down" or "up".
func (p Plan) blocks(way string, level int) []unetBlock {
	list := make([]unetBlock, p.Blocks)
	for i := range list {
		list[i] = unetBlock{fmt.Sprintf("%s.%d.%d", way, level, i), p.width(level), p.width(level)}
	}
	if way == "down" && level > 0 {
		list[0].in = p.width(level - 1)
	}
	return list
}

// width is the number of channels of a level.
func (p Plan) width(level int) int { return p.Multipliers[level] * p.Dim }

// Names of a UNet's parts.
func liftName(level int) string { return fmt.Sprintf("lift.%d", level) }
func skipName(level int) string { return fmt.Sprintf("skip.%d", level) }

const (
	attentionName = "mid.1"
	inName        = "conv_in"
	outName       = "conv_out"
)

// middle returns the blocks around the attention of the lowest level.
func (p Plan) middle() (before, after unetBlock) {
	c := p.width(p.lowest())
	return unetBlock{"mid.0", c, c}, unetBlock{"mid.2", c, c}
}

func (p Plan) lowest() int { return len(p.Multipliers) - 1 }

// Parameters lists the parameters in the order of PyTorch's state_dict
// (testdata/make_unet.py has the module).
func (u UNet) Parameters() []Parameter {
	p := u.Plan()
	list := ConvolutionParameters(inName, p.Channels, p.width(0), 3)
	add := func(blocks ...unetBlock) {
		for _, b := range blocks {
			list = append(list, b.parameters()...)
		}
	}
	for level := range p.Multipliers {
		add(p.blocks("down", level)...)
	}
	before, after := p.middle()
	add(before)
	list = append(list, attentionParameters(attentionName, before.out)...)
	add(after)
	for level := range p.lowest() {
		list = append(list, ConvolutionParameters(liftName(level), p.width(level+1), p.width(level), 1)...)
	}
	for level := range p.lowest() {
		list = append(list, ConvolutionParameters(skipName(level), p.width(level), p.width(level), 1)[0]) // lift has the bias
	}
	for level := range p.lowest() {
		add(p.blocks("up", level)...)
	}
	if p.Head == Residual {
		return append(list, ConvolutionParameters(outName, p.width(0), p.Channels, 3)...)
	}
	return append(list, headParameters(p.Head, p.width(0)*p.Size*p.Size)...)
}

// Energy adds E(x) [N] for pictures x [N Channels Size Size]: by a head of the
// last block h, or with the residual head
//
//	E(x) = ½‖x − f(x)‖²,  f(x) = conv_out(act(h)) [N Channels Size Size].
//
// What joins a level from below and from its way down is the 1×1 convolution of
// both, concatenated, as its two halves, of which the lower one is cheaper before
// its pixels are doubled: skip(s) + up(lift(h)). No normalisation stands between
// h and the energy, which can so grow far from the data.
func (u UNet) Energy(x *graph.Node, params Params) *graph.Node {
	must(u, x)
	p := u.Plan()
	act := p.Activation.function()
	run := func(h *graph.Node, blocks ...unetBlock) *graph.Node {
		for _, b := range blocks {
			h = b.apply(h, params, act)
		}
		return h
	}
	h := Convolve(x, params, inName, 1)
	skips := make([]*graph.Node, len(p.Multipliers))
	for level := range p.Multipliers {
		if level > 0 {
			h = graph.MeanPool(h, graph.Pool2D(2, 2, 0))
		}
		h = run(h, p.blocks("down", level)...)
		skips[level] = h
	}
	before, after := p.middle()
	h = run(attend(run(h, before), params, attentionName), after)
	for level := p.lowest() - 1; level >= 0; level-- {
		below := double(Convolve(h, params, liftName(level), 0))
		h = run(graph.Add(Convolve(skips[level], params, skipName(level), 0), below), p.blocks("up", level)...)
	}
	if p.Head != Residual {
		return ofFeatures(p.Head, h, params)
	}
	left := graph.Flatten(graph.Sub(x, Convolve(act(h), params, outName, 1)))
	return graph.Scale(graph.ReduceSum(graph.Mul(left, left), 1), 0.5)
}

// double repeats each pixel of h [N C H W] to a square of four, the adjoint of
// their sum.
func double(h *graph.Node) *graph.Node {
	s := h.Shape()
	two := graph.Const(2)
	return graph.MeanPoolGrad(graph.Scale(h, 4), graph.Pool2D(2, 2, 0), graph.Shape{s[2].Mul(two), s[3].Mul(two)})
}

func (b unetBlock) parameters() []Parameter {
	list := slices.Concat(
		groupNormParameters(b.name+".norm", b.in),
		ConvolutionParameters(b.name+".conv1", b.in, b.out, 3),
		ConvolutionParameters(b.name+".conv2", b.out, b.out, 3))
	if b.in != b.out {
		list = append(list, ConvolutionParameters(b.name+".shortcut", b.in, b.out, 1)...)
	}
	return list
}

// apply adds the block to h [N in H W]: shortcut(h) + conv2(act(conv1(act(norm(h))))).
func (b unetBlock) apply(h *graph.Node, params Params, act func(*graph.Node) *graph.Node) *graph.Node {
	inner := act(Convolve(act(groupNorm(h, params, b.name+".norm")), params, b.name+".conv1", 1))
	if b.in != b.out {
		h = Convolve(h, params, b.name+".shortcut", 0)
	}
	return graph.Add(h, Convolve(inner, params, b.name+".conv2", 1))
}

func attentionParameters(name string, channels int) []Parameter {
	return slices.Concat(
		groupNormParameters(name+".norm", channels),
		ConvolutionParameters(name+".qkv", channels, 3*channels, 1),
		ConvolutionParameters(name+".proj", channels, channels, 1))
}

// attend adds to h [N C H W] what its pixels see of each other by one head of
// scaled dot-product attention (Vaswani et al. 2017):
//
//	h + proj(V·softmax(QᵀK/√C)ᵀ),  Q, K, V [N C H·W] = qkv(norm(h)).
func attend(h *graph.Node, params Params, name string) *graph.Node {
	s := h.Shape()
	c, pixels := s[1], s[2:].Volume()
	all := Convolve(groupNorm(h, params, name+".norm"), params, name+".qkv", 0)
	part := func(i int) *graph.Node {
		cut := graph.Slice(all, 1, c.Mul(graph.Const(i)), c.Mul(graph.Const(i+1)), 1)
		return graph.Reshape(cut, graph.Shape{s[0], c, pixels})
	}
	channels, _ := c.Constant()
	q := graph.Scale(part(0), 1/math.Sqrt(float64(channels)))
	weights := graph.Exp(graph.LogSoftmax(graph.MatMul(graph.SwapLast(q), part(1)))) // [N H·W H·W]
	seen := graph.Reshape(graph.MatMul(part(2), graph.SwapLast(weights)), s)
	return graph.Add(h, Convolve(seen, params, name+".proj", 0))
}
