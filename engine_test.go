package ebm_test

import (
	"math"
	"slices"
	"testing"

	"ebm"
	"ebm/internal/testkit"
	"ebm/mdsm/langevin"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// TestFastSampler holds chains of the sampler in the layout that sessions have,
// with a network wide enough for all its forms, to those of the files that are
// exported.
func TestFastSampler(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 64, Size: 8}
	m := &ebm.Model{Network: n, Weights: energy.Init(n, rng.New(1)), Meta: ebm.PaperMeta()}
	models, err := m.Files()
	if err != nil {
		t.Fatal(err)
	}
	if models.Fast == nil {
		t.Fatal("there is no fast form")
	}
	set := langevin.Default(3)
	set.Schedule.Steps = 9
	var samples [2][]float32
	for i, fast := range []bool{false, true} {
		form := models
		if !fast {
			form.Fast = nil
		}
		sampler, err := langevin.New(rt, form)
		if err != nil {
			t.Fatal(err)
		}
		_, err = sampler.Sample(t.Context(), set, func(_ int, x *tensor.Tensor) error {
			samples[i] = append(samples[i], tensor.Data[float32](x)...)
			return nil
		})
		sampler.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(samples[1]) != 3*8*8 {
		t.Fatalf("%d values, want three pictures", len(samples[1]))
	}
	var worst, largest float64
	for i, v := range samples[0] {
		worst = max(worst, math.Abs(float64(samples[1][i]-v)))
		largest = max(largest, math.Abs(float64(v)))
	}
	if !(worst < 1e-5*largest) || largest == 0 {
		t.Errorf("the chains differ by %g, their values reach %g", worst, largest)
	}
}

// TestOwnNetwork opens a model of a network that a program made: a normal
// distribution around 0.5 in the plane, E(x) = ‖x − 0.5‖²/2s², whose Hessian is
// 1/s².
func TestOwnNetwork(t *testing.T) {
	const s = 0.5
	d := energy.Gaussian{Mean: []float64{0.5, 0.5}, Sigma: []float64{s, s}}
	m := &ebm.Model{Name: "normal", Network: energy.Known{Density: d}, Meta: ebm.Meta{Sigma0: 0.1}}
	e, err := m.Open(t.Context(), ebm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	x := tensor.Of([]float32{0.5, 1.5, 0.25, 0}, 2, 2)
	v := tensor.Of([]float32{1, 2, -3, 0.5}, 2, 2)
	hvp, err := e.HessianVector(t.Context(), x, v)
	if err != nil {
		t.Fatal(err)
	}
	clean, err := e.Denoise(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if got, want := hvp.Float64s()[i], v.Float64s()[i]/(s*s); math.Abs(got-want) > 1e-5 {
			t.Errorf("Hessian product %g, want %g", got, want)
		}
		if got, want := clean.Float64s()[i], x.Float64s()[i]-0.01*(x.Float64s()[i]-0.5)/(s*s); math.Abs(got-want) > 1e-6 {
			t.Errorf("denoised %g, want %g", got, want)
		}
	}
	// With the temperatures of a schedule the samples are those of the schedule.
	schedule := langevin.Schedule{Cooling: langevin.Linear, Steps: 30, Hot: 9, Cool: 1}
	temperatures, err := schedule.Temperatures()
	if err != nil {
		t.Fatal(err)
	}
	draw := func(s ebm.Sampling) []float32 {
		t.Helper()
		s.Count, s.Seed = 5, 3
		got, err := e.Sample(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return tensor.Data[float32](got)
	}
	want := draw(ebm.Sampling{Schedule: schedule, StepSize: 0.1})
	if got := draw(ebm.Sampling{Temperatures: temperatures, StepSize: 0.1}); !slices.Equal(got, want) {
		t.Errorf("samples at given temperatures are %v, at those of the schedule %v", got, want)
	}
	if got := draw(ebm.Sampling{Schedule: schedule, StepSize: 0.1, Start: x}); slices.Equal(got, want) {
		t.Error("chains that begin at points end as those that begin with noise")
	}
	// Hidden values move, given ones stay, and each picture has its completions.
	hidden := tensor.Of([]float32{1, 0}, 1, 2)
	filled, err := e.Fill(t.Context(), x, hidden, 3, ebm.Sampling{Steps: 20, StepSize: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(filled.Shape(), []int{6, 2}) {
		t.Fatalf("completions are %v, want three of each picture", filled)
	}
	for i, got := range tensor.Data[float32](filled) {
		if was := tensor.Data[float32](x)[i/6*2+i%2]; (got == was) != (i%2 == 1) {
			t.Errorf("value %d of completion %d is %g, was %g", i%2, i/2, got, was)
		}
	}
	if _, err := m.Graph(ebm.TrainKind); err == nil {
		t.Error("there is a training step without parameters")
	}
	if _, err := m.Picture(); err == nil {
		t.Error("a normal distribution is a network of pictures")
	}
}

// TestSamplesDoNotDependOnTheBatch: a sample is the same alone, beside a few and in a full
// group, in the layout of sessions, since no kernel of these networks rounds otherwise for
// another batch: with wide convolutions, three channels and ReLU too.
func TestSamplesDoNotDependOnTheBatch(t *testing.T) {
	testkit.Long(t)
	shipped, err := ebm.Load("mnist16")
	if err != nil {
		t.Fatal(err)
	}
	models := []*ebm.Model{shipped}
	for _, n := range []energy.ResNet{{Net: "res6", Channels: 3, Dim: 64, Size: 8, Activation: energy.ReLU},
		{Net: "res18", Channels: 1, Dim: 8, Size: 16, Head: energy.LinearSum}} {
		models = append(models, &ebm.Model{Network: n, Weights: energy.Init(n, rng.New(1)), Meta: ebm.PaperMeta()})
	}
	rt := testkit.Open(t, 2)
	for _, m := range models {
		files, err := m.Files()
		if err != nil {
			t.Fatal(err)
		}
		s, err := langevin.New(rt, files)
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range []langevin.Method{langevin.Ancestral, langevin.Heun} {
			r := langevin.NewRecipe(method, 2)
			set := langevin.Settings{Seed: 3, Start: r.Start(m.SigmaMax)}
			if set.Updates, err = r.Updates(m.SigmaMax, m.Sigma0); err != nil {
				t.Fatal(err)
			}
			draw := func(first, count int) []float32 {
				set.First, set.Count = first, count
				x, err := s.All(t.Context(), set)
				if err != nil {
					t.Fatal(err)
				}
				return tensor.Data[float32](x)
			}
			whole, each := draw(0, 32), tensor.Volume(m.Shape())
			for _, part := range [][2]int{{0, 1}, {5, 3}, {13, 5}} {
				testkit.SameBits(t, m.Name, draw(part[0], part[1]), whole[part[0]*each:(part[0]+part[1])*each])
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
