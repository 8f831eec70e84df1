package restore

import (
	"math"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/tensor"
)

// apply multiplies rows with x.
func apply(rows [][]float64, x []float64) []float64 {
	out := make([]float64, len(rows))
	for i, r := range rows {
		for j, v := range r {
			out[i] += v * x[j]
		}
	}
	return out
}

// TestFromMatrix: A x is that of the matrix, and the pseudo-inverse has
// A A⁺ A = A, also where the matrix lacks rank or rows stand apart.
func TestFromMatrix(t *testing.T) {
	for name, c := range map[string]struct {
		rows [][]float64
		rank int
	}{
		"random":    {[][]float64{random(1, 6), random(2, 6), random(3, 6), random(4, 6)}, 4},
		"tall":      {[][]float64{random(1, 2), random(2, 2), random(3, 2)}, 2},
		"deficient": {[][]float64{{1, 2, 3}, {2, 4, 6}, {1, 0, 0}}, 2},
		"apart":     {[][]float64{{0, 3, 0, 0}, {0, 0, 0, 0}, {1, 0, 0, -2}}, 2},
	} {
		a := matrix(t, c.rows...)
		if a.Rank() != c.rank {
			t.Errorf("%s: rank %d, want %d", name, a.Rank(), c.rank)
		}
		x := random(9, len(c.rows[0]))
		y := apply(c.rows, x)
		if d := testkit.Difference(a.Apply(x), y); d > 1e-12 {
			t.Errorf("%s: A x is off by %g", name, d)
		}
		if d := testkit.Difference(a.Apply(a.Inverse(y)), y); d > 1e-12 {
			t.Errorf("%s: A A⁺ y is off by %g", name, d)
		}
		// V's columns are orthonormal.
		for j := range a.Rank() {
			unit := make([]float64, a.Rank())
			unit[j] = 1
			if d := testkit.Difference(a.Components(a.Compose(unit)), unit); d > 1e-12 {
				t.Errorf("%s: VᵀV is off by %g in column %d", name, d, j)
			}
		}
	}
	for _, m := range []*tensor.Tensor{
		tensor.New(tensor.Float64, 2, 3), tensor.New(tensor.Float64, 3), tensor.Of([]float64{1, math.NaN()}, 1, 2),
		tensor.Of([]int64{1, 2}, 1, 2),
	} {
		if a, err := FromMatrix("m", m, []int{2}); err == nil {
			t.Errorf("%v is an operator %v, want an error", m, a)
		}
	}
	if _, err := FromMatrix("m", tensor.New(tensor.Float64, 1, 2), []int{2}); err == nil {
		t.Error("a matrix of zeros is an operator, want an error")
	}
}

// ramp returns a picture of a frame whose values are all different, 0 in the padding.
func ramp(f Frame) []float64 {
	x := make([]float64, tensor.Volume(f.Shape))
	f.each(func(c, row, column int) { x[f.at(c, row, column)] = float64(100*c+10*row) + math.Sqrt(float64(column)) })
	return x
}

func TestTasks(t *testing.T) {
	f := Frame{Shape: []int{3, 6, 8}, Pad: 1}
	x := ramp(f)
	at := func(c, row, column int) float64 { return x[f.at(c, row, column)] }
	want := func(name string, a *Operator, err error, rows int, first, last float64) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		y := a.Apply(x)
		if len(y) != rows {
			t.Fatalf("%s has %d measurements, want %d", name, len(y), rows)
		}
		testkit.Within(t, name+", first", y[0], first, 1e-9)
		testkit.Within(t, name+", last", y[rows-1], last, 1e-9)
	}

	a, err := f.Grey()
	grey := func(row, column int) float64 {
		return 0.299*at(0, row, column) + 0.587*at(1, row, column) + 0.114*at(2, row, column)
	}
	want("grey", a, err, 4*6, grey(0, 0), grey(3, 5))

	a, err = f.Smaller(2, Box)
	mean := func(c, row, column int) float64 {
		return (at(c, row, column) + at(c, row+1, column) + at(c, row, column+1) + at(c, row+1, column+1)) / 4
	}
	want("box", a, err, 3*2*3, mean(0, 0, 0), mean(2, 2, 4))

	mask := tensor.New(tensor.Float32, 1, 3, 6, 8)
	tensor.Data[float32](mask)[0] = 1
	a, err = f.Inpaint(mask)
	want("inpaint", a, err, 3*6*8-1, 0, 0)

	// A kernel whose weights are not symmetric: rows are convolved, not correlated.
	a, err = f.Blur([][]float64{{0, 0, 0}, {0.25, 0.75, 0}, {0, 0, 0}})
	want("blur", a, err, 3*4*6, 0.25*at(0, 0, 1)+0.75*at(0, 0, 0), at(2, 3, 5))

	a, err = f.Missing(0.5, 1)
	if err != nil || a.Rows != 3*12 {
		t.Fatalf("missing: %v, error %v", a, err)
	}
	a, err = f.Compressed(0.25, 1)
	if err != nil || a.Rows != 18 || a.Rank() != 18 {
		t.Fatalf("compressed: %v, error %v", a, err)
	}
	y := a.Apply(a.Inverse(a.Apply(x)))
	if d := testkit.Difference(y, a.Apply(x)); d > 1e-9 {
		t.Errorf("compressed: off by %g", d)
	}

	_, err = f.Smaller(3, Box)
	testkit.WantError(t, "a factor", err, "factor of 3", "divides")
	_, err = Frame{Shape: []int{1, 6, 8}}.Grey()
	testkit.WantError(t, "grey", err, "1 channels, want 3")
	_, err = f.Missing(0, 1)
	testkit.WantError(t, "share", err, "share of 0")
	_, err = f.Blur([][]float64{{1, 0}})
	testkit.WantError(t, "kernel", err, "odd number")
	_, err = Gaussian(-1)
	testkit.WantError(t, "blur", err, "-1 pixels")
	_, err = Motion(0, 3)
	testkit.WantError(t, "motion", err, "0 pixels")
	testkit.WantError(t, "frame", Frame{Shape: []int{1, 4, 4}, Pad: 2}.Check(), "padding 2")
}

// TestKernels: they add up to 1, and a movement along the rows has one row.
func TestKernels(t *testing.T) {
	g, err := Gaussian(1.5)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Motion(5, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string][][]float64{"gaussian": g, "motion": m} {
		sum := 0.0
		for _, row := range k {
			for _, v := range row {
				sum += v
			}
		}
		testkit.Within(t, name, sum, 1, 1e-12)
	}
	testkit.Within(t, "gaussian's ratio", g[5][6]/g[5][5], math.Exp(-1/(2*1.5*1.5)), 1e-12)
	for i, row := range m {
		for j, v := range row {
			if i != len(m)/2 && v != 0 {
				t.Errorf("the movement has %g in row %d, column %d", v, i, j)
			}
		}
	}
}

// TestBicubicIsPillows: rows of resize((4, 2), BICUBIC) of a picture of float32
// 10·row + √column, 4 rows and 8 columns, by Pillow 13.0, and back with (8, 4).
func TestBicubicIsPillows(t *testing.T) {
	f := Frame{Shape: []int{1, 4, 8}}
	a, err := f.Smaller(2, Bicubic)
	if err != nil {
		t.Fatal(err)
	}
	y := a.Apply(ramp(f))
	testkit.Near(t, "smaller", tensor.Of(y, len(y)), pillowSmaller, 2e-5)
	testkit.Near(t, "larger", tensor.Of(f.Larger(pillowSmaller, 2), 32), pillowLarger, 2e-5)
}

var (
	pillowSmaller = []float64{6.413475, 7.446001, 7.998767, 8.408444, 24.67794, 25.71046, 26.26323, 26.67291}
	pillowLarger  = []float64{
		4.710799, 4.985754, 5.56788, 6.009709, 6.27031, 6.515864, 6.73123, 6.833022,
		10.10572, 10.38068, 10.9628, 11.40463, 11.66523, 11.91079, 12.12615, 12.22795,
		20.80348, 21.07843, 21.66056, 22.10239, 22.36299, 22.60854, 22.82391, 22.9257,
		26.1984, 26.47336, 27.05548, 27.49731, 27.75791, 28.00347, 28.21883, 28.32063,
	}
)
