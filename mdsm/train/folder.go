package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"time"

	"ebm/internal/atomicfile"
	"ebm/mdsm/dataset"
	"ebm/models/energy"
	"ebm/runtime"
	"ebm/runtime/progress"
)

// Options say how Train runs beside its settings.
type Options struct {
	Dir      string // the run's folder, made if it is not there
	Resume   bool
	Start    energy.Weights    // first weights, nil for random ones
	Budget   time.Duration     // stop after this time even if steps are left, 0 for never
	Progress progress.Progress // nil shows nothing
	Hook     Hook              // called after every update, nil for none
	Ranks    Ranks             // processes that make the run together, nil for this one alone
	Log      func(line string) // gets a line for what a person should know, nil for none
	// Held has what the settings' ValidateEvery measures on, nil for nothing.
	Held dataset.Data
	// HeldNoise has the noise levels and weights of these measurements, nil for those
	// of the training: runs of other levels compare by it.
	HeldNoise *NoiseSettings
}

// Train trains an energy network on pictures by the settings' objective, in a
// run's folder. With Resume it goes on from the newest checkpoint there, which
// must be of the same settings and pictures: others are a *ResumeError. Where
// no step is left it only removes checkpoints that are not to be kept. The run's files are written when the
// training is ready to begin, so a start that failed leaves none.
func Train(ctx context.Context, rt *runtime.Runtime, s Settings, data dataset.Data, o Options) (Result, error) {
	if set, ok := data.(*dataset.Set); ok {
		s.Data.Pad = set.Pad
	}
	if hashed, ok := data.(interface{ Hash() string }); ok {
		s.Data.Hash = hashed.Hash()
	}
	if s.Objective == Posterior {
		s.Posterior.Data = data.Len()
	}
	net, first, err := s.Open(o.Dir)
	if err != nil {
		return Result{}, err
	}
	if o.Start == nil {
		o.Start = first
	}
	if o.Held != nil && s.Output.ValidateEvery > 0 {
		if err := s.Validate(); err != nil {
			return Result{}, err
		}
		m := s.matching(net, data, nil)
		if o.HeldNoise != nil {
			m.Noise = *o.HeldNoise
			m.Noise.Sigma0 = s.Noise.Sigma0
		}
		v, err := m.Validation(rt, o.Held)
		if err != nil {
			return Result{}, err
		}
		defer v.Close()
		o.Hook = v.Every(s.Output.ValidateEvery, s.Output.EarlyStop).then(o.Hook)
	}
	return trainIn(ctx, rt, s, o, func() (Problem, error) { return s.Problem(net, data, o.Start) })
}

// config is what Settings and ClassifierSettings have for the folder of a run.
type config[S any] interface {
	Validate() error
	// file is the name of the settings in the folder.
	file() string
	// agree returns the settings had with everything that may change when a run
	// goes on taken from the receiver.
	agree(had S) S
	// loop is the part of a Loop that the settings say.
	loop() Loop
}

// newLoop returns the part of a Loop that settings say.
func newLoop(steps int, o OptimiserSettings, out OutputSettings) Loop {
	return Loop{
		Steps: steps, LearningRate: o.LearningRate,
		CheckpointEvery: out.CheckpointEvery, MTBF: out.MTBF, KeepCheckpoints: out.KeepCheckpoints, LogEvery: out.LogEvery,
	}
}

// trainIn trains in a run's folder. A folder holds a run when it has a
// checkpoint; what a start that failed has left there is replaced.
func trainIn[S config[S]](ctx context.Context, rt *runtime.Runtime, s S, o Options, pose func() (Problem, error)) (Result, error) {
	if err := s.Validate(); err != nil {
		return Result{}, err
	}
	for _, other := range []string{ConfigFile, ClassifierConfigFile, FitConfigFile} {
		if other != s.file() && atomicfile.Exists(filepath.Join(o.Dir, other)) {
			return Result{}, fmt.Errorf("%s holds a run with %s, want another folder", o.Dir, other)
		}
	}
	if o.Resume {
		newest, err := resumable(s, o.Dir)
		if err != nil {
			return Result{}, err
		}
		if l := s.loop(); newest.Step >= l.Steps {
			if leads(o.Ranks) {
				if err := tidy(o.Dir, l.KeepCheckpoints, o.Log); err != nil {
					return Result{}, err
				}
			}
			w, err := newest.Weights()
			if err != nil {
				err = newest.offer(o.Dir, err)
			}
			return Result{Step: newest.Step, Loss: math.NaN(), Checkpoint: newest.Dir, Weights: w}, err
		}
	}
	problem, err := pose()
	if err != nil {
		return Result{}, err
	}
	l := s.loop()
	l.Dir, l.Resume, l.Budget, l.Progress, l.Hook, l.Log = o.Dir, o.Resume, o.Budget, o.Progress, o.Hook, o.Log
	l.Ranks = o.Ranks
	l.ready = func() error { return writeConfig(o.Dir, s.file(), s) }
	return Run(ctx, rt, problem, l)
}

// resumable returns the newest checkpoint of the run in dir, if it can go on
// with s; the zero one where there is none.
func resumable[S config[S]](s S, dir string) (Checkpoint, error) {
	newest, err := Newest(dir)
	if errors.Is(err, ErrNoCheckpoint) {
		return Checkpoint{}, nil
	}
	if err != nil {
		return Checkpoint{}, err
	}
	had, err := readConfig[S](dir, s.file())
	if errors.Is(err, fs.ErrNotExist) {
		return newest, nil
	}
	if err != nil {
		return Checkpoint{}, err
	}
	had = s.agree(had)
	return newest, continues(dir, values(&had), values(&s))
}

// prepare makes the folder of checkpoints and removes what a killed process left
// there.
func prepare(dir string) error {
	checkpoints := filepath.Join(dir, checkpointsName)
	if err := atomicfile.MkdirAll(checkpoints); err != nil {
		return err
	}
	return atomicfile.Clean(checkpoints)
}

// fill takes the lock of a run's folder for the process that trains in it.
func fill(dir string) (release func(), err error) { return atomicfile.Fill(dir, "train", "ebm train") }

// tidy removes from a folder that nobody trains in what is not to be kept.
func tidy(dir string, keep int, log func(string)) error {
	release, err := fill(dir)
	if err != nil {
		return err
	}
	defer release()
	return errors.Join(prepare(dir), dropIncomplete(dir, log), prune(dir, keep))
}

// dropIncomplete removes the checkpoints that lack a file and have a whole one
// after them, and tells log of others, which are skipped.
func dropIncomplete(dir string, log func(string)) error {
	list, err := Incomplete(dir)
	if err != nil || len(list) == 0 {
		return err
	}
	newest, err := Newest(dir)
	if err != nil && !errors.Is(err, ErrNoCheckpoint) {
		return err
	}
	for _, c := range list {
		lacks, outcome := c.missing(), "skipped"
		if c.Step < newest.Step {
			outcome = "removed"
			if err := atomicfile.Remove(c.Dir); err != nil {
				return err
			}
		}
		if log != nil {
			log(fmt.Sprintf("%s has no %s: it is %s", c.Dir, lacks, outcome))
		}
	}
	return nil
}
