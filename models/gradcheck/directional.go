package gradcheck

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/diff/fd"
)

// smallest is the magnitude of gradients below which errors are no longer
// taken relative to it: differences of a nearly constant function are
// rounding errors.
const smallest = 1e-3

// Directions says along which lines a function is probed. The zero value
// asks for all coordinate axes with the default step.
type Directions struct {
	// Random is the number of random directions of length 1, uniform on the
	// sphere, that are probed in place of the coordinate axes; 0: the axes.
	Random int
	Step   float64 // h, the distance between points; default 1e-4
	Seed   uint64  // of the random directions
}

// Report is how well a gradient agrees with finite differences.
type Report struct {
	Probed    int     // the number of directions
	MaxError  float64 // the largest |given − difference|
	MeanError float64 // the mean |given − difference|
	Largest   float64 // the largest |given| or |difference| of all directions

	Worst             int     // the direction of the largest error
	Given, Difference float64 // the two derivatives along it
}

// Relative returns the largest error over the largest magnitude (or over
// 10⁻³ where that is larger), the number that certificates state.
func (r Report) Relative() float64 { return r.MaxError / math.Max(r.Largest, smallest) }

// Directional compares the gradient of f at x that is given with central
// differences of f: with each element along coordinate axes, or with the
// directional derivatives along random directions, whose cost does not grow
// with the size of x. Each direction takes four evaluations of f, which must
// change or keep its argument. An error of f ends the comparison, so a function
// stops it by returning its context's error. A gradient or a difference that
// is not a number makes the report's MaxError not a number.
//
// Where a second derivative jumps, as ELU's does at 0, the error is
// proportional to the step: for large networks take a step of 1e-6 or so.
func Directional(f func(x []float64) (float64, error), x, gradient []float64, d Directions) (Report, error) {
	if len(x) != len(gradient) {
		return Report{}, fmt.Errorf("gradcheck: a gradient of %d elements for %d variables", len(gradient), len(x))
	}
	if d.Step == 0 {
		d.Step = 1e-4
	}
	if !(d.Step > 0) || d.Random < 0 {
		return Report{}, fmt.Errorf("gradcheck: step %g and %d random directions, want a positive step and 0 directions or more", d.Step,
			d.Random)
	}
	rng := rand.New(rand.NewPCG(d.Seed, 0x64697265))
	n := d.Random
	if n == 0 {
		n = len(x)
	}
	var report Report
	moved := make([]float64, len(x))
	for i := range n {
		direction := make([]float64, len(x))
		if d.Random > 0 {
			sphere(rng, direction)
		} else {
			direction[i] = 1
		}
		var failed error
		difference := fd.Derivative(func(t float64) float64 {
			for j, v := range x {
				moved[j] = v + t*direction[j]
			}
			y := 0.0
			if failed == nil {
				y, failed = f(moved)
			}
			return y
		}, 0, &fd.Settings{Formula: fourPoints(d.Step)})
		if failed != nil {
			return Report{}, fmt.Errorf("gradcheck: direction %d: %w", i, failed)
		}
		given := 0.0
		for j, v := range direction {
			if v != 0 {
				given += v * gradient[j]
			}
		}
		report.add(i, given, difference)
	}
	return report, nil
}

func (r *Report) add(i int, given, difference float64) {
	r.Probed++
	r.Largest = math.Max(r.Largest, math.Max(math.Abs(given), math.Abs(difference)))
	e := math.Abs(given - difference)
	r.MeanError += (e - r.MeanError) / float64(r.Probed)
	// Not a number is worse than any error, and stays.
	if i == 0 || e > r.MaxError || math.IsNaN(e) && !math.IsNaN(r.MaxError) {
		r.MaxError, r.Worst, r.Given, r.Difference = e, i, given, difference
	}
}

// fourPoints is the formula of the package documentation.
func fourPoints(h float64) fd.Formula {
	return fd.Formula{
		Stencil: []fd.Point{
			{Loc: -2, Coeff: 1. / 12}, {Loc: -1, Coeff: -8. / 12},
			{Loc: 1, Coeff: 8. / 12}, {Loc: 2, Coeff: -1. / 12},
		},
		Derivative: 1, Step: h,
	}
}

// sphere fills v with a random direction of length 1.
func sphere(rng *rand.Rand, v []float64) {
	norm := 0.0
	for i := range v {
		v[i] = rng.NormFloat64()
		norm += v[i] * v[i]
	}
	for i := range v {
		v[i] /= math.Sqrt(norm)
	}
}
