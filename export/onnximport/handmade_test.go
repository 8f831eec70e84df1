package onnximport_test

import (
	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
	"ebm/models/tensor"
)

// handmade returns the models of all rows and of other tests, as seeds.
func handmade() [][]byte {
	var list [][]byte
	for _, row := range rows() {
		p, _ := row.file()
		list = append(list, bytesOf(p))
	}
	for _, make := range []func() (*onnxpb.ModelProto, map[string]*tensor.Tensor){
		viewModel, expandModel, rangeModel, functionModel,
		func() (*onnxpb.ModelProto, map[string]*tensor.Tensor) { return branches(truth()) },
	} {
		p, _ := make()
		list = append(list, bytesOf(p))
	}
	return list
}

// viewModel computes the shape of a Reshape.
func viewModel() (*onnxpb.ModelProto, map[string]*tensor.Tensor) {
	m, inputs := model(13, map[string]arg{"x": v(2, 3, 4), "one": ints(1), "two": ints(2), "rest": ints(-1), "axis": ints(0)},
		[]string{"y", "n", "float"},
		node("Shape", []string{"x"}, []string{"s"}, nil),
		node("Slice", []string{"s", "axis", "one"}, []string{"head"}, nil),
		node("Cast", []string{"head"}, []string{"head32"}, attrs{"to": 6}),
		node("Cast", []string{"head32"}, []string{"head64"}, attrs{"to": 7}),
		node("Squeeze", []string{"head64", "axis"}, []string{"s0"}, nil),
		node("Unsqueeze", []string{"s0", "axis"}, []string{"s1"}, nil),
		node("Slice", []string{"s", "one", "two"}, []string{"middle"}, nil),
		node("Cast", []string{"middle"}, []string{"float"}, attrs{"to": 1}), // as a number at run time
		node("Mul", []string{"s1", "two"}, []string{"rows"}, nil),
		node("Concat", []string{"rows", "rest"}, []string{"shape"}, attrs{"axis": 0}),
		node("Reshape", []string{"x", "shape"}, []string{"y"}, nil),
		node("Identity", []string{"rows"}, []string{"n"}, nil), // the number itself, at run time
	)
	symbolicInput(m, "x")
	return m, inputs
}

// expandModel computes the shape of an Expand.
func expandModel() (*onnxpb.ModelProto, map[string]*tensor.Tensor) {
	m, inputs := model(13, map[string]arg{"x": v(1, 3), "y": v(2, 3), "zero": scalarInt(0), "axis": ints(0), "keep": ints(-1),
		"minus": scalarInt(-1), "two": ints(2)}, []string{"z"},
		node("Shape", []string{"y"}, []string{"s"}, nil),
		node("Gather", []string{"s", "zero"}, []string{"n"}, attrs{"axis": 0}),
		node("Unsqueeze", []string{"n", "axis"}, []string{"n1"}, nil),
		node("Concat", []string{"n1", "keep"}, []string{"want"}, attrs{"axis": 0}),
		node("ConstantOfShape", []string{"two"}, []string{"ones"}, attrs{"value": tensor.Of([]int64{1}, 1)}),
		node("Mul", []string{"ones", "minus"}, []string{"minuses"}, nil),
		node("Equal", []string{"want", "minuses"}, []string{"same"}, nil),
		node("Where", []string{"same", "ones", "want"}, []string{"shape"}, nil),
		node("Expand", []string{"x", "shape"}, []string{"e"}, nil),
		node("Add", []string{"e", "y"}, []string{"z"}, nil),
	)
	symbolicInput(m, "y")
	return m, inputs
}

// rangeModel counts to the size of a batch.
func rangeModel() (*onnxpb.ModelProto, map[string]*tensor.Tensor) {
	m, inputs := model(13, map[string]arg{"x": v(4, 1), "zero": scalarInt(0), "one": scalarInt(1)}, []string{"y"},
		node("Shape", []string{"x"}, []string{"s"}, nil),
		node("Gather", []string{"s", "zero"}, []string{"n"}, attrs{"axis": 0}),
		node("Range", []string{"zero", "n", "one"}, []string{"y"}, nil))
	symbolicInput(m, "x")
	return m, inputs
}

// functionModel calls functions of its own.
func functionModel() (*onnxpb.ModelProto, map[string]*tensor.Tensor) {
	m, inputs := model(18, map[string]arg{"x": apart(2, 3), "b": v(3)}, []string{"with", "without"},
		node("Outer", []string{"x", "b"}, []string{"with"}, attrs{"slope": 0.5}),
		node("Inner", []string{"x"}, []string{"without"}, nil))
	for _, n := range m.Graph.Node {
		n.Domain = proto.String("local")
	}
	ref := attribute("alpha", 0.0)
	ref.F, ref.RefAttrName = nil, proto.String("alpha")
	elu := node("Elu", []string{"s"}, []string{"y"}, nil)
	elu.Attribute = append(elu.Attribute, ref)
	inner := &onnxpb.FunctionProto{
		Domain: proto.String("local"), Name: proto.String("Inner"), Input: []string{"x", "b"}, Output: []string{"y"},
		AttributeProto: []*onnxpb.AttributeProto{attribute("alpha", 2.0)},
		OpsetImport:    m.OpsetImport,
		Node:           []*onnxpb.NodeProto{node("Sum", []string{"x"}, []string{"s"}, nil), elu},
	}
	alpha := attribute("alpha", 0.0)
	alpha.F, alpha.RefAttrName = nil, proto.String("slope")
	call := node("Inner", []string{"s"}, []string{"z"}, nil)
	call.Domain, call.Attribute = proto.String("local"), []*onnxpb.AttributeProto{alpha}
	outer := &onnxpb.FunctionProto{
		Domain: proto.String("local"), Name: proto.String("Outer"), Input: []string{"p", "q"}, Output: []string{"z"},
		Attribute: []string{"slope"},
		Node:      []*onnxpb.NodeProto{node("Add", []string{"p", "q"}, []string{"s"}, nil), call},
	}
	m.Functions = []*onnxpb.FunctionProto{inner, outer}
	return m, inputs
}
