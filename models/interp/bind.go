package interp

import (
	"errors"
	"fmt"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// bind returns the sizes of the symbols in the shapes of g's inputs, so that
// the arguments fit.
func bind(g *graph.Graph, args []*tensor.Tensor) (map[string]int, error) {
	sizes := make(map[string]int)
	for i, in := range g.Inputs() {
		if args[i].Rank() != in.Rank() {
			return nil, fmt.Errorf("input %q has shape %v, want %v", in.InputName(), args[i].Shape(), in.Shape())
		}
	}
	// A product such as N·K gives a size once the other one is known, which
	// may be from a later input: go round until nothing new is found.
	for found := true; found; {
		found = false
		for i, in := range g.Inputs() {
			for axis, d := range in.Shape() {
				found = solve(d, args[i].Shape()[axis], sizes) || found
			}
		}
	}
	for i, in := range g.Inputs() {
		want, err := in.Shape().Bind(sizes)
		if err != nil {
			return nil, fmt.Errorf("input %q of shape %v: %w", in.InputName(), args[i].Shape(), err)
		}
		for axis, n := range want {
			if args[i].Shape()[axis] == n {
				continue
			}
			text := fmt.Sprintf("input %q has shape %v, want %v", in.InputName(), args[i].Shape(), in.Shape())
			if _, ok := in.Shape()[axis].Constant(); !ok {
				text += fmt.Sprintf(" with %v = %d along axis %d", in.Shape()[axis], n, axis)
			}
			return nil, errors.New(text)
		}
	}
	return sizes, nil
}

// solve finds the size of the one symbol u of d that is not known yet, where d
// is a·u + b and the size fits.
func solve(d graph.Dim, size int, sizes map[string]int) (found bool) {
	unknown := ""
	for _, s := range d.Symbols() {
		if _, ok := sizes[s]; ok {
			continue
		}
		if unknown != "" {
			return false
		}
		unknown = s
	}
	if unknown == "" {
		return false
	}
	d = d.Replace(func(s string) graph.Dim {
		if n, ok := sizes[s]; ok {
			return graph.Const(n)
		}
		return graph.Sym(s)
	})
	factor := 0
	for _, t := range d.Terms() {
		switch {
		case len(t.Factors) == 0:
			size -= t.N
		case len(t.Factors) == 1 && t.Factors[0].Symbol == unknown:
			factor = t.N
		default:
			return false
		}
	}
	if factor == 0 || size%factor != 0 {
		return false
	}
	sizes[unknown] = size / factor
	return true
}
