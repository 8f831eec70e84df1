package train

import (
	"fmt"

	"ebm/mdsm"
	"ebm/mdsm/dataset"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// Objective names what training minimises.
type Objective string

// The objectives. An empty name is Denoising.
const (
	Denoising  Objective = "denoising"  // multiscale denoising score matching, eq. (7)
	Likelihood Objective = "likelihood" // maximum likelihood with short-run Langevin dynamics
)

// ChainSettings describe the chains inside every update of Likelihood.
type ChainSettings struct {
	Steps       int     `toml:"steps,omitempty"`
	StepSize    float64 `toml:"step_size,omitempty"`
	Temperature float64 `toml:"temperature,omitempty"`
	DataNoise   float64 `toml:"data_noise,omitempty"` // σ of the noise on data
	Regularise  float64 `toml:"regularise,omitempty"` // weight of the squares of energies
}

func (c ChainSettings) shortRun() mdsm.ShortRun {
	return mdsm.ShortRun{Steps: c.Steps, StepSize: c.StepSize, Temperature: c.Temperature, Sigma: c.DataNoise, Regularise: c.Regularise}
}

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
	pose := m.denoising
	if s.Objective == Likelihood {
		pose = m.likelihood(s.Chains.shortRun())
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
	return Matching{
		Network: net, Data: data, Batch: s.Batch, Noise: s.Noise, Optimiser: s.Adam(),
		Shards: s.Shards, Mirror: s.Data.Flip, Seed: s.Seed, Start: first,
	}
}

// denoising is the objective of eq. (7).
func (m Matching) denoising(p *Problem, source rng.Source) (fill func(t int), err error) {
	levels, err := m.Noise.Spacing.Levels(m.Noise.Min, m.Noise.Max, m.Batch)
	if err != nil {
		return nil, err
	}
	loss := mdsm.Objective{Sigma0: m.Noise.Sigma0, Weighting: m.Noise.Weighting}
	if err := graph.Catch(func() {
		p.Step = mdsm.TrainGraph(m.Network, loss, m.Optimiser)
		if n := m.shards(); n > 1 {
			p.Shards = &Shards{n, mdsm.GradientGraph(m.Network, loss, n), mdsm.UpdateGraph(m.Network, m.Optimiser, n),
				mdsm.UpdateGraph(m.Network, m.Optimiser, 1)}
		}
	}); err != nil {
		return nil, err
	}
	noise, sigma := like(p.Batch["x"]), tensor.New(tensor.Float32, m.Batch)
	for i, level := range levels {
		tensor.Data[float32](sigma)[i] = float32(level)
	}
	p.Batch["noise"], p.Batch["sigma"] = noise, sigma
	return func(t int) {
		eachRow(noise, func(i int, row []float32) { source.Normal(row, rng.TrainNoise, uint64(i), uint32(t)) })
	}, nil
}

// likelihood is the objective of Likelihood: chains begin at uniform noise.
func (m Matching) likelihood(run mdsm.ShortRun) objective {
	return func(p *Problem, source rng.Source) (fill func(t int), err error) {
		if err := graph.Catch(func() {
			p.Step = run.TrainGraph(m.Network, m.Optimiser)
			if n := m.shards(); n > 1 {
				p.Shards = &Shards{n, run.GradientGraph(m.Network, n), mdsm.UpdateGraph(m.Network, m.Optimiser, n),
					mdsm.UpdateGraph(m.Network, m.Optimiser, 1)}
			}
		}); err != nil {
			return nil, err
		}
		x := p.Batch["x"]
		noise, start := like(x), like(x)
		kicks := tensor.New(tensor.Float32, append([]int{m.Batch, run.Steps}, x.Shape()[1:]...)...)
		p.Batch["noise"], p.Batch["start"], p.Batch["chain_noise"] = noise, start, kicks
		return func(t int) {
			eachRow(noise, func(i int, row []float32) { source.Normal(row, rng.TrainNoise, uint64(i), uint32(t)) })
			eachRow(start, func(i int, row []float32) { source.Uniform(row, rng.ChainStart, uint64(i), uint32(t)) })
			eachRow(kicks, func(i int, row []float32) { source.Normal(row, rng.ChainNoise, uint64(i), uint32(t)) })
		}, nil
	}
}

func like(x *tensor.Tensor) *tensor.Tensor { return tensor.New(tensor.Float32, x.Shape()...) }

// eachRow calls f for the values of each position of a batch.
func eachRow(x *tensor.Tensor, f func(i int, row []float32)) {
	values, n := tensor.Data[float32](x), x.Shape()[0]
	for i := range n {
		f(i, values[i*len(values)/n:(i+1)*len(values)/n])
	}
}
