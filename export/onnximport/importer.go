package onnximport

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"

	"ebm/export/onnxpb"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// importer turns one model into a graph.
type importer struct {
	model     *Model
	graph     *graph.Graph
	options   Options
	values    map[string]*value
	defined   map[string]bool        // names of nodes' results in the graph at hand
	depth     int                    // of branches inside branches
	symbols   map[string]*graph.Node // symbol → its size at run time
	folder    *folder
	table     map[string]entry
	version   int                                   // of the standard operator set, which functions choose for themselves
	functions map[functionKey]*onnxpb.FunctionProto // of the model itself
	inlined   int                                   // nodes imported inside of functions and branches
}

// value is what a name of the file stands for: a node, integers that are
// known, or both.
type value struct {
	node  *graph.Node
	sizes *sizes
	// absent says why there is neither.
	absent string
}

func newImporter(m *Model, p *onnxpb.ModelProto, o Options) *importer {
	return &importer{
		model: m, graph: m.Graph, options: o, values: make(map[string]*value), defined: make(map[string]bool),
		table: table(), version: m.Opset, functions: functionsOf(p), symbols: make(map[string]*graph.Node), folder: &folder{known: make(map[*graph.Node]*tensor.Tensor)},
	}
}

func (im *importer) run(g *onnxpb.GraphProto) error {
	if len(g.SparseInitializer) > 0 {
		return fmt.Errorf("sparse initialisers are not supported")
	}
	if err := im.initialisers(g); err != nil {
		return err
	}
	if err := im.inputs(g); err != nil {
		return err
	}
	if err := im.nodes(g); err != nil {
		return err
	}
	return im.outputs(g)
}

func (im *importer) nodes(g *onnxpb.GraphProto) error {
	const most = 1 << 17 // calls of functions inside of functions multiply
	if im.depth > 0 {
		if im.inlined += len(g.Node); im.inlined > most {
			return fmt.Errorf("more than %d nodes inside of functions and branches", most)
		}
	}
	ops, err := operations(g)
	if err != nil {
		return err
	}
	for i, n := range g.Node {
		if err := im.node(n, ops[i]); err != nil {
			return err
		}
	}
	return nil
}

func (im *importer) initialisers(g *onnxpb.GraphProto) error {
	for _, p := range g.Initializer {
		name := p.GetName()
		if name == "" || im.defined[name] {
			return fmt.Errorf("initialiser %q, want names that differ", name)
		}
		im.defined[name] = true
		t, err := readTensor(p, im.options.Dir)
		if err != nil {
			return fmt.Errorf("initialiser %q: %w", name, err)
		}
		p.RawData, p.FloatData, p.DoubleData = nil, nil, nil // t holds the elements now
		if !t.DType().IsFloat() {
			im.values[name] = &value{node: im.graph.Constant(t)}
			continue
		}
		im.values[name] = &value{node: im.graph.Weight(name, t)}
		if im.depth == 0 {
			im.model.Parameters = append(im.model.Parameters, name)
			im.model.Values[name] = im.values[name].node
		}
	}
	return nil
}

// inputs adds what is not an initialiser; older files list those as inputs too.
func (im *importer) inputs(g *onnxpb.GraphProto) error {
	for _, in := range g.Input {
		name := in.GetName()
		if v := im.values[name]; v != nil && v.node.Op() == graph.OpConstant {
			continue
		}
		if name == "" || im.defined[name] {
			return fmt.Errorf("input %q, want names that differ", name)
		}
		im.defined[name] = true
		declared, wide, shape, err := im.typeOf(in)
		if err != nil {
			return fmt.Errorf("input %q: %w", name, err)
		}
		if t := im.options.Values[name]; t != nil {
			if err := im.fix(name, t, wide, shape); err != nil {
				return fmt.Errorf("input %q: %w", name, err)
			}
			continue
		}
		err = graph.Catch(func() {
			n := graph.Cast(im.graph.Input(name, declared, shape), wide)
			im.values[name] = &value{node: n}
			im.model.Values[name] = n
		})
		if err != nil {
			return fmt.Errorf("input %q: %w", name, err)
		}
		im.document(in)
	}
	return nil
}

// fix makes an input a constant.
func (im *importer) fix(name string, t *tensor.Tensor, dtype tensor.DType, shape graph.Shape) error {
	if t.DType().IsFloat() != dtype.IsFloat() || (t.DType() == tensor.Bool) != (dtype == tensor.Bool) || t.Rank() != len(shape) {
		return fmt.Errorf("the value %v for %v%v", t, dtype, shape)
	}
	for i, d := range shape {
		if n, ok := d.Constant(); ok && n != t.Shape()[i] {
			return fmt.Errorf("the value %v for %v%v", t, dtype, shape)
		}
	}
	n := im.graph.Constant(converted(t, dtype))
	im.values[name] = &value{node: n}
	im.model.Values[name] = n
	return nil
}

func (im *importer) document(v *onnxpb.ValueInfoProto) {
	if d := v.GetDocString(); d != "" {
		im.model.Docs[v.GetName()] = d
	}
}

// typeOf returns the declared element type of an input, the one that it is
// computed in, and its shape.
func (im *importer) typeOf(v *onnxpb.ValueInfoProto) (declared, wide tensor.DType, shape graph.Shape, err error) {
	t := v.GetType().GetTensorType()
	if t == nil {
		return 0, 0, nil, errors.New("want a tensor, not a sequence, a map or an optional value")
	}
	kind := onnxpb.TensorProto_DataType(t.GetElemType())
	if wide, err = dtypeOf(kind); err != nil {
		return 0, 0, nil, err
	}
	switch declared = wide; kind {
	case onnxpb.TensorProto_FLOAT16:
		declared = tensor.Float16
	case onnxpb.TensorProto_BFLOAT16:
		declared = tensor.BFloat16
	}
	if t.Shape == nil {
		return 0, 0, nil, errors.New("its shape is not in the file")
	}
	for axis, d := range t.Shape.Dim {
		dim, err := im.dimension(d, fmt.Sprintf("%s.%d", v.GetName(), axis))
		if err != nil {
			return 0, 0, nil, err
		}
		shape = append(shape, dim)
	}
	if _, ok := volume(shape); !ok {
		return 0, 0, nil, fmt.Errorf("shape %v is too large", shape)
	}
	return declared, wide, shape, nil
}

// dimension reads a number, a symbol, or a product of them as package export
// writes it, "4·N". Symbols whose sizes are given become numbers.
func (im *importer) dimension(d *onnxpb.TensorShapeProto_Dimension, unnamed string) (graph.Dim, error) {
	if v, ok := d.Value.(*onnxpb.TensorShapeProto_Dimension_DimValue); ok && v.DimValue != -1 {
		if v.DimValue < 0 || v.DimValue > 1<<31 {
			return graph.Dim{}, fmt.Errorf("dimension %d is not that of a tensor", v.DimValue)
		}
		return graph.Const(int(v.DimValue)), nil
	}
	param := d.GetDimParam()
	if param == "" || param == "?" {
		param = unnamed
	}
	dim := graph.Const(1)
	for i, part := range strings.Split(param, "·") {
		factor := graph.Sym(part)
		if n, err := strconv.Atoi(part); err == nil && n > 0 && n < 1<<31 && i == 0 {
			factor = graph.Const(n)
		} else if n, ok := im.options.Sizes[part]; ok {
			factor = graph.Const(n)
		} else if part == "" {
			return graph.Dim{}, fmt.Errorf("dimension %q is not a name", param)
		}
		var ok bool
		if dim, ok = mulDim(dim, factor); !ok {
			return graph.Dim{}, fmt.Errorf("dimension %q is too large", param)
		}
	}
	return dim, nil
}

// outputs names the results. An output of half precision is computed in
// float32 and rounded at the end.
func (im *importer) outputs(g *onnxpb.GraphProto) error {
	if len(g.Output) == 0 {
		return errors.New("the model has no outputs")
	}
	for _, out := range g.Output {
		name := out.GetName()
		v := im.values[name]
		if v == nil {
			return fmt.Errorf("output %q is not computed by any node", name)
		}
		if v.absent != "" {
			return fmt.Errorf("output %q: %s", name, v.absent)
		}
		kind := onnxpb.TensorProto_DataType(out.GetType().GetTensorType().GetElemType())
		err := graph.Catch(func() {
			n := im.nodeOf(v)
			switch kind {
			case onnxpb.TensorProto_FLOAT16:
				n = graph.Cast(n, tensor.Float16)
			case onnxpb.TensorProto_BFLOAT16:
				n = graph.Cast(n, tensor.BFloat16)
			}
			im.graph.Output(name, n)
		})
		if err != nil {
			return fmt.Errorf("output %q: %w", name, err)
		}
		im.document(out)
	}
	return nil
}

// node imports one node of the file.
func (im *importer) node(n *onnxpb.NodeProto, op operation) error {
	version := im.version
	fail := func(err error) error {
		return fmt.Errorf("node %s of operator set %d: %w", describe(n), version, err)
	}
	operands, err := im.operands(n, op)
	if err != nil {
		return fail(err)
	}
	var results []*value
	if f := im.functions[functionKey{n.GetDomain(), n.GetOpType(), n.GetOverload()}]; f != nil {
		results, err = im.inline(n, f, operands)
	} else {
		results, err = im.standard(n, op, operands)
	}
	if err != nil {
		return fail(err)
	}
	if len(im.graph.Nodes()) > mostNodes {
		return fail(fmt.Errorf("the graph becomes larger than %d nodes", mostNodes))
	}
	for i, name := range op.outputs {
		if name == "" {
			continue
		}
		if im.defined[name] {
			return fail(fmt.Errorf("value %q is computed twice", name))
		}
		im.defined[name] = true
		if i >= len(results) || results[i] == nil {
			im.values[name] = &value{absent: fmt.Sprintf("output %d of %s is not computed", i, describe(n))}
			continue
		}
		im.values[name] = results[i]
		if node := results[i].node; node != nil {
			if v, ok := volume(node.Shape()); !ok || fewer(1<<40, v) {
				return fail(fmt.Errorf("a result of shape %v is too large", node.Shape()))
			}
			if im.depth == 0 {
				im.model.Values[name] = node
			}
		}
	}
	return nil
}

// mostNodes bounds the size of a graph, which unrolled sequences multiply.
const mostNodes = 1 << 20

// operands returns the values that a node takes, nil for absent ones.
func (im *importer) operands(n *onnxpb.NodeProto, op operation) (operands []*value, err error) {
	if len(n.Input) == 0 {
		return nil, nil // for such a node, onnx-go makes an operand up
	}
	for _, name := range op.inputs {
		v := im.values[name]
		switch {
		case name == "":
			v = nil
		case v == nil:
			return nil, fmt.Errorf("operand %q comes from no node before this one", name)
		case v.absent != "":
			return nil, fmt.Errorf("operand %q: %s", name, v.absent)
		}
		operands = append(operands, v)
	}
	return operands, nil
}

// standard imports a node of the standard operator set.
func (im *importer) standard(n *onnxpb.NodeProto, op operation, operands []*value) (results []*value, err error) {
	entry, ok := im.table[n.GetOpType()]
	switch d := n.GetDomain(); {
	case d != "" && d != "ai.onnx":
		return nil, fmt.Errorf("operators of domain %q are not supported", d)
	case !ok:
		return nil, errors.New("the operator is not supported")
	case im.version < entry.since:
		return nil, fmt.Errorf("the operator is read since version %d of the operator set", entry.since)
	}
	c := &call{importer: im, op: op, version: im.version, in: operands, read: make(map[string]bool), tensors: make(map[string]*onnxpb.TensorProto), graphs: make(map[string]*onnxpb.GraphProto)}
	for _, a := range n.Attribute {
		switch {
		case a.GetType() == onnxpb.AttributeProto_TENSOR && a.T != nil:
			c.tensors[a.GetName()] = a.T
		case a.GetType() == onnxpb.AttributeProto_GRAPH && a.G != nil:
			c.graphs[a.GetName()] = a.G
		case !plainAttribute(a):
			return nil, fmt.Errorf("attribute %q of type %v is not supported", a.GetName(), a.GetType())
		}
	}
	err = catch(func() { results = entry.read(c); c.checkAttributes() })
	if errors.As(err, new(*graph.Error)) && slices.ContainsFunc(operands, symbolic) {
		err = fmt.Errorf("%w (giving sizes to symbolic dimensions may help)", err)
	}
	return results, err
}

// symbolic reports whether v is a node of a shape with symbols.
func symbolic(v *value) bool {
	if v == nil || v.node == nil {
		return false
	}
	_, ok := v.node.Shape().Static()
	return !ok
}

// failure is the panic of an entry of the table that cannot read a node.
type failure struct{ error }

// catch runs f and returns what it failed with.
func catch(f func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			err = r.error
		case goruntime.Error:
			// A file may hold operands of ranks that an entry did not think of.
			err = fmt.Errorf("the operands do not fit the operator: %w", r)
		default:
			panic(r)
		}
	}()
	if err := graph.Catch(f); err != nil {
		return err
	}
	return nil
}
