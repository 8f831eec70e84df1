package export

import (
	"ebm/models/graph"
	"ebm/models/interp"
	"ebm/models/tensor"
)

// evaluate returns the value of a node whose new operands are unnamed
// constants, if it is small and not just a repeated operand, and nil if not.
func evaluate(n *graph.Node, operands []*graph.Node) *tensor.Tensor {
	const most, mostRead = 1024, 1 << 24
	shape, static := n.Shape().Static()
	if len(operands) == 0 || len(n.Types()) != 1 || n.Op() == graph.OpBroadcast || !static || tensor.Volume(shape) > most {
		return nil
	}
	g := graph.New("constant")
	copies := make([]*graph.Node, len(operands))
	for i, x := range operands {
		for x.Op() == graph.OpBroadcast {
			x = x.Inputs()[0]
		}
		v := x.ConstantValue()
		if whole, static := operands[i].Shape().Static(); !static || !small(whole, mostRead) {
			return nil
		}
		if v == nil || x.Attr().(graph.ConstantAttr).Name != "" {
			return nil
		}
		copies[i] = graph.Broadcast(g.Constant(v), operands[i].Shape())
	}
	g.Output("value", graph.Apply(n.Op(), n.Attr(), copies...))
	out, err := interp.Run(g, nil)
	if err != nil {
		return nil
	}
	return converted(out["value"], n.DType())
}

// small reports whether a shape has no more elements than most.
func small(shape []int, most int) bool {
	for _, d := range shape {
		if d > 0 && d > most {
			return false
		}
		most /= max(d, 1)
	}
	return true
}

// converted turns a result of the interpreter into the type it stands for.
func converted(t *tensor.Tensor, dtype tensor.DType) *tensor.Tensor {
	switch {
	case t.DType() == dtype:
		return t
	case dtype == tensor.Float32:
		return t.AsFloat32()
	}
	return nil
}
