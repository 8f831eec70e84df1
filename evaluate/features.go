package evaluate

import (
	"fmt"
	"math"

	"ebm/models/tensor"
)

// fewSamples is the number below which results carry a warning: the least
// that the authors of FID advise.
const fewSamples = 10_000

// checkFeatures returns the shape of features, which must be [n, d] with at
// least one column and hold finite numbers alone.
func checkFeatures(what string, features *tensor.Tensor) (n, d int, err error) {
	if features == nil || !features.DType().IsFloat() || features.Rank() != 2 || features.Shape()[1] < 1 {
		return 0, 0, fmt.Errorf("%s: %v, want floats of shape [samples, features]", what, features)
	}
	n, d = features.Shape()[0], features.Shape()[1]
	at := -1
	switch v := features.Raw().(type) {
	case []float32:
		at = firstNotFinite(v)
	case []float64:
		at = firstNotFinite(v)
	default:
		at = firstNotFinite(features.Float64s())
	}
	if at >= 0 {
		return 0, 0, fmt.Errorf("%s: feature %d of sample %d is not finite", what, at%d, at/d)
	}
	return n, d, nil
}

// firstNotFinite returns the index of the first NaN or infinity, -1 without one.
func firstNotFinite[T float32 | float64](v []T) int {
	for i, x := range v {
		if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
			return i
		}
	}
	return -1
}

// checkPair checks two sets of features that are to be compared.
func checkPair(generated, real *tensor.Tensor) (ng, nr, d int, err error) {
	ng, d, err = checkFeatures("generated features", generated)
	if err != nil {
		return 0, 0, 0, err
	}
	nr, dr, err := checkFeatures("real features", real)
	if err != nil {
		return 0, 0, 0, err
	}
	if d != dr {
		return 0, 0, 0, fmt.Errorf("generated samples have %d features and real ones %d: two networks made them", d, dr)
	}
	return ng, nr, d, nil
}

// copyRow writes row i of features [n, d] to dst as float64.
func copyRow(dst []float64, features *tensor.Tensor, i int) {
	d := len(dst)
	switch v := features.Raw().(type) {
	case []float32:
		for j, x := range v[i*d : (i+1)*d] {
			dst[j] = float64(x)
		}
	case []float64:
		copy(dst, v[i*d:(i+1)*d])
	case []tensor.Float16Bits:
		for j, x := range v[i*d : (i+1)*d] {
			dst[j] = float64(x.Float32())
		}
	case []tensor.BFloat16Bits:
		for j, x := range v[i*d : (i+1)*d] {
			dst[j] = float64(x.Float32())
		}
	}
}

// meanAndDeviation returns the mean and the standard deviation divided by N,
// which is what NumPy's std and so the other programs report.
func meanAndDeviation(v []float64) (mean, deviation float64) {
	for _, x := range v {
		mean += x
	}
	mean /= float64(len(v))
	for _, x := range v {
		deviation += (x - mean) * (x - mean)
	}
	return mean, math.Sqrt(deviation / float64(len(v)))
}
