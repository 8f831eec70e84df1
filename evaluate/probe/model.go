package probe

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"ebm/export"
	"ebm/mdsm"
	"ebm/mdsm/dataset"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/parallel"
	"ebm/runtime/progress"
)

// Source is an energy as the measures of a model take it.
type Source struct {
	Score     []byte         // ONNX: x [N C H W] → score (−∇E, of x's shape) and, where there is one, energy [N]
	Shape     []int          // of one x where the model leaves it open, nil elsewhere
	Objective mdsm.Objective // σ₀ and l(σ) that it was trained with
}

// Model is an energy in ONNX Runtime between the parts of the objective.
type Model struct {
	objective             mdsm.Objective
	layout                parallel.Layout
	perturb, score, error *runtime.Session
	hasEnergy             bool
}

// Open loads a model. Its x must be pictures [C H W] and float32. Close frees
// it.
func Open(rt *runtime.Runtime, s Source) (_ *Model, err error) {
	if err := s.Objective.Weighting.Validate(); err != nil {
		return nil, err
	}
	if !(s.Objective.Sigma0 > 0) {
		return nil, fmt.Errorf("sigma0 %g, want a positive noise level", s.Objective.Sigma0)
	}
	m := &Model{objective: s.Objective}
	defer func() {
		if err != nil {
			m.Close()
		}
	}()
	o := runtime.SessionOptions{Threads: parallel.Threads(rt.Info())}
	score, x, err := parallel.Load(rt, s.Score, o, []string{"x"}, []string{"score"})
	if err != nil {
		return nil, fmt.Errorf("score: %w", err)
	}
	m.score = score
	shape, err := parallel.Shape(x, s.Shape)
	if err != nil {
		return nil, err
	}
	if len(shape) != 3 {
		return nil, fmt.Errorf("the model's x is %v, want pictures [N C H W]", x)
	}
	for _, v := range score.Outputs() {
		m.hasEnergy = m.hasEnergy || v.Name == "energy"
	}
	m.layout = parallel.NewLayout(rt.Info(), shape, max(x.Shape[0], 0), 0)
	for _, part := range []struct {
		session **runtime.Session
		graph   *graph.Graph
	}{
		{&m.perturb, mdsm.PerturbGraph(shape...)},
		{&m.error, m.objective.ErrorGraph(shape...)},
	} {
		b, err := export.Bytes(part.graph, export.Options{})
		if err != nil {
			return nil, err
		}
		if *part.session, err = rt.Load(b, o); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Close frees the model.
func (m *Model) Close() error {
	var errs []error
	for _, s := range []*runtime.Session{m.perturb, m.score, m.error} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// Shape returns the shape [C H W] of one picture.
func (m *Model) Shape() []int { return m.layout.Shape }

// Pictures are some pictures of a set, each with its own noise: that of
// picture i of a set depends on the seed, i and the draw, and not on which
// others are measured.
type Pictures struct {
	Set   *dataset.Set
	Index []int // numbers of pictures in the set
	Seed  uint64
}

// Choose returns count pictures of a set, all where it has no more, at random
// by the seed and in the set's order, so that sets sorted by class give all
// classes.
func Choose(set *dataset.Set, count int, seed uint64) Pictures {
	index := rng.New(seed).Permutation(set.Len(), rng.Split, 0)
	index = index[:min(max(count, 0), len(index))]
	slices.Sort(index)
	return Pictures{set, index, seed}
}

// Pixels returns the pictures as uint8 [n C H W]. Those of a whole set are its
// own.
func (p Pictures) Pixels() *tensor.Tensor {
	if len(p.Index) == p.Set.Len() {
		return All(p.Set)
	}
	shape := []int{len(p.Index), p.Set.Channels, p.Set.Height, p.Set.Width}
	out := make([]uint8, 0, tensor.Volume(shape))
	for _, i := range p.Index {
		out = append(out, p.Set.Picture(i)...)
	}
	return tensor.Of(out, shape...)
}

// Readings hold what a model says of noisy pictures, in their order.
type Readings struct {
	Energy []float64 // E(x̃) in nats, nil where the model has no energy
	Error  []float64 // ‖x − x̃ + σ₀²∇E(x̃)‖², the squared error of the denoising jump, over all values
	Loss   []float64 // l(σ) times Error, the picture's part of the objective
	Moved  []float64 // ‖σ₀²∇E(x̃)‖², the square of the jump
	Noise  []float64 // ‖x̃ − x‖²
}

// Read measures x̃ = x + σ·n for the pictures x, with the draw-th noise n of
// each. stage counts pictures.
func (m *Model) Read(ctx context.Context, p Pictures, sigma float64, draw uint32, stage progress.Stage) (Readings, error) {
	if err := m.fits(p.Set); err != nil {
		return Readings{}, err
	}
	if !(sigma > 0) {
		return Readings{}, fmt.Errorf("noise level %g, want a positive number", sigma)
	}
	if len(p.Index) == 0 {
		return Readings{}, fmt.Errorf("%s: there are no pictures to measure", p.Set.Name)
	}
	n, size := len(p.Index), m.layout.Size
	r := Readings{Error: make([]float64, 0, n), Loss: make([]float64, 0, n)}
	if m.hasEnergy {
		r.Energy = make([]float64, 0, n)
	}
	work := func(ctx context.Context, g int) (values, error) {
		return m.group(ctx, p, p.Index[g*size:min((g+1)*size, n)], sigma, draw)
	}
	deliver := func(g int, v values) error {
		rows := min(size, n-g*size)
		for _, part := range []struct {
			name string
			list *[]float64
		}{{"energy", &r.Energy}, {"error", &r.Error}, {"loss", &r.Loss}, {"moved", &r.Moved}, {"noise", &r.Noise}} {
			t := v[part.name]
			if t == nil {
				continue // a model without an energy
			}
			if t.Len() != size {
				return fmt.Errorf("the %s of %d pictures is %v, want one number for each", part.name, size, t)
			}
			of := t.Float64s()[:rows]
			for i, value := range of {
				if math.IsNaN(value) || math.IsInf(value, 0) {
					return fmt.Errorf("picture %d of %s with noise %g: its %s is %g", p.Index[g*size+i], p.Set.Name, sigma, part.name, value)
				}
			}
			*part.list = append(*part.list, of...)
		}
		stage.Add(int64(rows))
		return nil
	}
	return r, parallel.Ordered(ctx, m.layout.Workers, (n+size-1)/size, work, deliver)
}

func (m *Model) fits(set *dataset.Set) error {
	c, h, w := m.layout.Shape[0], m.layout.Shape[1], m.layout.Shape[2]
	if set.Channels != c || set.Height != h || set.Width != w {
		return fmt.Errorf("%s has pictures of %d×%d×%d, the model wants %d×%d×%d", set.Name, set.Channels, set.Height, set.Width, c, h, w)
	}
	return nil
}

type values = map[string]*tensor.Tensor

// group takes some pictures through the parts. Its unused places are filled.
func (m *Model) group(ctx context.Context, p Pictures, index []int, sigma float64, draw uint32) (values, error) {
	x, noise, level := m.layout.New(), m.layout.New(), tensor.New(tensor.Float32, m.layout.Size)
	each := m.layout.Each()
	p.Set.Fill(tensor.Data[float32](x)[:len(index)*each], index)
	source := rng.New(p.Seed)
	for i, at := range index {
		source.Normal(tensor.Data[float32](noise)[i*each:(i+1)*each], rng.Probe, uint64(at), draw)
	}
	for i := range m.layout.Size {
		tensor.Data[float32](level)[i] = float32(sigma)
	}
	out, err := m.perturb.Run(ctx, values{"x": x, "noise": noise, "sigma": level})
	if err != nil {
		return nil, err
	}
	noisy := out["noisy"]
	scored, err := m.score.Run(ctx, values{"x": noisy})
	if err != nil {
		return nil, err
	}
	read, err := m.error.Run(ctx, values{"x": x, "noisy": noisy, "score": scored["score"], "sigma": level})
	if err != nil {
		return nil, err
	}
	s2 := m.objective.Sigma0 * m.objective.Sigma0
	return values{
		"energy": scored["energy"], "error": read["error"], "loss": read["loss"],
		"moved": squares(scored["score"], each, s2), "noise": squares(noise, each, sigma),
	}, nil
}

// squares returns ‖scale·x‖² [N] of x [N …], each row of so many values.
func squares(x *tensor.Tensor, each int, scale float64) *tensor.Tensor {
	values := tensor.Data[float32](x)
	list := make([]float64, len(values)/each)
	for i, v := range values {
		list[i/each] += scale * scale * float64(v) * float64(v)
	}
	return tensor.Of(list, len(list))
}
