package train

import (
	"context"

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
	u, err := s.newUpdater(rt)
	if err != nil {
		return nil, err
	}
	return &Trial{state: s, updater: u}, nil
}

// Step fills the next batch and makes the next update, number 1 first. A loss
// or gradient that is not finite is a *NonFiniteError.
func (t *Trial) Step(ctx context.Context) error {
	if _, err := t.state.update(ctx, t.updater, t.current, newWindow()); err != nil {
		return err
	}
	t.current = 1 - t.current
	return nil
}

// Loss returns the loss of the last step's batch before its update.
func (t *Trial) Loss() float64 { return float64(tensor.Data[float32](t.state.loss)[0]) }

// Close frees the trial's sessions.
func (t *Trial) Close() { t.updater.close() }
