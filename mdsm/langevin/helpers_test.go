package langevin

import (
	"context"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm/samples"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime/parallel"
)

const sigma0 = 0.1

// small is a network whose groups have 16 samples.
var small = energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 16}

func models(t testing.TB, n energy.Network) Files {
	t.Helper()
	f, err := NewFiles(n, energy.Init(n, rng.New(3)), sigma0, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func sampler(t testing.TB, threads int, m Files) *Sampler {
	t.Helper()
	s, err := New(testkit.Open(t, threads), m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// short is a run of few steps.
func short(count, steps int) Settings {
	s := Default(count)
	s.Schedule.Steps = steps
	s.Seed = 11
	return s
}

// partOf returns the settings of a contiguous part i of n.
func partOf(set Settings, i, n int) Settings {
	first, end := parallel.Part{Index: i, Count: n}.Range(set.Count)
	set.First, set.Count = set.First+first, end-first
	return set
}

// all returns the samples of a run as one tensor.
func all(t testing.TB, s *Sampler, set Settings) (*tensor.Tensor, *samples.Process) {
	t.Helper()
	var parts []*tensor.Tensor
	next := set.First
	p, err := s.Sample(context.Background(), set, func(first int, x *tensor.Tensor) error {
		if first != next {
			t.Errorf("samples from %d were delivered, want those from %d", first, next)
		}
		next += x.Shape()[0]
		parts = append(parts, x)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if next != set.First+set.Count {
		t.Fatalf("%d samples were delivered, want %d", next-set.First, set.Count)
	}
	return tensor.Concat(parts...), p
}

// equalBits reports the first difference of float32 tensors.
func equalBits(t testing.TB, what string, got, want *tensor.Tensor) {
	t.Helper()
	testkit.SameBits(t, what, tensor.Data[float32](got), tensor.Data[float32](want))
}

// points is an energy of points without parameters.
type points struct {
	dim    int
	energy func(x *graph.Node) *graph.Node
}

func (p points) InputShape() []int                                 { return []int{p.dim} }
func (p points) Parameters() []energy.Parameter                    { return nil }
func (p points) Energy(x *graph.Node, _ energy.Params) *graph.Node { return p.energy(x) }

// bowl is ‖x − μ‖²/2w² in the plane.
func bowl(mu, width float64) points {
	return points{2, func(x *graph.Node) *graph.Node {
		d := graph.Shift(x, -mu)
		return graph.Scale(graph.ReduceSum(graph.Mul(d, d), 1), 1/(2*width*width))
	}}
}
