package train

import (
	"fmt"
	"slices"

	"ebm/internal/memory"
	"ebm/mdsm"
	"ebm/mdsm/dataset"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// NewProblem makes the training problem of the settings: the step of the
// objective, and batches of pictures with the noise that it wants. first has
// the first weights, nil for random ones.
func NewProblem(s Settings, data dataset.Data, first energy.Weights) (Problem, error) {
	net, ok := s.builtIn()
	if !ok {
		return Problem{}, fmt.Errorf("net.name %s, want the energy's file", s.Net.Name)
	}
	return s.Problem(net, data, first)
}

// Problem makes the problem for a network, which is the one that the settings name, or
// that of a file (see Open).
func (s Settings) Problem(net energy.Network, data dataset.Data, first energy.Weights) (Problem, error) {
	m := s.matching(net, data, first)
	var pose objective
	switch s.Objective {
	case Posterior:
		s.Posterior.Data = data.Len()
		pose = m.posterior(s)
	case NCSN:
		pose = m.noisy(mdsm.NCSN{})
	case ScoreMatching:
		pose = m.scoreMatching(s)
	case EnergyMatching:
		pose = m.transport(s)
	case Likelihood, Persistent:
		pose = m.likelihood(s)
	default:
		pose = m.noisy(s.Denoising())
	}
	p, err := m.pose(pose)
	if err != nil {
		return Problem{}, fmt.Errorf("%s: %w", s.Data.Name, err)
	}
	p.Describe = s.Describe()
	return p, nil
}

// matching is the settings' training without its objective.
func (s Settings) matching(net energy.Network, data dataset.Data, first energy.Weights) Matching {
	noise := s.Noise
	if s.Objective == ScoreMatching { // which has one level, as what is measured of it
		noise.Min, noise.Max = noise.Sigma0, noise.Sigma0
	}
	return Matching{
		Network: net, Data: data, Batch: s.Batch, Noise: noise, Optimiser: s.Adam(),
		Shards: s.Shards, Mirror: s.Data.Flip, Seed: s.Seed, Start: first,
	}
}

// minimise gives p the update of a criterion.
func (m Matching) minimise(p *Problem, c mdsm.Criterion) (err error) {
	p.Step, p.Shards, err = m.steps(c)
	p.Float16 = func() (*graph.Graph, *Shards, error) {
		half, c := m, c
		c, half.Optimiser = mdsm.Float16(c, m.Optimiser, m.Batch)
		return half.steps(c)
	}
	return err
}

// steps returns the update of a criterion, whole and cut at its gradients.
func (m Matching) steps(c mdsm.Criterion) (step *graph.Graph, cut *Shards, err error) {
	err = graph.Catch(func() {
		step = mdsm.TrainGraph(m.Network, c, m.Optimiser)
		if n := m.shards(); n > 1 {
			cut = &Shards{n, mdsm.GradientGraph(m.Network, c, n), mdsm.UpdateGraph(m.Network, m.Optimiser, n),
				mdsm.UpdateGraph(m.Network, m.Optimiser, 1)}
		}
	})
	return step, cut, err
}

// noisy is an objective at noise levels, such as that of eq. (7).
func (m Matching) noisy(c mdsm.Criterion) objective {
	return func(p *Problem, source rng.Source) (fill func(t int, index []int), err error) {
		levels, err := m.Noise.Spacing.Levels(m.Noise.Min, m.Noise.Max, m.Batch)
		if err != nil {
			return nil, err
		}
		if err := m.minimise(p, c); err != nil {
			return nil, err
		}
		sigma := tensor.New(tensor.Float32, m.Batch)
		for i, level := range levels {
			tensor.Data[float32](sigma)[i] = float32(level)
		}
		p.Batch["sigma"] = sigma
		return p.normal("noise", like(p.Batch["x"]), source, rng.TrainNoise), nil
	}
}

// normal gives each x of a batch standard normal numbers as an input, with room for them,
// and returns what draws them.
func (p *Problem) normal(input string, room *tensor.Tensor, source rng.Source, purpose rng.Purpose) func(t int, _ []int) {
	p.Batch[input] = room
	return func(t int, _ []int) {
		eachRow(room, func(i int, row []float32) { source.Normal(row, purpose, uint64(i), uint32(t)) })
	}
}

// scoreMatching is the objective of ScoreMatching.
func (m Matching) scoreMatching(s Settings) objective {
	return func(p *Problem, source rng.Source) (fill func(t int, index []int), err error) {
		if err := m.minimise(p, s.Criterion()); err != nil {
			return nil, err
		}
		noise := p.normal("noise", like(p.Batch["x"]), source, rng.TrainNoise)
		if s.Projections == 0 {
			return noise, nil
		}
		directions := m.each(s.Projections)
		p.Batch["direction"] = directions
		return func(t int, index []int) {
			noise(t, index)
			eachRow(directions, func(i int, row []float32) {
				source.Uniform(row, rng.Direction, uint64(i), uint32(t))
				for j, u := range row {
					row[j] = 1
					if u < 0.5 {
						row[j] = -1
					}
				}
			})
		}, nil
	}
}

// posterior is the objective of Posterior: the data, or some of them, are an input that
// stays.
func (m Matching) posterior(s Settings) objective {
	return func(p *Problem, source rng.Source) (fill func(t int, index []int), err error) {
		noisy, err := m.noisy(s.Criterion())(p, source)
		if err != nil {
			return nil, err
		}
		chosen := source.Permutation(m.Data.Len(), rng.Neighbour, 0)
		if n := s.Posterior.Neighbours; n > 0 && n < len(chosen) {
			chosen = chosen[:n]
		}
		slices.Sort(chosen)
		var need memory.Estimate
		need.Add(append([]int{4, len(chosen)}, m.Data.Shape()...)...)
		need.Add(6*4, m.Batch, len(chosen)) // tables of x̃ and neighbours at a time
		if excess := need.Excess(); excess != "" {
			return nil, &SettingError{"posterior.neighbours", s.Posterior.Neighbours, "less: " + excess}
		}
		places := make([]int64, m.Data.Len())
		for i := range places {
			places[i] = -1
		}
		for place, i := range chosen {
			places[i] = int64(place)
		}
		own := tensor.New(tensor.Int64, m.Batch)
		p.Batch["own"], p.Fixed = own, map[string]*tensor.Tensor{"neighbours": dataset.Tensor(m.Data, chosen)}
		return func(t int, index []int) {
			noisy(t, index)
			for k, i := range index {
				tensor.Data[int64](own)[k] = places[i]
			}
		}, nil
	}
}

// likelihood is the objective of Likelihood, whose chains begin at uniform noise, of
// standardised points at normal noise, and of Persistent.
func (m Matching) likelihood(s Settings) objective {
	return func(p *Problem, source rng.Source) (fill func(t int, index []int), err error) {
		if err := m.minimise(p, s.Criterion()); err != nil {
			return nil, err
		}
		x := p.Batch["x"]
		start := like(x)
		p.Batch["start"] = start
		noise := p.normal("noise", like(x), source, rng.TrainNoise)
		kicks := p.normal("chain_noise", m.each(s.Chains.Steps), source, rng.ChainNoise)
		fresh := source.Uniform
		if !s.Pictures() {
			fresh = source.Normal
		}
		var kept *replay
		if s.Objective == Persistent {
			if kept, err = m.newReplay(p, source, s.Chains); err != nil {
				return nil, err
			}
		}
		return func(t int, index []int) {
			noise(t, index)
			kicks(t, index)
			if kept != nil {
				kept.store(t)
			}
			eachRow(start, func(i int, row []float32) {
				if kept == nil || !kept.begin(row, i, t) {
					fresh(row, rng.ChainStart, uint64(i), uint32(t))
				}
			})
		}, nil
	}
}

// each returns room for several things of x's shape for each x of a batch.
func (m Matching) each(n int) *tensor.Tensor {
	return tensor.New(tensor.Float32, append([]int{m.Batch, n}, m.Network.InputShape()...)...)
}

// transport is the objective of EnergyMatching.
func (m Matching) transport(s Settings) objective {
	return func(p *Problem, source rng.Source) (fill func(t int, index []int), err error) {
		whole := s.transport()
		if err := whole.Validate(); err != nil {
			return nil, err
		}
		if err := m.minimise(p, whole); err != nil {
			return nil, err
		}
		x := p.Batch["x"]
		from, time := like(x), tensor.New(tensor.Float32, m.Batch)
		p.Batch["from"], p.Batch["time"] = from, time
		mean, sigma := s.origin()
		origin := func(to *tensor.Tensor, purpose rng.Purpose, t int) {
			eachRow(to, func(i int, row []float32) {
				source.Normal(row, purpose, uint64(i), uint32(t))
				for j, v := range row {
					row[j] = float32(mean + sigma*float64(v))
				}
			})
		}
		carry := func(t int, _ []int) {
			origin(from, rng.Origin, t)
			couple(from, x)
			source.Uniform(tensor.Data[float32](time), rng.NoiseLevel, 0, uint32(t))
		}
		if whole.Contrast == 0 {
			return carry, nil
		}
		alone := whole
		alone.Contrast = 0
		if last := int(s.Transport.WarmUp * float64(s.Steps)); last > 0 {
			p.Before = &Stage{Until: last, Share: s.Transport.WarmUp}
			if p.Before.Step, p.Before.Shards, err = m.steps(alone); err != nil {
				return nil, err
			}
		}
		start, begin := like(x), tensor.New(tensor.Float32, m.Batch)
		p.Batch["start"], p.Batch["start_time"] = start, begin
		kicks := p.normal("chain_noise", m.each(whole.Steps), source, rng.ChainNoise)
		return func(t int, index []int) {
			carry(t, index)
			if p.Before != nil && t <= p.Before.Until {
				return
			}
			origin(start, rng.ChainStart, t)
			data := tensor.Data[float32](x)
			eachRow(start, func(i int, row []float32) {
				// Every other chain begins at an x of the batch.
				tensor.Data[float32](begin)[i] = float32(i % 2)
				if i%2 == 1 {
					copy(row, data[i*len(row):])
				}
			})
			kicks(t, index)
		}, nil
	}
}

// couple orders the rows of a batch so that the sum of their squared distances from
// those of x is least.
func couple(rows, x *tensor.Tensor) {
	n := x.Shape()[0]
	a, b := tensor.Data[float32](x), slices.Clone(tensor.Data[float32](rows))
	d := len(a) / n
	cost := make([]float64, n*n)
	for i := range n {
		for j := range n {
			sum := float32(0) // the squares are the same for every order
			other := b[j*d : (j+1)*d]
			for k, v := range a[i*d : (i+1)*d] {
				sum -= v * other[k]
			}
			cost[i*n+j] = float64(sum)
		}
	}
	order := mdsm.Assign(cost, n)
	eachRow(rows, func(i int, row []float32) { copy(row, b[order[i]*d:]) })
}

func like(x *tensor.Tensor) *tensor.Tensor { return tensor.New(tensor.Float32, x.Shape()...) }

// eachRow calls f for the values of each position of a batch.
func eachRow(x *tensor.Tensor, f func(i int, row []float32)) {
	values, n := tensor.Data[float32](x), x.Shape()[0]
	for i := range n {
		f(i, values[i*len(values)/n:(i+1)*len(values)/n])
	}
}
