package ais

import (
	"fmt"

	"ebm/models/rng"
	"ebm/models/tensor"
)

// Points says where a density is measured, given pictures x with values from 0
// to 1 in steps of 1/255.
type Points string

// The kinds of points. The energy of a model trained with σ₀ is that of data
// with noise of σ₀, so Noisy are points of the distribution that it models;
// the paper's chains begin on test images as they are, which is Clean.
const (
	Clean       Points = "clean"       // x, without dequantisation
	Noisy       Points = "noisy"       // x + σ₀·n
	Dequantised Points = "dequantised" // x + (u − ½)/255 with u uniform in [0, 1)
)

// ParsePoints returns the kind called name.
func ParsePoints(name string) (Points, error) {
	switch p := Points(name); p {
	case Clean, Noisy, Dequantised:
		return p, nil
	}
	return "", fmt.Errorf("unknown points %q, want clean, noisy or dequantised", name)
}

// Of returns the points of pictures x [N …], float32, with random numbers of
// the picture's index.
func (p Points) Of(x *tensor.Tensor, sigma0 float64, seed uint64) *tensor.Tensor {
	points := x.Clone()
	if p == Clean || x.Len() == 0 {
		return points
	}
	values, each := tensor.Data[float32](points), x.Len()/x.Shape()[0]
	source, n := rng.New(seed), make([]float32, each)
	for i := range x.Shape()[0] {
		if p == Noisy {
			source.Normal(n, rng.Dequantise, uint64(i), 1)
		} else {
			source.Uniform(n, rng.Dequantise, uint64(i), 0)
		}
		for j, v := range n {
			if p == Noisy {
				v *= float32(sigma0)
			} else {
				v = (v - 0.5) / 255
			}
			values[i*each+j] += v
		}
	}
	return points
}
