package onnximport

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"strings"

	"ebm/export/onnxpb"
	"ebm/internal/memory"
	"ebm/models/graph"
)

// node imports one node of the file. What cannot be read is reported, and its
// results are broken; an error is of a kind that ends the import.
func (im *importer) node(n *onnxpb.NodeProto, op operation) error {
	fatal := func(err error) error {
		return fmt.Errorf("node %s of operator set %d: %w", describe(n), im.version, err)
	}
	im.noteUses(n)
	results, err := im.results(n, op)
	if len(im.graph.Nodes()) > mostNodes {
		return fatal(fmt.Errorf("the graph becomes larger than %d nodes", mostNodes))
	}
	for i, name := range op.outputs {
		if name == "" {
			continue
		}
		if im.defined[name] {
			return fatal(fmt.Errorf("value %q is computed twice", name))
		}
		im.defined[name] = true
		switch {
		case err != nil:
			im.values[name] = &value{absent: err.Error(), broken: true}
			continue
		case i >= len(results) || results[i] == nil:
			im.values[name] = &value{absent: fmt.Sprintf("output %d of %s is not computed", i, describe(n))}
			continue
		}
		im.values[name] = results[i]
		if node := results[i].node; node != nil && im.depth == 0 {
			im.model.Values[name] = node
		}
	}
	return nil
}

// errBroken is the error of a node whose operands cannot be read for reasons
// that are reported already.
var errBroken = errors.New("what it depends on cannot be read")

// results imports a node and reports what is in the way.
func (im *importer) results(n *onnxpb.NodeProto, op operation) (results []*value, err error) {
	f := im.functions[functionKey{n.GetDomain(), n.GetOpType(), n.GetOverload()}]
	if f == nil {
		if remedy, err := im.unsupported(n); err != nil {
			im.report(n, err, remedy)
			return nil, err
		}
	}
	operands, err := im.operands(n, op)
	if err == nil && f != nil {
		results, err = im.inline(n, f, operands)
	} else if err == nil {
		results, err = im.standard(n, op, operands)
	}
	for _, r := range results {
		if r == nil || r.node == nil || err != nil {
			continue
		}
		if v, ok := volume(r.node.Shape()); !ok || fewer(1<<40, v) {
			err = fmt.Errorf("a result of shape %v is too large", r.node.Shape())
		} else if n, _ := v.Factors(); err == nil && len(r.node.Types()) == 1 {
			// For one element of every symbolic size.
			err = memory.Check(fmt.Sprintf("elements of a result of shape %v:", r.node.Shape()), n, r.node.DType().Size())
		}
	}
	if err != nil && !errors.Is(err, errBroken) {
		im.report(n, err, im.remedyFor(operands))
	}
	return results, err
}

// unsupported returns why nodes of n's kind are not read, nil if they are, and
// what would help.
func (im *importer) unsupported(n *onnxpb.NodeProto) (remedy string, err error) {
	name := operatorName(n)
	entry, ok := im.table[name]
	switch d := n.GetDomain(); {
	case strings.HasPrefix(name, "ai.onnx.ml.TreeEnsemble"):
		return "", errors.New("the operator is not supported: trees are constant between their thresholds, so that their gradient is 0")
	case d != "" && d != "ai.onnx" && d != "ai.onnx.ml" && d != "com.microsoft" && !ok:
		return "", fmt.Errorf("operators of domain %q are not supported", d)
	case !ok:
		return "", errors.New("the operator is not supported")
	case im.version < entry.since:
		return fmt.Sprintf("export with operator set %d or later", entry.since),
			fmt.Errorf("the operator is read since version %d of the operator set", entry.since)
	}
	return "", nil
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
			return nil, fmt.Errorf("operand %q comes from no node, input or initialiser", name)
		case v.broken:
			return nil, errBroken
		case v.absent != "":
			return nil, fmt.Errorf("operand %q: %s", name, v.absent)
		}
		operands = append(operands, v)
	}
	return operands, nil
}

// standard imports a node of the standard operator set.
func (im *importer) standard(n *onnxpb.NodeProto, op operation, operands []*value) (results []*value, err error) {
	entry := im.table[operatorName(n)]
	c := &call{importer: im, op: op, version: im.version, in: operands, read: make(map[string]bool),
		tensors: make(map[string]*onnxpb.TensorProto), graphs: make(map[string]*onnxpb.GraphProto)}
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
	err = catch(func() { results = entry.read(c); c.checkAttributes(); c.carry(entry, results) })
	return results, err
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
