package weights

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"ebm/models/tensor"
)

// folded returns entries with a layer's weight in place of what weight norm
// and spectral norm store, in the old form and as parametrizations:
//
//	weight norm     w = g · v / ‖v‖, the norm over all axes but that of g
//	spectral norm   w = v / (u · W v₁), with W as a matrix of u's length
//
// as PyTorch computes them for evaluation.
func folded(entries []entry) []entry {
	of := make(map[string]*source, len(entries))
	for _, e := range entries {
		of[e.name] = e.source
	}
	gone := map[string]bool{}
	made := map[string]entry{}
	for _, e := range entries {
		for _, form := range normForms {
			base, ok := strings.CutSuffix(e.name, form.value)
			if !ok {
				continue
			}
			parts, names := []*source{e.source}, []string{e.name}
			for _, other := range form.others {
				if s := of[base+other]; s != nil {
					parts, names = append(parts, s), append(names, base+other)
				}
			}
			if len(parts) != 1+len(form.others) || slices.ContainsFunc(parts, func(s *source) bool { return s.why != "" || !s.dtype.IsFloat() }) {
				continue
			}
			made[e.name] = entry{base + form.weight, &source{dtype: e.dtype, shape: e.shape, id: new(byte), parts: parts,
				read: func() (*tensor.Tensor, error) {
					return normed(parts, form.fold)
				}}}
			for _, name := range names {
				gone[name] = true
			}
			break
		}
	}
	if len(made) == 0 {
		return entries
	}
	var out []entry
	for _, e := range entries {
		if m, ok := made[e.name]; ok {
			out = append(out, m)
		} else if !gone[e.name] {
			out = append(out, e)
		}
	}
	return out
}

// normForms are the names of the parts: the one of the weight's shape, the
// others, and the weight.
var normForms = []struct {
	value  string
	others []string
	weight string
	fold   func(parts []*tensor.Tensor) ([]float64, error)
}{
	{"parametrizations.weight.original1", []string{"parametrizations.weight.original0"}, "weight", weightNorm},
	{"weight_v", []string{"weight_g"}, "weight", weightNorm},
	{"parametrizations.weight.original", []string{"parametrizations.weight.0._u", "parametrizations.weight.0._v"}, "weight", spectralNorm},
	{"weight_orig", []string{"weight_u", "weight_v"}, "weight", spectralNorm},
}

func normed(parts []*source, fold func([]*tensor.Tensor) ([]float64, error)) (*tensor.Tensor, error) {
	values := make([]*tensor.Tensor, len(parts))
	for i, s := range parts {
		var err error
		if values[i], err = s.read(); err != nil {
			return nil, err
		}
	}
	w, err := fold(values)
	if err != nil {
		return nil, err
	}
	t := tensor.Of(w, values[0].Shape()...)
	if values[0].DType() == tensor.Float64 {
		return t, nil
	}
	return t.AsFloat32(), nil
}

// weightNorm takes v and g, which has v's shape with 1 for the axes that the norm is
// over.
func weightNorm(parts []*tensor.Tensor) ([]float64, error) {
	v, g, shape := parts[0].Float64s(), parts[1].Float64s(), parts[0].Shape()
	if len(g) == 0 {
		return nil, fmt.Errorf("weight norm of %v and %v", parts[0], parts[1])
	}
	axis := slices.IndexFunc(parts[1].Shape(), func(d int) bool { return d > 1 })
	groups, inner := 1, 1
	if axis >= 0 {
		if len(shape) != parts[1].Rank() || shape[axis] != len(g) {
			return nil, fmt.Errorf("weight norm of %v and %v", parts[0], parts[1])
		}
		groups, inner = len(g), tensor.Volume(shape[axis+1:])
	}
	squares, out := make([]float64, groups), make([]float64, len(v))
	for i, x := range v {
		squares[i/inner%groups] += x * x
	}
	for i, x := range v {
		group := i / inner % groups
		out[i] = x * g[group] / math.Sqrt(squares[group])
	}
	return out, nil
}

// spectralNorm takes the weight, u and v; the rows of the matrix are its first
// axis.
func spectralNorm(parts []*tensor.Tensor) ([]float64, error) {
	w, u, v := parts[0].Float64s(), parts[1].Float64s(), parts[2].Float64s()
	if len(u)*len(v) != len(w) || parts[0].Rank() == 0 || parts[0].Shape()[0] != len(u) {
		return nil, fmt.Errorf("spectral norm of %v with %v and %v", parts[0], parts[1], parts[2])
	}
	sigma := 0.0
	for i, a := range u {
		for j, b := range v {
			sigma += a * w[i*len(v)+j] * b
		}
	}
	out := make([]float64, len(w))
	for i := range w {
		out[i] = w[i] / sigma
	}
	return out, nil
}
