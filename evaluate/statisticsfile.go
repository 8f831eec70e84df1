package evaluate

import (
	"fmt"
	"io"
	"math"

	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/models/tensor"
)

// ReadStatistics reads a .npz file with the arrays mu [d] and sigma [d, d] of
// floats, as pytorch-fid and other programs write it, and count, if it is
// there. Arrays of other names are ignored. Values that are not finite, and
// covariances that are not symmetric, are errors.
func ReadStatistics(path string) (*Statistics, error) {
	s, err := readStatistics(path)
	if err != nil {
		return nil, fmt.Errorf("statistics %s: %w", path, err)
	}
	return s, nil
}

func readStatistics(path string) (*Statistics, error) {
	archive, err := npz.Open(path)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	present := map[string]bool{}
	for _, name := range archive.Names() {
		present[name] = true
	}
	for _, name := range []string{"mu", "sigma"} {
		if !present[name] {
			return nil, fmt.Errorf("arrays %v, want mu and sigma", archive.Names())
		}
	}
	mu, err := readFloats(archive, "mu", 1)
	if err != nil {
		return nil, err
	}
	sigma, err := readFloats(archive, "sigma", 2)
	if err != nil {
		return nil, err
	}
	s := &Statistics{Mean: mu.Float64s(), Covariance: sigma.Float64s()}
	if d := len(s.Mean); sigma.Shape()[0] != d || sigma.Shape()[1] != d {
		return nil, fmt.Errorf("mu has the shape %v and sigma %v, want [d] and [d d]", mu.Shape(), sigma.Shape())
	}
	if present["count"] {
		if s.Count, err = readCount(archive); err != nil {
			return nil, err
		}
	}
	return s, s.check()
}

func readFloats(archive *npz.Archive, name string, rank int) (*tensor.Tensor, error) {
	t, err := archive.Read(name)
	if err != nil {
		return nil, err
	}
	if !t.DType().IsFloat() || t.Rank() != rank || t.Len() == 0 {
		return nil, fmt.Errorf("%s is %v, want floats with %d axes", name, t, rank)
	}
	return t, nil
}

func readCount(archive *npz.Archive) (int, error) {
	t, err := archive.Read("count")
	if err != nil {
		return 0, err
	}
	if t.Len() != 1 || t.DType() != tensor.Int64 {
		return 0, fmt.Errorf("count is %v, want one int64", t)
	}
	n := tensor.Data[int64](t)[0]
	if n < 2 || n > math.MaxInt32 {
		return 0, fmt.Errorf("count is %d, want 2 or more", n)
	}
	return int(n), nil
}

// check says what is wrong with statistics that were not made by an Accumulator.
func (s *Statistics) check() error {
	d := len(s.Mean)
	if d == 0 || len(s.Covariance) != d*d {
		return fmt.Errorf("a mean of %d features and a covariance of %d numbers, want d and d²", d, len(s.Covariance))
	}
	if i := firstNotFinite(s.Mean); i >= 0 {
		return fmt.Errorf("the mean of feature %d is not finite", i)
	}
	if i := firstNotFinite(s.Covariance); i >= 0 {
		return fmt.Errorf("the covariance of features %d and %d is not finite", i/d, i%d)
	}
	largest := 0.0
	for i := range d {
		largest = max(largest, math.Abs(s.Covariance[i*d+i]))
	}
	for i := range d {
		for j := range i {
			// Programs that compute in float32 leave differences of its rounding.
			a, b := s.Covariance[i*d+j], s.Covariance[j*d+i]
			if math.Abs(a-b) > 1e-5*largest {
				return fmt.Errorf("the covariance is not symmetric: %g at [%d %d] and %g at [%d %d]", a, i, j, b, j, i)
			}
		}
	}
	return nil
}

// Write writes s as a .npz file with mu and sigma in float64, which
// pytorch-fid reads, and count when it is known.
func (s *Statistics) Write(w io.Writer) error {
	if err := s.check(); err != nil {
		return err
	}
	d := len(s.Mean)
	arrays := map[string]*tensor.Tensor{"mu": tensor.Of(s.Mean, d), "sigma": tensor.Of(s.Covariance, d, d)}
	if s.Count > 0 {
		arrays["count"] = tensor.Of([]int64{int64(s.Count)})
	}
	return npz.Write(w, arrays, npz.Deflate)
}

// WriteFile writes s to a file, which is whole or absent.
func (s *Statistics) WriteFile(path string) error {
	return atomicfile.Write(path, s.Write)
}
