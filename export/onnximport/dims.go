package onnximport

import (
	"math"
	"math/bits"
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// sizes is a small tensor of integers that a model computes from shapes: its
// elements are numbers and products of symbols, negative ones included.
type sizes struct {
	shape []int // rank 0 or 1
	elems []graph.Dim
	truth bool // 0 and 1 stand for false and true
}

// mostSizes bounds the elements of integers that are followed by value.
const mostSizes = 1 << 12

func vectorOf(elems []graph.Dim) *sizes { return &sizes{shape: []int{len(elems)}, elems: elems} }

// mulDim returns a·b, ok unless it overflows.
func mulDim(a, b graph.Dim) (graph.Dim, bool) {
	m, _ := a.Factors()
	n, _ := b.Factors()
	hi, lo := bits.Mul64(magnitude(m), magnitude(n))
	return a.Mul(b), hi == 0 && lo <= math.MaxInt64
}

func magnitude(n int) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// addDim returns a+sign·b where that is a product again: of numbers, and of
// multiples of the same symbols.
func addDim(a, b graph.Dim, sign int) (graph.Dim, bool) {
	m, s := a.Factors()
	n, t := b.Factors()
	if n == 0 {
		return a, true
	}
	if m != 0 && !slices.Equal(s, t) {
		return graph.Dim{}, false
	}
	sum := m + sign*n
	if (sum > m) != (sign*n > 0) {
		return graph.Dim{}, false
	}
	return product(sum, t), true
}

func product(n int, symbols []string) graph.Dim {
	d := graph.Const(n)
	for _, s := range symbols {
		d = d.Mul(graph.Sym(s))
	}
	return d
}

// divDim returns a/b where it is exact for every size of the symbols, or
// where both are numbers; those are truncated towards 0.
func divDim(a, b graph.Dim) (graph.Dim, bool) {
	m, s := a.Factors()
	n, t := b.Factors()
	if n == 0 {
		return graph.Dim{}, false
	}
	if m == 0 || len(s) == 0 && len(t) == 0 {
		return graph.Const(m / n), true
	}
	rest := slices.Clone(s)
	for _, sym := range t {
		i := slices.Index(rest, sym)
		if i < 0 {
			return graph.Dim{}, false
		}
		rest = slices.Delete(rest, i, i+1)
	}
	if m%n != 0 {
		return graph.Dim{}, false
	}
	return product(m/n, rest), true
}

// volume returns the number of elements of a shape, ok unless it overflows.
func volume(s graph.Shape) (v graph.Dim, ok bool) {
	v, ok = graph.Const(1), true
	for _, d := range s {
		if n, _ := d.Factors(); n == 0 {
			return graph.Const(0), true
		}
	}
	for _, d := range s {
		if v, ok = mulDim(v, d); !ok {
			return v, false
		}
	}
	return v, true
}

// sizesOf returns the integers of v by value, nil if they are not known.
func (im *importer) sizesOf(v *value) *sizes {
	if v.sizes != nil || v.node == nil {
		return v.sizes
	}
	if v.node.DType().IsFloat() || v.node.Rank() > 1 {
		return nil
	}
	truth := v.node.DType() == tensor.Bool
	if n, ok := v.node.Shape().Static(); !ok || tensor.Volume(n) > mostSizes {
		return nil
	}
	t := im.folder.value(v.node)
	if t == nil {
		return nil
	}
	s := &sizes{shape: t.Shape(), truth: truth}
	for _, n := range tensor.Data[int64](integersOf(t)) {
		s.elems = append(s.elems, graph.Const(int(n)))
	}
	return s
}

// nodeOf returns v as a node. Integers that were followed as sizes become
// constants, and symbols are counted: the sum of as many ones.
func (im *importer) nodeOf(v *value) *graph.Node {
	if v.node != nil {
		return v.node
	}
	s := v.sizes
	data := make([]int64, len(s.elems))
	symbolic := false
	for i, d := range s.elems {
		n, ok := d.Constant()
		data[i] = int64(n)
		symbolic = symbolic || !ok
	}
	if s.truth {
		v.node = graph.Cast(im.graph.Constant(tensor.Of(data, s.shape...)), tensor.Bool)
		return v.node
	}
	if !symbolic {
		v.node = im.graph.Constant(tensor.Of(data, s.shape...))
		return v.node
	}
	parts := make([]*graph.Node, len(s.elems))
	for i, d := range s.elems {
		n, symbols := d.Factors()
		p := im.graph.Scalar(tensor.Int64, float64(n))
		for _, sym := range symbols {
			p = graph.Mul(p, im.symbol(sym))
		}
		parts[i] = graph.Reshape(p, graph.Dims(1))
	}
	v.node = graph.Reshape(graph.Concat(0, parts...), graph.Dims(s.shape...))
	return v.node
}

// equalDims compares where that does not depend on the sizes of symbols, which
// are not negative.
func equalDims(a, b graph.Dim) (graph.Dim, bool) {
	m, s := a.Factors()
	n, t := b.Factors()
	switch {
	case a == b:
		return graph.Const(1), true
	case len(s) == 0 && len(t) == 0 || min(m, n) < 0 && (len(s) == 0 || len(t) == 0):
		return graph.Const(0), m >= 0 || n >= 0 || len(s) == len(t)
	}
	return graph.Dim{}, false
}

// symbol returns the size of a symbolic dimension as an int64 scalar.
func (im *importer) symbol(name string) *graph.Node {
	n := im.symbols[name]
	if n == nil {
		n = graph.ReduceSum(graph.Broadcast(im.graph.Scalar(tensor.Int64, 1), graph.Shape{graph.Sym(name)}))
		im.symbols[name] = n
	}
	return n
}
