package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"ebm"
	"ebm/cmd/internal/report"
	"ebm/evaluate"
	"ebm/evaluate/features"
	"ebm/evaluate/probe"
	"ebm/mdsm/dataset"
	"ebm/mdsm/langevin"
	"ebm/mdsm/samples"
	"ebm/mdsm/train"
	"ebm/models/tensor"
)

// runParts are the parts of an evaluation of a run, in their order.
func runParts() []string { return []string{"metrics", "modes", "outliers", "noise", "neighbours"} }

// runFlags are the flags of evaluate RUN.
type runFlags struct {
	out string
	checkpointFlags
	parts      []string
	dataName   string
	against    []string
	count      int
	steps      int
	pictures   int
	neighbours int

	selects     bool
	selectCount int
	selectSteps int
}

func (f *runFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.out, "out", "", "the folder of the report (default the run's own)")
	f.checkpointFlags.add(fs)
	fs.StringSliceVar(&f.parts, "parts", nil, "some of metrics, modes, outliers, noise, neighbours (default all that can be had)")
	fs.StringVar(&f.dataName, "data-name", "", "the data set it was trained on, where that is not known")
	fs.StringSliceVar(&f.against, "against", nil, "other pictures that the energy is to tell apart, as SET, SET:train or SET=FOLDER (default fashion-mnist for mnist, svhn for cifar10, and the other way round)")
	fs.IntVar(&f.count, "count", 256, "samples to draw where there are none; few samples bias every number, see the warnings")
	fs.IntVar(&f.steps, "steps", 2700, "Langevin steps of those samples")
	fs.IntVar(&f.pictures, "pictures", 2000, "pictures of each set whose energies are measured")
	fs.IntVar(&f.neighbours, "neighbours", 10, "nearest training pictures shown for a sample")
	fs.BoolVar(&f.selects, "select", false, "first draw samples of every checkpoint, mark the best one (checkpoints/best.json), export it into model/ and evaluate it")
	fs.IntVar(&f.selectCount, "select-count", 1000, "with --select, samples of each checkpoint")
	fs.IntVar(&f.selectSteps, "select-steps", 2700, "with --select, Langevin steps of those samples")
}

func (f *runFlags) check() error {
	for _, p := range f.parts {
		if !slices.Contains(runParts(), p) {
			return usagef("--parts %s, want some of %s", p, strings.Join(runParts(), ", "))
		}
	}
	if f.count < 2 || f.steps < 1 || f.pictures < 2 || f.neighbours < 1 || f.selectCount < 2 || f.selectSteps < 1 {
		return usagef("--count %d --steps %d --pictures %d --neighbours %d --select-count %d --select-steps %d, want positive numbers, and two pictures or more",
			f.count, f.steps, f.pictures, f.neighbours, f.selectCount, f.selectSteps)
	}
	if f.selects && f.checkpoint != "" {
		return usagef("--select finds the checkpoint, --checkpoint names one: choose one of them")
	}
	return nil
}

// evaluation is one evaluation of a run and what its parts found out.
type evaluation struct {
	*app
	*evaluateFlags
	subject
	dir   string // of the report
	model *probe.Model

	training, heldOut *dataset.Set // heldOut is nil where the data has no test part
	samples           *tensor.Tensor
	record            *samples.Record // nil when nothing says how the samples were made
	samplesDir        string
	classes           *features.Extractor // nil where no classifier knows the data

	selection  *probe.Selection
	numbers    []report.Metric // of the samples
	conditions []report.Fact   // networks, weights and conventions behind them
	modes      *evaluate.ModeResult
	scores     []probe.Score
	lossSigmas []float64
	levels     []levelsOf
	near       []nearest
	notes      []string // what was left out, and why
	took       []timing
	found      []report.Metric // all numbers, in the report's order
}

// evaluateRun measures a run, or a shipped model, and writes its report.
func (f *evaluateFlags) evaluateRun(ctx context.Context, a *app, ref string) error {
	if err := errors.Join(f.check(), f.run.check()); err != nil {
		return usageError{err}
	}
	e := &evaluation{app: a, evaluateFlags: f, dir: f.run.out}
	if e.dir == "" {
		if e.dir = runFolder(ref); e.dir == "" {
			return usagef("%s is not the folder of a run, want --out DIR for the report", ref)
		}
	}
	if err := e.measure(ctx, ref); err != nil {
		return err
	}
	defer e.close()
	doc, err := e.report()
	if err != nil {
		return err
	}
	if err := doc.Write(e.dir); err != nil {
		return err
	}
	return e.print()
}

// measure does all parts, each as far as it can be had.
func (e *evaluation) measure(ctx context.Context, ref string) (err error) {
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	if err := os.MkdirAll(e.dir, 0o755); err != nil {
		return err
	}
	if err := e.timed("load", func() error { return e.load(ctx, ref) }); err != nil {
		return err
	}
	if e.run.selects {
		if err := e.timed("select", func() error { return e.selectBest(ctx, ref) }); err != nil {
			return err
		}
	}
	if err := e.timed("samples", func() error { return e.sample(ctx) }); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"metrics", e.measureSamples}, {"modes", e.countModes}, {"outliers", e.outliers}, {"noise", e.noise}, {"neighbours", e.nearestTraining},
	} {
		if len(e.run.parts) > 0 && !slices.Contains(e.run.parts, part.name) {
			continue
		}
		if err := e.timed(part.name, func() error { return part.do(ctx) }); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

func (e *evaluation) timed(name string, do func() error) error {
	begin := time.Now()
	err := do()
	e.took = append(e.took, timing{name, time.Since(begin)})
	return err
}

// note says what was left out.
func (e *evaluation) note(format string, args ...any) {
	e.notes = append(e.notes, fmt.Sprintf(format, args...))
	e.log(e.notes[len(e.notes)-1])
}

func (e *evaluation) close() {
	if e.model != nil {
		e.model.Close()
	}
	if e.classes != nil {
		e.classes.Close()
	}
}

// subject is the model that is evaluated, with what is known of its training.
type subject struct {
	name       string // the reference it was called by
	checkpoint string // the folder of the checkpoint that was asked for, "" for none
	models     langevin.Files
	source     probe.Source
	meta       ebm.Meta
	about      map[string]string
	weights    string // SHA-256
	pad        int
	settings   *train.Settings // of the run, nil where there is none
}

// load opens the model and the data that it was trained on.
func (e *evaluation) load(ctx context.Context, ref string) error {
	if e.run.selects && runFolder(ref) == "" {
		return usagef("--select: %s is not the folder of a run with checkpoints", ref)
	}
	of, err := e.run.of(ref)
	if err != nil {
		return err
	}
	if err := e.open(ctx, ref, of); err != nil {
		return err
	}
	return e.loadData(ctx)
}

// open loads the energy of a run, or of one of its checkpoints, in place of
// any before. ref names the run, and of what is loaded.
func (e *evaluation) open(ctx context.Context, ref, of string) error {
	s, err := loadSubject(e.app, of)
	if err != nil {
		return err
	}
	s.name = ref
	if of != ref {
		s.checkpoint = filepath.Base(of)
	}
	if folder := runFolder(ref); folder != "" {
		settings, err := train.ReadSettings(folder)
		if err != nil {
			return err
		}
		s.settings = &settings
	}
	e.subject = s
	rt, err := e.runtime(ctx)
	if err != nil {
		return err
	}
	if e.model != nil {
		e.model.Close()
		e.model = nil
	}
	if e.model, err = probe.Open(rt, s.source); err != nil {
		return fmt.Errorf("%s: %w", ref, err)
	}
	return nil
}

// loadSubject finds what ref names: a model with weights, or an ONNX file.
func loadSubject(a *app, ref string) (subject, error) {
	m, err := a.load(ref)
	if err != nil {
		return subject{}, err
	}
	s := subject{meta: m.Meta, about: m.About, weights: m.Hash, pad: m.Pad}
	if s.about["network"] == "" {
		s.about["network"] = fmt.Sprint(m.Network)
	}
	if s.models, err = m.Files(); err != nil {
		return s, err
	}
	s.source.Objective = m.Objective()
	s.source.Score, err = m.ONNX(ebm.ScoreKind)
	return s, err
}

// loadData loads the pictures that the model was trained on, and those that
// were held out.
func (e *evaluation) loadData(ctx context.Context) error {
	name := e.run.dataName
	if name == "" {
		name = e.about["data"]
	}
	if name == "" {
		return usagef("nothing says which data %s was trained on, want --data-name SET", e.name)
	}
	spec := dataset.Spec{Name: name, Dir: e.data, Size: e.model.Shape()[2], Log: e.log}
	if e.settings != nil && name == e.settings.Data.Name {
		spec.Seed = e.settings.Seed
		if spec.Dir == "" {
			spec.Dir = e.settings.Data.Dir
		}
	}
	if name == "folder" {
		spec.Channels = e.model.Shape()[0]
	}
	var err error
	if e.training, err = e.loadSet(ctx, spec, dataset.Train); err != nil {
		return err
	}
	if e.settings != nil && e.settings.Data.Hash != "" && e.settings.Data.Hash != e.training.Hash() {
		e.note("the pictures of %s are not those of the run: their SHA-256 begins with %s, the run's with %s", name, short(e.training.Hash()), short(e.settings.Data.Hash))
	}
	if e.heldOut, err = e.loadSet(ctx, spec, dataset.Test); err != nil {
		if ctx.Err() != nil {
			return err
		}
		e.note("no held-out pictures: %v", err)
		e.heldOut = nil
	}
	return nil
}

func (e *evaluation) loadSet(ctx context.Context, spec dataset.Spec, split dataset.Split) (*dataset.Set, error) {
	spec.Split = split
	set, err := dataset.Load(ctx, spec)
	if err != nil {
		return nil, err
	}
	if want, got := e.model.Shape(), []int{set.Channels, set.Height, set.Width}; !slices.Equal(want, got) {
		return nil, fmt.Errorf("%s has pictures of %v, the model takes %v", spec.Name, got, want)
	}
	return set, nil
}

// short returns the first digits of a hash.
func short(hash string) string { return hash[:min(len(hash), 12)] }
