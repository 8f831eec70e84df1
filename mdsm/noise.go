package mdsm

import (
	"fmt"
	"math"
)

// Spacing says how noise levels lie between the smallest and the largest.
type Spacing string

// The spacings of the paper: linear for CIFAR-10 and CelebA, geometric for
// MNIST and Fashion-MNIST.
const (
	Linear    Spacing = "linear"
	Geometric Spacing = "geometric"
)

// Levels returns n noise levels σ from min to max, both included, one for
// each position of a batch; a single level is min. A range that cannot be is an
// error.
func (s Spacing) Levels(min, max float64, n int) ([]float64, error) {
	if !(min > 0) || !(max >= min) || math.IsInf(max, 0) || n < 1 {
		return nil, fmt.Errorf("%d noise levels from %g to %g, want 0 < min ≤ max and one level or more", n, min, max)
	}
	levels := make([]float64, n)
	for i := range levels {
		t := 0.0
		if n > 1 {
			t = float64(i) / float64(n-1)
		}
		switch s {
		case Linear:
			levels[i] = min + (max-min)*t
		case Geometric:
			levels[i] = min * math.Pow(max/min, t)
		default:
			return nil, fmt.Errorf("unknown spacing %q of noise levels, want %s or %s", s, Linear, Geometric)
		}
	}
	return levels, nil
}
