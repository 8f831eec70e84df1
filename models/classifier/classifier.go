package classifier

import (
	"fmt"
	"strings"

	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Size is the height and width in pixels of what the network sees.
const Size = 16

// Network describes a classifier. It is an [energy.Network], so that weights
// are made, checked and added to graphs as those of energies are.
type Network struct {
	Dim      int // channels after the first convolution
	Features int // features of a picture
	Classes  int
}

// Default returns the network of the shipped weights: 16 channels, 64
// features, 10 classes; 126,000 parameters.
func Default() Network { return Network{Dim: 16, Features: 64, Classes: 10} }

// maxUnits bounds what is believed of a description: no layer is wider.
const maxUnits = 1 << 14

// Validate reports a description that cannot be.
func (n Network) Validate() error {
	if min(n.Dim, n.Features) < 1 || n.Classes < 2 || max(n.Dim, n.Features, n.Classes) > maxUnits {
		return fmt.Errorf("a classifier with %d channels, %d features and %d classes, want numbers from 1, 1 and 2 to %d", n.Dim,
			n.Features, n.Classes, maxUnits)
	}
	return nil
}

// String describes the network in a few words, such as
// "classifier dim 16, 1×16×16, 64 features, 10 classes".
func (n Network) String() string {
	return fmt.Sprintf("classifier dim %d, 1×%d×%d, %d features, %d classes", n.Dim, Size, Size, n.Features, n.Classes)
}

// InputShape returns [1 Size Size].
func (n Network) InputShape() []int { return []int{1, Size, Size} }

// A layer is a convolution from in to out channels; down halves the picture.
type layer struct {
	name    string
	in, out int
	down    bool
}

func (n Network) layers() []layer {
	d := n.Dim
	return []layer{{"conv1", 1, d, false}, {"conv2", d, 2 * d, true}, {"conv3", 2 * d, 4 * d, true}, {"conv4", 4 * d, 4 * d, false}}
}

// flat is the number of values of the last convolution: its picture has a
// quarter of the sides.
func (n Network) flat() int { return 4 * n.Dim * (Size / 4) * (Size / 4) }

// Parameters lists the parameters in the order of PyTorch's state_dict.
func (n Network) Parameters() []energy.Parameter {
	var list []energy.Parameter
	add := func(name string, fanIn int, shape ...int) {
		list = append(list,
			energy.Parameter{Name: name + ".weight", Shape: shape, FanIn: fanIn},
			energy.Parameter{Name: name + ".bias", Shape: shape[:1], FanIn: fanIn})
	}
	for _, l := range n.layers() {
		add(l.name, 9*l.in, l.out, l.in, 3, 3)
	}
	add("fc1", n.flat(), n.Features, n.flat())
	add("fc2", n.Features, n.Classes, n.Features)
	return list
}

// Outputs are what the network says of N pictures.
type Outputs struct {
	Features *graph.Node // [N Features]
	Logits   *graph.Node // [N Classes]
}

// Build adds the network to the graph of x [N 1 Size Size]. A description
// that cannot be, a missing parameter or a shape that does not fit is a panic
// with a *graph.Error.
func (n Network) Build(x *graph.Node, params energy.Params) Outputs {
	if err := n.Validate(); err != nil {
		panic(&graph.Error{Op: x.Op(), Operands: []string{x.Type().String()}, Want: err.Error()})
	}
	h := x
	for _, l := range n.layers() {
		h = graph.Conv(h, get(params, l.name+".weight"), graph.Conv2D(1, 1))
		if l.down {
			// Pooled before the bias is added and elu applied, which rises
			// everywhere: the same at a quarter of the cost.
			h = graph.MaxPool(h, graph.Pool2D(2, 2, 0))
		}
		h = graph.Elu(graph.Add(h, graph.BroadcastAlong(get(params, l.name+".bias"), h.Shape(), 1)))
	}
	features := graph.Elu(graph.Linear(graph.Flatten(h), get(params, "fc1.weight"), get(params, "fc1.bias")))
	return Outputs{features, graph.Linear(features, get(params, "fc2.weight"), get(params, "fc2.bias"))}
}

func get(params energy.Params, name string) *graph.Node {
	p, ok := params[name]
	if !ok {
		panic(&graph.Error{Op: graph.OpInput, Want: fmt.Sprintf("parameter %q is missing", name)})
	}
	return p
}

// Energy adds E(x) = −log Σₖ exp(logitsₖ(x)) [N], the energy whose density the
// joint exp(logitsₖ(x)) over pictures and classes has (Grathwohl et al., "Your
// classifier is secretly an energy based model and you should treat it like
// one", ICLR 2020, eq. 6).
func (n Network) Energy(x *graph.Node, params energy.Params) *graph.Node {
	return graph.Neg(graph.LogSumExp(n.Build(x, params).Logits))
}

// CrossEntropy adds the mean of −log p(label|x) over the batch, of shape [],
// for logits [N classes] and labels [N], int64 from 0. A label that is no
// class adds 0. Whatever the logits, it neither overflows nor loses digits.
func CrossEntropy(logits, labels *graph.Node) *graph.Node {
	shape := logits.Shape()
	classes, ok := shape[len(shape)-1].Constant()
	if logits.Rank() != 2 || !ok || !labels.Type().Equal(graph.Type{DType: tensor.Int64, Shape: shape[:1]}) {
		panic(&graph.Error{Op: logits.Op(), Operands: []string{logits.Type().String(), labels.Type().String()},
			Want: "want logits [N classes] and labels int64 [N]"})
	}
	numbers := make([]int64, classes)
	for i := range numbers {
		numbers[i] = int64(i)
	}
	all := graph.Broadcast(logits.Graph().Constant(tensor.Of(numbers, classes)), shape)
	hit := graph.Equal(graph.BroadcastAlong(labels, shape, 0), all)
	picked := graph.ReduceSum(graph.Where(hit, graph.LogSoftmax(logits), graph.Like(logits, 0)), 1) // [N]
	return graph.Neg(graph.Div(graph.ReduceSum(picked), graph.ReduceSum(graph.Like(picked, 1))))
}

// Recognise finds the network that weights belong to from their names and
// shapes. Weights of anything else are an error that says what they lack.
func Recognise(w energy.Weights) (Network, error) {
	dimension := func(name string, rank int) int {
		if t, ok := w[name]; ok && t.Rank() == rank {
			return t.Shape()[0]
		}
		return 0
	}
	n := Network{Dim: dimension("conv1.weight", 4), Features: dimension("fc1.weight", 2), Classes: dimension("fc2.weight", 2)}
	if err := n.Validate(); err != nil {
		wanted := []string{"conv1.weight [dim 1 3 3]", "fc1.weight [features …]", "fc2.weight [classes features]"}
		return Network{}, fmt.Errorf("not the weights of a classifier, which has %s: %w", strings.Join(wanted, ", "), err)
	}
	if err := w.Check(n); err != nil {
		return Network{}, fmt.Errorf("not the weights of a %v: %w", n, err)
	}
	return n, nil
}
