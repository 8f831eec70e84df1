package onnximport

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// sizes is a small tensor of integers that a model computes from shapes: its
// elements are expressions over symbols, negative ones included.
type sizes struct {
	shape []int // rank 0 or 1
	elems []graph.Dim
	truth bool // 0 and 1 stand for false and true
}

// mostSizes bounds the elements of integers that are followed by value, and
// mostTerms the products in one of them.
const (
	mostSizes = 1 << 12
	mostTerms = 1 << 6
)

func vectorOf(elems []graph.Dim) *sizes { return &sizes{shape: []int{len(elems)}, elems: elems} }

// mulDim returns a·b, ok unless it becomes too large.
func mulDim(a, b graph.Dim) (graph.Dim, bool) {
	if m, ok := a.Constant(); ok {
		if n, ok := b.Constant(); ok {
			hi, lo := bits.Mul64(magnitude(m), magnitude(n))
			return a.Mul(b), hi == 0 && lo <= math.MaxInt64
		}
	}
	m, s := largest(a)
	n, t := largest(b)
	if hi, lo := bits.Mul64(m, n); hi != 0 || lo > math.MaxInt64 || s*t > mostTerms {
		return graph.Dim{}, false
	}
	return a.Mul(b), true
}

// largest returns the largest coefficient of d and how many products it is.
func largest(d graph.Dim) (n uint64, terms int) {
	list := d.Terms()
	for _, t := range list {
		n = max(n, magnitude(t.N))
	}
	return n, len(list)
}

func magnitude(n int) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// addDim returns a+sign·b, ok unless it becomes too large.
func addDim(a, b graph.Dim, sign int) (graph.Dim, bool) {
	m, s := largest(a)
	n, t := largest(b)
	if m > math.MaxInt64/2 || n > math.MaxInt64/2 || s+t > mostTerms {
		return graph.Dim{}, false
	}
	return a.Add(b.Mul(graph.Const(sign))), true
}

// divDim returns a/b where that is known: of numbers, truncated towards 0;
// where it is exact for every size of the symbols; and of what is not negative.
func divDim(a, b graph.Dim) (graph.Dim, bool) {
	m, ok1 := a.Constant()
	n, ok2 := b.Constant()
	switch {
	case b == graph.Dim{}:
		return graph.Dim{}, false
	case ok1 && ok2:
		return graph.Const(m / n), true
	}
	if q, ok := a.DivExact(b); ok {
		return q, true
	}
	if !ok2 || n < 1 || !atLeast(a, 0) {
		return graph.Dim{}, false
	}
	return a.Div(b), true
}

// modDim returns the rest of a/b where that is known.
func modDim(a, b graph.Dim) (graph.Dim, bool) {
	q, ok := divDim(a, b)
	if !ok || !atLeast(a, 0) || !atLeast(b, 1) {
		return graph.Dim{}, false
	}
	return a.Sub(q.Mul(b)), true
}

// maxDim returns the larger of a and b where that does not depend on symbols.
func maxDim(a, b graph.Dim) (graph.Dim, bool) {
	if atLeast(a.Sub(b), 0) {
		return a, true
	}
	return b, atLeast(b.Sub(a), 0)
}

// minDim returns the smaller of a and b where that does not depend on symbols.
func minDim(a, b graph.Dim) (graph.Dim, bool) {
	if atLeast(a.Sub(b), 0) {
		return b, true
	}
	return a, atLeast(b.Sub(a), 0)
}

// lessDim compares where that does not depend on symbols.
func lessDim(a, b graph.Dim) (graph.Dim, bool) {
	if atLeast(b.Sub(a), 1) {
		return graph.Const(1), true
	}
	return graph.Const(0), atLeast(a.Sub(b), 0)
}

// atLeast reports whether d is surely n or more, for symbols of 1 or more.
func atLeast(d graph.Dim, n int) bool {
	least, ok := d.Least()
	return ok && least >= n
}

// possible reports whether d can be 0 or more.
func possible(d graph.Dim) bool { return !atLeast(graph.Const(-1).Sub(d), 0) }

// assume takes a dimension for 0 or more. Where that depends on the sizes of
// symbols, the model says so.
func (im *importer) assume(d graph.Dim) bool {
	if atLeast(d, 0) {
		return true
	}
	if !possible(d) {
		return false
	}
	var more, less graph.Dim
	for _, t := range d.Terms() {
		p := graph.Const(t.N)
		for _, f := range t.Factors {
			if f.Symbol != "" {
				p = p.Mul(graph.Sym(f.Symbol))
			} else {
				p = p.Mul(f.Over.Div(f.Under))
			}
		}
		if t.N > 0 {
			more = more.Add(p)
		} else {
			less = less.Sub(p)
		}
	}
	if text := fmt.Sprintf("%v ≤ %v", less, more); !slices.Contains(im.model.Assumes, text) {
		im.model.Assumes = append(im.model.Assumes, text)
	}
	return true
}

// volume returns the number of elements of a shape, ok unless it overflows.
func volume(s graph.Shape) (v graph.Dim, ok bool) {
	v, ok = graph.Const(1), true
	for _, d := range s {
		if d == (graph.Dim{}) {
			return d, true
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
	if n, _ := v.node.Shape().Static(); t == nil && tensor.Volume(n) == 0 {
		t = tensor.New(tensor.Int64, n...)
	} else if t == nil {
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
	if v.items != nil {
		panic(failure{errors.New("a sequence, want a tensor")})
	}
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
		parts[i] = graph.Reshape(im.count(d), graph.Dims(1))
	}
	v.node = graph.Reshape(graph.Concat(0, parts...), graph.Dims(s.shape...))
	return v.node
}

// equalDims compares where that does not depend on the sizes of symbols.
func equalDims(a, b graph.Dim) (graph.Dim, bool) {
	if a == b {
		return graph.Const(1), true
	}
	return graph.Const(0), atLeast(a.Sub(b), 1) || atLeast(b.Sub(a), 1)
}

// count returns the value of d at run time as an int64 scalar.
func (im *importer) count(d graph.Dim) *graph.Node {
	var total *graph.Node
	for _, t := range d.Terms() {
		p := im.graph.Scalar(tensor.Int64, float64(t.N))
		for _, f := range t.Factors {
			size := graph.Sym(f.Symbol)
			if f.Symbol == "" {
				size = f.Over.Div(f.Under)
			}
			p = graph.Mul(p, im.size(size))
		}
		if total != nil {
			p = graph.Add(total, p)
		}
		total = p
	}
	if total == nil {
		return im.graph.Scalar(tensor.Int64, 0)
	}
	return total
}

// size returns a dimension as an int64 scalar: the sum of as many ones.
func (im *importer) size(d graph.Dim) *graph.Node {
	n := im.counts[d]
	if n == nil {
		n = graph.ReduceSum(graph.Broadcast(im.graph.Scalar(tensor.Int64, 1), graph.Shape{d}))
		im.counts[d] = n
	}
	return n
}

// iota returns 0, 1, … n−1 as int64.
func (c *call) iota(n graph.Dim) *graph.Node {
	if k, ok := n.Constant(); ok {
		if k > mostFolded {
			c.fail("an axis of %d elements, at most %d are supported", k, mostFolded)
		}
		return c.made(iota64(k))
	}
	return graph.Iota(c.graph.Scalar(tensor.Int64, 0), n)
}

// repeated returns d in the type and shape of x.
func (c *call) repeated(x *graph.Node, d graph.Dim) *graph.Node {
	if n, ok := d.Constant(); ok {
		return constantLike(x, float64(n))
	}
	return graph.Broadcast(graph.Cast(c.count(d), x.DType()), x.Shape())
}
