package langevin

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"ebm/mdsm/samples"
	"ebm/models/tensor"
	"ebm/runtime/parallel"
	"ebm/runtime/progress"
)

// FillKey returns the hash of all that filled pictures follow from.
func (s *Sampler) FillKey(set Settings) (string, error) {
	if set.Fill == nil {
		return "", errors.New("no pictures to fill in, want Settings.Fill")
	}
	p, err := s.plan(set)
	if err != nil {
		return "", err
	}
	return s.fillKey(p), nil
}

func (s *Sampler) fillKey(p *plan) string {
	text := []byte(s.hash + s.info.Engine())
	raw := int64(0)
	if p.Raw {
		raw = 1
	}
	return samples.HashOf(tensor.Of(text, len(text)), p.table(), p.Fill.Pictures, p.Fill.Hidden,
		tensor.Of([]float64{p.Start.Mean, p.Start.Sigma}, 2),
		tensor.Of([]int64{int64(p.Seed), int64(p.Fill.Completions), int64(p.First), int64(p.Count), int64(p.size), raw}, 6))
}

// AllIn is All for pictures that are filled in, with finished groups and chains in
// progress kept below the folder of to, so that what was stopped goes on and that
// several processes share it. After a part of them it is samples.ErrPart.
func (s *Sampler) AllIn(ctx context.Context, set Settings, to samples.Results) (*tensor.Tensor, error) {
	key, err := s.FillKey(set)
	if err != nil {
		return nil, err
	}
	p, err := s.plan(set)
	if err != nil {
		return nil, err
	}
	whole := to.Dir
	to.Dir, to.Log = filepath.Join(to.Dir, key[:16]), progress.Lines(to.Log)
	states := samples.NewStates(to.Dir, 15*time.Second, to.Log)
	groups := p.groups()
	begin, end := to.Part.Range(len(groups))
	stage := s.stage(p, groups[begin:end], 0)
	defer stage.Done()
	out := tensor.New(tensor.Float32, append([]int{p.Count}, s.shape...)...)
	var missing []int
	work := func(ctx context.Context, i int) (*tensor.Tensor, error) {
		g := groups[begin+i]
		lo, hi := p.span(g, p.First, p.end())
		x, found, err := to.Rows(g*p.size+lo, append([]int{hi - lo}, s.shape...), func() (*tensor.Tensor, error) {
			b, err := s.chain(ctx, p, g, stage, states)
			if err != nil {
				return nil, err
			}
			return b.x, nil
		})
		if found {
			stage.Skip(int64((hi - lo) * len(p.updates)))
		}
		return x, errors.Join(err, states.Of(g).Remove(x != nil))
	}
	deliver := func(i int, x *tensor.Tensor) error {
		g := groups[begin+i]
		if x == nil {
			missing = append(missing, g)
			return nil
		}
		lo, _ := p.span(g, p.First, p.end())
		copy(tensor.Data[float32](out)[(g*p.size+lo-p.First)*tensor.Volume(s.shape):], tensor.Data[float32](x))
		return nil
	}
	if err := parallel.Ordered(ctx, s.layout(p.Batch).Workers, end-begin, work, deliver); err != nil {
		return nil, err
	}
	if !to.Part.Whole() {
		return nil, samples.ErrPart
	}
	return out, samples.Missing(whole, "completions", missing, p.size, p.end())
}
