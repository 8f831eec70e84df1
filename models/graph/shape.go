package graph

import (
	"fmt"
	"slices"
	"strings"
)

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
		size, missing := d.bind(sizes)
		if missing != "" {
			return nil, fmt.Errorf("the size of dimension %s in shape %v is not known", missing, s)
		}
		n[i] = size
	}
	return n, nil
}

// Ints returns the dimensions as numbers, or nil where one is symbolic.
func (s Shape) Ints() []int {
	n, ok := s.Static()
	if !ok {
		return nil
	}
	return n
}

// Sizes are places or sizes along axes, as numbers or as dimensions.
type Sizes interface{ []int | Shape }

// shapeOf returns a copy of sizes as dimensions.
func shapeOf[S Sizes](sizes S) Shape {
	switch s := any(sizes).(type) {
	case []int:
		return Dims(s...)
	case Shape:
		return slices.Clone(s)
	}
	return nil
}

// Size is a place or a size, as a number or as a dimension.
type Size interface{ int | Dim }

func dimOf[S Size](size S) Dim {
	switch s := any(size).(type) {
	case int:
		return Const(s)
	case Dim:
		return s
	}
	return Dim{}
}

// String returns the shape as it is printed, such as "[N 1 32 32]".
func (s Shape) String() string {
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = d.String()
	}
	return "[" + strings.Join(parts, " ") + "]"
}
