package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/progress"
)

// Problem is what a run trains: one update as a graph, in the form that
// mdsm.TrainGraph has, and its data.
type Problem struct {
	// Step has the inputs of Batch, learning_rate [1], step [1] (int64) and,
	// for every parameter P, P and its optimiser state, and the outputs
	// loss [1], grad_norm [1], and the next value of each P and state.
	Step      *graph.Graph
	Optimiser mdsm.Optimiser
	Initial   map[string]*tensor.Tensor // first value of every P
	Order     []string                  // the names of the parameters
	// States are other inputs S of Step with an initial value, whose next ones are the
	// outputs S.next.
	States []string
	// Shards, if there are any, is the same update cut at its gradients, so
	// that parts of a batch can be computed side by side.
	Shards *Shards
	// Float16 makes other forms of Step and Shards whose products may be of float16, and which
	// leave out an update whose gradient is not finite; nil for none.
	Float16 func() (*graph.Graph, *Shards, error)
	// Before, if there is one, makes the first updates in place of Step and Shards.
	Before *Stage
	// Batch holds the tensors that Fill writes to, by input name.
	Batch map[string]*tensor.Tensor
	// Fixed holds the inputs of Step that are the same in every step, and in every shard.
	Fixed map[string]*tensor.Tensor
	// Fill makes the batch of step t = 1, 2, …. It depends on t alone, and on Returned and
	// Kept as they were after the step before.
	Fill func(t int)
	// Returned holds what an update writes beside the state, with a row for each x of the
	// batch, by the outputs of Step and of the shards' gradient. Checkpoints have it, and
	// Kept, which Fill alone reads and writes.
	Returned, Kept map[string]*tensor.Tensor
	// Describe is what files of the weights say about themselves. A run goes on
	// from checkpoints alone that say no other.
	Describe map[string]string
}

// Loop says how long a run goes on and what it leaves behind.
type Loop struct {
	Steps           int           // updates to make in all
	Budget          time.Duration // stop after this time even if steps are left, 0 for never
	LearningRate    LearningRate
	Dir             string            // the run's folder, made if it is not there; "" leaves nothing on the disk
	CheckpointEvery Interval          // steps between checkpoints, 0 for none but that of the last step
	MTBF            time.Duration     // mean time between failures of the run, for Auto; 0 means DefaultMTBF
	KeepCheckpoints int               // how many to keep, 0 for all
	LogEvery        int               // steps between lines of metrics, 0 for none but that of the last step
	Resume          bool              // go on from the newest checkpoint, if there is one
	Hook            Hook              // called after every update, nil for none
	Ranks           Ranks             // processes that make the run together, nil for this one alone
	Progress        progress.Progress // nil shows nothing
	Log             func(line string) // gets a line for what a person should know, nil for none

	ready func() error // called when everything is loaded and the folder is made
}

// Result is where a run ended.
type Result struct {
	Step       int     // updates made in all, earlier parts of the run included
	Made       int     // updates made now
	Loss       float64 // mean over the last LogEvery steps, NaN when no step was made
	Seconds    float64 // spent in steps now
	Checkpoint string  // the folder of the last checkpoint, "" where there is none
	// Weights are those at the end, averaged where the run averages.
	Weights energy.Weights
}

// NonFiniteError says that a loss or gradient became infinite or not a
// number. The last checkpoint is from before.
type NonFiniteError struct {
	Step           int
	Loss, GradNorm float64
	Checkpoint     string // "" when there is none
}

// Error says what happened and what to try.
func (e *NonFiniteError) Error() string {
	kept := "no checkpoint had been made"
	if e.Checkpoint != "" {
		kept = "the last good checkpoint is " + e.Checkpoint
	}
	return fmt.Sprintf("step %d: loss %g, gradient norm %g are not finite; %s; try a lower learning rate, a larger smallest noise level, "+
		"or another seed", e.Step, e.Loss, e.GradNorm, kept)
}

// Run trains until Loop.Steps updates have been made in all, the budget is
// used up, or the hook has enough. When ctx is done it makes a last checkpoint
// and returns ctx's error with the result so far. A folder that holds a run is
// an error without Resume, and so is one with checkpoints of another problem; a
// loss that is not finite is a *NonFiniteError.
func Run(ctx context.Context, rt *runtime.Runtime, p Problem, l Loop) (Result, error) {
	if err := firstOf(atLeast("steps", l.Steps, 1), l.LearningRate.Validate()); err != nil {
		return Result{}, err
	}
	if l.Ranks != nil && l.Ranks.Size() > 1 && l.Budget > 0 {
		return Result{}, fmt.Errorf("a time of %v for %d ranks, want a number of steps: ranks have clocks of their own", l.Budget, l.Ranks.Size())
	}
	if l.Dir != "" && l.writes() {
		release, err := fill(l.Dir)
		if err != nil {
			return Result{}, err
		}
		defer release()
	}
	s, err := start(p, l, rt.Info().Engine())
	if err != nil {
		return Result{}, err
	}
	if err := s.hold(rt); err != nil {
		return Result{}, err
	}
	defer s.held.close()
	u, err := s.newUpdater(rt)
	if err != nil {
		return Result{}, err
	}
	defer u.close()
	if err := s.agree(ctx); err != nil {
		return Result{}, err
	}
	log, err := s.open()
	if err != nil {
		return Result{}, err
	}
	result, err := s.run(ctx, u, log)
	return result, errors.Join(err, log.close())
}

func (s *state) run(ctx context.Context, u updater, log *log) (Result, error) {
	stage := progress.Begin(s.Progress, "train", int64(s.Steps), "it")
	stage.Skip(int64(s.step))
	defer stage.Done()

	began, current := s.step, 0
	var deadline time.Time
	if s.Budget > 0 {
		deadline = time.Now().Add(s.Budget)
	}
	result := Result{Loss: math.NaN()}
	gathered := new(window)
	var stopped error
	last := false
	for s.step < s.Steps && !last {
		if stopped = ctx.Err(); stopped != nil {
			break
		}
		made, err := s.update(ctx, u, current, gathered)
		if err != nil {
			if stopped = ctx.Err(); stopped != nil {
				break
			}
			return result, err
		}
		current = 1 - current
		made, enough, err := s.after(ctx, made, current)
		if err != nil {
			return result, err
		}
		t := s.step
		stage.Set(int64(t))
		last = enough || t == s.Steps || !deadline.IsZero() && time.Now().After(deadline)

		if every(t, s.LogEvery) || last {
			result.Loss = gathered.mean()
			stage.Note(note(result.Loss, deadline))
			result.Seconds += gathered.seconds
			made.log = gathered.values(made.LearningRate, made.log)
			gathered = new(window)
		}
		if err := log.add(made); err != nil {
			return result, err
		}
		if last || s.pace.due(t, s.Loop, time.Now()) {
			if err := s.checkpoint(log, current); err != nil {
				return result, err
			}
		}
	}
	if stopped != nil && s.step > began {
		if err := s.checkpoint(log, current); err != nil {
			return result, err
		}
	}
	result.Seconds += gathered.seconds
	result.Step, result.Made, result.Checkpoint = s.step, s.step-began, s.lastCheckpoint
	if err := s.fetch(current); err != nil {
		return result, err
	}
	result.Weights = s.weights(current)
	return result, stopped
}

// update makes the next update, which reads one set of the state's tensors and
// writes the other, and adds it to the window.
func (s *state) update(ctx context.Context, u updater, from int, w *window) (Update, error) {
	t := s.step + 1
	made := Update{Step: t, LearningRate: s.LearningRate.At(t, s.Steps), Last: t == s.Steps}
	tensor.Data[float32](s.rate)[0] = float32(made.LearningRate)
	tensor.Data[int64](s.t)[0] = int64(t)
	begin := time.Now()
	if s.filled != t {
		s.Fill(t)
	}
	s.filled = 0
	if err := u.update(ctx, from); err != nil {
		return made, fmt.Errorf("step %d: %w", t, err)
	}
	made.Loss, made.GradNorm = float64(tensor.Data[float32](s.loss)[0]), float64(tensor.Data[float32](s.gradNorm)[0])
	switch {
	case s.skips && finite(made.Loss) && !finite(made.GradNorm) && s.inRow < mostSkipped:
		s.inRow++
		s.skipped++
		if s.Log != nil {
			s.Log(fmt.Sprintf("step %d: the gradient left float16's range and changed nothing, as %d before", t, s.skipped-1))
		}
	case finite(made.Loss) && finite(made.GradNorm):
		s.inRow = 0
	default:
		return made, &NonFiniteError{t, made.Loss, made.GradNorm, s.lastCheckpoint}
	}
	s.step = t
	w.add(made.Loss, made.GradNorm, time.Since(begin))
	return made, nil
}

// mostSkipped is the number of updates in a row that may change nothing.
const mostSkipped = 20

// fillAhead fills the batch of the step after the one at hand, if there is one and it
// does not depend on what this one returns.
func (s *state) fillAhead() {
	if next := s.step + 2; next <= s.Steps && s.Returned == nil {
		s.Fill(next)
		s.filled = next
	}
}
