package train

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"ebm/internal/metrics"
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
	filled         int // the step whose batch was filled ahead, 0 for none
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
	window := newWindow()
	var stopped error
	last := false
	for s.step < s.Steps && !last {
		if stopped = ctx.Err(); stopped != nil {
			break
		}
		made, err := s.update(ctx, u, current, window)
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
			result.Loss = window.mean()
			stage.Note(note(result.Loss, deadline))
			result.Seconds += window.seconds
			made.log = window.values(made.LearningRate, made.log)
			window = newWindow()
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
	result.Seconds += window.seconds
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
	if !finite(made.Loss) || !finite(made.GradNorm) {
		return made, &NonFiniteError{t, made.Loss, made.GradNorm, s.lastCheckpoint}
	}
	s.step = t
	w.add(made.Loss, made.GradNorm, time.Since(begin))
	return made, nil
}

// fillAhead fills the batch of the step after the one at hand, if there is one and it
// does not depend on what this one returns.
func (s *state) fillAhead() {
	if next := s.step + 2; next <= s.Steps && s.Returned == nil {
		s.Fill(next)
		s.filled = next
	}
}

// every reports whether t is a multiple of n; nothing is one of 0.
func every(t, n int) bool { return n > 0 && t%n == 0 }

// note is what the progress display says beside the steps.
func note(loss float64, deadline time.Time) string {
	text := fmt.Sprintf("loss %.4g", loss)
	if !deadline.IsZero() {
		text += fmt.Sprintf(", stops within %v", max(time.Until(deadline), 0).Round(time.Second))
	}
	return text
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

// window gathers what happened since the last line of metrics.
type window struct {
	n          int
	loss, norm float64
	seconds    float64
}

func newWindow() *window { return &window{} }

func (w *window) add(loss, norm float64, d time.Duration) {
	w.n++
	w.loss += loss
	w.norm += norm
	w.seconds += d.Seconds()
}

func (w *window) mean() float64 { return w.loss / float64(w.n) }

// values returns the window's line of metrics, and what a hook logged with it.
func (w *window) values(learningRate float64, logged map[string]float64) map[string]float64 {
	n := float64(w.n)
	line := map[string]float64{
		"loss": w.loss / n, "grad_norm": w.norm / n, "learning_rate": learningRate, "steps_per_second": n / w.seconds,
	}
	maps.Copy(line, logged)
	return line
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
