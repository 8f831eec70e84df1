package energy_test

import (
	"math"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// energies evaluates a density's energy in float64.
func energies(t *testing.T, d energy.Density, points []float64) []float64 {
	t.Helper()
	g := graph.New("energy")
	g.Output("energy", energy.Known{Density: d}.Energy(g.Input("x", tensor.Float64, graph.Batch(d.Dim())), nil))
	out := testkit.Interpret(t, g, map[string]*tensor.Tensor{"x": tensor.Of(points, len(points)/d.Dim(), d.Dim())})
	return out["energy"].Float64s()
}

// TestToysIntegrateToZ sums exp(−E) over a grid in one and two dimensions.
func TestToysIntegrateToZ(t *testing.T) {
	for _, name := range energy.Toys() {
		for dim := 1; dim <= 2; dim++ {
			d, err := energy.Toy(name, dim)
			if err != nil {
				t.Fatal(err)
			}
			const from, to, n = -3.0, 4.0, 700
			h := (to - from) / n
			var points []float64
			for i := range n {
				x := from + (float64(i)+0.5)*h
				if dim == 1 {
					points = append(points, x)
					continue
				}
				for j := range n {
					points = append(points, x, from+(float64(j)+0.5)*h)
				}
			}
			sum := 0.0
			for _, e := range energies(t, d, points) {
				sum += math.Exp(-e)
			}
			if got := math.Log(sum) + float64(dim)*math.Log(h); math.Abs(got-d.LogZ()) > 1e-3 {
				t.Errorf("%s in %d dimensions: log Z is %g, the sum over a grid gives %g", name, dim, d.LogZ(), got)
			}
		}
	}
}

// TestToysDrawTheirDensity: the mean of E(x) over draws is that of the density,
// Dim/2 for a normal distribution, and the mean of the points is too.
func TestToysDrawTheirDensity(t *testing.T) {
	const n, dim = 4000, 6
	for _, c := range []struct {
		name string
		mean func(i int) float64
	}{
		{"gaussian", func(i int) float64 { return 0.2 + 0.6*(float64(i)+0.5)/dim }},
		{"stretched", func(i int) float64 { return 0.2 + 0.6*(float64(i)+0.5)/dim }},
		{"mixture", func(int) float64 { return 0.5 - 0.4*0.4/math.Sqrt(dim) }},
	} {
		d, err := energy.Toy(c.name, dim)
		if err != nil {
			t.Fatal(err)
		}
		points, mean, dst := make([]float64, 0, n*dim), [dim]float64{}, make([]float32, dim)
		for i := range n {
			d.Draw(dst, rng.New(4), uint64(i))
			for j, v := range dst {
				points = append(points, float64(v))
				mean[j] += float64(v) / n
			}
		}
		// 6 standard errors; the largest deviation is 0.5 in one direction.
		for j, m := range mean {
			if math.Abs(m-c.mean(j)) > 6*0.5/math.Sqrt(n) {
				t.Errorf("%s: the mean of value %d is %g, want %g", c.name, j, m, c.mean(j))
			}
		}
		e := 0.0
		for _, v := range energies(t, d, points) {
			e += v / n
		}
		want := float64(dim) / 2
		if c.name == "mixture" {
			// The clusters are 8 deviations apart: each point counts one of them.
			want -= 0.7*math.Log(0.7) + 0.3*math.Log(0.3)
		}
		if math.Abs(e-want) > 6*math.Sqrt((dim/2+0.2)/float64(n)) {
			t.Errorf("%s: the mean energy is %g, want %g", c.name, e, want)
		}
	}
	if _, err := energy.Toy("cube", 2); err == nil {
		t.Error("an unknown toy is made")
	}
	if _, err := energy.Toy("gaussian", 0); err == nil {
		t.Error("a toy without dimensions is made")
	}
}
