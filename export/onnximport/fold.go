package onnximport

import (
	"ebm/models/graph"
	"ebm/models/interp"
	"ebm/models/tensor"
)

// folder finds the values of nodes that depend on constants alone.
type folder struct {
	known map[*graph.Node]*tensor.Tensor // nil for those that have no value
	spent int                            // elements of all values
}

// mostFolded bounds the elements of a value that is computed while importing,
// and mostSpent those of all of them: a short file may ask for many.
const (
	mostFolded = 1 << 20
	mostSpent  = 1 << 25
)

// value returns the value of n as the interpreter gives it (float64, int64 or
// bool), nil if n depends on inputs or is large.
func (f *folder) value(n *graph.Node) *tensor.Tensor {
	if t, ok := f.known[n]; ok {
		return t
	}
	f.known[n] = nil
	t := f.compute(n)
	f.known[n] = t
	return t
}

func (f *folder) compute(n *graph.Node) *tensor.Tensor {
	shape, static := n.Shape().Static()
	if v, ok := volume(n.Shape()); !static || n.Op() == graph.OpInput || len(n.Types()) != 1 || !ok ||
		fewer(mostFolded, v) || f.spent > mostSpent {
		return nil
	}
	f.spent += tensor.Volume(shape)
	g := graph.New("constant")
	operands := make([]*graph.Node, len(n.Inputs()))
	for i, in := range n.Inputs() {
		t := f.value(in)
		if t == nil {
			return nil
		}
		operands[i] = g.Constant(typed(t, in.DType()))
	}
	var result *graph.Node
	if v := n.ConstantValue(); v != nil {
		result = g.Constant(v)
	} else if err := graph.Catch(func() { result = graph.Apply(n.Op(), n.Attr(), operands...) }); err != nil {
		return nil
	}
	out, err := interp.Eval(g, nil, result)
	if err != nil || tensor.Volume(shape) != out[0].Len() {
		return nil
	}
	return out[0]
}

// fewer reports whether n is less than the number d.
func fewer(n int, d graph.Dim) bool {
	c, _ := d.Constant()
	return n < c
}

// typed returns a value of the interpreter as the type that it stands for,
// which types of nodes are checked by.
func typed(t *tensor.Tensor, dtype tensor.DType) *tensor.Tensor {
	if t.DType() == dtype {
		return t
	}
	out := tensor.New(dtype, t.Shape()...)
	switch d := out.Raw().(type) {
	case []float32:
		fill(d, tensor.Data[float64](t))
	case []int8:
		fill(d, tensor.Data[int64](t))
	case []int16:
		fill(d, tensor.Data[int64](t))
	case []int32:
		fill(d, tensor.Data[int64](t))
	case []uint8:
		fill(d, tensor.Data[int64](t))
	}
	return out
}

// converted returns a value of any type as another of the same kind.
func converted(t *tensor.Tensor, dtype tensor.DType) *tensor.Tensor {
	if t.DType() == dtype {
		return t
	}
	if dtype.IsFloat() {
		return typed(tensor.Of(t.Float64s(), t.Shape()...), dtype)
	}
	return typed(integersOf(t), dtype)
}

// integersOf returns the elements of t as int64.
func integersOf(t *tensor.Tensor) *tensor.Tensor {
	if t.DType() == tensor.Int64 {
		return t
	}
	whole := tensor.New(tensor.Int64, t.Shape()...)
	for i, v := range t.Float64s() {
		tensor.Data[int64](whole)[i] = int64(v)
	}
	return whole
}

func fill[D float32 | int8 | int16 | int32 | uint8, S float64 | int64](dst []D, src []S) {
	for i, v := range src {
		dst[i] = D(v)
	}
}
