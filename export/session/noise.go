package session

import (
	"slices"

	"ebm/export"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// Draws says what a batch of chains takes at random: standard normal numbers that depend on
// the seed, a chain's index and the step alone.
type Draws struct {
	Source  rng.Source
	Purpose rng.Purpose
	Shape   []int  // [N …]
	First   uint64 // the index of the chain at place 0
	Lo, Hi  int    // the places in use: where the host draws, others are left as they are
	Steps   int    // how many there will be
}

// Normal draws the numbers of a step, of shape Shape.
func (d Draws) Normal(dst []float32, step int) {
	each := tensor.Volume(d.Shape[1:])
	for place := d.Lo; place < d.Hi; place++ {
		d.Source.Normal(dst[place*each:(place+1)*each], d.Purpose, d.First+uint64(place), uint32(step))
	}
}

// Noise is what a model takes for the draws of a step: the numbers themselves, which the host
// draws, or counters from which the model does.
type Noise struct {
	Draws
	In      map[string]*tensor.Tensor // inputs of the model
	Once    []*tensor.Tensor          // those of In that are the same at each step
	Counted bool                      // the model draws
	input   export.Counted
}

// Noise returns that of an input. The host draws it where the device does not, and where a
// counter has no room for so many samples, steps or elements.
func (m *Models) Noise(d Draws, input export.Counted) *Noise {
	const samples = 1 << rng.SquaresSampleBits
	n, first := d.Shape[0], d.First%samples
	if m == nil || !m.Counts || first+uint64(n) > samples || d.Steps > 1<<rng.SquaresStepBits ||
		tensor.Volume(d.Shape[1:]) > 1<<rng.SquaresWordBits {
		shape := d.Shape
		if !input.Single {
			shape = slices.Insert(slices.Clone(shape), 0, 1)
		}
		return &Noise{Draws: d, In: map[string]*tensor.Tensor{input.Input: tensor.New(tensor.Float32, shape...)}}
	}
	input.Halves = m.Halves
	indices := make([]int64, n)
	for i := range indices {
		indices[i] = int64(first) + int64(i)
	}
	samplesIn, key := input.Integers(indices...), input.KeyBits(rng.SquaresKey(d.Source.Seed(), d.Purpose, d.First/samples))
	return &Noise{Draws: d, Counted: true, input: input, Once: []*tensor.Tensor{samplesIn, key}, In: map[string]*tensor.Tensor{
		export.SamplesInput: samplesIn, export.KeyInput: key, export.StepsInput: input.Integers(0)}}
}

// Step sets In to what a step takes.
func (n *Noise) Step(step int) {
	if n.Counted {
		n.In[export.StepsInput].CopyFrom(n.input.Integers(int64(step)))
		return
	}
	for _, t := range n.In {
		n.Normal(tensor.Data[float32](t), step)
	}
}
