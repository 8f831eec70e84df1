package main

import (
	"context"
	"math"
	"slices"

	"ebm"
	"ebm/evaluate/features"
	"ebm/internal/picture"
	"ebm/mdsm/restore"
	"ebm/models/tensor"
)

// view is what was restored, as it is compared and shown.
type view struct {
	restore.Frame
	problem         restore.Problem
	known           *tensor.Tensor // [P C H W], nil where nobody knows
	x               *tensor.Tensor // samples [P·samples C H W]
	samples         int            // of each picture
	mean, deviation *tensor.Tensor // [P C H W]
	inverse         *tensor.Tensor // pseudo-inverses [P C H W]
}

func newView(f restore.Frame, p restore.Problem, known, x *tensor.Tensor, samples int) *view {
	v := &view{Frame: f, problem: p, known: known, x: x, samples: samples}
	v.mean, v.deviation = restore.Summary(x, samples)
	v.inverse = v.each(p.Operator.Inverse)
	return v
}

// count returns the number of pictures.
func (v *view) count() int { return v.problem.Measured.Shape()[0] }

// measured returns y of a picture.
func (v *view) measured(i int) []float64 { return v.problem.Measured.Rows(i, i+1).Float64s() }

// each makes a picture of every measurement.
func (v *view) each(of func(y []float64) []float64) *tensor.Tensor {
	var all []float64
	for i := range v.count() {
		all = append(all, of(v.measured(i))...)
	}
	return tensor.Of(all, append([]int{v.count()}, v.Shape...)...).AsFloat32()
}

// larger returns what was measured in the size of the pictures, by the bicubic
// filter.
func (v *view) larger(factor int) *tensor.Tensor {
	return v.each(func(y []float64) []float64 { return v.Larger(y, factor) })
}

// residual returns the root mean square of Ax − y over all samples.
func (v *view) residual() float64 {
	sum := 0.0
	for i := range v.x.Shape()[0] {
		r := v.problem.Operator.Residual(tensor.Data[float32](v.x.Rows(i, i+1)), v.measured(i/v.samples))
		sum += r * r
	}
	return math.Sqrt(sum / float64(v.x.Shape()[0]))
}

// spread returns the root mean square of the samples' standard deviations.
func (v *view) spread() float64 {
	sum := 0.0
	values := v.cropped(v.deviation).Float64s()
	for _, d := range values {
		sum += d * d
	}
	return math.Sqrt(sum / float64(len(values)))
}

// psnr returns the mean PSNR of pictures, of which there may be several for each
// that is known.
func (v *view) psnr(x *tensor.Tensor) float64 {
	sum, n := 0.0, x.Shape()[0]
	for i := range n {
		truth := i * v.count() / n
		sum += v.PSNR(tensor.Data[float32](x.Rows(i, i+1)), tensor.Data[float32](v.known.Rows(truth, truth+1)))
	}
	return sum / float64(n)
}

// cropped returns pictures without the padding.
func (v *view) cropped(x *tensor.Tensor) *tensor.Tensor {
	_, h, w := v.Size()
	out, err := picture.Crop(x, h, w)
	if err != nil {
		panic(err) // the frame was checked
	}
	return out
}

// grid returns the rows of some pictures: each, its measurement, samples, their mean
// and three times their standard deviation.
func (v *view) grid(most int) (picture.Grid, *tensor.Tensor) {
	var rows []*tensor.Tensor
	deviation := v.deviation.Clone()
	for i, d := range tensor.Data[float32](deviation) {
		tensor.Data[float32](deviation)[i] = 3 * d
	}
	shown := min(v.samples, 8)
	columns := 3 + shown
	for i := range min(most, v.count()) {
		if v.known != nil {
			rows = append(rows, v.known.Rows(i, i+1))
		}
		rows = append(rows, v.inverse.Rows(i, i+1), v.x.Rows(i*v.samples, i*v.samples+shown), v.mean.Rows(i, i+1), deviation.Rows(i, i+1))
	}
	if v.known != nil {
		columns++
	}
	_, h, w := v.Size()
	return picture.Grid{Columns: columns, Padding: 1, Scale: min(max(64/max(h, w), 1), 8), Background: 96}, v.cropped(tensor.Concat(rows...))
}

// classes returns the classes that the shipped classifier gives to several sets of
// pictures, nil where none knows the model's data.
func (f *restoreFlags) classes(ctx context.Context, a *app, m *ebm.Model, sets ...*tensor.Tensor) ([][]int, error) {
	data := m.Data
	_, size, _ := restore.Frame{Shape: m.Shape(), Pad: m.Pad}.Size()
	if !features.Recognises(data, size) || m.Shape()[0] != 1 {
		return nil, nil
	}
	network, err := features.ShippedClassifier(data)
	if err != nil {
		return nil, err
	}
	rt, err := a.runtime(ctx)
	if err != nil {
		return nil, err
	}
	e, err := network.Open(rt, 1, size, size)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	var all [][]int
	for _, x := range sets {
		x, err := picture.Crop(x, size, size)
		if err == nil {
			x, err = picture.Bytes(x)
		}
		if err != nil {
			return nil, err
		}
		out, err := e.Features(ctx, x, nil)
		if err != nil {
			return nil, err
		}
		each := out.Classes.Shape()[2]
		var likely []int
		for row := range slices.Chunk(out.Classes.Float64s(), each) {
			likely = append(likely, slices.Index(row, slices.Max(row)))
		}
		all = append(all, likely)
	}
	return all, nil
}

// agreement returns the share of classes that are those of the truth, of which each
// may have several.
func agreement(truth, classes []int) float64 {
	same := 0
	for i, c := range classes {
		if c == truth[i*len(truth)/len(classes)] {
			same++
		}
	}
	return float64(same) / float64(len(classes))
}
