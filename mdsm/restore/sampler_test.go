package restore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// recipe returns updates of a predictor and a short annealed chain.
func recipe(t testing.TB, sigma0 float64) []mdsm.Update {
	t.Helper()
	levels, err := mdsm.FallingLevels(2, 2*sigma0, 0, 6)
	if err != nil {
		t.Fatal(err)
	}
	var list []mdsm.Update
	for i, b := range levels[1:] {
		list = append(list, mdsm.Ancestral(levels[i], b, sigma0))
	}
	for _, temperature := range []float64{4, 2, 1, 0.5, 0} {
		list = append(list, mdsm.Update{StepSize: sigma0, Temperature: temperature})
	}
	return list
}

// pictures returns some for a frame, 0 in the padding.
func pictures(f Frame, n int) *tensor.Tensor {
	x := tensor.New(tensor.Float32, append([]int{n}, f.Shape...)...)
	each := tensor.Volume(f.Shape)
	for i := range n {
		u := make([]float32, each)
		rng.New(4).Uniform(u, rng.Probe, uint64(i), 0)
		f.each(func(c, row, column int) {
			at := f.at(c, row, column)
			tensor.Data[float32](x)[i*each+at] = u[at]
		})
	}
	return x
}

// TestSamplesKeepMeasurements: without noise, samples of every task have what was
// measured.
func TestSamplesKeepMeasurements(t *testing.T) {
	const sigma0 = 0.1
	n, w := testkit.Network(8, 8, 1)
	f := Frame{Shape: n.InputShape(), Pad: 1}
	for name, make := range map[string]func() (*Operator, error){
		"missing":    func() (*Operator, error) { return f.Missing(0.4, 1) },
		"compressed": func() (*Operator, error) { return f.Compressed(0.3, 1) },
		"superres":   func() (*Operator, error) { return f.Smaller(2, Bicubic) },
		"deblur": func() (*Operator, error) {
			k, err := Motion(2, 30)
			if err != nil {
				return nil, err
			}
			return f.Blur(k)
		},
	} {
		a, err := make()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		p, err := Measure(a, pictures(f, 2), 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		s := sampler(t, n, w, a, sigma0, 1)
		x, err := s.Run(t.Context(), p, Settings{Updates: recipe(t, sigma0), Mean: 0.5, Spread: 2, Samples: 2, Seed: 1})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range 4 {
			if r := a.Residual(tensor.Data[float32](x.Rows(i, i+1)), p.Measured.Rows(i/2, i/2+1).Float64s()); r > 1e-5 {
				t.Errorf("%s: sample %d misses its measurements by %g", name, i, r)
			}
		}
		if slices.Equal(tensor.Data[float32](x.Rows(0, 1)), tensor.Data[float32](x.Rows(1, 2))) {
			t.Errorf("%s: two samples are the same", name)
		}
	}
}

// TestPoint: where the energy is that of a single picture, which is its mean at any
// noise level, that picture is restored, whatever was measured of the rest.
func TestPoint(t *testing.T) {
	const sigma0 = 0.1
	prior := energy.Gaussian{Mean: []float64{0.3, 0.9, -0.2}, Sigma: []float64{sigma0, sigma0, sigma0}}
	a := matrix(t, []float64{0, 1, 0})
	s := sampler(t, energy.Known{Density: prior}, nil, a, sigma0, 1)
	p := Problem{Operator: a, Measured: tensor.Of([]float64{0.5}, 1, 1)}
	x, err := s.Run(t.Context(), p, Settings{Updates: recipe(t, sigma0), Spread: 2, Samples: 3})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		testkit.Near(t, "the point", x.Rows(i, i+1), []float64{0.3, 0.5, -0.2}, 1e-5)
	}
	// A measurement that says little leaves the point where it is.
	p.Sigma = 50
	if x, err = s.Run(t.Context(), p, Settings{Updates: recipe(t, sigma0), Spread: 2, Samples: 1}); err != nil {
		t.Fatal(err)
	}
	testkit.Near(t, "with much noise", x, []float64{0.3, 0.9, -0.2}, 1e-3)
}

// TestSameBits: a sample does not depend on the others, the batch, the threads, or
// where a run was stopped.
func TestSameBits(t *testing.T) {
	const sigma0 = 0.1
	n, w := testkit.Network(8, 16, 1)
	f := Frame{Shape: n.InputShape()}
	a, err := f.Missing(0.5, 3)
	if err != nil {
		t.Fatal(err)
	}
	known := pictures(f, 9)
	p, err := Measure(a, known, 0.05, 1)
	if err != nil {
		t.Fatal(err)
	}
	one, two := sampler(t, n, w, a, sigma0, 1), sampler(t, n, w, a, sigma0, 2)
	set := Settings{Updates: recipe(t, sigma0), Mean: 0.5, Spread: 2, Samples: 4, Seed: 7}
	want, err := one.Run(t.Context(), p, set)
	if err != nil {
		t.Fatal(err)
	}
	same := func(name string, x *tensor.Tensor, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		testkit.SameBits(t, name, tensor.Data[float32](x), tensor.Data[float32](want)[:x.Len()])
	}
	set.Batch = 3
	x, err := two.Run(t.Context(), p, set)
	same("two threads, small batches", x, err)

	fewer, err := Measure(a, known.Rows(0, 5), 0.05, 1)
	if err != nil {
		t.Fatal(err)
	}
	x, err = two.Run(t.Context(), fewer, set)
	same("fewer pictures", x, err)

	// Stopped after the first group.
	set.Dir, set.Batch = t.TempDir(), 0
	ctx, cancel := context.WithCancel(t.Context())
	one.Progress = stopping{cancel, int64(16 * (len(set.Updates) + 1))}
	if _, err := one.Run(ctx, p, set); !errors.Is(err, context.Canceled) {
		t.Fatalf("a run that was stopped: error %v", err)
	}
	one.Progress = nil
	kept, err := filepath.Glob(filepath.Join(set.Dir, "*", "*.npz"))
	if err != nil || len(kept) == 0 {
		t.Fatalf("kept are %v, error %v", kept, err)
	}
	x, err = one.Run(t.Context(), p, set)
	same("after it was stopped", x, err)

	// Damaged files are made again, others' are never taken.
	data := testkit.Read(t, kept[0])
	testkit.Write(t, kept[0], data[:len(data)/2])
	var lines []string
	set.Log = func(line string) { lines = append(lines, line) }
	x, err = one.Run(t.Context(), p, set)
	same("with a damaged file", x, err)
	if len(lines) != 1 || !strings.Contains(lines[0], "made again") {
		t.Errorf("the log is %q", lines)
	}
	set.Seed++
	if x, err = one.Run(t.Context(), p, set); err != nil || slices.Equal(tensor.Data[float32](x), tensor.Data[float32](want)) {
		t.Errorf("another seed has the same samples, error %v", err)
	}
	if _, err := os.Stat(set.Dir); err != nil {
		t.Fatal(err)
	}
}

// TestDevices compares chains that stay on a device with those of the host, for an update with
// a memory and without: the same up to rounding, and the same bits on one device and on
// three, which the CPU plays. With noise that the model draws, samples are others, the same in
// any batch, and nearly the same with integers of 32 bits, on a device that has no others too.
func TestDevices(t *testing.T) {
	const sigma0 = 0.1
	n, w := testkit.Network(8, 16, 1)
	a, err := Frame{Shape: n.InputShape()}.Compressed(0.3, 1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Measure(a, pictures(Frame{Shape: n.InputShape()}, 5), 0.05, 1)
	if err != nil {
		t.Fatal(err)
	}
	set := Settings{Updates: append(mdsm.Heun(0.3, 0.2, sigma0), recipe(t, sigma0)...), Mean: 0.5, Spread: 2, Samples: 8, Seed: 7}
	run := func(s *Sampler) *tensor.Tensor {
		t.Helper()
		x, err := s.Run(t.Context(), p, set)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	want := run(sampler(t, n, w, a, sigma0, 2))
	one := run(samplerOn(t, testkit.Open(t, 2), n, w, a, sigma0, true))
	if off := testkit.Apart(one, want); !(off < 1e-5) {
		t.Errorf("samples on a device differ by %g", off)
	}
	three := run(samplerOn(t, testkit.OpenDevices(t, 3), n, w, a, sigma0, true))
	testkit.SameBits(t, "three devices", tensor.Data[float32](three), tensor.Data[float32](one))

	counting := samplerOn(t, testkit.Open(t, 2), n, w, a, sigma0, true)
	counting.device.Counts = true
	counted := run(counting)
	if off := testkit.Apart(counted, one); off < 1e-2 {
		t.Errorf("samples of counted noise are those of the host's, %g apart", off)
	}
	set.Batch = 16
	for _, rt := range testkit.Players(t, 2) {
		player := samplerOn(t, rt, n, w, a, sigma0, true)
		player.device.Counts, player.device.Halves = true, true
		off := testkit.Apart(run(player), counted)
		t.Logf("%s, integers of 32 bits: samples differ by %.1e", rt.Info().Provider, off)
		testkit.Within(t, "samples", off, 0, 1e-4)
	}
	set.Batch = 7
	if off := testkit.Apart(run(counting), counted); !(off < 1e-5) {
		t.Errorf("samples of counted noise differ by %g in another batch", off)
	}

	diverging := set
	diverging.Updates = eq8(1e30, nil, looksEvery+9)
	diverging.Exact = true
	_, err = samplerOn(t, testkit.Open(t, 2), n, w, a, sigma0, true).Run(t.Context(), p, diverging)
	testkit.WantError(t, "diverging chains", err, "is not finite after 50 updates")
}

func TestErrors(t *testing.T) {
	prior := energy.Gaussian{Mean: []float64{0, 0}, Sigma: []float64{0.1, 0.1}}
	a := matrix(t, []float64{1, 0})
	s := sampler(t, energy.Known{Density: prior}, nil, a, 0.1, 1)
	sound := Problem{Operator: a, Measured: tensor.New(tensor.Float64, 1, 1)}
	set := Settings{Updates: eq8(0.01, nil, 1), Samples: 1}
	for what, c := range map[string]struct {
		p    Problem
		set  Settings
		says string
	}{
		"measurements": {Problem{Operator: a, Measured: tensor.New(tensor.Float64, 1, 2)}, set, "want floats of shape P and 1"},
		"noise":        {Problem{Operator: a, Measured: sound.Measured, Sigma: -1}, set, "-1, want a standard deviation"},
		"updates":      {sound, Settings{Samples: 1}, "0 updates"},
		"samples":      {sound, Settings{Updates: set.Updates}, "0 samples"},
		"spread":       {sound, Settings{Updates: set.Updates, Samples: 1, Spread: -1}, "-1, want"},
		"memory":       {sound, Settings{Updates: mdsm.Heun(1, 0.5, 0.1), Samples: 1, Exact: true}, "want steps of eq. (8)"},
		"diverging":    {sound, Settings{Updates: eq8(1e30, nil, 9), Samples: 1}, "not finite"},
	} {
		_, err := s.Run(t.Context(), c.p, c.set)
		testkit.WantError(t, what, err, c.says)
	}
	if _, err := New(testkit.Open(t, 1), Files{}, a, 0); err == nil {
		t.Error("a σ₀ of 0 is no error")
	}
}
