package train

import (
	"fmt"

	"ebm/mdsm"
	"ebm/models/energy"
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

func (o Objective) validate() error {
	switch o {
	case "", Denoising, Likelihood:
		return nil
	}
	return fmt.Errorf("unknown objective %q, want %s or %s", o, Denoising, Likelihood)
}

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

// pose gives p the step of the objective and the tensors beside x, and returns
// what fills them for a step.
func (s Settings) pose(p *Problem, net energy.Network, source rng.Source) (fill func(t int), err error) {
	if s.Objective == Likelihood {
		return s.poseLikelihood(p, net, source), nil
	}
	levels, err := s.Noise.Spacing.Levels(s.Noise.Min, s.Noise.Max, s.Batch)
	if err != nil {
		return nil, err
	}
	p.Step = mdsm.TrainGraph(net, s.Denoising(), s.Adam())
	if n := s.shards(); n > 1 {
		p.Shards = &Shards{n, mdsm.GradientGraph(net, s.Denoising(), n), mdsm.UpdateGraph(net, s.Adam(), n)}
	}
	noise, sigma := like(p.Batch["x"]), tensor.New(tensor.Float32, s.Batch)
	for i, level := range levels {
		tensor.Data[float32](sigma)[i] = float32(level)
	}
	p.Batch["noise"], p.Batch["sigma"] = noise, sigma
	return func(t int) {
		eachRow(noise, func(i int, row []float32) { source.Normal(row, rng.TrainNoise, uint64(i), uint32(t)) })
	}, nil
}

// poseLikelihood is pose for Likelihood: chains begin at uniform noise.
func (s Settings) poseLikelihood(p *Problem, net energy.Network, source rng.Source) (fill func(t int)) {
	run := s.Chains.shortRun()
	p.Step = run.TrainGraph(net, s.Adam())
	if n := s.shards(); n > 1 {
		p.Shards = &Shards{n, run.GradientGraph(net, n), mdsm.UpdateGraph(net, s.Adam(), n)}
	}
	x := p.Batch["x"]
	noise, start := like(x), like(x)
	kicks := tensor.New(tensor.Float32, append([]int{s.Batch, run.Steps}, x.Shape()[1:]...)...)
	p.Batch["noise"], p.Batch["start"], p.Batch["chain_noise"] = noise, start, kicks
	return func(t int) {
		eachRow(noise, func(i int, row []float32) { source.Normal(row, rng.TrainNoise, uint64(i), uint32(t)) })
		eachRow(start, func(i int, row []float32) { source.Uniform(row, rng.ChainStart, uint64(i), uint32(t)) })
		eachRow(kicks, func(i int, row []float32) { source.Normal(row, rng.ChainNoise, uint64(i), uint32(t)) })
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
