package mcmc

import (
	"math"
	"slices"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/mdsm/hmc"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

const sigma0 = 0.1

var reference = mdsm.Reference{Mean: 0.5, Sigma: 1}

func encode(t testing.TB, g *graph.Graph, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	b := testkit.Encode(t, g)
	return b
}

// models returns those of a network, for trajectories of so many steps.
func models(t testing.TB, n energy.Network, w energy.Weights, leapfrog int) Files {
	t.Helper()
	f, err := NewFiles(n, w, sigma0, leapfrog)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func sampler(t testing.TB, threads int, m Files) *Sampler {
	t.Helper()
	rt := testkit.Open(t, threads)
	s, err := New(rt, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// all returns the chains of a run as one.
func all(t testing.TB, s *Sampler, set Settings) Chains {
	t.Helper()
	var whole Chains
	var values []float32
	next := set.First
	err := s.Sample(t.Context(), set, func(c Chains) error {
		if c.First != next {
			t.Errorf("chains from %d were delivered, want those from %d", c.First, next)
		}
		next += c.Len()
		values = append(values, tensor.Data[float32](c.X)...)
		whole.Energy = append(whole.Energy, c.Energy...)
		whole.StepSize, whole.Acceptance = append(whole.StepSize, c.StepSize...), append(whole.Acceptance, c.Acceptance...)
		whole.Divergent = append(whole.Divergent, c.Divergent...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if next != set.First+set.Count {
		t.Fatalf("%d chains were delivered, want %d", next-set.First, set.Count)
	}
	whole.First, whole.Draws = set.First, set.Draws
	whole.X = tensor.Of(values, append([]int{set.Count * set.Draws}, s.Shape()...)...)
	return whole
}

// wrongKick is TrajectoryGraph with unit weight of E whose trajectories end
// without the last half kick.
func wrongKick(t testing.TB, n energy.Network, leapfrog int) []byte {
	t.Helper()
	g := graph.New("trajectory")
	err := graph.Catch(func() {
		x := g.Input("x", tensor.Float32, graph.Batch(n.InputShape()...))
		each := func(name string) *graph.Node { return g.Input(name, x.DType(), x.Shape()[:1]) }
		like := func(name string) *graph.Node { return g.Input(name, x.DType(), x.Shape()) }
		start := mdsm.Phase{X: x, Energy: each("energy"), Score: like("score"), Momentum: like("momentum")}
		uniform, h := each("uniform"), each("step_size")
		u := mdsm.Mix{Energy: g.Input("energy_weight", x.DType(), graph.Dims(1)),
			Reference: g.Input("reference_weight", x.DType(), graph.Dims(1)), Of: reference}
		end := mdsm.Leapfrog(func(x *graph.Node) *graph.Node { return n.Energy(x, nil) }, u, start, h, leapfrog)
		end.Momentum = graph.Sub(end.Momentum, graph.Mul(graph.BroadcastAlong(graph.Scale(h, 0.5), x.Shape(), 0), end.Score))
		change := u.Change(start, end)
		accepted, probability := mdsm.Metropolis(change, uniform)
		choose := func(a, b *graph.Node) *graph.Node {
			return graph.Where(graph.BroadcastAlong(accepted, a.Shape(), 0), a, b)
		}
		g.Output("x_next", choose(end.X, x))
		g.Output("energy_next", choose(end.Energy, start.Energy))
		g.Output("score_next", choose(end.Score, start.Score))
		g.Output("reference_next", reference.Energy(choose(end.X, x)))
		g.Output("change", change)
		g.Output("probability", probability)
	})
	return encode(t, g, err)
}

// moves makes so many transitions of size h from each point, with the sampler's kernel.
func moves(t testing.TB, s *Sampler, x *tensor.Tensor, steps int, h float64, jitter float64, always bool) *tensor.Tensor {
	t.Helper()
	l := s.kernel.Layout(0)
	each, n := l.Each(), x.Shape()[0]
	out := x.Clone()
	for first := 0; first < n; first += l.Size {
		in := l.New()
		used := min(l.Size, n-first)
		copy(tensor.Data[float32](in), tensor.Data[float32](x)[first*each:(first+used)*each])
		numbers := s.kernel.Numbers(l, rng.New(21), uint64(first), 0, used, steps)
		numbers.Jitter, numbers.Always = jitter, always
		chains, err := s.kernel.Start(t.Context(), in, numbers)
		if err != nil {
			t.Fatal(err)
		}
		for k := range steps {
			numbers.Draw(k, func(int) float64 { return h })
			if _, err = chains.Move(t.Context(), hmc.Potential{Energy: 1}); err != nil {
				t.Fatal(err)
			}
		}
		at, err := chains.State()
		if err != nil {
			t.Fatal(err)
		}
		copy(tensor.Data[float32](out)[first*each:(first+used)*each], tensor.Data[float32](at.X))
		chains.Close()
	}
	return out
}

// kernelTest is the two-sample test of Gretton et al., "A kernel two-sample test"
// (JMLR 13, 2012): the squared mean discrepancy of x and y [n D] under a Gaussian
// kernel as wide as the median distance, compared with that of permuted
// samples. It returns the part of so many permutations, and the true order,
// that have at least the observed value. If x and y are of one distribution,
// the result is at most p with probability at most p.
func kernelTest(x, y *tensor.Tensor, permutations int) float64 {
	n, each := x.Shape()[0], x.Len()/x.Shape()[0]
	v := append(x.Float64s(), y.Float64s()...)
	size := 2 * n
	distance := make([]float64, size*size)
	for i := range size {
		for j := range i {
			d := 0.0
			for k := range each {
				d += (v[i*each+k] - v[j*each+k]) * (v[i*each+k] - v[j*each+k])
			}
			distance[i*size+j], distance[j*size+i] = d, d
		}
	}
	sorted := slices.Sorted(slices.Values(distance))
	width := sorted[len(sorted)/2]
	gram := make([]float64, size*size)
	for i, d := range distance {
		gram[i] = math.Exp(-d / (2 * width))
	}
	discrepancy := func(order []int) float64 {
		sign := make([]float64, size)
		for i, j := range order {
			sign[j] = 1
			if i >= n {
				sign[j] = -1
			}
		}
		sum := 0.0
		for i := range size {
			row := 0.0
			for j, k := range gram[i*size : (i+1)*size] {
				row += sign[j] * k
			}
			sum += sign[i] * row
		}
		return sum
	}
	order := make([]int, size)
	for i := range order {
		order[i] = i
	}
	seen, atLeast := discrepancy(order), 1
	for p := range permutations {
		if discrepancy(rng.New(99).Permutation(size, rng.Probe, uint64(p))) >= seen {
			atLeast++
		}
	}
	return float64(atLeast) / float64(permutations+1)
}
