package export

import (
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// The inputs of a model with counted noise.
const (
	SamplesInput = "samples" // int64 [N] as the others, or int32 (Counted.Halves); the index of each sample, below 2^28
	StepsInput   = "steps"   // [K], the index of each step, below 2^16, where the model leaves K open; [1] of one step
	KeyInput     = "key"     // [1], or [2] the lower first; the bits of the key, where the model has none of its own
)

// CountNoise makes a model draw one of its inputs by itself, as DrawNoise does, but from
// counters: element i of the noise of a sample at a step is a function of the key, the
// sample's index, the step's and i alone, whatever else is in the batch and in whatever
// order batches come. In place of the input, which is [K N …] or, of one step, [N …], the model
// takes the samples' indices, and the steps' where K is not fixed or one, and the key where
// that is 0, which is none. A Scan over the input draws each step by itself.
//
// The integers are those of [rng.Squares], bit for bit: words j and j + 2^19 of a sample and
// step, both through operators that CUDA has for uint64, or WebGPU for uint32. From each pair, Box and Muller's
// transformation makes two normals, elements j and j + n/2 of n. Their last bits are those of
// the device's logarithm, sine and cosine.
func CountNoise(m *onnxpb.ModelProto, o Counted) error {
	input := o.Input
	at := slices.IndexFunc(m.Graph.Input, func(v *onnxpb.ValueInfoProto) bool { return v.GetName() == input })
	if at < 0 {
		return wantedOfNoise(m, input, "there is no such input")
	}
	shape := m.Graph.Input[at].GetType().GetTensorType().GetShape().GetDim()
	ofKey := o.KeyBits(o.Key)
	index := ofKey.DType()
	steps, fixed := graph.Type{DType: index, Shape: graph.Dims(1)}, 0 // where the model does not leave K open
	if !o.Single && len(shape) > 0 {
		steps, fixed, shape = indices(index, shape[0]), int(shape[0].GetDimValue()), shape[1:]
	}
	if len(shape) < 2 {
		return wantedOfNoise(m, input, "want steps, samples and elements")
	}
	each := 1
	for _, d := range shape[1:] {
		if d.GetDimValue() <= 0 {
			return wantedOfNoise(m, input, "want samples of a fixed shape")
		}
		each *= int(d.GetDimValue())
	}
	if each > 1<<rng.SquaresWordBits {
		return wantedOfNoise(m, input, fmt.Sprintf("a sample has %d elements, want at most %d", each, 1<<rng.SquaresWordBits))
	}
	for _, v := range m.Graph.Input {
		if name := v.GetName(); slices.Contains([]string{SamplesInput, StepsInput, KeyInput}, name) {
			return wantedOfNoise(m, input, fmt.Sprintf("there is an input %q already", name))
		}
	}
	c := &counting{graph: m.Graph, prefix: "counted_" + input + "_", steps: StepsInput, shape: shape[1:], each: each,
		version: m.OpsetImport[0].GetVersion(), single: o.Single, halves: o.Halves, done: make(map[string]string)}
	var s *scanned
	if slices.ContainsFunc(m.Graph.Node, func(n *onnxpb.NodeProto) bool {
		return n.GetOpType() == "Scan" && slices.Contains(n.Input, input)
	}) {
		c.single = true
		var err error
		if s, err = findScanned(m, input); err != nil {
			return err
		}
	}
	given := fixed < 2
	if !given {
		c.steps = c.prefix + "steps"
		all := make([]int64, fixed)
		for i := range all {
			all[i] = int64(i)
		}
		m.Graph.Initializer = append(m.Graph.Initializer, tensorProto(c.steps, o.Integers(all...)))
	}
	out := input
	if s != nil {
		s.remove(m.Graph)
		out = s.slice.GetName()
		s.scan.Input = append(s.scan.Input, c.steps)
		s.count.I = proto.Int64(s.count.GetI() + 1)
		c.graph, c.steps = s.body, c.prefix+"step"
		s.body.Input = append(s.body.Input, valueInfo(c.steps, indices(index), ""))
	} else {
		m.Graph.Input = slices.Delete(m.Graph.Input, at, at+1)
	}
	m.Graph.Input = append(m.Graph.Input, valueInfo(SamplesInput, indices(index, shape[0]), "the index of each sample"))
	if given {
		m.Graph.Input = append(m.Graph.Input, valueInfo(StepsInput, steps, "the index of each step"))
	}
	if o.Key == 0 {
		m.Graph.Input = append(m.Graph.Input,
			valueInfo(KeyInput, graph.Type{DType: index, Shape: graph.Dims(ofKey.Len())}, "the bits of the key"))
	}
	c.normals(c.words(o.Key), out)
	c.graph.Node = append(c.nodes, c.graph.Node...)
	return nil
}

// counting adds nodes and constants to a graph, in the order of computation.
type counting struct {
	graph   *onnxpb.GraphProto
	nodes   []*onnxpb.NodeProto
	prefix  string
	steps   string                               // the value with the steps' indices, or one of them in a Scan
	single  bool                                 // one step is drawn, of [N …]
	halves  bool                                 // there are no integers of 64 bits
	wide    string                               // 2³², which exchanges halves of those
	done    map[string]string                    // values that are there, by what they are
	shape   []*onnxpb.TensorShapeProto_Dimension // of a sample
	each    int                                  // its elements
	version int64                                // of the default domain
}

// pairs is the number of pairs of words of a sample.
func (c *counting) pairs() int { return (c.each + 1) / 2 }

func (c *counting) emit(op string, inputs []string, outputs []string, attributes ...*onnxpb.AttributeProto) {
	c.nodes = append(c.nodes, &onnxpb.NodeProto{
		OpType: proto.String(op), Name: proto.String(op + "_" + outputs[0]), Input: inputs, Output: outputs, Attribute: attributes})
}

func (c *counting) one(op string, inputs []string, attributes ...*onnxpb.AttributeProto) string {
	out := fmt.Sprintf("%s%d", c.prefix, len(c.nodes))
	c.emit(op, inputs, []string{out}, attributes...)
	return out
}

func (c *counting) constant(t *onnxpb.TensorProto) string {
	t.Name = proto.String(fmt.Sprintf("%sconst_%d", c.prefix, len(c.graph.Initializer)))
	c.graph.Initializer = append(c.graph.Initializer, t)
	return t.GetName()
}

func (c *counting) float(v float64) string {
	return c.constant(tensorProto("", tensor.Of([]float32{float32(v)}, 1)))
}

func (c *counting) ints(v ...int64) string { return c.constant(tensorProto("", tensor.Of(v, len(v)))) }

// normals emits the value out: normals made of the words, as many in each row as a sample
// has elements, and in its shape.
func (c *counting) normals(words, out string) {
	f := c.one("Cast", []string{words}, intAttr("to", int(onnxpb.TensorProto_FLOAT)))
	lanes := []string{c.prefix + "radius_word", c.prefix + "angle_word"}
	c.split(f, lanes)
	// (w + ½)/2³² is never 0, so that the logarithm is finite.
	part := c.one("Add", []string{c.one("Mul", []string{lanes[0], c.float(0x1p-32)}), c.float(0x1p-33)})
	square := c.one("Mul", []string{c.one("Log", []string{part}), c.float(-2)})
	if c.halves { // the logarithm of 1 may be a little more than 0
		square = c.one("Abs", []string{square})
	}
	radius := c.one("Sqrt", []string{square})
	angle := c.one("Mul", []string{lanes[1], c.float(2 * math.Pi * 0x1p-32)})
	if c.halves { // WebGPU's sines are good from −π to π alone
		radius, angle = c.one("Neg", []string{radius}), c.one("Add", []string{angle, c.float(-math.Pi)})
	}
	both := c.one("Concat", []string{c.one("Mul", []string{radius, c.one("Cos", []string{angle})}),
		c.one("Mul", []string{radius, c.one("Sin", []string{angle})})}, intAttr("axis", -1))
	if c.each%2 == 1 {
		both = c.one("Slice", []string{both, c.ints(0), c.ints(int64(c.each)), c.ints(-1)})
	}
	dims := []int64{0} // as it is
	if !c.single {
		dims = append(dims, 0)
	}
	for _, d := range c.shape {
		dims = append(dims, d.GetDimValue())
	}
	c.emit("Reshape", []string{both, c.ints(dims...)}, []string{out})
}

// split emits two halves of x along its last axis.
func (c *counting) split(x string, into []string) {
	halves := []*onnxpb.AttributeProto{intAttr("axis", -1)}
	if c.version >= 18 { // which wants to be told
		halves = append(halves, intAttr("num_outputs", len(into)))
	}
	c.emit("Split", []string{x}, into, halves...)
}

// indices returns the type of indices along dimensions of a model's input.
func indices(dtype tensor.DType, dims ...*onnxpb.TensorShapeProto_Dimension) graph.Type {
	t := graph.Type{DType: dtype}
	for _, d := range dims {
		if n := d.GetDimValue(); n > 0 {
			t.Shape = append(t.Shape, graph.Const(int(n)))
		} else {
			t.Shape = append(t.Shape, graph.Sym(d.GetDimParam()))
		}
	}
	return t
}
