package ais

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

var small = energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 16}

// short has few distributions of a small network.
func short() Settings {
	s := Cheap()
	s.Distributions, s.Leapfrog, s.Seed = 24, 2, 7
	return s
}

func pictures(n int) *tensor.Tensor {
	x := tensor.New(tensor.Float32, n, 1, 16, 16)
	rng.New(9).Uniform(tensor.Data[float32](x), rng.Probe, 0, 0)
	return x
}

// A chain must not depend on the number of chains, the threads, or whether its
// run was stopped.
func TestSameBits(t *testing.T) {
	testkit.Long(t)
	w := energy.Init(small, rng.New(3))
	one := estimator(t, small, w, short(), 1)
	want, err := one.Forward(t.Context(), 37)
	if err != nil {
		t.Fatal(err)
	}
	back, err := one.Reverse(t.Context(), pictures(20))
	if err != nil {
		t.Fatal(err)
	}
	two := estimator(t, small, w, short(), 2)
	for _, chains := range []int{1, 16, 37} {
		got, err := two.Forward(t.Context(), chains)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Log, want.Log[:chains]) || !slices.Equal(got.Energy, want.Energy[:chains]) {
			t.Errorf("%d chains: %v, want %v", chains, got.Log, want.Log[:chains])
		}
	}

	// Stopped again and again, with its state kept after every step.
	dir := t.TempDir()
	var got, gotBack Weights
	stops := 0
	for begin := time.Now(); ; stops++ {
		if time.Since(begin) > time.Minute {
			t.Fatal("stopped runs make no progress")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(60<<min(stops, 20))*time.Millisecond)
		e := estimator(t, small, w, short(), 2)
		e.Dir, e.SaveEvery = dir, time.Nanosecond
		got, err = e.Forward(ctx, 37)
		if err == nil {
			gotBack, err = e.Reverse(ctx, pictures(20))
		}
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	if stops == 0 {
		t.Error("the run was never stopped")
	}
	if !slices.Equal(got.Log, want.Log) || !slices.Equal(got.Energy, want.Energy) || got.Acceptance != want.Acceptance {
		t.Errorf("after %d stops: %v, want %v", stops, got, want)
	}
	if !slices.Equal(gotBack.Log, back.Log) || !slices.Equal(gotBack.Energy, back.Energy) {
		t.Errorf("reverse, after %d stops: %v, want %v", stops, gotBack, back)
	}
	if got.Acceptance <= 0.3 || got.Acceptance >= 1 {
		t.Errorf("acceptance is %g", got.Acceptance)
	}
}

// TestStatesAreOfTheirSettings: other settings, other points and damaged files
// are never gone on with.
func TestStatesAreOfTheirSettings(t *testing.T) {
	testkit.Long(t)
	w := energy.Init(small, rng.New(3))
	dir := t.TempDir()
	run := func(s Settings, points *tensor.Tensor) (Weights, []string) {
		t.Helper()
		e := estimator(t, small, w, s, 2)
		e.Dir = dir
		var lines []string
		e.Log = func(line string) { lines = append(lines, line) }
		r, err := e.Reverse(t.Context(), points)
		if err != nil {
			t.Fatal(err)
		}
		return r, lines
	}
	want, _ := run(short(), pictures(20))
	other := pictures(20)
	tensor.Data[float32](other)[0] += 0.25
	if r, _ := run(short(), other); r.Log[0] == want.Log[0] || r.Log[19] != want.Log[19] {
		t.Errorf("with another first point: %v, before %v", r.Log, want.Log)
	}
	seeded := short()
	seeded.Seed++
	if r, _ := run(seeded, pictures(20)); r.Log[3] == want.Log[3] {
		t.Error("another seed gives the same")
	}

	files, err := filepath.Glob(filepath.Join(dir, "ais-*", "*.npz"))
	if err != nil || len(files) != 6 { // steps and two groups, for two seeds
		t.Fatalf("kept are %v, error %v", files, err)
	}
	for _, path := range files {
		data := testkit.Read(t, path)
		testkit.Write(t, path, data[:len(data)/2])
	}
	r, lines := run(short(), pictures(20))
	if !slices.Equal(r.Log, want.Log) {
		t.Errorf("with damaged states: %v, want %v", r.Log, want.Log)
	}
	if len(lines) != 3 || !strings.Contains(lines[0], "made again") {
		t.Errorf("with damaged states, the log is %q", lines)
	}
	// A state of another group in its place is not taken either.
	if err := os.Rename(files[1], files[0]); err != nil {
		t.Fatal(err)
	}
	if r, _ := run(short(), pictures(20)); !slices.Equal(r.Log, want.Log) {
		t.Errorf("with a state in another's place: %v, want %v", r.Log, want.Log)
	}
}

func TestErrors(t *testing.T) {
	e := estimator(t, small, energy.Init(small, rng.New(3)), short(), 1)
	if _, err := e.Forward(t.Context(), 0); err == nil {
		t.Error("no chains are no error")
	}
	for _, bad := range []*tensor.Tensor{tensor.New(tensor.Float32, 2, 1, 8, 8), tensor.New(tensor.Float64, 2, 1, 16, 16),
		tensor.New(tensor.Float32, 1, 16, 16)} {
		if _, err := e.Reverse(t.Context(), bad); err == nil {
			t.Errorf("points %v are no error", bad)
		}
	}
	if _, err := e.ForwardLogZ(Weights{}); err == nil {
		t.Error("log Z of nothing is no error")
	}
	if _, err := e.ReverseDensity(Weights{}); err == nil {
		t.Error("the density of nothing is no error")
	}
	// The energy 1/x₀ is infinite at a picture of zeros.
	pole := energy.Known{Density: poleDensity{}}
	p := estimator(t, pole, nil, short(), 1)
	var diverged *DivergedError
	if _, err := p.Reverse(t.Context(), tensor.Of([]float32{1, 1, 0, 0}, 2, 2)); !errors.As(err, &diverged) || diverged.Chain != 1 {
		t.Errorf("an infinite energy: error %v", err)
	}
	for _, change := range []func(*Settings){
		func(s *Settings) { s.Distributions = 0 }, func(s *Settings) { s.Ratio = 0.5 }, func(s *Settings) { s.Leapfrog = 0 },
		func(s *Settings) { s.Target = 1 }, func(s *Settings) { s.StepSize = 0 }, func(s *Settings) { s.Temperature = -1 },
		func(s *Settings) { s.Reference = mdsm.Reference{} },
	} {
		s := Cheap()
		change(&s)
		if s.Validate() == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
	if Paper().Validate() != nil || Cheap().Validate() != nil {
		t.Error("a preset is refused")
	}
}

// poleDensity is the energy x₁²/x₀.
type poleDensity struct{ energy.Gaussian }

func (poleDensity) Dim() int { return 2 }
func (poleDensity) Energy(x *graph.Node) *graph.Node {
	one := func(i int) *graph.Node { return graph.Reshape(graph.Slice(x, 1, i, i+1, 1), x.Shape()[:1]) }
	return graph.Div(graph.Shift(graph.Mul(one(1), one(1)), 1), one(0))
}
