package onnximport

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
)

// functionKey names a model-local function.
type functionKey struct{ domain, name, overload string }

func functionsOf(p *onnxpb.ModelProto) map[functionKey]*onnxpb.FunctionProto {
	functions := make(map[functionKey]*onnxpb.FunctionProto)
	for _, f := range p.Functions {
		functions[functionKey{f.GetDomain(), f.GetName(), f.GetOverload()}] = f
	}
	return functions
}

// inline imports the nodes of a model-local function in the place of node n
// that calls it.
func (im *importer) inline(n *onnxpb.NodeProto, f *onnxpb.FunctionProto, operands []*value) ([]*value, error) {
	const deepest = 32
	if im.depth >= deepest {
		return nil, fmt.Errorf("functions inside of more than %d others", deepest)
	}
	version := im.version
	for _, s := range f.OpsetImport {
		if d := s.GetDomain(); d == "" || d == "ai.onnx" {
			if version = int(s.GetVersion()); version < 1 || version > newestOpset {
				return nil, fmt.Errorf("operator set %d is not supported", version)
			}
		}
	}
	if len(operands) > len(f.Input) {
		return nil, fmt.Errorf("%d operands for a function of %d", len(operands), len(f.Input))
	}
	outer := *im
	defer func() {
		im.values, im.defined, im.depth, im.version = outer.values, outer.defined, outer.depth, outer.version
	}()
	im.values, im.defined, im.version = make(map[string]*value), make(map[string]bool), version
	im.depth++
	for i, v := range operands {
		if v != nil {
			im.values[f.Input[i]] = v
		} else {
			im.values[f.Input[i]] = &value{absent: "an operand of the function that is not given"}
		}
	}
	if err := im.nodes(&onnxpb.GraphProto{Node: substituted(n, f)}); err != nil {
		return nil, err
	}
	results := make([]*value, len(f.Output))
	for i, name := range f.Output {
		v := im.values[name]
		if v == nil {
			return nil, fmt.Errorf("output %q of the function is not computed", name)
		}
		if v.absent == "" || v.broken {
			results[i] = v
		}
	}
	return results, nil
}

// substituted returns a function's nodes with references to its attributes
// replaced by those of the call, or by their defaults.
func substituted(call *onnxpb.NodeProto, f *onnxpb.FunctionProto) []*onnxpb.NodeProto {
	given := make(map[string]*onnxpb.AttributeProto)
	for _, a := range f.AttributeProto {
		given[a.GetName()] = a
	}
	for _, a := range call.Attribute {
		given[a.GetName()] = a
	}
	absent := make(map[string]bool) // operands that the call leaves out
	for i, name := range f.Input {
		absent[name] = i >= len(call.Input) || call.Input[i] == ""
	}
	nodes := make([]*onnxpb.NodeProto, len(f.Node))
	for i, n := range f.Node {
		n = proto.Clone(n).(*onnxpb.NodeProto)
		kept := n.Attribute[:0]
		for _, a := range n.Attribute {
			if ref := a.GetRefAttrName(); ref != "" {
				from := given[ref]
				if from == nil {
					continue // an optional attribute that nobody gives
				}
				name := a.Name
				a = proto.Clone(from).(*onnxpb.AttributeProto)
				a.Name = name
			}
			kept = append(kept, a)
		}
		n.Attribute = kept
		for j, in := range n.Input {
			if absent[in] {
				n.Input[j] = ""
			}
		}
		nodes[i] = n
	}
	return nodes
}
