package graph

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Dim is one dimension: a constant times named symbols, such as 32, N or 4·N.
// Two dimensions are the same exactly when they compare equal with ==. The
// zero Dim is the constant 0.
type Dim struct {
	n    int    // the constant factor
	syms string // symbols in sorted order, joined by "·"
}

const times = "·"

// Const returns the dimension n.
func Const(n int) Dim { return Dim{n: n} }

// Sym returns the dimension called name, such as "N" for a batch.
func Sym(name string) Dim { return Dim{n: 1, syms: name} }

// Constant returns the value of a dimension without symbols.
func (d Dim) Constant() (n int, ok bool) { return d.n, d.syms == "" }

// Factors returns the constant factor and the symbols of d.
func (d Dim) Factors() (n int, symbols []string) {
	if d.syms == "" {
		return d.n, nil
	}
	return d.n, strings.Split(d.syms, times)
}

// Mul returns the product of d and e.
func (d Dim) Mul(e Dim) Dim {
	p := Dim{n: d.n * e.n}
	if p.n == 0 {
		return p
	}
	_, a := d.Factors()
	_, b := e.Factors()
	s := append(slices.Clone(a), b...)
	slices.Sort(s)
	p.syms = strings.Join(s, times)
	return p
}

// String returns d as it is printed: "32", "N" or "4·N".
func (d Dim) String() string {
	if d.syms == "" {
		return strconv.Itoa(d.n)
	}
	if d.n == 1 {
		return d.syms
	}
	return strconv.Itoa(d.n) + times + d.syms
}

// Shape is the dimensions of a node's output, outermost first.
type Shape []Dim

// Dims returns the shape with the given constant dimensions.
func Dims(n ...int) Shape {
	s := make(Shape, len(n))
	for i, d := range n {
		s[i] = Const(d)
	}
	return s
}

// Batch returns the shape [N, n...] whose first dimension is the symbol N.
func Batch(n ...int) Shape { return append(Shape{Sym("N")}, Dims(n...)...) }

// Equal reports whether s and t have the same dimensions.
func (s Shape) Equal(t Shape) bool { return slices.Equal(s, t) }

// Volume returns the number of elements as a dimension.
func (s Shape) Volume() Dim {
	v := Const(1)
	for _, d := range s {
		v = v.Mul(d)
	}
	return v
}

// Static returns the dimensions as numbers; ok is false when one is symbolic.
func (s Shape) Static() (n []int, ok bool) {
	n = make([]int, len(s))
	for i, d := range s {
		c, isConst := d.Constant()
		if !isConst {
			return nil, false
		}
		n[i] = c
	}
	return n, true
}

// Bind returns the dimensions as numbers, with symbols replaced by sizes.
func (s Shape) Bind(sizes map[string]int) ([]int, error) {
	n := make([]int, len(s))
	for i, d := range s {
		c, symbols := d.Factors()
		for _, sym := range symbols {
			size, ok := sizes[sym]
			if !ok {
				return nil, fmt.Errorf("the size of dimension %s in shape %v is not known", sym, s)
			}
			c *= size
		}
		n[i] = c
	}
	return n, nil
}

// String returns the shape as it is printed, such as "[N 1 32 32]".
func (s Shape) String() string {
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = d.String()
	}
	return "[" + strings.Join(parts, " ") + "]"
}
