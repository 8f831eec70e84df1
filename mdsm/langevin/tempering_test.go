package langevin

import (
	"context"
	"math"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/mdsm/samples"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// far are two modes that chains at T = 1 do not leave: a quarter of the density left, the
// rest right, eight deviations from the middle.
var far = points{2, func(x *graph.Node) *graph.Node {
	const width = 0.25
	at := func(mu, share float64) *graph.Node {
		d := graph.Shift(x, -mu)
		e := graph.Scale(graph.ReduceSum(graph.Mul(d, d), 1), -1/(2*width*width))
		return graph.ExpandDims(graph.Shift(e, math.Log(share)), 1)
	}
	return graph.Neg(graph.LogSumExp(graph.Concat(1, at(-1.5, 0.25), at(1.5, 0.75))))
}}

func tempered(count int) Settings {
	return Settings{Tempering: &Tempering{Temperatures: Ladder(64, 4), Every: 5, Rounds: 120}, StepSize: 0.15,
		Start: Start{Mean: -1.5, Sigma: 0.2}, Count: count, Seed: 5, Raw: true, Watch: samples.Watch{Chains: count}}
}

func farSampler(t testing.TB, threads int) *Sampler {
	return sampler(t, threads, Files{Sampler: testkit.Encode(t, mdsm.SamplerGraph(far, nil)),
		Denoise: testkit.Encode(t, mdsm.DenoiseGraph(far, nil, 0.1))})
}

// right returns the share of points in the right mode.
func right(x *tensor.Tensor) float64 {
	n := 0.0
	for i, v := range tensor.Data[float32](x) {
		if i%2 == 0 && v > 0 {
			n++
		}
	}
	return n / float64(x.Shape()[0])
}

// TestTemperingWeighsModes begins all chains in the lighter of two modes. Tempering gives
// both their weights, within five standard errors; an annealed chain of as many
// evaluations, which forgets its start when it is hot but parts by basins when it cools,
// does not, and neither does tempering by a wrong rule.
func TestTemperingWeighsModes(t *testing.T) {
	testkit.Long(t)
	const count, want = 1024, 0.75
	s, set := farSampler(t, 2), tempered(count)
	x, p := all(t, s, set)
	off := func(share float64) float64 { return math.Abs(share-want) / math.Sqrt(want*(1-want)/count) }
	if got := right(x); off(got) > 5 {
		t.Errorf("%.3f of the samples are in the mode of weight %g, %.1f standard errors off", got, want, off(got))
	}
	mean, covariance := moments(x)
	t.Logf("share %.3f, mean %v, covariance %v", right(x), mean, covariance)
	for _, swap := range p.Swaps {
		if rate := float64(swap.Accepted) / float64(swap.Tried); swap.Tried != count*60 || !(rate > 0.1 && rate < 0.99) {
			t.Errorf("swaps between %g and %g: %d of %d", swap.Cold, swap.Hot, swap.Accepted, swap.Tried)
		}
	}
	plain := set
	plain.Tempering, plain.Watch = nil, samples.Watch{}
	plain.Schedule = Schedule{Cooling: Exponential, Steps: len(p.Temperature) + 4*120, Hot: 64, Cool: 1}
	annealed, _ := all(t, s, plain)
	if got := right(annealed); off(got) < 10 {
		t.Errorf("annealing has %.3f in the heavier mode, %.1f standard errors off, want it wrong", got, off(got))
	}
}

// TestSwapKeepsTheJointDensity draws places of two chains from their densities, normal
// with variances T and T', and swaps: the densities stay. A rule that swaps always, or with
// the sign turned, widens the cold one.
func TestSwapKeepsTheJointDensity(t *testing.T) {
	const n, cold, hot = 200_000, 1.0, 4.0
	draws, decisions := make([]float32, 2*n), make([]float32, n)
	source := rng.New(9)
	source.Normal(draws, rng.Density, 0, 0)
	source.Uniform(decisions, rng.Density, 1, 0)
	after := func(rule func(cold, hot float64, atCold, atHot float32) float64) (variance float64) {
		for i := range n {
			x, y := float64(draws[2*i])*math.Sqrt(cold), float64(draws[2*i+1])*math.Sqrt(hot)
			if math.Log(float64(decisions[i])) < rule(cold, hot, float32(x*x/2), float32(y*y/2)) {
				x = y
			}
			variance += x * x / n
		}
		return variance
	}
	margin := 5 * cold * math.Sqrt(2.0/n)
	if got := after(swapLog); math.Abs(got-cold) > margin {
		t.Errorf("after swaps the variance of the cold chain is %g, want %g", got, cold)
	}
	for name, wrong := range map[string]func(a, b float64, c, d float32) float64{
		"always":     func(_, _ float64, _, _ float32) float64 { return 0 },
		"other sign": func(a, b float64, c, d float32) float64 { return -swapLog(a, b, c, d) },
		"T for 1/T":  func(a, b float64, c, d float32) float64 { return (b - a) * float64(c-d) },
	} {
		if got := after(wrong); math.Abs(got-cold) < 2*margin {
			t.Errorf("the test lets the rule %q pass: variance %g", name, got)
		}
	}
}

// TestTemperingBits: a sample is the same in any batch, part, on any number of threads and
// in runs of other lengths, and after a stop, and so are the counts of its swaps.
func TestTemperingBits(t *testing.T) {
	testkit.Long(t)
	set := short(20, 1)
	set.Tempering = &Tempering{Temperatures: []float64{1, 3, 10}, Every: 3, Rounds: 4}
	set.Watch = samples.Watch{Chains: 20, Snapshots: []int{0, 9, 36}}
	f := models(t, small)
	want, process := all(t, sampler(t, 1, f), set)
	two := sampler(t, 2, f)
	for name, change := range map[string]func(*Settings){
		"two threads": func(*Settings) {}, "batch 3": func(s *Settings) { s.Batch = 3 },
		"steps one by one": func(s *Settings) { s.StepsPerRun = 1 },
	} {
		other := set
		change(&other)
		got, p := all(t, two, other)
		equalBits(t, name, got, want)
		for i, s := range p.Swaps {
			if s != process.Swaps[i] || s.Tried == 0 {
				t.Errorf("%s: swaps %+v, want %+v", name, s, process.Swaps[i])
			}
		}
	}
	part, _ := all(t, two, partOf(set, 2, 3))
	lo := partOf(set, 2, 3).First
	equalBits(t, "a part", part, want.Rows(lo, lo+part.Shape()[0]))

	// Stopped in the middle of a round, and of a chain's steps.
	for _, at := range []int{4, 7, 9, 20} {
		p, err := two.plan(set)
		if err != nil {
			t.Fatal(err)
		}
		p.StepsPerRun = 1
		fresh := func() *chain {
			c := &chain{Sampler: two, plan: p, number: 0, lo: 0, hi: 16, rows: p.size, seen: &seen{n: 16, swaps: p.newSwaps()}}
			c.startLadder()
			return c
		}
		run := func(c *chain, from, to int) {
			for k := from; k < to; k++ {
				if err := c.look(t.Context(), k); err != nil {
					t.Fatal(err)
				}
				if err := c.steps(t.Context(), k, 1); err != nil {
					t.Fatal(err)
				}
				if err := c.turn(t.Context(), k+1); err != nil {
					t.Fatal(err)
				}
			}
		}
		stopped := fresh()
		run(stopped, 0, at)
		kept, again := stopped.arrays(at), fresh()
		if !again.recall(kept, at) || !again.recallLadder(kept) {
			t.Fatalf("the state after %d steps is not taken", at)
		}
		again.x = again.ladder[set.Tempering.rung(at)]
		run(again, at, len(p.updates))
		whole := fresh()
		run(whole, 0, len(p.updates))
		equalBits(t, "after a stop", again.x, whole.x)
		for i := range whole.seen.swaps {
			if again.seen.swaps[i] != whole.seen.swaps[i] {
				t.Errorf("stopped after %d steps: swaps %+v, want %+v", at, again.seen.swaps[i], whole.seen.swaps[i])
			}
		}
	}
}

func TestTemperingRefuses(t *testing.T) {
	s := farSampler(t, 1)
	for want, change := range map[string]func(*Settings){
		"two or more":        func(s *Settings) { s.Tempering.Temperatures = []float64{1} },
		"that rise":          func(s *Settings) { s.Tempering.Temperatures = []float64{1, 4, 2} },
		"one or more":        func(s *Settings) { s.Tempering.Rounds = 0 },
		"end of a round":     func(s *Settings) { s.Watch.Snapshots = []int{0, 7} },
		"without":            func(s *Settings) { s.Updates = At(0.1, []float64{1}) },
		"no more than 21474": func(s *Settings) { s.Tempering.Rounds = 1 << 30 },
	} {
		set := tempered(2)
		change(&set)
		if _, err := s.Sample(context.Background(), set, func(int, *tensor.Tensor) error { return nil }); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	// A model of the score alone has no energy to swap by.
	score := graph.New("score")
	x := score.Input("x", tensor.Float32, graph.Batch(2))
	score.Output("score", graph.Neg(x))
	only := sampler(t, 1, Files{Score: testkit.Encode(t, score), Sigma0: 0.1})
	if _, err := only.All(context.Background(), tempered(2)); err == nil || !strings.Contains(err.Error(), "no energy") {
		t.Errorf("without an energy: %v", err)
	}
}
