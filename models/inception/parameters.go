package inception

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"ebm/models/tensor"
	"ebm/models/weights"
)

// source returns a parameter as float32 in the shape that is wanted.
type source func(name string, shape ...int) *tensor.Tensor

// stored takes parameters from a set and notes what is wrong with them.
type stored struct {
	set      *weights.Set
	problems []string
}

// get returns zeros for a parameter that is not as it should be, so that one
// error can list all of them.
func (s *stored) get(name string, shape ...int) *tensor.Tensor {
	if t, problem := s.find(name, shape); problem != "" {
		s.problems = append(s.problems, name+": "+problem)
	} else {
		return t
	}
	return tensor.New(tensor.Float32, shape...)
}

func (s *stored) find(name string, shape []int) (t *tensor.Tensor, problem string) {
	t, ok := s.set.Get(name)
	switch {
	case !ok:
		return nil, fmt.Sprintf("missing, want %v", shape)
	case !t.DType().IsFloat() || !slices.Equal(t.Shape(), shape):
		return nil, fmt.Sprintf("%v, want floats of shape %v", t, shape)
	}
	t = t.AsFloat32()
	for i, v := range tensor.Data[float32](t) {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Sprintf("element %d is not finite", i)
		}
		if v < 0 && strings.HasSuffix(name, ".running_var") {
			return nil, fmt.Sprintf("element %d is a variance of %g", i, v)
		}
	}
	return t, ""
}

// err lists the problems, a line each, the first of them when there are many.
func (s *stored) err() error {
	const most = 10
	lines := s.problems
	if len(lines) == 0 {
		return nil
	}
	if len(lines) > most {
		lines = append(slices.Clone(lines[:most]), fmt.Sprintf("and %d more", len(s.problems)-most))
	}
	return fmt.Errorf("the weights are not those of the FID Inception network (pt_inception-2015-12-05):\n  %s", strings.Join(lines, "\n  "))
}
