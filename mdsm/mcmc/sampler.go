package mcmc

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"ebm/export"
	"ebm/export/session"
	"ebm/mdsm"
	"ebm/mdsm/hmc"
	"ebm/mdsm/samples"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/parallel"
	"ebm/runtime/progress"
)

// Files are the ONNX files that chains run through, as bytes.
type Files struct {
	hmc.Files
	Denoise []byte // of mdsm.DenoiseGraph, for settings that are not Raw
}

// NewFiles exports the transitions, of so many leapfrog steps, and the denoising
// jump of a network.
func NewFiles(n energy.Network, w energy.Weights, sigma0 float64, leapfrog int) (f Files, err error) {
	// These chains give no weight to the reference.
	if f.Files, err = hmc.NewFiles(n, w, mdsm.Reference{Mean: 0.5, Sigma: 1}, leapfrog); err != nil {
		return f, err
	}
	var denoise *graph.Graph
	if err := graph.Catch(func() { denoise = mdsm.DenoiseGraph(n, w, sigma0) }); err != nil {
		return f, err
	}
	f.Denoise, err = export.Bytes(denoise, export.Options{})
	return f, err
}

// Sampler runs chains. It may be used from several goroutines at once.
type Sampler struct {
	// Progress, when not nil, shows how far the chains are.
	Progress progress.Progress

	kernel  *hmc.Kernel
	denoise *runtime.Session
}

// New loads the models.
func New(rt *runtime.Runtime, m Files) (_ *Sampler, err error) {
	s := &Sampler{}
	if s.kernel, err = hmc.Load(rt, m.Files); err != nil {
		return nil, err
	}
	if m.Denoise == nil {
		return s, nil
	}
	var x runtime.ValueInfo
	o := runtime.SessionOptions{Threads: parallel.Threads(rt.Info())}
	if s.denoise, x, err = parallel.Load(rt, m.Denoise, o, []string{"x"}, []string{"denoised", "energy"}); err != nil {
		s.kernel.Close()
		return nil, fmt.Errorf("denoising model: %w", err)
	}
	if shape, err := parallel.Shape(x, nil); err != nil || !slices.Equal(shape, s.kernel.Shape()) {
		s.Close()
		return nil, fmt.Errorf("the denoising model's x is %v, that of the others %v", x, s.kernel.Shape())
	}
	return s, nil
}

// Close frees the models.
func (s *Sampler) Close() error {
	err := s.kernel.Close()
	if s.denoise != nil {
		err = errors.Join(err, s.denoise.Close())
	}
	return err
}

// Shape returns the shape of one draw.
func (s *Sampler) Shape() []int { return s.kernel.Shape() }

// Chains are finished chains, in the order of their indices.
type Chains struct {
	First int // index of the first
	Draws int // of each chain
	// X has the draws [chains·Draws …], those of a chain one after another, after
	// the denoising jump unless it was left out.
	X      *tensor.Tensor
	Energy [][]float64 // E(x) of each chain's draws, before the jump, in nats
	// StepSize is each chain's ε after the warm-up, Acceptance the mean probability
	// of acceptance from then on, and Divergent the number of transitions from then
	// on whose Hamiltonian rose by more than 1,000 or was not finite.
	StepSize, Acceptance []float64
	Divergent            []int
}

// Len returns the number of chains.
func (c Chains) Len() int { return len(c.StepSize) }

// divergence is the rise of the Hamiltonian, in nats, that counts as one.
const divergence = 1000

// Sample runs the chains of the settings and gives them to sink in order, a group
// at a time. An error of sink ends the run.
func (s *Sampler) Sample(ctx context.Context, set Settings, sink func(Chains) error) error {
	if err := s.check(set); err != nil {
		return err
	}
	size := s.kernel.Layout(set.Batch).Size
	var wanted []int
	for g := set.First / size; g*size < set.First+set.Count; g++ {
		wanted = append(wanted, g)
	}
	stage := progress.Begin(s.Progress, string(set.Method), int64(set.Count)*int64(set.Transitions()), "transitions")
	defer stage.Done()
	return s.run(ctx, set, wanted, stage, samples.States{}, sink)
}

// run computes groups and delivers their wanted chains in order.
func (s *Sampler) run(ctx context.Context, set Settings, wanted []int, stage progress.Stage, states samples.States,
	deliver func(Chains) error) error {
	l := s.kernel.Layout(set.Batch)
	work := func(ctx context.Context, i int) (Chains, error) {
		at, part := wanted[i]*l.Size, set.group(wanted[i], l.Size)
		g := &group{Sampler: s, Settings: set, layout: l, first: at, lo: part.First - at, hi: part.First + part.Count - at}
		return g.run(ctx, stage, wanted[i], states)
	}
	return parallel.Ordered(ctx, l.Workers, len(wanted), work, func(_ int, c Chains) error { return deliver(c) })
}

// group returns the settings of the wanted chains of a group of so many.
func (s Settings) group(g, size int) Settings {
	end := min(s.First+s.Count, (g+1)*size)
	s.First = max(s.First, g*size)
	s.Count = end - s.First
	return s
}

// check reports settings that cannot be, or do not fit the models.
func (s *Sampler) check(set Settings) error {
	if err := set.Validate(); err != nil {
		return err
	}
	if !set.Raw && s.denoise == nil {
		return errors.New("there is no model of the denoising jump: give one, or leave out the jump")
	}
	from := set.Start.From
	if from == nil {
		return nil
	}
	shape := s.kernel.Shape()
	if from.DType() != tensor.Float32 || from.Rank() != len(shape)+1 || !slices.Equal(from.Shape()[1:], shape) || from.Shape()[0] == 0 {
		return fmt.Errorf("points to begin with are %v, the model wants one or more, float32 of shape N and %v", from, shape)
	}
	if bad := parallel.NotFinite(tensor.Data[float32](from)); bad >= 0 {
		return fmt.Errorf("points to begin with: value %d is not a finite number", bad)
	}
	return nil
}

// group is a group of chains on its way. The places from lo to before hi are in
// use.
type group struct {
	*Sampler
	Settings
	layout parallel.Layout
	first  int // index of the chain at place 0
	lo, hi int

	chains  *hmc.Chains
	jump    *session.Bound // nil for draws without one
	clean   *tensor.Tensor // x after the last
	adapter []hmc.Adapter  // of each place
	size    []float64      // ε of each place
	out     Chains
}

func (g *group) run(ctx context.Context, stage progress.Stage, number int, states samples.States) (Chains, error) {
	numbers := g.kernel.Numbers(g.layout, rng.New(g.Seed), uint64(g.first), g.lo, g.hi, g.Transitions())
	numbers.Jitter, numbers.Always = hmc.Jitter(g.Leapfrog), g.Method == Langevin
	if err := g.begin(ctx, numbers); err != nil {
		return Chains{}, err
	}
	defer func() { g.chains.Close() }()
	state := states.Of(number)
	done, err := g.resume(state, numbers)
	if err != nil {
		return Chains{}, err
	}
	if !g.Raw {
		g.clean = g.layout.New()
		out := map[string]*tensor.Tensor{"denoised": g.clean, "energy": tensor.New(tensor.Float32, g.layout.Size)}
		g.jump = g.chains.Bind(g.denoise, nil, out)
	}
	stage.Add(int64(done * (g.hi - g.lo)))
	step := func(t int) (int, error) {
		if err := g.transition(ctx, t, numbers); err != nil {
			return 0, err
		}
		stage.Add(int64(g.hi - g.lo))
		return 1, nil
	}
	save := func(done int) error {
		at, err := g.chains.State()
		if err != nil {
			return err
		}
		return state.Write(g.arrays(at, done))
	}
	if err := states.Keep(ctx, done, g.Transitions(), step, save); err != nil {
		return Chains{}, err
	}
	for i := range g.out.Acceptance {
		g.out.Acceptance[i] /= float64(g.Draws * g.Thin)
	}
	return g.out, nil
}

// transition makes transition t, with what belongs to it. A state never lies
// between its parts.
func (g *group) transition(ctx context.Context, t int, numbers *hmc.Numbers) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	warm := len(g.Anneal) + g.Warmup
	if t == warm {
		g.settle()
	}
	outcome, err := g.move(ctx, t, numbers)
	if err != nil {
		return err
	}
	if t < warm {
		g.adapt(outcome)
		return nil
	}
	if (t-warm+1)%g.Thin == 0 {
		if err := g.draw(ctx, (t-warm)/g.Thin); err != nil {
			g.chains.Turn()
			return err
		}
	}
	g.count(outcome)
	return nil
}

// begin sets the chains to where they start.
func (g *group) begin(ctx context.Context, numbers *hmc.Numbers) (err error) {
	x, each := g.layout.New(), g.layout.Each()
	values := tensor.Data[float32](x)
	mean, sigma, source := float32(g.Start.Mean), float32(g.Start.Sigma), rng.New(g.Seed)
	for place := g.lo; place < g.hi; place++ {
		row := values[place*each : (place+1)*each]
		source.Normal(row, rng.SampleStart, uint64(g.first+place), 0)
		var from []float32
		if g.Start.From != nil {
			from = tensor.Data[float32](g.Start.From)[(g.first+place)%g.Start.From.Shape()[0]*each:]
		}
		for i, n := range row {
			at := mean
			if from != nil {
				at = from[i]
			}
			row[i] = at + float32(sigma*n)
		}
	}
	if g.chains, err = g.kernel.Start(ctx, x, numbers); err != nil {
		return err
	}
	if bad, err := g.notFinite(); err != nil || bad >= 0 {
		g.chains.Close()
		if err != nil {
			return err
		}
		return fmt.Errorf("chain %d begins where the energy is not finite", g.first+g.lo+bad)
	}
	n := g.hi - g.lo
	g.adapter, g.size = make([]hmc.Adapter, g.layout.Size), make([]float64, g.layout.Size)
	for place := g.lo; place < g.hi; place++ {
		g.size[place] = g.StepSize
		g.adapter[place] = hmc.NewAdapter(g.StepSize, g.Target)
	}
	g.out = Chains{
		First: g.first + g.lo, Draws: g.Draws, X: tensor.New(tensor.Float32, append([]int{n * g.Draws}, g.layout.Shape...)...),
		Energy: make([][]float64, n), StepSize: make([]float64, n), Acceptance: make([]float64, n), Divergent: make([]int, n),
	}
	return nil
}

// move makes transition t.
func (g *group) move(ctx context.Context, t int, numbers *hmc.Numbers) (hmc.Outcome, error) {
	temperature := g.temperature(t)
	root := math.Sqrt(temperature)
	numbers.Draw(t, func(place int) float64 { return g.size[place] * root })
	outcome, err := g.chains.Move(ctx, hmc.Potential{Energy: 1 / temperature})
	if err != nil {
		return outcome, fmt.Errorf("chains %d to %d, transition %d: %w", g.first+g.lo, g.first+g.hi-1, t, err)
	}
	if g.Method == Langevin { // what is always taken may leave the finite numbers
		if bad, err := g.notFinite(); err != nil || bad >= 0 {
			g.chains.Turn()
			if err != nil {
				return outcome, err
			}
			return outcome, fmt.Errorf("chain %d is not finite after %d transitions of size %g; try a smaller step size",
				g.first+g.lo+bad, t+1, g.StepSize)
		}
	}
	return outcome, nil
}

// notFinite returns the first place in use, from 0, whose energy is not finite, or −1.
func (g *group) notFinite() (int, error) {
	energy, err := g.chains.Fetch("energy")
	return parallel.NotFinite(tensor.Data[float32](energy)[g.lo:g.hi]), err
}

// adapt takes the outcome of a transition of the warm-up.
func (g *group) adapt(o hmc.Outcome) {
	if g.Target == 0 {
		return
	}
	for place := g.lo; place < g.hi; place++ {
		a := &g.adapter[place]
		a.Add(float64(o.Probability[place]))
		g.size[place] = a.StepSize()
	}
}

// settle fixes the step sizes.
func (g *group) settle() {
	for place := g.lo; place < g.hi; place++ {
		if g.Target != 0 {
			g.size[place] = g.adapter[place].Adapted()
		}
		g.out.StepSize[place-g.lo] = g.size[place]
	}
}

// count records the outcome of a transition after the warm-up.
func (g *group) count(o hmc.Outcome) {
	for place := g.lo; place < g.hi; place++ {
		g.out.Acceptance[place-g.lo] += float64(o.Probability[place])
		if change := float64(o.Change[place]); !(change < divergence) {
			g.out.Divergent[place-g.lo]++
		}
	}
}

// draw keeps the state as draw k.
func (g *group) draw(ctx context.Context, k int) error {
	x := g.clean
	var err error
	if g.Raw {
		x, err = g.chains.Fetch("x")
	} else if err = g.jump.Run(ctx); err != nil {
		err = fmt.Errorf("denoising jump: %w", err)
	}
	if err != nil {
		return err
	}
	energies, err := g.chains.Fetch("energy")
	if err != nil {
		return err
	}
	each, from, to := g.layout.Each(), tensor.Data[float32](x), tensor.Data[float32](g.out.X)
	energy := tensor.Data[float32](energies)
	for place := g.lo; place < g.hi; place++ {
		i := place - g.lo
		copy(to[(i*g.Draws+k)*each:(i*g.Draws+k+1)*each], from[place*each:(place+1)*each])
		g.out.Energy[i] = append(g.out.Energy[i], float64(energy[place]))
	}
	if bad := parallel.NotFinite(from[g.lo*each : g.hi*each]); bad >= 0 {
		return fmt.Errorf("draw %d of chain %d is not finite", k, g.out.First+bad/each)
	}
	return nil
}
