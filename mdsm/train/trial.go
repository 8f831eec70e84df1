package train

import (
	"context"
	"errors"
	"time"

	"ebm/models/tensor"
	"ebm/runtime"
)

// Trial makes updates of a problem as Run does, fills their batches as Run
// does, and leaves nothing behind. It is for measuring what a step costs.
type Trial struct {
	state   *state
	updater updater
	current int // the set of the state that the next update reads
}

// NewTrial loads the problem into the runtime, in the form that Run would
// use. The learning rate of its updates is constant. The caller closes it.
func NewTrial(rt *runtime.Runtime, p Problem, learningRate float64) (*Trial, error) {
	s, err := fresh(p, Loop{LearningRate: LearningRate{Schedule: Constant, Initial: learningRate}})
	if err != nil {
		return nil, err
	}
	if err := s.hold(rt); err != nil {
		return nil, err
	}
	u, err := s.newUpdater(rt)
	if err != nil {
		return nil, errors.Join(err, s.held.close())
	}
	return &Trial{state: s, updater: u}, nil
}

// Step fills the next batch and makes the next update, number 1 first. A loss
// or gradient that is not finite is a *NonFiniteError.
func (t *Trial) Step(ctx context.Context) error {
	if _, err := t.state.update(ctx, t.updater, t.current, new(window)); err != nil {
		return err
	}
	t.current = 1 - t.current
	return nil
}

// Loss returns the loss of the last step's batch before its update.
func (t *Trial) Loss() float64 { return float64(tensor.Data[float32](t.state.loss)[0]) }

// Close frees the trial's sessions, and its state where a device holds it.
func (t *Trial) Close() {
	t.updater.close()
	t.state.held.close()
}

// timed is how long StepsWithin measures, and the least number of steps of it.
const (
	timed      = 3 * time.Second
	timedSteps = 3
)

// StepsWithin measures some updates of a problem, of both its stages where it has two,
// and returns how many fit into a time, one or more, with a thirtieth of it left for
// checkpoints. clock tells the time that is counted, nil for that of the wall.
func StepsWithin(ctx context.Context, rt *runtime.Runtime, p Problem, limit time.Duration, clock func() time.Duration) (int, error) {
	if clock == nil {
		begin := time.Now()
		clock = func() time.Duration { return time.Since(begin) }
	}
	each, err := timeOfStep(ctx, rt, p, limit, clock)
	if err == nil && p.Before != nil {
		share, later := p.Before.Share, p
		later.Before = nil
		var last float64
		last, err = timeOfStep(ctx, rt, later, limit, clock)
		each = share*each + (1-share)*last
	}
	return max(int(float64(limit)*29/30/max(each, 1)), 1), err
}

// timeOfStep returns the time of an update, a mean.
func timeOfStep(ctx context.Context, rt *runtime.Runtime, p Problem, limit time.Duration, clock func() time.Duration) (float64, error) {
	trial, err := NewTrial(rt, p, 1e-12)
	if err != nil {
		return 0, err
	}
	defer trial.Close()
	if err := trial.Step(ctx); err != nil { // the first makes room
		return 0, err
	}
	begin, n := clock(), 0
	for n < timedSteps || clock()-begin < min(timed, limit/30) {
		if err := trial.Step(ctx); err != nil {
			return 0, err
		}
		n++
	}
	return float64(clock()-begin) / float64(n), nil
}
