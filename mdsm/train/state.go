package train

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"ebm/internal/metrics"
	"ebm/models/tensor"
)

// open makes the run's folder ready and opens its metrics.
func (s *state) open() (*log, error) {
	if s.Dir == "" || !s.writes() {
		return new(log), nil
	}
	if err := prepare(s.Dir); err != nil {
		return nil, err
	}
	if err := errors.Join(dropIncomplete(s.Dir, s.Log), prune(s.Dir, s.KeepCheckpoints)); err != nil {
		return nil, err
	}
	if s.ready != nil {
		if err := s.ready(); err != nil {
			return nil, err
		}
	}
	if s.step > 0 {
		w, err := metrics.Resume(s.Dir, int64(s.step))
		return &log{w}, err
	}
	w, err := metrics.Create(s.Dir)
	return &log{w}, err
}

// state is a run in progress. Weights and optimiser state live in two sets of
// tensors: each step reads one and writes the other.
type state struct {
	Problem
	Loop
	engine         string // what computes
	step           int    // updates made so far
	values         [2]map[string]*tensor.Tensor
	held           held // both sets where devices compute; values are then those after step fetched
	fetched        int
	rate, loss     *tensor.Tensor
	gradNorm       *tensor.Tensor
	t              *tensor.Tensor
	lastCheckpoint string
	pace           pace
	filled         int  // the step whose batch was filled ahead, 0 for none
	skips          bool // updates whose gradient is not finite change nothing
	skipped, inRow int  // of them, since the run began or went on, and since one that was not
}

// start makes the state of a run: fresh, or that of the newest checkpoint.
func start(p Problem, l Loop, engine string) (*state, error) {
	s, err := fresh(p, l)
	if err != nil {
		return nil, err
	}
	s.engine = engine
	if l.Dir == "" {
		return s, nil
	}
	c, err := Newest(l.Dir)
	if errors.Is(err, ErrNoCheckpoint) {
		if broken, err := Incomplete(l.Dir); err != nil || len(broken) > 0 {
			return nil, errors.Join(err, incomplete(broken))
		}
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	if !l.Resume {
		return nil, fmt.Errorf("%s holds a run already, up to step %d: resume it, or choose another folder", l.Dir, c.Step)
	}
	had, err := c.restore(s.kept(0), p.Describe)
	if err != nil {
		if !errors.As(err, new(*ResumeError)) {
			err = c.offer(l.Dir, err)
		}
		return nil, err
	}
	if had != "" && had != engine && l.Log != nil {
		l.Log(fmt.Sprintf("%s was computed by %s, and this is %s: numbers may differ in their last bits from here on", c.Dir, had, engine))
	}
	s.step, s.lastCheckpoint = c.Step, c.Dir
	return s, nil
}

// fresh makes the state before the first step.
func fresh(p Problem, l Loop) (*state, error) {
	s := &state{
		Problem: p, Loop: l,
		rate: tensor.New(tensor.Float32, 1), loss: tensor.New(tensor.Float32, 1),
		gradNorm: tensor.New(tensor.Float32, 1), t: tensor.New(tensor.Int64, 1),
	}
	for i := range s.values {
		s.values[i] = make(map[string]*tensor.Tensor)
		for _, name := range p.Order {
			first, ok := p.Initial[name]
			if !ok {
				return nil, fmt.Errorf("parameter %s has no initial value", name)
			}
			s.values[i][name] = first.AsFloat32().Clone()
			for _, suffix := range p.Optimiser.StateSuffixes() {
				t := tensor.New(tensor.Float32, first.Shape()...)
				if suffix == ".ema" {
					t.CopyFrom(s.values[i][name])
				}
				s.values[i][name+suffix] = t
			}
		}
	}
	for i := range s.values {
		for _, name := range p.States {
			first, ok := p.Initial[name]
			if !ok {
				return nil, fmt.Errorf("state %s has no initial value", name)
			}
			s.values[i][name] = first.AsFloat32().Clone()
		}
	}
	s.Initial = nil // the state has its own
	return s, nil
}

// checkpoint writes a checkpoint of the current state and removes old ones.
func (s *state) checkpoint(log *log, current int) error {
	if s.Dir == "" || !s.writes() {
		return nil
	}
	begun := time.Now()
	if err := log.sync(); err != nil {
		return err
	}
	if err := s.fetch(current); err != nil {
		return err
	}
	dir, err := save(s.Dir, s.step, slices.Concat(s.Order, s.States), s.kept(current), s.Describe, s.engine)
	if err != nil {
		return err
	}
	s.lastCheckpoint = dir
	err = prune(s.Dir, s.KeepCheckpoints)
	s.pace.add(s.Loop, begun, time.Now())
	return err
}

// kept returns all that a checkpoint has, with one set of values.
func (s *state) kept(set int) map[string]*tensor.Tensor {
	all := maps.Clone(s.values[set])
	maps.Copy(all, s.Returned)
	maps.Copy(all, s.Kept)
	return all
}
