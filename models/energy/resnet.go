package energy

import (
	"fmt"
	"strings"

	"ebm/models/graph"
)

// ResNet describes a residual energy network. The zero Head and Activation
// mean the paper's, Quadratic and ELU.
type ResNet struct {
	Net        string // res6, res12, res18 or res34
	Channels   int    // channels of the pictures
	Dim        int    // channels after the first convolution
	Size       int    // height and width of the pictures
	Head       Head
	Activation Activation
}

// A block is a residual block; a down block halves the picture and doubles
// the channels.
type block struct {
	name string
	down bool
}

// nets lists the networks' blocks in order, with the names that the paper's
// code gives them.
var nets = []struct{ name, blocks string }{
	{"res6", "rb1↓ rb2↓ rb3↓"},
	{"res12", "rb1↓ rbc1 rb2↓ rbc2 rb3↓ rbc3"},
	{"res18", "rb1↓ rbc1 rbc11 rb2↓ rbc2 rbc22 rb3↓ rbc3 rbc33"},
	{"res34", "rb1↓ rbc1 rbc11 rb2↓ rbc2 rbc22 rbc222 rb3↓ rbc3 rbc33 rbc333 rbc3333 rbc33333 rb4↓ rbc4 rbc44"},
}

// Nets returns the names of the residual networks.
func Nets() []string {
	names := make([]string, len(nets))
	for i, n := range nets {
		names[i] = n.name
	}
	return names
}

func blocksOf(net string) []block {
	for _, n := range nets {
		if n.name != net {
			continue
		}
		var blocks []block
		for _, word := range strings.Fields(n.blocks) {
			name, down := strings.CutSuffix(word, "↓")
			blocks = append(blocks, block{name, down})
		}
		return blocks
	}
	return nil
}

// Validate reports the first field that cannot be: an unknown network,
// head or activation, or a size that the network cannot halve often enough.
func (r ResNet) Validate() error {
	blocks := blocksOf(r.Net)
	if blocks == nil {
		return fmt.Errorf("unknown network %q, want one of %s", r.Net, strings.Join(Nets(), ", "))
	}
	if err := r.Plan().validate(); err != nil {
		return err
	}
	return halves(r)
}

// SizeMultiple returns the number of which Size must be a multiple, 2 to the
// power of the times that the network halves the picture.
func (r ResNet) SizeMultiple() int { return 1 << downs(blocksOf(r.Net)) }

// String describes the network in a few words, such as
// "res12 dim 64, 1×32×32, quadratic head, elu".
func (r ResNet) String() string {
	p := r.Plan()
	return fmt.Sprintf("%s dim %d, %d×%d×%d, %s head, %s", p.Net, p.Dim, p.Channels, p.Size, p.Size, p.Head, p.Activation)
}

// Plan returns the fields.
func (r ResNet) Plan() Plan {
	return Plan{Net: r.Net, Channels: r.Channels, Dim: r.Dim, Size: r.Size, Head: r.Head, Activation: r.Activation}.withDefaults()
}

func downs(blocks []block) int {
	n := 0
	for _, b := range blocks {
		if b.down {
			n++
		}
	}
	return n
}

// features returns the length of the flattened last block.
func (r ResNet) features() int {
	halvings := downs(blocksOf(r.Net))
	side := r.Size >> halvings
	return (r.Dim << halvings) * side * side
}

// InputShape returns [Channels Size Size].
func (r ResNet) InputShape() []int { return []int{r.Channels, r.Size, r.Size} }

// Parameters lists the parameters in the order of PyTorch's state_dict.
func (r ResNet) Parameters() []Parameter {
	var list []Parameter
	conv := func(name string, in, out, kernel int) {
		list = append(list, ConvolutionParameters(name, in, out, kernel)...)
	}
	conv("conv1.conv", r.Channels, r.Dim, 3)
	channels := r.Dim
	for _, b := range blocksOf(r.Net) {
		in, out := channels, channels
		if b.down {
			out = 2 * in
		}
		conv(b.name+".conv_shortcut.conv", in, out, 1)
		list = append(list, ConvolutionParameters(b.name+".conv_1.conv", in, in, 3)[0]) // no bias
		conv(b.name+".conv_2.conv", in, out, 3)
		channels = out
	}
	return append(list, headParameters(r.Plan().Head, r.features())...)
}

// Energy adds E(x) [N] for pictures x [N Channels Size Size].
func (r ResNet) Energy(x *graph.Node, params Params) *graph.Node {
	must(r, x)
	act := r.Plan().Activation.function()
	h := Convolve(x, params, "conv1.conv", 1)
	for _, b := range blocksOf(r.Net) {
		h = b.apply(h, params, act)
	}
	return ofFeatures(r.Plan().Head, h, params)
}

// apply adds the block to h [N C H W]: shortcut(h) + conv_2(act(conv_1(act(h)))).
// In a down block conv_2 is followed by a 2×2 mean pool, and the shortcut
// pools before it convolves. The bias of a pooled convolution is added after
// the pool, which is the same and costs a quarter.
func (b block) apply(h *graph.Node, params Params, act func(*graph.Node) *graph.Node) *graph.Node {
	inner := act(Convolve(act(h), params, b.name+".conv_1.conv", 1))
	if !b.down {
		return graph.Add(
			Convolve(h, params, b.name+".conv_shortcut.conv", 0),
			Convolve(inner, params, b.name+".conv_2.conv", 1))
	}
	half := graph.Pool2D(2, 2, 0)
	pooled := graph.MeanPool(graph.Conv(inner, params.Get(b.name+".conv_2.conv.weight"), graph.Conv2D(1, 1)), half)
	return graph.Add(
		Convolve(graph.MeanPool(h, half), params, b.name+".conv_shortcut.conv", 0),
		addBias(pooled, params.Get(b.name+".conv_2.conv.bias")))
}
