package probe

import (
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/mdsm/dataset"
	"ebm/models/autodiff"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
)

const (
	sigma0 = 0.2
	side   = 4
	d      = side * side
)

// bowl is the energy a·‖x − m‖²/2 of grey pictures of side×side pixels: that
// of a normal distribution, whose every number is known.
type bowl struct{ a, m float64 }

// model opens the bowl, with its energy or the score alone.
func (b bowl) model(t testing.TB, rt *runtime.Runtime, withEnergy bool) *Model {
	t.Helper()
	g := graph.New("bowl")
	x := g.Input("x", tensor.Float32, graph.Batch(1, side, side))
	d := graph.Shift(x, -b.m)
	e := graph.Scale(graph.ReduceSum(graph.Mul(d, d), 1, 2, 3), b.a/2)
	if withEnergy {
		g.Output("energy", e)
	}
	g.Output("score", graph.Neg(autodiff.Gradient(e, x)[0]))
	m, err := Open(rt, Source{Score: testkit.Encode(t, g), Objective: mdsm.Objective{Sigma0: sigma0, Weighting: mdsm.InverseVariance}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// flat returns pictures of one grey level each, level i of values in turn.
func flat(name string, n int, values ...uint8) *dataset.Set {
	s := &dataset.Set{Name: name, Channels: 1, Height: side, Width: side}
	for i := range n {
		for range d {
			s.Pixels = append(s.Pixels, values[i%len(values)])
		}
	}
	return s
}

// grainy returns pictures of random bytes.
func grainy(name string, n, side int, seed uint64) *dataset.Set {
	s := &dataset.Set{Name: name, Channels: 1, Height: side, Width: side, Pixels: make([]uint8, n*side*side)}
	for i := range s.Pixels {
		s.Pixels[i] = uint8(rng.New(seed).IntN(256, rng.Probe, uint64(i), 0))
	}
	return s
}

func all(set *dataset.Set) Pictures { return Choose(set, set.Len(), 7) }
