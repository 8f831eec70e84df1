package onnximport

import (
	"slices"

	"ebm/export/onnxpb"
	"ebm/models/graph"
	"ebm/models/tensor"
)

func readShape(c *call) []*value {
	var dims []graph.Dim
	if v := c.operand(0); v.node == nil {
		dims = graph.Dims(v.sizes.shape...)
	} else {
		dims = v.node.Shape()
	}
	n := len(dims)
	clip := func(i int) int {
		if i < 0 {
			i += n
		}
		return max(0, min(i, n))
	}
	start, end := clip(c.integer("start", 0)), clip(c.integer("end", n))
	return []*value{{sizes: vectorOf(dims[start:max(start, end)])}}
}

func readSize(c *call) []*value {
	n, ok := volume(c.x(0).Shape())
	if !ok {
		c.fail("shape %v is too large", c.x(0).Shape())
	}
	return []*value{{sizes: &sizes{elems: []graph.Dim{n}}}}
}

func readConstant(c *call) []*value {
	p := c.tensors["value"]
	c.ignore("value")
	if p != nil {
		t, err := readTensor(p, c.options.Dir)
		if err != nil {
			c.fail("%w", err)
		}
		return one(c.graph.Constant(t))
	}
	var t *tensor.Tensor
	if v, ok := attribute[float32](c, "value_float"); ok {
		t = tensor.Of([]float32{v})
	} else if v, ok := attribute[[]float32](c, "value_floats"); ok {
		t = tensor.Of(v, len(v))
	} else if v, ok := attribute[int64](c, "value_int"); ok {
		t = tensor.Of([]int64{v})
	} else if v, ok := attribute[[]int64](c, "value_ints"); ok {
		t = tensor.Of(v, len(v))
	} else {
		c.fail("want a value that is a tensor or numbers")
	}
	return one(c.graph.Constant(t))
}

func readConstantOfShape(c *call) []*value {
	fill := tensor.Of([]float32{0})
	c.ignore("value")
	if p := c.tensors["value"]; p != nil {
		t, err := readTensor(p, c.options.Dir)
		if err != nil {
			c.fail("%w", err)
		}
		if t.Len() != 1 {
			c.fail("%v, want a value of one element", t)
		}
		fill = t.Reshape()
	}
	return one(graph.Broadcast(c.graph.Constant(fill), c.shape(0)))
}

// shape returns operand i as a shape.
func (c *call) shape(i int) graph.Shape {
	s := graph.Shape(slices.Clone(c.sizeList(i)))
	for _, d := range s {
		if n, _ := d.Factors(); n < 0 {
			c.fail("shape %v has a negative dimension", s)
		}
	}
	if _, ok := volume(s); !ok {
		c.fail("shape %v is too large", s)
	}
	return s
}

// elementType returns an attribute that is an element type. Before version 6
// that of Cast was a word.
func (c *call) elementType(name string) onnxpb.TensorProto_DataType {
	if word, ok := c.op.attributes[name].(string); ok {
		c.ignore(name)
		return onnxpb.TensorProto_DataType(onnxpb.TensorProto_DataType_value[word])
	}
	return onnxpb.TensorProto_DataType(c.integer(name, 0))
}
