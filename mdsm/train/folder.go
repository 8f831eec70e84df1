package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
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
}

// Train trains an energy network on pictures by the settings' objective, in a
// run's folder. With Resume it goes on from the newest checkpoint there, which
// must be of the same settings and pictures: others are a *ResumeError. Where
// no step is left it changes nothing. The run's files are written when the
// training is ready to begin, so a start that failed leaves none.
func Train(ctx context.Context, rt *runtime.Runtime, s Settings, data *dataset.Set, o Options) (Result, error) {
	s.Data.Hash, s.Data.Pad = data.Hash(), data.Pad
	return trainIn(ctx, rt, s, o, func() (Problem, error) { return NewProblem(s, data, o.Start) })
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
		CheckpointEvery: out.CheckpointEvery, KeepCheckpoints: out.KeepCheckpoints, LogEvery: out.LogEvery,
	}
}

// trainIn trains in a run's folder. A folder holds a run when it has a
// checkpoint; what a start that failed has left there is replaced.
func trainIn[S config[S]](ctx context.Context, rt *runtime.Runtime, s S, o Options, pose func() (Problem, error)) (Result, error) {
	if err := s.Validate(); err != nil {
		return Result{}, err
	}
	for _, other := range []string{ConfigFile, ClassifierConfigFile} {
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
			w, err := newest.Weights()
			return Result{Step: newest.Step, Loss: math.NaN(), Checkpoint: newest.Dir, Weights: w}, err
		}
	}
	problem, err := pose()
	if err != nil {
		return Result{}, err
	}
	l := s.loop()
	l.Dir, l.Resume, l.Budget, l.Progress, l.Hook = o.Dir, o.Resume, o.Budget, o.Progress, o.Hook
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

// prepare makes a run's folder and removes what a killed process left there.
func prepare(dir string) error {
	for _, d := range []string{dir, filepath.Join(dir, checkpointsName)} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
		if err := atomicfile.Clean(d); err != nil {
			return err
		}
	}
	return nil
}
