package train

import (
	"fmt"
	"slices"
	"strconv"

	"ebm/mdsm"
	"ebm/mdsm/dataset"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// Matching is the training of any energy on any data by multiscale denoising
// score matching, eq. (7) of the paper: every position of a batch has a noise
// level of its own, from Noise.Min to Noise.Max.
type Matching struct {
	Network energy.Network
	Data    dataset.Data
	Batch   int // x's in a batch
	// Noise has σ₀ and the noise levels in units of x. No spacing means
	// geometric, and no weighting the paper's, inverse-variance.
	Noise NoiseSettings
	// Optimiser is the paper's Adam if none is given.
	Optimiser mdsm.Optimiser
	// Shards is the number of parts of a batch whose gradients are computed
	// side by side; a batch that cannot be divided so takes fewer. It changes
	// the last bits. 0 and 1 compute a step as one graph.
	Shards int
	// Mirror mirrors x's at random along their last axis, the columns of
	// pictures.
	Mirror bool
	// Seed is that of the first weights, the order of the data and the noise.
	Seed uint64
	// Start has the first weights, nil for random ones (energy.Init).
	Start energy.Weights
}

// Problem returns the training problem for Run. Its errors are a *SettingError
// for what cannot be, an *energy.MismatchError for first weights that do not
// fit, and one with the shapes for data that the network does not take. A
// mistake in the network's graph is a *graph.Error.
func (m Matching) Problem() (Problem, error) {
	m = m.withDefaults()
	if err := m.Noise.validate(); err != nil {
		return Problem{}, err
	}
	if err := m.Optimiser.Validate(); err != nil {
		return Problem{}, err
	}
	p, err := m.pose(m.noisy(m.loss()))
	p.Describe = m.describe()
	return p, err
}

// loss is the objective of eq. (7).
func (m Matching) loss() mdsm.Objective {
	return mdsm.Objective{Sigma0: m.Noise.Sigma0, Weighting: m.Noise.Weighting}
}

func (m Matching) withDefaults() Matching {
	if m.Noise.Spacing == "" {
		m.Noise.Spacing = mdsm.Geometric
	}
	if m.Noise.Weighting == "" {
		m.Noise.Weighting = mdsm.InverseVariance
	}
	if m.Optimiser == nil || m.Optimiser == (mdsm.Adam{}) {
		m.Optimiser = mdsm.PaperAdam()
	}
	return m
}

// describe returns what a checkpoint says of the training, which must be the
// same when a run goes on.
func (m Matching) describe() map[string]string {
	number := formatted
	d := map[string]string{
		"batch": strconv.Itoa(m.Batch), "shards": strconv.Itoa(m.shards()), "seed": strconv.FormatUint(m.Seed, 10),
		"sigma0": number(m.Noise.Sigma0), "sigma_min": number(m.Noise.Min), "sigma_max": number(m.Noise.Max),
		"sigma_spacing": string(m.Noise.Spacing), "weighting": string(m.Noise.Weighting), "mirror": strconv.FormatBool(m.Mirror),
	}
	if a, ok := m.Optimiser.(mdsm.Adam); ok && a.Decay == 0 {
		d["adam"] = fmt.Sprintf("%g %g %g %g", a.Beta1, a.Beta2, a.Epsilon, a.EMA)
	} else {
		d["optimiser"] = m.Optimiser.String()
	}
	if data, ok := m.Data.(interface{ Hash() string }); ok {
		d["data_sha256"] = data.Hash()
	}
	return d
}

// shards returns the largest number of equal parts of a batch up to Shards.
func (m Matching) shards() int {
	n := max(m.Shards, 1)
	for m.Batch%n != 0 {
		n--
	}
	return n
}

// objective gives p the step of an objective and its tensors beside x, and
// returns what fills these for a step, for x's of the data with some numbers.
type objective func(p *Problem, source rng.Source) (fill func(t int, index []int), err error)

// pose makes the problem of an objective: batches of the data, and what the
// objective wants with them.
func (m Matching) pose(o objective) (Problem, error) {
	if err := firstOf(atLeast("batch", m.Batch, 1), atLeast("shards", m.Shards, 0)); err != nil {
		return Problem{}, err
	}
	if has, want := m.Data.Shape(), m.Network.InputShape(); !slices.Equal(has, want) {
		return Problem{}, fmt.Errorf("data of shape %s, want %s for the network", dims(has), dims(want))
	}
	if m.Data.Len() == 0 {
		return Problem{}, fmt.Errorf("data without an x, want one or more")
	}
	source := rng.New(m.Seed)
	first := m.Start
	if first == nil {
		first = energy.Init(m.Network, source)
	} else if err := first.Check(m.Network); err != nil {
		return Problem{}, err
	}
	x := tensor.New(tensor.Float32, append([]int{m.Batch}, m.Network.InputShape()...)...)
	p := Problem{Optimiser: m.Optimiser, Initial: first, Batch: map[string]*tensor.Tensor{"x": x}}
	for _, parameter := range m.Network.Parameters() {
		p.Order = append(p.Order, parameter.Name)
	}
	fill, err := o(&p, source)
	if err != nil {
		return Problem{}, err
	}
	order, index := newOrder(source, m.Data.Len()), make([]int, m.Batch)
	p.Fill = func(t int) {
		for i := range index {
			index[i] = order.at(uint64(t-1)*uint64(m.Batch) + uint64(i))
		}
		m.Data.Fill(tensor.Data[float32](x), index)
		if m.Mirror {
			mirror(x, func(i int) bool { return source.Uint64(rng.Flip, uint64(i), uint32(t))&1 == 1 })
		}
		fill(t, index)
	}
	return p, nil
}

// dims returns a shape as 1×28×28.
func dims(shape []int) string {
	text := ""
	for i, n := range shape {
		if i > 0 {
			text += "×"
		}
		text += strconv.Itoa(n)
	}
	return text
}

// mirror turns around the last axis of the x's that are chosen.
func mirror(x *tensor.Tensor, chosen func(i int) bool) {
	width := x.Shape()[x.Rank()-1]
	eachRow(x, func(i int, row []float32) {
		if !chosen(i) {
			return
		}
		for ; len(row) > 0; row = row[width:] {
			slices.Reverse(row[:width])
		}
	})
}

// order is an endless sequence of pictures: every epoch is a permutation of
// all of them.
type order struct {
	source rng.Source
	n      int
	epoch  uint64
	perm   []int
}

func newOrder(source rng.Source, n int) *order { return &order{source: source, n: n} }

// at returns the number of the picture at a position of the sequence.
func (o *order) at(position uint64) int {
	epoch := position / uint64(o.n)
	if o.perm == nil || epoch != o.epoch {
		o.epoch, o.perm = epoch, o.source.Permutation(o.n, rng.Shuffle, epoch)
	}
	return o.perm[position%uint64(o.n)]
}
