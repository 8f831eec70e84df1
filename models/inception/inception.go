package inception

import (
	"fmt"

	"ebm/models/graph"
	"ebm/models/tensor"
	"ebm/models/weights"
)

// The shape of the network.
const (
	Size     = 299  // height and width of its input
	Features = 2048 // of Outputs.Pool3
	Classes  = 1008 // of Outputs.Logits
)

// Outputs are the values of the network that metrics use.
type Outputs struct {
	Pool3          *graph.Node // [N 2048], the features of FID and KID: means of Mixed_7c
	Logits         *graph.Node // [N 1008]
	UnbiasedLogits *graph.Node // [N 1008], without the last layer's bias: torch-fidelity's Inception score
	// Layers are features of earlier layers, by the names of [Layers].
	Layers map[string]*graph.Node
}

// Spatial names the layer of sFID (Nash et al. 2021).
const Spatial = "spatial"

// Layers returns the names of the earlier layers whose features can be taken: torch-fidelity's 64, 192 and
// 768, which are means over pixels, and [Spatial], the first seven channels of the first branch of
// Mixed_6d at each of its 17×17 places.
func Layers() []string { return []string{"64", "192", "768", Spatial} }

// Build adds the network to the graph of x [N 3 299 299] with the given
// weights as constants. Missing parameters, other shapes and values that are
// not finite are one error that lists them; parameters that the network does
// not have, such as num_batches_tracked, are ignored.
func Build(x *graph.Node, w *weights.Set) (Outputs, error) {
	if want := graph.Batch(3, Size, Size); x.DType() != tensor.Float32 || x.Rank() != 4 || !x.Shape()[1:].Equal(want[1:]) {
		return Outputs{}, fmt.Errorf("the input of the Inception network is %v, want float32%v", x.Type(), want)
	}
	source := &stored{set: w}
	var out Outputs
	err := graph.Catch(func() { out = build(x, source.get) })
	if missing := source.err(); missing != nil {
		return Outputs{}, missing
	}
	return out, err
}

// build adds the network with parameters from a source.
func build(x *graph.Node, source source) Outputs {
	n := network{source}
	layers := map[string]*graph.Node{}
	h := n.stem(x, layers)
	h = n.blockA(h, "Mixed_5b", 32)
	h = n.blockA(h, "Mixed_5c", 64)
	h = n.blockA(h, "Mixed_5d", 64)
	h = n.blockB(h, "Mixed_6a")
	h, _ = n.blockC(h, "Mixed_6b", 128)
	h, _ = n.blockC(h, "Mixed_6c", 160)
	h, one := n.blockC(h, "Mixed_6d", 160)
	layers[Spatial] = graph.Reshape(graph.Slice(one, 1, 0, 7, 1), graph.Shape{one.Shape()[0], graph.Const(7 * 17 * 17)})
	h, _ = n.blockC(h, "Mixed_6e", 192)
	layers["768"] = graph.ReduceMean(h, 2, 3)
	h = n.blockD(h, "Mixed_7a")
	h = n.blockE(h, "Mixed_7b", insideMean)
	h = n.blockE(h, "Mixed_7c", sameMax)
	pool3 := graph.ReduceMean(h, 2, 3)
	unbiased := graph.Linear(pool3, n.constant(x, "fc.weight", Classes, Features), nil)
	bias := n.constant(x, "fc.bias", Classes)
	return Outputs{
		Pool3:          pool3,
		Logits:         graph.Add(unbiased, graph.Broadcast(bias, unbiased.Shape())),
		UnbiasedLogits: unbiased,
		Layers:         layers,
	}
}

// network adds the blocks of torchvision's inception.py under its names.
type network struct{ source source }

func (n network) stem(x *graph.Node, layers map[string]*graph.Node) *graph.Node {
	h := n.conv(x, "Conv2d_1a_3x3", 32, square(3, 2, 0))
	h = n.conv(h, "Conv2d_2a_3x3", 32, square(3, 1, 0))
	h = n.conv(h, "Conv2d_2b_3x3", 64, square(3, 1, 1))
	h = halfMax(h)
	layers["64"] = graph.ReduceMean(h, 2, 3)
	h = n.conv(h, "Conv2d_3b_1x1", 80, point)
	h = n.conv(h, "Conv2d_4a_3x3", 192, square(3, 1, 0))
	h = halfMax(h)
	layers["192"] = graph.ReduceMean(h, 2, 3)
	return h
}

func (n network) blockA(x *graph.Node, name string, pooled int) *graph.Node {
	one := n.conv(x, name+".branch1x1", 64, point)
	five := n.conv(x, name+".branch5x5_1", 48, point)
	five = n.conv(five, name+".branch5x5_2", 64, square(5, 1, 2))
	three := n.conv(x, name+".branch3x3dbl_1", 64, point)
	three = n.conv(three, name+".branch3x3dbl_2", 96, square(3, 1, 1))
	three = n.conv(three, name+".branch3x3dbl_3", 96, square(3, 1, 1))
	pool := n.conv(insideMean(x), name+".branch_pool", pooled, point)
	return graph.Concat(1, one, five, three, pool)
}

func (n network) blockB(x *graph.Node, name string) *graph.Node {
	one := n.conv(x, name+".branch3x3", 384, square(3, 2, 0))
	two := n.conv(x, name+".branch3x3dbl_1", 64, point)
	two = n.conv(two, name+".branch3x3dbl_2", 96, square(3, 1, 1))
	two = n.conv(two, name+".branch3x3dbl_3", 96, square(3, 2, 0))
	return graph.Concat(1, one, two, halfMax(x))
}

// blockC returns its first branch, too.
func (n network) blockC(x *graph.Node, name string, width int) (all, one *graph.Node) {
	one = n.conv(x, name+".branch1x1", 192, point)
	seven := n.conv(x, name+".branch7x7_1", width, point)
	seven = n.conv(seven, name+".branch7x7_2", width, row(7))
	seven = n.conv(seven, name+".branch7x7_3", 192, column(7))
	twice := n.conv(x, name+".branch7x7dbl_1", width, point)
	twice = n.conv(twice, name+".branch7x7dbl_2", width, column(7))
	twice = n.conv(twice, name+".branch7x7dbl_3", width, row(7))
	twice = n.conv(twice, name+".branch7x7dbl_4", width, column(7))
	twice = n.conv(twice, name+".branch7x7dbl_5", 192, row(7))
	pool := n.conv(insideMean(x), name+".branch_pool", 192, point)
	return graph.Concat(1, one, seven, twice, pool), one
}

func (n network) blockD(x *graph.Node, name string) *graph.Node {
	three := n.conv(x, name+".branch3x3_1", 192, point)
	three = n.conv(three, name+".branch3x3_2", 320, square(3, 2, 0))
	seven := n.conv(x, name+".branch7x7x3_1", 192, point)
	seven = n.conv(seven, name+".branch7x7x3_2", 192, row(7))
	seven = n.conv(seven, name+".branch7x7x3_3", 192, column(7))
	seven = n.conv(seven, name+".branch7x7x3_4", 192, square(3, 2, 0))
	return graph.Concat(1, three, seven, halfMax(x))
}

func (n network) blockE(x *graph.Node, name string, pool func(*graph.Node) *graph.Node) *graph.Node {
	one := n.conv(x, name+".branch1x1", 320, point)
	three := n.conv(x, name+".branch3x3_1", 384, point)
	twice := n.conv(x, name+".branch3x3dbl_1", 448, point)
	twice = n.conv(twice, name+".branch3x3dbl_2", 384, square(3, 1, 1))
	return graph.Concat(1, one,
		n.conv(three, name+".branch3x3_2a", 384, row(3)),
		n.conv(three, name+".branch3x3_2b", 384, column(3)),
		n.conv(twice, name+".branch3x3dbl_3a", 384, row(3)),
		n.conv(twice, name+".branch3x3dbl_3b", 384, column(3)),
		n.conv(pool(x), name+".branch_pool", 192, point))
}
