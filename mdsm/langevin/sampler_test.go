package langevin

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/mdsm/samples"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
)

// A sample must not depend on anything but its index, the seed and the settings.
func TestSameBits(t *testing.T) {
	testkit.Long(t)
	const count, steps = 75, 13
	for _, net := range []energy.ResNet{small, {Net: "res6", Channels: 3, Dim: 5, Size: 8, Activation: energy.Softplus}} {
		m := models(t, net)
		one, two := sampler(t, 1, m), sampler(t, 2, m)
		set := short(count, steps)
		set.Watch = samples.Watch{Chains: 20, Snapshots: []int{0, 5, 13}}
		want, process := all(t, one, set)

		for _, s := range []*Sampler{one, two} {
			for _, batch := range []int{0, 64, 50, 7} {
				for _, block := range []int{0, 1, 4} {
					set := set
					set.Batch, set.StepsPerRun = batch, block
					got, p := all(t, s, set)
					name := fmt.Sprintf("%v, %d threads, batch %d, block %d", net, s.info.Threads, batch, block)
					equalBits(t, name, got, want)
					for i := range p.Energy {
						equalBits(t, name+": energy", tensor.Of(p.Energy[i], steps), tensor.Of(process.Energy[i], steps))
					}
					for i := range p.Snapshots {
						equalBits(t, name+": snapshot", p.Snapshots[i].X, process.Snapshots[i].X)
						equalBits(t, name+": denoised snapshot", p.Snapshots[i].Denoised, process.Snapshots[i].Denoised)
					}
				}
			}
		}
		// Parts of the range, in another order.
		each := tensor.Volume(net.InputShape())
		for i := 4; i >= 1; i-- {
			part := partOf(set, i, 4)
			part.Watch = samples.Watch{}
			got, _ := all(t, two, part)
			rows := tensor.Data[float32](want)[part.First*each : (part.First+part.Count)*each]
			equalBits(t, fmt.Sprintf("shard %d", i), got, tensor.Of(rows, len(rows)))
		}
	}
}

// The chain is eq. (8) with the random numbers of each sample, and eq. (9).
func TestAgainstPlainLoop(t *testing.T) {
	w := energy.Init(small, rng.New(3))
	session, err := testkit.Open(t, 1).Load(testkit.Encode(t, mdsm.ScoreGraph(small, w)), runtime.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	score := func(x []float64) []float64 {
		in := tensor.New(tensor.Float32, 1, 1, 16, 16)
		for i, v := range x {
			tensor.Data[float32](in)[i] = float32(v)
		}
		out := testkit.Run(t, session, map[string]*tensor.Tensor{"x": in})
		return out["score"].Float64s()
	}
	const index, steps, stepSize = 21, 30, 0.02
	source, n := rng.New(11), make([]float32, 256)
	x := make([]float64, 256)
	source.Normal(n, rng.SampleStart, index, 0)
	for i := range x {
		x[i] = 0.5 + float64(n[i])
	}
	schedule := Paper()
	schedule.Steps = steps
	temperature, err := schedule.Temperatures()
	if err != nil {
		t.Fatal(err)
	}
	for k, temp := range temperature {
		source.Normal(n, rng.SampleNoise, index, uint32(k))
		for i, s := range score(x) {
			x[i] += stepSize*stepSize/2*s + stepSize*math.Sqrt(temp)*float64(n[i])
		}
	}
	for i, s := range score(x) {
		x[i] += sigma0 * sigma0 * s
	}

	set := short(1, steps)
	set.First = index
	got, _ := all(t, sampler(t, 1, models(t, small)), set)
	for i, v := range got.Float64s() {
		if math.Abs(v-x[i]) > 1e-5 {
			t.Fatalf("pixel %d is %g, want %g", i, v, x[i])
		}
	}
}

func TestScoreInGo(t *testing.T) {
	w := energy.Init(small, rng.New(3))
	m := Files{Score: testkit.Encode(t, mdsm.ScoreGraph(small, w)), Sigma0: sigma0}
	set := short(20, 12)
	set.Watch = samples.Watch{Chains: 3, Snapshots: []int{12}}
	want, process := all(t, sampler(t, 2, models(t, small)), set)
	got, p := all(t, sampler(t, 2, m), set)
	near(t, "samples", got, want, 1e-5)
	near(t, "snapshot", p.Snapshots[0].Denoised, process.Snapshots[0].Denoised, 1e-5)
	for i := range p.Energy {
		near(t, "energy", tensor.Of(p.Energy[i], 12), tensor.Of(process.Energy[i], 12), 1e-4)
	}
	m.Sigma0 = 0
	if _, err := sampler(t, 1, m).Sample(t.Context(), set, nil); !errors.Is(err, errNoDenoise) {
		t.Errorf("without sigma0: error %v", err)
	}
}

func near(t *testing.T, what string, got, want *tensor.Tensor, limit float64) {
	t.Helper()
	a, b := got.Float64s(), want.Float64s()
	for i := range b {
		if math.Abs(a[i]-b[i]) > limit*max(1, math.Abs(b[i])) {
			t.Errorf("%s: element %d is %g, want %g", what, i, a[i], b[i])
			return
		}
	}
}

func TestDenoise(t *testing.T) {
	s := sampler(t, 2, models(t, small))
	x := tensor.New(tensor.Float32, 37, 1, 16, 16)
	rng.New(5).Normal(tensor.Data[float32](x), rng.Probe, 0, 0)
	clean, e, err := s.Denoise(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	if e.Len() != 37 || clean.Len() != x.Len() {
		t.Fatalf("energies %v, pictures %v", e, clean)
	}
	// One picture alone gives the same.
	one, e1, err := s.Denoise(t.Context(), tensor.Of(tensor.Data[float32](x)[30*256:31*256], 1, 1, 16, 16))
	if err != nil {
		t.Fatal(err)
	}
	equalBits(t, "one picture", one, tensor.Of(tensor.Data[float32](clean)[30*256:31*256], 1, 1, 16, 16))
	equalBits(t, "one energy", e1, tensor.Of(tensor.Data[float32](e)[30:31], 1))
	for _, bad := range []*tensor.Tensor{tensor.New(tensor.Float32, 1, 1, 8, 8), tensor.New(tensor.Uint8, 1, 1, 16, 16),
		tensor.New(tensor.Float32, 16, 16)} {
		if _, _, err := s.Denoise(t.Context(), bad); err == nil {
			t.Errorf("%v has no error", bad)
		}
	}
	tensor.Data[float32](x)[3*256] = float32(math.NaN())
	if _, _, err := s.Denoise(t.Context(), x); err == nil || !strings.Contains(err.Error(), "picture 3 ") {
		t.Errorf("a picture with NaN: error %v", err)
	}
}

func TestDivergenceAndCancelling(t *testing.T) {
	s := sampler(t, 2, models(t, small))
	set := short(40, 40)
	set.StepSize = 1e18
	var diverged *DivergedError
	if _, err := s.Sample(t.Context(), set, func(int, *tensor.Tensor) error { return nil }); !errors.As(err, &diverged) {
		t.Errorf("a huge step size: error %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	set = short(1000000, 20)
	n := 0
	_, err := s.Sample(ctx, set, func(int, *tensor.Tensor) error {
		if n++; n == 3 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || n > 20 {
		t.Errorf("cancelled: error %v after %d batches", err, n)
	}
	full := errors.New("disk is full")
	if _, err := s.Sample(t.Context(), set, func(int, *tensor.Tensor) error { return full }); !errors.Is(err, full) {
		t.Errorf("a sink that fails: error %v", err)
	}
}

func TestModelsThatDoNotFit(t *testing.T) {
	rt := testkit.Open(t, 1)
	m := models(t, small)
	other := models(t, energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 8})
	for name, bad := range map[string]Files{
		"none":        {},
		"no model":    {Sampler: []byte("not a model")},
		"swapped":     {Sampler: m.Denoise, Denoise: m.Sampler},
		"two":         {Sampler: m.Sampler, Score: m.Sampler},
		"two shapes":  {Sampler: m.Sampler, Denoise: other.Denoise},
		"not a score": {Score: m.Denoise},
		"shape":       {Sampler: m.Sampler, Denoise: m.Denoise, Shape: []int{1, 8, 8}},
	} {
		if s, err := New(rt, bad); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		}
	}
	onlyDenoise := sampler(t, 1, Files{Denoise: m.Denoise})
	if _, err := onlyDenoise.Sample(t.Context(), short(1, 1), nil); err == nil {
		t.Error("sampling without a sampler has no error")
	}
	if _, _, err := onlyDenoise.Denoise(t.Context(), tensor.New(tensor.Float32, 1, 1, 16, 16)); err != nil {
		t.Error(err)
	}
}
