package verify

import (
	"math"
)

// compare holds a subject's numbers against a reference's, of the same
// length. Anything that is not a number makes the errors not a number.
func compare(tensor string, subject, reference []float64) Comparison {
	c := Comparison{Tensor: tensor, Elements: len(reference)}
	if len(subject) != len(reference) {
		c.MaxError, c.MeanError = Number(math.Inf(1)), Number(math.Inf(1))
		c.Relative, c.MeanRelative = c.MaxError, c.MeanError
		return c
	}
	worst, sum, largest := 0.0, 0.0, 0.0
	for i, want := range reference {
		e := math.Abs(subject[i] - want)
		worst, largest = math.Max(worst, e), math.Max(largest, math.Abs(want)) // Max keeps NaN
		sum += e
	}
	c.MaxError, c.Largest = Number(worst), Number(largest)
	if len(reference) > 0 {
		c.MeanError = Number(sum / float64(len(reference)))
	}
	c.relate(largest)
	return c
}

// relate makes the errors relative to a magnitude.
func (c *Comparison) relate(largest float64) {
	c.Relative, c.MeanRelative = ratio(float64(c.MaxError), largest), ratio(float64(c.MeanError), largest)
}

// ratio is an error over a magnitude. No error at all is none, and an error
// where everything is zero is infinite.
func ratio(err, largest float64) Number {
	if err == 0 {
		return 0
	}
	return Number(err / largest)
}

// newCheck judges the comparisons. A check without elements does not pass.
func newCheck(name, subject, reference string, tolerance float64, tensors []Comparison) Check {
	c := Check{Name: name, Subject: subject, Reference: reference, Tolerance: tolerance, Tensors: tensors}
	elements := 0
	for _, t := range tensors {
		elements += t.Elements
	}
	c.Passed = elements > 0 && c.Worst() <= tolerance
	return c
}

// together makes errors relative to the largest magnitude of all, as suits
// the parts of one gradient.
func together(parts []Comparison) []Comparison {
	largest := 0.0
	for _, p := range parts {
		largest = math.Max(largest, float64(p.Largest))
	}
	for i := range parts {
		parts[i].relate(largest)
	}
	return parts
}
