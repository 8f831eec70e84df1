package restore

import (
	"ebm/mdsm/langevin"
	"ebm/models/tensor"
)

// Fill returns the problem as pictures with hidden pixels, where A takes single values
// of x as they are and they have no noise: chains of package langevin then do what
// [Graph] does, without a matrix, from any moment of a chain, and on devices. It is nil
// for other problems.
func (p Problem) Fill(samples int) *langevin.Fill {
	hidden := p.Operator.hidden()
	if p.Sigma != 0 || hidden == nil {
		return nil
	}
	y, rows := p.Measured.Float64s(), p.Operator.Rows
	pictures := make([]float32, 0, p.Measured.Shape()[0]*hidden.Len())
	for ; len(y) > 0; y = y[rows:] {
		for _, v := range p.Operator.Inverse(y[:rows]) {
			pictures = append(pictures, float32(v))
		}
	}
	return &langevin.Fill{
		Pictures: tensor.Of(pictures, append([]int{p.Measured.Shape()[0]}, p.Operator.shape...)...),
		Hidden:   hidden, Completions: samples,
	}
}

// hidden returns a mask [1 …], 1 where a value of x is not measured, or nil where a
// measurement is anything but a value of x.
func (a *Operator) hidden() *tensor.Tensor {
	mask := tensor.New(tensor.Float32, append([]int{1}, a.shape...)...)
	values := tensor.Data[float32](mask)
	for i := range values {
		values[i] = 1
	}
	for j, v := range a.right {
		if a.left != nil || len(v.at) != 1 || v.factors[0] != 1 || a.Singular[j] != 1 {
			return nil
		}
		values[v.at[0]] = 0
	}
	return mask
}
