package session

import (
	"slices"
	"testing"

	"ebm/export"
	"ebm/internal/testkit"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// TestNoise looks at what models take: the host's numbers of the places in use, or counters,
// whose key is of the purpose and the block of samples, unless one has no room.
func TestNoise(t *testing.T) {
	d := Draws{Source: rng.New(3), Purpose: rng.Momentum, Shape: []int{4, 2, 3}, First: 9, Lo: 1, Hi: 3, Steps: 7}
	for _, single := range []bool{false, true} {
		n := (*Models)(nil).Noise(d, export.Counted{Input: "in", Single: single})
		n.Step(5)
		want := make([]float32, 24)
		rng.New(3).Normal(want[6:12], rng.Momentum, 10, 5)
		rng.New(3).Normal(want[12:18], rng.Momentum, 11, 5)
		got := n.In["in"]
		testkit.SameBits(t, "the host's numbers", tensor.Data[float32](got), want)
		if shape := []int{1, 4, 2, 3}; n.Counted || len(n.Once) > 0 || !slices.Equal(got.Shape(), shape[1:]) && single ||
			!slices.Equal(got.Shape(), shape) && !single {
			t.Errorf("single %t: counted %t, %d inputs once, %v", single, n.Counted, len(n.Once), got)
		}
	}
	const samples = 1 << rng.SquaresSampleBits
	keys := map[int64]bool{}
	for i, c := range []struct {
		change  func(*Draws)
		counted bool
	}{
		{func(*Draws) {}, true},
		{func(d *Draws) { d.Purpose = rng.SampleNoise }, true},
		{func(d *Draws) { d.First += 1 << 44 }, true},
		{func(d *Draws) { d.First = samples - 3 }, false},
		{func(d *Draws) { d.Steps = 1<<rng.SquaresStepBits + 1 }, false},
		{func(d *Draws) { d.Shape = []int{1, 1<<rng.SquaresWordBits + 1} }, false},
	} {
		d := d
		c.change(&d)
		n := (&Models{Counts: true}).Noise(d, export.Counted{Input: "in", Single: true})
		if n.Counted != c.counted {
			t.Errorf("case %d: counted %t, want %t", i, n.Counted, c.counted)
		}
		if !n.Counted {
			continue
		}
		n.Step(5)
		key := tensor.Data[int64](n.In[export.KeyInput])[0]
		if keys[key] {
			t.Errorf("case %d has the key of another", i)
		}
		keys[key] = true
		if step := tensor.Data[int64](n.In[export.StepsInput]); step[0] != 5 || len(n.In) != 3 || len(n.Once) != 2 {
			t.Errorf("case %d: step %v, %d inputs, %d once", i, step, len(n.In), len(n.Once))
		}
		if got := tensor.Data[int64](n.In[export.SamplesInput]); !slices.Equal(got, []int64{9, 10, 11, 12}) {
			t.Errorf("case %d: samples %v, want 9 to 12", i, got)
		}
	}
}
