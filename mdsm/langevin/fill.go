package langevin

import (
	"fmt"
	"math"
	"slices"

	"ebm/internal/memory"
	"ebm/models/tensor"
	"ebm/runtime/parallel"
)

// Fill has pictures whose hidden pixels chains fill in: only these move, while the
// others have the noise of the temperature (see mdsm.Inpaint). It takes Files.Inpaint and, for the jump, DenoiseHidden.
// Start says where hidden pixels begin.
type Fill struct {
	Pictures *tensor.Tensor // [M …], float32
	// Hidden is 1 where a pixel is hidden and 0 where it is given, float32: [M …]
	// or, one mask for all pictures, [1 …].
	Hidden *tensor.Tensor
	// Completions is the number of samples of each picture: sample i is one of
	// picture i/Completions.
	Completions int
}

// Count returns the number of samples of all pictures.
func (f *Fill) Count() int { return f.Pictures.Shape()[0] * f.Completions }

// of returns the picture and the mask of a sample.
func (f *Fill) of(sample int) (picture, hidden []float32) {
	each, i := tensor.Volume(f.Pictures.Shape()[1:]), sample/f.Completions
	picture = tensor.Data[float32](f.Pictures)[i*each : (i+1)*each]
	if f.Hidden.Shape()[0] == 1 {
		i = 0
	}
	return picture, tensor.Data[float32](f.Hidden)[i*each : (i+1)*each]
}

// fits reports pictures and masks that do not fit a model of one shape.
func (f *Fill) fits(shape []int) error {
	if err := rowsOfShape("pictures", f.Pictures, shape); err != nil {
		return err
	}
	if err := rowsOfShape("masks", f.Hidden, shape); err != nil {
		return err
	}
	if n, masks := f.Pictures.Shape()[0], f.Hidden.Shape()[0]; masks != 1 && masks != n {
		return fmt.Errorf("%d masks for %d pictures, want one for all or one for each", masks, n)
	}
	if f.Completions < 1 {
		return fmt.Errorf("%d completions of each picture, want one or more", f.Completions)
	}
	for i, v := range tensor.Data[float32](f.Hidden) {
		if v != 0 && v != 1 {
			return fmt.Errorf("value %d of the masks is %g, want 1 (hidden) or 0 (given)", i, v)
		}
	}
	return nil
}

// rowsOfShape reports points that are not finite float32 of one shape.
func rowsOfShape(what string, x *tensor.Tensor, shape []int) error {
	if x == nil || x.DType() != tensor.Float32 || x.Rank() != len(shape)+1 || !slices.Equal(x.Shape()[1:], shape) || x.Shape()[0] == 0 {
		return fmt.Errorf("%s are %v, the model wants one or more, float32 of shape N and %v", what, x, shape)
	}
	if bad := parallel.NotFinite(tensor.Data[float32](x)); bad >= 0 {
		return fmt.Errorf("%s: value %d is not a finite number", what, bad)
	}
	return nil
}

// point returns where a sample begins, nil for the mean.
func (s Start) point(sample int) []float32 {
	if s.From == nil {
		return nil
	}
	each, i := tensor.Volume(s.From.Shape()[1:]), sample%s.From.Shape()[0]
	return tensor.Data[float32](s.From)[i*each : (i+1)*each]
}

// fits reports points and pictures that do not fit a model of one shape.
func (s Settings) fits(shape []int) error {
	// A batch and its noise.
	if err := memory.Check("batch", s.Batch, 2*4*tensor.Volume(shape)); err != nil {
		return err
	}
	if s.Start.From != nil {
		if err := rowsOfShape("points to begin with", s.Start.From, shape); err != nil {
			return err
		}
	}
	if s.Fill == nil {
		return nil
	}
	if s.Start.From != nil {
		return fmt.Errorf("points to begin with, and pictures to fill in, want only one of them")
	}
	if err := s.Fill.fits(shape); err != nil {
		return err
	}
	if s.First+s.Count > s.Fill.Count() {
		return fmt.Errorf("samples %d to %d of pictures that have %d completions", s.First, s.First+s.Count-1, s.Fill.Count())
	}
	return nil
}

// Errors are how far completions of a picture are from what is hidden, in units
// of x.
type Errors struct {
	Hidden int       `json:"hidden_values"`
	RMSE   []float64 `json:"rmse"` // of each completion, over the hidden values
	// Mean is the error of the mean of all completions, which is the least that
	// any number of chains can tell of the picture itself.
	Mean float64 `json:"rmse_of_mean"`
}

// Errors compares samples [Count …], all of them, with the pictures. A picture
// of which nothing is hidden has errors of 0.
func (f *Fill) Errors(samples *tensor.Tensor) ([]Errors, error) {
	if err := rowsOfShape("samples", samples, f.Pictures.Shape()[1:]); err != nil {
		return nil, err
	}
	if samples.Shape()[0] != f.Count() {
		return nil, fmt.Errorf("%d samples of pictures that have %d completions", samples.Shape()[0], f.Count())
	}
	each, values := tensor.Volume(f.Pictures.Shape()[1:]), tensor.Data[float32](samples)
	list := make([]Errors, f.Pictures.Shape()[0])
	for i := range list {
		truth, hidden := f.of(i * f.Completions)
		e := Errors{RMSE: make([]float64, f.Completions)}
		for j := range truth {
			if hidden[j] == 0 {
				continue
			}
			e.Hidden++
			mean := 0.0
			for k := range e.RMSE {
				off := float64(values[(i*f.Completions+k)*each+j]) - float64(truth[j])
				e.RMSE[k] += off * off
				mean += off / float64(f.Completions)
			}
			e.Mean += mean * mean
		}
		n := float64(max(e.Hidden, 1))
		for k, square := range e.RMSE {
			e.RMSE[k] = math.Sqrt(square / n)
		}
		e.Mean = math.Sqrt(e.Mean / n)
		list[i] = e
	}
	return list, nil
}

// Masked returns the pictures with their hidden values set to one number.
func (f *Fill) Masked(value float32) *tensor.Tensor {
	out := f.Pictures.Clone()
	each, values := tensor.Volume(f.Pictures.Shape()[1:]), tensor.Data[float32](out)
	for i := range f.Pictures.Shape()[0] {
		_, hidden := f.of(i * f.Completions)
		for j, h := range hidden {
			if h == 1 {
				values[i*each+j] = value
			}
		}
	}
	return out
}
