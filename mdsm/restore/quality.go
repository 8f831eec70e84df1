package restore

import (
	"math"

	"ebm/models/tensor"
)

// Summary returns the mean and the standard deviation [P …] of so many samples of
// each picture. One sample has a standard deviation of 0.
func Summary(x *tensor.Tensor, samples int) (mean, deviation *tensor.Tensor) {
	shape := append([]int{x.Shape()[0] / samples}, x.Shape()[1:]...)
	mean, deviation = tensor.New(tensor.Float32, shape...), tensor.New(tensor.Float32, shape...)
	each, values := tensor.Volume(shape[1:]), tensor.Data[float32](x)
	for i := range tensor.Data[float32](mean) {
		first := i/each*samples*each + i%each
		sum, squares := 0.0, 0.0
		for k := range samples {
			sum += float64(values[first+k*each])
		}
		m := sum / float64(samples)
		for k := range samples {
			d := float64(values[first+k*each]) - m
			squares += d * d
		}
		tensor.Data[float32](mean)[i] = float32(m)
		tensor.Data[float32](deviation)[i] = float32(math.Sqrt(squares / float64(max(samples-1, 1))))
	}
	return mean, deviation
}

// PSNR is the peak signal-to-noise ratio of two pictures inside a frame's padding,
// in decibels, whose values from 0 to 1 are cut to this range: −10 log₁₀ of the mean
// squared difference. It is +Inf for equal pictures.
func (f Frame) PSNR(a, b []float32) float64 {
	sum, n := 0.0, 0
	f.each(func(c, row, column int) {
		i := f.at(c, row, column)
		d := min(max(float64(a[i]), 0), 1) - min(max(float64(b[i]), 0), 1)
		sum += d * d
		n++
	})
	return -10 * math.Log10(sum/float64(n))
}

// Residual returns ‖Ax − y‖/√M of one x, the root mean square by which it misses its
// measurements.
func (a *Operator) Residual(x []float32, y []float64) float64 {
	sum := 0.0
	for i, v := range a.Apply(tensor.Of(x, len(x)).Float64s()) {
		sum += (v - y[i]) * (v - y[i])
	}
	return math.Sqrt(sum / float64(len(y)))
}
