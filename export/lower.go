package export

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// lowering turns one graph, or the body of a Scan, into a GraphProto.
type lowering struct {
	graph  *graph.Graph
	table  map[graph.Op]lowerFunc
	outer  *lowering // of the graph that holds this body, nil at the top
	proto  *onnxpb.GraphProto
	names  map[*graph.Node]string   // node → the name of its value
	scans  map[*graph.Node][]string // Scan → the names of its outputs
	taken  map[string]bool          // names in use, shared with bodies
	owned  map[*graph.Node]string   // named constant → its name, shared with bodies
	consts map[string]string        // small unnamed constants by content
	extra  map[extraKey]string      // values beside a node's own, see shared
	// blocks is nil where all values lie in ONNX's own layout. See blocked.go.
	blocks   *blocks
	inBlocks bool // names are those of values in blocks

	captured, elu bool // as Options has them

	products Arithmetic
	narrows  bool              // the node that is lowered now is a product of 16 bits
	narrowed map[string]string // values as factors of such products
}

// extraKey names a value that lowering a node makes beside its own, such as
// the exponential inside an ELU.
type extraKey struct {
	node *graph.Node
	what string
}

func newLowering(g *graph.Graph, outer *lowering, block int, products Arithmetic) *lowering {
	l := &lowering{
		graph: g, outer: outer, table: lowerers(),
		proto: &onnxpb.GraphProto{Name: proto.String(g.Name())},
		names: make(map[*graph.Node]string), scans: make(map[*graph.Node][]string),
		taken: make(map[string]bool), owned: make(map[*graph.Node]string), consts: make(map[string]string), extra: make(map[extraKey]string),
		products: products, narrowed: make(map[string]string),
	}
	if outer != nil {
		l.taken, l.owned, l.elu = outer.taken, outer.owned, outer.elu
	}
	if block > 0 {
		l.blocks = newBlocks(l, block)
	}
	return l
}

// lowerFunc emits the ONNX nodes of n and returns the name of its value.
type lowerFunc func(l *lowering, n *graph.Node) string

// lowerers returns the lowering table. Inputs and constants are not in it:
// they become the graph's inputs and initialisers.
func lowerers() map[graph.Op]lowerFunc {
	return map[graph.Op]lowerFunc{
		graph.OpNeg:          unary("Neg"),
		graph.OpExp:          unary("Exp"),
		graph.OpLog:          unary("Log"),
		graph.OpSqrt:         unary("Sqrt"),
		graph.OpAbs:          unary("Abs"),
		graph.OpTanh:         unary("Tanh"),
		graph.OpSigmoid:      unary("Sigmoid"),
		graph.OpErf:          unary("Erf"),
		graph.OpSin:          unary("Sin"),
		graph.OpCos:          unary("Cos"),
		graph.OpAtan:         unary("Atan"),
		graph.OpFloor:        unary("Floor"),
		graph.OpRound:        unary("Round"),
		graph.OpRelu:         unary("Relu"),
		graph.OpElu:          lowerElu,
		graph.OpEluSlope:     lowerEluSlope,
		graph.OpCast:         lowerCast,
		graph.OpStopGradient: alias,

		graph.OpAdd:     elementwise("Add"),
		graph.OpSub:     elementwise("Sub"),
		graph.OpMul:     elementwise("Mul"),
		graph.OpDiv:     elementwise("Div"),
		graph.OpPow:     elementwise("Pow"),
		graph.OpMaximum: elementwise("Max"),
		graph.OpMinimum: elementwise("Min"),
		graph.OpLess:    elementwise("Less"),
		graph.OpEqual:   elementwise("Equal"),
		graph.OpWhere:   elementwise("Where"),

		graph.OpReshape:    lowerReshape,
		graph.OpTranspose:  lowerTranspose,
		graph.OpBroadcast:  lowerBroadcast,
		graph.OpSlice:      lowerSlice,
		graph.OpPad:        lowerPad,
		graph.OpConcat:     lowerConcat,
		graph.OpGather:     lowerGather,
		graph.OpGatherGrad: lowerGatherGrad,
		graph.OpTopK:       lowerTopK,
		graph.OpNonZero:    lowerNonZero,
		graph.OpRange:      lowerRange,
		graph.OpIota:       lowerIota,

		graph.OpReduceSum: lowerReduceSum,
		graph.OpReduceMax: lowerReduceMax,
		graph.OpMatMul:    binary("MatMul"),

		graph.OpConv:           lowerConv,
		graph.OpConvInputGrad:  lowerConvInputGrad,
		graph.OpConvFilterGrad: lowerConvFilterGrad,

		graph.OpMeanPool:     lowerMeanPool,
		graph.OpMeanPoolGrad: lowerMeanPoolGrad,
		graph.OpMaxPool:      lowerMaxPool,
		graph.OpMaxPoolGrad:  lowerMaxPoolGrad,
		graph.OpMaxPoolTake:  lowerMaxPoolTake,

		graph.OpScan:    lowerScan,
		graph.OpProject: lowerProject,
	}
}

// graphProto lowers the whole graph. docs describe inputs and outputs.
func (l *lowering) graphProto(docs map[string]string) *onnxpb.GraphProto {
	for _, in := range l.graph.Inputs() {
		if l.names[in] != "" {
			continue // a value of the graph around a body
		}
		name := l.reserve(in.InputName())
		l.names[in] = name
		l.proto.Input = append(l.proto.Input, valueInfo(name, in.Type(), docs[name]))
	}
	results := make([]string, len(l.graph.Outputs()))
	for i, out := range l.graph.Outputs() {
		results[i] = l.reserve(out.Name)
	}
	if l.outer == nil {
		l.reserveWeights(l.graph)
	}
	for _, out := range l.graph.Outputs() {
		l.value(out.Node)
	}
	l.nameOutputs(results, docs)
	return l.proto
}

// nameOutputs gives the graph's results their names, by renaming the value of
// the node that makes one, or by an Identity where the value has another use
// as an input, a constant, or a second output.
func (l *lowering) nameOutputs(results []string, docs map[string]string) {
	rename := make(map[string]string)
	made := make(map[string]bool)
	for _, n := range l.proto.Node {
		for _, o := range n.Output {
			made[o] = true
		}
	}
	for i, out := range l.graph.Outputs() {
		from, name := l.names[out.Node], results[i]
		if _, again := rename[from]; again || !made[from] {
			l.proto.Node = append(l.proto.Node, &onnxpb.NodeProto{
				OpType: proto.String("Identity"), Input: []string{from}, Output: []string{name},
				Name: proto.String("Identity_" + name),
			})
		} else {
			rename[from] = name
		}
		l.proto.Output = append(l.proto.Output, valueInfo(name, out.Node.Type(), docs[out.Name]))
	}
	for _, n := range l.proto.Node {
		for i, in := range n.Input {
			if to, ok := rename[in]; ok {
				n.Input[i] = to
			}
		}
		for i, o := range n.Output {
			if to, ok := rename[o]; ok {
				n.Output[i] = to
			}
		}
	}
}

// value returns the name of n's value, lowering n if that has not been done.
// Nodes are therefore emitted when first needed, after what they need.
func (l *lowering) value(n *graph.Node) string {
	if name, ok := l.names[n]; ok {
		return name
	}
	var name string
	switch {
	case l.inBlocks:
		name = l.blocks.value(n)
	case n.Op() == graph.OpConstant:
		name = l.constant(l.owned[n], n.ConstantValue())
	case l.blocks.makes(n) && n.DType() == tensor.Float32:
		name = l.blocks.outside(n)
	default:
		f := l.table[n.Op()]
		if f == nil {
			panic(&graph.Error{Op: n.Op(), Operands: []string{n.Type().String()}, Want: "the operator cannot be lowered to ONNX"})
		}
		was := l.narrows
		l.narrows = l.products.narrows(n)
		name = f(l, n)
		l.narrows = was
	}
	l.names[n] = name
	return name
}

// shared returns the value that make emits for key, emitting it once.
func (l *lowering) shared(key extraKey, make func() string) string {
	name, ok := l.extra[key]
	if !ok {
		name = make()
		l.extra[key] = name
	}
	return name
}

func (l *lowering) values(nodes []*graph.Node) []string {
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = l.value(n)
	}
	return names
}

// emit adds an ONNX node with one output and returns the output's name.
func (l *lowering) emit(op string, inputs []string, attrs ...*onnxpb.AttributeProto) string {
	if l.narrows && l.products.takes(op) {
		return l.emitNarrow(op, inputs, attrs)
	}
	return l.emitN(op, 1, inputs, attrs...)[0]
}

// emitN adds an ONNX node with several outputs and returns their names.
func (l *lowering) emitN(op string, outputs int, inputs []string, attrs ...*onnxpb.AttributeProto) []string {
	return l.emitIn("", op, outputs, inputs, attrs...)
}

// emitIn is emitN for an operator of any domain.
func (l *lowering) emitIn(domain, op string, outputs int, inputs []string, attrs ...*onnxpb.AttributeProto) []string {
	names := make([]string, outputs)
	for i := range names {
		names[i] = l.fresh(strings.ToLower(op))
	}
	for len(inputs) > 0 && inputs[len(inputs)-1] == "" {
		inputs = inputs[:len(inputs)-1]
	}
	n := &onnxpb.NodeProto{
		OpType: proto.String(op), Name: proto.String(op + "_" + names[0]),
		Input: inputs, Output: names, Attribute: attrs,
	}
	if domain != "" {
		n.Domain = proto.String(domain)
	}
	l.proto.Node = append(l.proto.Node, n)
	return names
}

// reserve takes the name that the graph itself gives to an input or output.
// A body's names are its own affair and give way to those of the graph around
// it, since ONNX wants them all to differ.
func (l *lowering) reserve(name string) string {
	switch {
	case l.outer != nil:
		return l.fresh("body_" + name)
	case name == "":
		panic(&graph.Error{Op: graph.OpInput, Want: "want inputs and outputs with names"})
	case l.taken[name]:
		panic(&graph.Error{Op: graph.OpInput, Want: fmt.Sprintf("the name %q is used twice", name)})
	}
	l.taken[name] = true
	return name
}

// reserveWeights takes the names of weights, in the bodies of Scans too, before
// the values inside get theirs. Only a second weight of one name, or one that
// is called like an input or output, gets another.
func (l *lowering) reserveWeights(g *graph.Graph) {
	for _, n := range g.Nodes() {
		switch a := n.Attr().(type) {
		case graph.ConstantAttr:
			switch {
			case a.Name == "":
			case l.taken[a.Name]:
				l.owned[n] = l.fresh(a.Name)
			default:
				l.taken[a.Name] = true
				l.owned[n] = a.Name
			}
		case graph.ScanAttr:
			l.reserveWeights(a.Body)
		}
	}
}

// fresh returns an unused name that begins with stem.
func (l *lowering) fresh(stem string) string {
	for i := len(l.taken); ; i++ {
		name := fmt.Sprintf("%s_%d", stem, i)
		if !l.taken[name] {
			l.taken[name] = true
			return name
		}
	}
}

// constant adds an initialiser under a reserved name, or under a fresh one for
// the name "". Small ones without a name are shared by content.
func (l *lowering) constant(name string, t *tensor.Tensor) string {
	key := ""
	if name == "" {
		if t.Len() <= 64 {
			key = fmt.Sprintf("%v %v", t, t.Raw())
			if shared, ok := l.consts[key]; ok {
				return shared
			}
		}
		name = l.fresh("const")
	}
	if key != "" {
		l.consts[key] = name
	}
	l.proto.Initializer = append(l.proto.Initializer, tensorProto(name, t))
	return name
}

func (l *lowering) ints(v ...int) string {
	t := tensor.New(tensor.Int64, len(v))
	for i, n := range v {
		tensor.Data[int64](t)[i] = int64(n)
	}
	return l.constant("", t)
}

func (l *lowering) scalar(like *graph.Node, v float64) string {
	switch like.DType() {
	case tensor.Float64:
		return l.constant("", tensor.Of([]float64{v}))
	case tensor.Float16:
		return l.constant("", tensor.Of([]tensor.Float16Bits{tensor.ToFloat16(float32(v))}))
	}
	return l.constant("", tensor.Of([]float32{float32(v)}))
}
