package langevin

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/mdsm/samples"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime/parallel"
)

// tiny is a network whose groups have 64 samples.
var tiny = energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 8}

func share(c float64) *float64 { return &c }

// recipes has every sampler, with what its parts can be.
func recipes() map[string]Recipe {
	list := map[string]Recipe{
		"fast":                  {Method: Ancestral, End: 3, Levels: 4, Cool: 3, Freeze: 2, StepSize: 1},
		"refreshed":             {Method: Ancestral, From: 1, Refresh: 2, End: 3, Levels: 3, Cool: 2, Freeze: 2, StepSize: 1},
		"velocity":              {Method: Ancestral, End: 3, Levels: 3, Cool: 4, Freeze: 3, StepSize: 1, Velocity: share(0.4)},
		"heun, then velocity":   {Method: Heun, End: 2, Levels: 2, Cool: 2, Freeze: 2, StepSize: 0.8, Velocity: share(0)},
		"edm, uneven, corrects": {Method: EDM, From: 2, End: 1.5, Levels: 3, Rho: 7, Churn: 0.3, Corrector: 2, StepSize: 0.7},
		"adaptive, then cool":   {Method: Adaptive, End: 2, Levels: 4, Beta: 0.3, Cool: 2, Freeze: 2, StepSize: 1},
	}
	for _, m := range Methods() {
		list[string(m)] = NewRecipe(m, 5)
	}
	return list
}

// drawn returns settings of so many samples of a recipe.
func drawn(t *testing.T, r Recipe, count int) Settings {
	t.Helper()
	set := Settings{Start: r.Start(3), Seed: 11, Count: count}
	var err error
	if set.Updates, err = r.Updates(3, sigma0); err != nil {
		t.Fatal(err)
	}
	if len(set.Updates) != r.Evaluations()-1 {
		t.Errorf("%d updates and a jump, want %d evaluations", len(set.Updates), r.Evaluations())
	}
	return set
}

// TestEverySamplerHasTheSameBits: sample i of a seed depends on nothing but the seed
// and i: not on batch, threads, steps in a run, which part is drawn, or stops.
func TestEverySamplerHasTheSameBits(t *testing.T) {
	testkit.Long(t)
	one, two := sampler(t, 1, models(t, tiny)), sampler(t, 2, models(t, tiny))
	for name, r := range recipes() {
		t.Run(name, func(t *testing.T) {
			set := drawn(t, r, 100)
			want, _ := all(t, two, set)
			part := set
			part.First, part.Count, part.Batch, part.StepsPerRun = 59, 9, 1, 3
			got, _ := all(t, one, part)
			equalBits(t, "a part", got, want.Rows(59, 68))

			set.Watch = samples.Watch{Chains: 70, Snapshots: []int{0, 2, len(set.Updates)}}
			set.StepsPerRun = 2
			whole, stopped := samples.Folder{Dir: t.TempDir(), Float32: true}, samples.Folder{Dir: t.TempDir(), Float32: true, ShardTime: every}
			write(t, one, set, whole)
			stops := 0
			for ; ; stops++ {
				ctx, cancel := context.WithCancel(t.Context())
				limited := *two
				limited.stepper = &counting{Stepper: two.stepper, calls: 3, then: cancel}
				_, err := limited.Write(ctx, set, stopped)
				cancel()
				if err == nil {
					break
				}
				if !errors.Is(err, context.Canceled) || stops > 200 {
					t.Fatalf("after %d stops: %v", stops, err)
				}
			}
			if stops < 2 {
				t.Errorf("it was stopped %d times, want more", stops)
			}
			testkit.SameFiles(t, stopped.Dir, whole.Dir, samples.ArchiveFile, samples.Float32File, samples.TraceFile,
				samples.SnapshotsFile, samples.RecordFile)
			merged := samples.Folder{Dir: t.TempDir(), Float32: true}
			for i := range 2 {
				part := merged
				part.Part = parallel.Part{Index: 2 - i, Count: 2}
				if _, err := two.Write(t.Context(), set, part); !errors.Is(err, samples.ErrPart) {
					t.Fatalf("part %v: error %v", part.Part, err)
				}
			}
			merged.Join = true
			write(t, one, set, merged)
			testkit.SameFiles(t, merged.Dir, whole.Dir, samples.ArchiveFile, samples.Float32File, samples.TraceFile,
				samples.SnapshotsFile, samples.RecordFile)
		})
	}
}

// TestFewStepsWantLevels: a model whose noise levels end below those of the recipe is
// refused with both.
func TestFewStepsWantLevels(t *testing.T) {
	r := recipes()["fast"]
	if !r.Fits(3, sigma0) || r.Fits(2*sigma0, sigma0) {
		t.Errorf("levels up to 3 fit: %v, up to 2·σ₀: %v, want true and false", r.Fits(3, sigma0), r.Fits(2*sigma0, sigma0))
	}
	_, err := r.Updates(0.2, 0.1)
	testkit.WantError(t, "levels below the last", err, "noise levels up to 0.2, want some above 0.3")
}

// TestEverySamplerFills: a completion depends on the seed and its number alone, and
// moves what is hidden and nothing else.
func TestEverySamplerFills(t *testing.T) {
	m := fillModels(t, tiny, energy.Init(tiny, rng.New(3)))
	one, two := sampler(t, 1, m), sampler(t, 2, m)
	pictures, mask := tensor.New(tensor.Float32, 5, 1, 8, 8), tensor.New(tensor.Float32, 1, 1, 8, 8)
	rng.New(6).Uniform(tensor.Data[float32](pictures), rng.Probe, 0, 0)
	for i := range 32 {
		tensor.Data[float32](mask)[i] = 1
	}
	for name, r := range recipes() {
		t.Run(name, func(t *testing.T) {
			set := drawn(t, r, 35)
			set.Fill = &Fill{Pictures: pictures, Hidden: mask, Completions: 7}
			want, _ := all(t, two, set)
			part := set
			part.First, part.Count, part.StepsPerRun = 20, 9, 3
			got, _ := all(t, one, part)
			equalBits(t, "a part", got, want.Rows(20, 29))
			for i := range 35 {
				if !slices.Equal(tensor.Data[float32](want)[i*64+32:i*64+64], tensor.Data[float32](pictures)[i/7*64+32:i/7*64+64]) {
					t.Fatalf("sample %d: given pixels have moved", i)
				}
			}
		})
	}
}

// TestUpdatesInGo compares the exported updates with those around any score, which
// are made in Go.
func TestUpdatesInGo(t *testing.T) {
	w := energy.Init(tiny, rng.New(3))
	score := Files{Score: testkit.Encode(t, mdsm.ScoreGraph(tiny, w)), Sigma0: sigma0}
	graphs, plain := sampler(t, 2, models(t, tiny)), sampler(t, 2, score)
	for name, r := range recipes() {
		set := drawn(t, r, 20)
		want, _ := all(t, graphs, set)
		got, _ := all(t, plain, set)
		near(t, name, got, want, 1e-5)
	}
}

// TestExportedChains gives the file of a whole chain, and that of a generator, the
// start and the noise of samples.
func TestExportedChains(t *testing.T) {
	testkit.Long(t)
	const count = 3
	w := energy.Init(tiny, rng.New(3))
	s, source := sampler(t, 1, models(t, tiny)), rng.New(11)
	draw := func(purpose rng.Purpose, step int) []float32 {
		values := make([]float32, count*64)
		for i := range count {
			source.Normal(values[i*64:(i+1)*64], purpose, uint64(i), uint32(step))
		}
		return values
	}
	for name, r := range recipes() {
		set := drawn(t, r, count)
		want, _ := all(t, s, set)
		c := mdsm.Chain{Mean: set.Start.Mean, Sigma: set.Start.Sigma, Updates: set.Updates, Sigma0: sigma0}
		z := tensor.Of(draw(rng.SampleStart, 0), count, 64)
		start := z.Clone().Reshape(count, 1, 8, 8)
		for i, v := range tensor.Data[float32](start) {
			tensor.Data[float32](start)[i] = float32(c.Mean + c.Sigma*float64(v))
		}
		var noise []float32
		for k := range len(c.Updates) + 1 {
			noise = append(noise, draw(rng.SampleNoise, k)...)
		}
		noises := tensor.Of(noise, len(c.Updates)+1, count, 1, 8, 8)
		chain, err := mdsm.ChainGraph(tiny, w, c)
		if err != nil {
			t.Fatal(err)
		}
		rt := testkit.Open(t, 1)
		got := testkit.RunModel(t, rt, testkit.Encode(t, chain), testkit.Values{"x": start, "noise": noises})
		near(t, name, got["x_next"], want, 1e-5)
		generator, err := mdsm.GeneratorGraph(tiny, w, c)
		if err != nil {
			t.Fatal(err)
		}
		pictures := testkit.RunModel(t, rt, testkit.Encode(t, generator), testkit.Values{"z": z, "noise": noises})["images"]
		for i, v := range tensor.Data[uint8](pictures) {
			value := 255 * min(max(want.Float64s()[i/192*64+i%64], 0), 1)
			if math.Abs(float64(v)-value) > 0.51 {
				t.Fatalf("%s: byte %d of the generator is %d, want %g", name, i, v, value)
			}
		}
	}
	if _, err := mdsm.ChainGraph(tiny, w, mdsm.Chain{Sigma: 1, Sigma0: sigma0}); err == nil {
		t.Error("a chain of no steps: no error")
	}
}

// TestMethodsKeepTheLevel: of data at one point μ the denoiser is exact with the energy
// ‖x − μ‖²/2σ₀². Then methods without noise scale the noise that chains begin with, those
// with noise leave it of the level that they lead to, and the jump leads to μ.
func TestMethodsKeepTheLevel(t *testing.T) {
	testkit.Long(t)
	const mu, from, end, count = 0.5, 3.0, 2.0, 2048
	files, err := NewFiles(bowl(mu, sigma0), nil, sigma0, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := sampler(t, 2, files)
	start, _ := all(t, s, Settings{Start: Start{Mean: mu, Sigma: from}, Seed: 11, Count: count, Raw: true,
		Updates: []mdsm.Update{{StepSize: 1e-6}}})
	for _, levels := range []int{1, 12} {
		for _, m := range Methods() {
			r := NewRecipe(m, levels)
			r.End = end
			set := drawn(t, r, count)
			set.Raw = true
			x, _ := all(t, s, set)
			name := fmt.Sprintf("%s in %d", m, levels)
			const to = end * sigma0
			switch m {
			case DDIM, Heun:
				for i, v := range x.Float64s() {
					if want := mu + to/from*(start.Float64s()[i]-mu); math.Abs(v-want) > 1e-5 {
						t.Fatalf("%s: value %d is %g, want %g", name, i, v, want)
					}
				}
			case Ancestral, EDM:
				variance(t, name, x, mu, to*to)
			case Adaptive:
				adapted(t, name, r, x, start, mu)
			}
		}
	}
	// A refreshed chain has the noise of its level, wherever it began.
	far, _ := all(t, s, Settings{Start: Start{Mean: 7, Sigma: 1}, Seed: 11, Count: count, Raw: true,
		Updates: []mdsm.Update{mdsm.Refresh(0.8, sigma0)}})
	variance(t, "refreshed", far, mu, 0.8*0.8)

	x, _ := all(t, s, drawn(t, NewRecipe(EDM, 3), 100))
	for i, v := range x.Float64s() {
		if math.Abs(v-mu) > 1e-5 {
			t.Fatalf("value %d after the jump is %g, want %g", i, v, mu)
		}
	}
}

// variance holds samples in the plane to a mean and a variance of each value.
func variance(t *testing.T, name string, x *tensor.Tensor, mu, want float64) {
	t.Helper()
	n := float64(x.Shape()[0])
	mean, covariance := moments(x)
	for a := range 2 {
		if off := math.Abs(mean[a]-mu) / math.Sqrt(want/n); off > 5 {
			t.Errorf("%s: mean %v is %.1f standard errors off", name, mean, off)
		}
		if off := math.Abs(covariance[a][a]-want) / (want * math.Sqrt(2/n)); off > 5 {
			t.Errorf("%s: variance %g, want %g, is %.1f standard errors off", name, covariance[a][a], want, off)
		}
	}
}

// adapted holds chains of the adaptive method to its source's formula, with the noise
// that they have, and each to the level at which it waits.
func adapted(t *testing.T, name string, r Recipe, x, start *tensor.Tensor, mu float64) {
	t.Helper()
	levels, err := mdsm.FallingLevels(3, r.End*sigma0, 0, r.Levels)
	if err != nil {
		t.Fatal(err)
	}
	source, noise := rng.New(11), make([]float32, 2)
	for i := range 100 {
		x0, x1 := start.Float64s()[2*i]-mu, start.Float64s()[2*i+1]-mu
		for k, b := range levels[1:] {
			level := math.Sqrt((x0*x0 + x1*x1) / 2)
			if level < r.End*sigma0 {
				break
			}
			h := min((1-b/levels[k])/r.Beta, 1)
			gamma := level * math.Sqrt(max((1-r.Beta*h)*(1-r.Beta*h)-(1-h)*(1-h), 0))
			source.Normal(noise, rng.SampleNoise, uint64(i), uint32(k))
			x0, x1 = (1-h)*x0+gamma*float64(noise[0]), (1-h)*x1+gamma*float64(noise[1])
		}
		for a, want := range []float64{x0, x1} {
			if got := x.Float64s()[2*i+a] - mu; math.Abs(got-want) > 1e-4 {
				t.Fatalf("%s: chain %d is at %g, want %g", name, i, got, want)
			}
		}
	}
}

// TestUnderdampedIsExact: of a normal distribution underdamped steps keep the variance
// at any stable size, while eq. (8) makes it larger by 1/(1 − ε²/4w²).
func TestUnderdampedIsExact(t *testing.T) {
	testkit.Long(t)
	const mu, width, step, count, steps = -0.2, 0.15, 0.2, 8192, 60
	files, err := NewFiles(bowl(mu, width), nil, sigma0, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := sampler(t, 2, files)
	for name, c := range map[string]struct {
		update mdsm.Update
		want   float64
	}{
		"eq. (8)":       {mdsm.Update{StepSize: step, Temperature: 1}, width * width / (1 - step*step/(4*width*width))},
		"no velocity":   {mdsm.Underdamped(step, 1, 0), width * width},
		"a velocity":    {mdsm.Underdamped(step, 1, 0.6), width * width},
		"temperature 4": {mdsm.Underdamped(step, 4, 0.3), 4 * width * width},
	} {
		set := Settings{Start: Start{Mean: mu, Sigma: width}, Seed: 6, Count: count, Raw: true,
			Updates: slices.Repeat([]mdsm.Update{c.update}, steps)}
		x, _ := all(t, s, set)
		variance(t, name, x, mu, c.want)
	}
}

func TestRecipesThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		change func(*Recipe)
		says   string
	}{
		{func(r *Recipe) { r.Method = "euler" }, "want one of ancestral, ddim"},
		{func(r *Recipe) { r.Levels = 0 }, "levels 0"},
		{func(r *Recipe) { r.Refresh = -1 }, "refresh -1"},
		{func(r *Recipe) { r.End = 0.5 }, "last noise level 0.5"},
		{func(r *Recipe) { r.End = math.NaN() }, "last noise level NaN"},
		{func(r *Recipe) { r.Churn = 1 }, "churn 1"},
		{func(r *Recipe) { r.StepSize, r.Freeze = 0, 3 }, "step size 0"},
		{func(r *Recipe) { r.StepSize = 2 }, "step size 2"},
		{func(r *Recipe) { r.Method, r.Beta = Adaptive, 0 }, "beta 0"},
		{func(r *Recipe) { r.Velocity = share(1) }, "velocity 1"},
		{func(r *Recipe) { r.From = 0.05 }, "want some above 0.1"},
	} {
		r := NewRecipe(Ancestral, 3)
		c.change(&r)
		_, err := r.Updates(3, sigma0)
		testkit.WantError(t, c.says, err, c.says)
	}
	set := short(1, 1)
	for _, bad := range []mdsm.Update{{StepSize: 0}, {StepSize: math.NaN()}, {StepSize: 0.1, Temperature: -1},
		{StepSize: 0.1, Memory: math.Inf(1)}} {
		if set.Updates = []mdsm.Update{bad}; set.Validate() == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

func TestFastHasSoManyEvaluations(t *testing.T) {
	for _, n := range []int{2, 7, 30, 70, 100} {
		r, err := Fast(n)
		if err == nil {
			err = r.Validate()
		}
		if err != nil || r.Evaluations() != n {
			t.Errorf("%d: %+v of %d, error %v", n, r, r.Evaluations(), err)
		}
	}
	if _, err := Fast(1); err == nil {
		t.Error("one evaluation: no error")
	}
}

func TestParseTuned(t *testing.T) {
	found, err := ParseTuned([]byte(`{"recipes": [{"sampler": "ddim", "levels": 29, "end": 1, "evaluations": 30}, ` +
		`{"sampler": "heun", "levels": 34, "end": 2, "evaluations": 69}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for budget, want := range map[int]Method{29: "", 30: DDIM, 68: DDIM, 70: Heun, 1000: Heun} {
		if r, ok := found.Within(budget); r.Method != want || ok != (want != "") {
			t.Errorf("within %d: %+v, want %q", budget, r, want)
		}
	}
	again := found.With(TunedRecipe{Recipe: NewRecipe(Ancestral, 29)}).With(TunedRecipe{Recipe: NewRecipe(DDIM, 49)})
	var list []int
	for _, r := range again.Recipes {
		list = append(list, r.Evaluations)
	}
	if !slices.Equal(list, []int{30, 50, 69}) || again.Recipes[0].Method != Ancestral || found.Recipes[0].Method != DDIM {
		t.Errorf("with others: %+v, before %+v", again, found)
	}
	for _, bad := range []string{`{`, `{"other": 1}`, `{"recipes": [{"sampler": "ddim"}]}`} {
		if _, err := ParseTuned([]byte(bad)); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}
