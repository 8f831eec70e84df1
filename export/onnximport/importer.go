package onnximport

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

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
	defined   map[string]bool           // names of nodes' results in the graph at hand
	depth     int                       // of branches inside branches
	counts    map[graph.Dim]*graph.Node // of symbols and floor divisions, at run time
	folder    *folder
	table     map[string]entry
	version   int                                   // of the standard operator set, which functions choose for themselves
	functions map[functionKey]*onnxpb.FunctionProto // of the model itself
	inlined   int                                   // nodes imported inside of functions and branches
	place     int                                   // index of the node at hand in the file's graph
	problems  []Problem
	plain     map[string]bool // symbols that are the size of an input's axis; false for those that values say

	// Of a model for training: its running means and variances, the input that
	// dropout follows from, and how many nodes do.
	statistics map[string]bool
	seed       *graph.Node
	drops      int
}

// value is what a name of the file stands for: a node, integers that are
// known, or both.
type value struct {
	node  *graph.Node
	sizes *sizes
	// absent says why there is neither. It is broken where that is a problem
	// that was reported already.
	absent string
	broken bool
	// through is what node was before it was rounded to a quantised number,
	// where derivatives go straight through that.
	through *graph.Node
	// items are the elements of a sequence, whose number is known; nil for what is none.
	items *[]*value
	// kind is the type in the file of a constant, an input or the result of a cast whose
	// numbers are held in a wider one, UNDEFINED for all others.
	kind onnxpb.TensorProto_DataType
}

func (im *importer) run(g *onnxpb.GraphProto) error {
	if len(g.SparseInitializer) > 0 {
		return fmt.Errorf("sparse initialisers are not supported")
	}
	if err := im.options.checkNames(g); err != nil {
		return err
	}
	im.noteStatistics(g)
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
	order, err := inOrder(g)
	if err != nil {
		return err
	}
	for _, i := range order {
		if im.depth == 0 {
			im.place = i
		}
		if err := im.node(g.Node[i], ops[i]); err != nil {
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
			im.broken(name, fmt.Errorf("initialiser %q: %w", name, err), "")
			continue
		}
		p.RawData, p.FloatData, p.DoubleData = nil, nil, nil // t holds the elements now
		if !t.DType().IsFloat() {
			im.values[name] = &value{node: im.graph.Constant(t), kind: narrowKind(onnxpb.TensorProto_DataType(p.GetDataType()))}
			continue
		}
		if im.frees(name) {
			im.values[name] = &value{node: im.graph.Input(name, t.DType(), graph.Dims(t.Shape()...))}
			im.model.Initial[name] = t
		} else {
			im.values[name] = &value{node: im.graph.Weight(name, t)}
		}
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
		for _, d := range in.GetType().GetTensorType().GetShape().GetDim() {
			im.plain[d.GetDimParam()] = true
		}
	}
	for _, in := range g.Input {
		name := in.GetName()
		if im.values[name] != nil { // an initialiser
			continue
		}
		if name == "" || im.defined[name] {
			return fmt.Errorf("input %q, want names that differ", name)
		}
		im.defined[name] = true
		declared, wide, shape, err := im.typeOf(in)
		if err != nil {
			im.broken(name, fmt.Errorf("input %q: %w", name, err), "")
			continue
		}
		if t := im.options.Values[name]; t != nil {
			if err := im.fix(name, t, wide, shape); err != nil {
				return fmt.Errorf("input %q: %w", name, err)
			}
			continue
		}
		err = graph.Catch(func() {
			n := graph.Cast(im.graph.Input(name, declared, shape), wide)
			kind := narrowKind(onnxpb.TensorProto_DataType(in.GetType().GetTensorType().GetElemType()))
			im.values[name] = &value{node: n, kind: kind}
			if kind != onnxpb.TensorProto_UNDEFINED {
				im.model.held = append(im.model.held,
					fmt.Sprintf("input %s of type %v is held in %v, whose arithmetic does not wrap around", name, kind, wide))
			}
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
	if o := v.GetType().GetOptionalType(); o != nil {
		t = o.GetElemType().GetTensorType() // which is given
	}
	if t == nil {
		return 0, 0, nil, errors.New("want a tensor, not a sequence or a map")
	}
	kind := onnxpb.TensorProto_DataType(t.GetElemType())
	if wide, err = dtypeOf(kind); err != nil {
		return 0, 0, nil, err
	}
	if declared, err = storedType(kind); err != nil {
		return 0, 0, nil, err
	}
	if t.Shape == nil {
		return 0, 0, nil, errors.New("its shape is not in the file")
	}
	for axis, d := range t.Shape.Dim {
		dim, err := im.dimension(d, axisName(v.GetName(), axis))
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

// dimension reads a number, a symbol, or an expression over symbols as package
// export writes it. Symbols whose sizes are given become numbers.
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
	if n, ok := im.options.Sizes[param]; ok {
		return graph.Const(n), nil
	}
	if strings.ContainsFunc(param, unicode.IsControl) || strings.HasPrefix(param, "·") || strings.HasSuffix(param, "·") || len(param) > 1<<10 {
		return graph.Dim{}, fmt.Errorf("dimension %q is not a name", param)
	}
	dim := graph.ParseDim(param)
	if dim != graph.Sym(param) && !im.spells(dim, param) {
		dim = graph.Sym(param)
	}
	dim = dim.Replace(func(symbol string) graph.Dim {
		if n, ok := im.options.Sizes[symbol]; ok {
			return graph.Const(n)
		}
		return graph.Sym(symbol)
	})
	if n, terms := largest(dim); n >= 1<<31 || terms > mostTerms {
		return graph.Dim{}, fmt.Errorf("dimension %q is too large", param)
	}
	return dim, nil
}

// spells reports whether a dimension that reads like an expression is one: a
// product, or over symbols that are sizes of other axes. "batch-size" may be a
// name.
func (im *importer) spells(d graph.Dim, text string) bool {
	n, terms := largest(d)
	if n >= 1<<31 || terms > mostTerms {
		return false
	}
	if !strings.ContainsAny(text, "+-/") {
		return true
	}
	for _, s := range d.Symbols() {
		if !im.plain[s] && im.options.Sizes[s] == 0 {
			return false
		}
	}
	return true
}

// outputs names the results. An output of half precision is computed in
// float32 and rounded at the end. Where one value is asked for, outputs that
// cannot be read are dropped.
func (im *importer) outputs(g *onnxpb.GraphProto) error {
	if len(g.Output) == 0 {
		return errors.New("the model has no outputs")
	}
	var missing []string
	for _, name := range im.options.Of {
		if v := im.values[name]; v != nil && v.absent != "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return im.unreadable(g, missing...)
	}
	for _, out := range g.Output {
		name := out.GetName()
		v := im.values[name]
		if v == nil {
			return fmt.Errorf("output %q is not computed by any node", name)
		}
		if v.items != nil {
			v = &value{absent: "a sequence is no tensor"}
			im.values[name] = v
		}
		if v.absent != "" {
			missing = append(missing, name)
			continue
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
	if len(im.options.Of) == 0 && len(missing) > 0 {
		return im.unreadable(g, missing...)
	}
	for _, name := range missing {
		im.model.Dropped = append(im.model.Dropped, Dropped{Name: name, Reason: im.unreadable(g, name).Problems[0].String()})
	}
	return nil
}
