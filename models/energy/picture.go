package energy

import (
	"fmt"
	"math/bits"
	"slices"

	"ebm/models/graph"
)

// Picture is a network of pictures of one of the package's families, a [ResNet]
// or a [UNet].
type Picture interface {
	Network
	fmt.Stringer
	// Plan returns the network's fields.
	Plan() Plan
	// Validate reports the first field that cannot be.
	Validate() error
	// SizeMultiple returns the number of which the size of the pictures must be a
	// multiple.
	SizeMultiple() int
}

// Plan holds the fields of a network of any family, as flags, settings and files
// have them.
type Plan struct {
	Net        string // one of Names
	Channels   int    // channels of the pictures
	Dim        int    // channels after the first convolution
	Size       int    // height and width of the pictures
	Head       Head
	Activation Activation
	// Of UNetName alone.
	Multipliers []int
	Blocks      int
}

// Network returns the network of a plan, which may not be valid.
func (p Plan) Network() Picture {
	if p.Net == UNetName {
		return UNet{Channels: p.Channels, Dim: p.Dim, Size: p.Size, Multipliers: p.Multipliers, Blocks: p.Blocks,
			Head: p.Head, Activation: p.Activation}
	}
	return ResNet{Net: p.Net, Channels: p.Channels, Dim: p.Dim, Size: p.Size, Head: p.Head, Activation: p.Activation}
}

// Names returns the names of the networks of pictures, of every family.
func Names() []string { return append(Nets(), UNetName) }

// Head turns what a network makes of a picture into an energy.
type Head string

// The heads. Those of the last block, flattened, are of both families.
const (
	Quadratic Head = "quadratic" // the paper's, appendix D
	LinearSum Head = "linear"
	Residual  Head = "residual" // ½‖x − f(x)‖², of a UNet
)

// Heads returns the heads of the network called name.
func Heads(name string) []Head {
	if name == UNetName {
		return []Head{Quadratic, LinearSum, Residual}
	}
	return []Head{Quadratic, LinearSum}
}

// headParameters lists the parameters of a head of flattened features.
func headParameters(head Head, features int) []Parameter {
	list := LinearParameters("ln1", features, 1)
	if head == LinearSum {
		return list
	}
	return append(append(list, LinearParameters("ln2", features, 1)...), LinearParameters("lq", features, 1)...)
}

// ofFeatures adds the energy [N] of h [N …], which it flattens, by a head of features.
func ofFeatures(head Head, h *graph.Node, params Params) *graph.Node {
	h = graph.Flatten(h)
	e := Linear(h, params, "ln1")
	if head == Quadratic {
		e = graph.Add(graph.Mul(e, Linear(h, params, "ln2")), Linear(graph.Mul(h, h), params, "lq"))
	}
	return graph.Reshape(e, e.Shape()[:1])
}

// Activation names the function between the convolutions.
type Activation string

// The activations. The paper's networks use ELU.
const (
	ELU      Activation = "elu"
	ReLU     Activation = "relu"
	Softplus Activation = "softplus"
	Swish    Activation = "swish"
	Tanh     Activation = "tanh"
)

// activations is the list by name; the order is that of help texts.
var activations = []struct {
	name  Activation
	apply func(*graph.Node) *graph.Node
}{
	{ELU, graph.Elu}, {ReLU, graph.Relu}, {Softplus, graph.Softplus}, {Swish, graph.Swish}, {Tanh, graph.Tanh},
}

// Activations returns the names of the activations.
func Activations() []Activation {
	names := make([]Activation, len(activations))
	for i, a := range activations {
		names[i] = a.name
	}
	return names
}

// function adds the activation, nil for one that does not exist.
func (a Activation) function() func(*graph.Node) *graph.Node {
	for _, known := range activations {
		if known.name == a {
			return known.apply
		}
	}
	return nil
}

// validate reports the first field that cannot be in any family.
func (p Plan) validate() error {
	if p.Channels < 1 || p.Dim < 1 || p.Size < 1 {
		return fmt.Errorf("%s with %d channels, dim %d and size %d, want positive numbers", p.Net, p.Channels, p.Dim, p.Size)
	}
	if known := Heads(p.Net); !slices.Contains(known, p.Head) {
		return fmt.Errorf("unknown head %q of %s, want one of %v", p.Head, p.Net, known)
	}
	if p.Activation.function() == nil {
		return fmt.Errorf("unknown activation %q, want one of %v", p.Activation, Activations())
	}
	return nil
}

// halves reports a size that a network cannot halve as often as it does.
func halves(n Picture) error {
	if p, multiple := n.Plan(), n.SizeMultiple(); p.Size%multiple != 0 {
		return fmt.Errorf("%s of pictures of size %d, want a multiple of %d, which it can halve %d times", p.Net, p.Size, multiple,
			bits.TrailingZeros(uint(multiple)))
	}
	return nil
}

// must panics with a *graph.Error where a network cannot be, at the start of its Energy of x.
func must(n Picture, x *graph.Node) {
	if err := n.Validate(); err != nil {
		panic(&graph.Error{Op: x.Op(), Operands: []string{x.Type().String()}, Want: err.Error()})
	}
}

func (p Plan) withDefaults() Plan {
	if p.Head == "" {
		p.Head = Quadratic
	}
	if p.Activation == "" {
		p.Activation = ELU
	}
	return p
}
