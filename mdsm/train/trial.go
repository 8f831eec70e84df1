package train

import (
	"context"
	"fmt"

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
	s, err := fresh(p, Loop{})
	if err != nil {
		return nil, err
	}
	tensor.Data[float32](s.rate)[0] = float32(learningRate)
	u, err := s.newUpdater(rt)
	if err != nil {
		return nil, err
	}
	return &Trial{state: s, updater: u}, nil
}

// Step fills the next batch and makes the next update, number 1 first. A loss
// or gradient that is not finite is a *NonFiniteError.
func (t *Trial) Step(ctx context.Context) error {
	s := t.state
	step := s.step + 1
	tensor.Data[int64](s.t)[0] = int64(step)
	s.Fill(step)
	if err := t.updater.update(ctx, t.current); err != nil {
		return fmt.Errorf("step %d: %w", step, err)
	}
	if loss, norm := t.Loss(), float64(tensor.Data[float32](s.gradNorm)[0]); !finite(loss) || !finite(norm) {
		return &NonFiniteError{Step: step, Loss: loss, GradNorm: norm}
	}
	t.current, s.step = 1-t.current, step
	return nil
}

// Loss returns the loss of the last step's batch before its update.
func (t *Trial) Loss() float64 { return float64(tensor.Data[float32](t.state.loss)[0]) }

// Close frees the trial's sessions.
func (t *Trial) Close() { t.updater.close() }
