package inception

import (
	"math"
	"strings"

	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/models/weights"
)

// Random returns weights that keep the size of activations about the same
// from layer to layer (He's initialisation; normalisation changes nothing).
// They take as long as real ones, and their features mean nothing.
func Random(source rng.Source) *weights.Set {
	set := new(weights.Set)
	number := uint64(0)
	x := graph.New("inception").Input("x", tensor.Float32, graph.Batch(3, Size, Size))
	build(x, func(name string, shape ...int) *tensor.Tensor {
		t := tensor.New(tensor.Float32, shape...)
		values := tensor.Data[float32](t)
		switch {
		case len(shape) > 1:
			source.Uniform(values, rng.Init, number, 0)
			bound := float32(math.Sqrt(6 / float64(tensor.Volume(shape[1:]))))
			for i, u := range values {
				values[i] = bound * (2*u - 1)
			}
		case strings.HasSuffix(name, ".running_var") || strings.HasSuffix(name, ".bn.weight"):
			for i := range values {
				values[i] = 1
			}
		}
		number++
		_ = set.Add(name, t) // names of a network's parameters are valid and differ
		return t
	})
	return set
}
