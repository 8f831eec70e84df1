package assess

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ebm"
	"ebm/cmd/internal/report"
	"ebm/evaluate"
	"ebm/evaluate/features"
	"ebm/evaluate/probe"
	"ebm/evaluate/sets"
	"ebm/internal/atomicfile"
	"ebm/mdsm/dataset"
	"ebm/mdsm/langevin"
	"ebm/mdsm/samples"
	"ebm/mdsm/train"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/progress"
)

// Part is a part of an assessment.
type Part string

// The parts, in their order.
const (
	Metrics    Part = "metrics"    // samples against training pictures
	Modes      Part = "modes"      // classes of the samples
	Outliers   Part = "outliers"   // other pictures told from held-out ones
	Noise      Part = "noise"      // energy and error over the noise level
	Neighbours Part = "neighbours" // training pictures nearest to samples
)

// Parts returns all parts in their order.
func Parts() []Part { return []Part{Metrics, Modes, Outliers, Noise, Neighbours} }

// Options say what is assessed, and how.
type Options struct {
	Run        string           // the folder of a run, a shipped model, or an ONNX file
	Checkpoint string           // of the run, as CheckpointOf takes it
	Place      string           // of the weights in a file of several networks, as ebm.Load has it after the file's name
	ONNX       *ebm.ONNXOptions // what in an ONNX file is the energy, nil for energy or score of x
	Sigma0     float64          // σ₀ of the model, 0 for what it says
	Dir        string           // of the report
	Parts      []Part           // nil for all that can be had
	DataName   string           // what it was trained on, where the run does not say that
	DataDir    string           // folder of the data set's files, "" where they find themselves
	Against    []string         // pictures to tell apart, as SET, SET:train or SET=FOLDER; nil for the usual ones
	Limit      int              // training pictures that samples are compared with, 0 for all
	Count      int              // samples to draw where there are none
	Steps      int              // Langevin steps of those
	Pictures   int              // of each set whose energies are measured
	Neighbours int              // training pictures shown for a sample
	Selecting  *Sampling
	Features   Features
	Metrics    sets.Options // without its sources and network
	Program    string       // name and version, for the report
	Progress   progress.Progress
	Log        func(line string)
}

// Sampling says how many samples to draw of each checkpoint.
type Sampling struct{ Count, Steps int }

// WrongOption is the error of an option that cannot be, or does not fit the
// run.
type WrongOption struct{ error }

func wrong(format string, args ...any) error { return WrongOption{fmt.Errorf(format, args...)} }

// Result holds what an assessment found.
type Result struct {
	Run       string          `json:"run"`
	Report    string          `json:"report"`
	Samples   int             `json:"samples"` // that were measured, 0 when no part needed any
	Weights   string          `json:"weights_sha256"`
	Metrics   []report.Metric `json:"metrics"`
	Selection *Selection      `json:"selection"`
	Notes     []string        `json:"notes"` // what was left out, and why
}

// assessment is what the parts found out on the way.
type assessment struct {
	Options
	subject
	rt    *runtime.Runtime
	model *probe.Model

	training, heldOut *dataset.Set // heldOut is nil where the data has no test part
	samples           *tensor.Tensor
	record            *samples.Record // nil when nothing says how the samples were made
	samplesDir        string
	classifier        *features.Extractor // nil where none knows the data

	selection  *Selection
	numbers    []numbersIn // of the samples
	modes      *evaluate.ModeResult
	statistics []probe.Statistic
	lossSigmas []float64
	levels     []LevelsOf
	near       []Near
	notes      []string
	took       []report.Timing
}

// numbersIn are the metrics of one comparison.
type numbersIn struct {
	*sets.Result
	against string
}

// subject is the model that is assessed, with what is known of its training.
type subject struct {
	checkpoint string // the folder of the checkpoint that was asked for, "" for none
	files      langevin.Files
	source     probe.Source
	meta       ebm.Meta
	about      map[string]string
	weights    string // SHA-256
	pad        int
	settings   *train.Settings // of the run, nil where there is none
}

// check finds the data sets that there are not, before anything is drawn or
// measured.
func (o Options) check() error {
	if o.DataName != "" {
		if _, _, err := dataset.ParseName(o.DataName, dataset.Train); err != nil {
			return err
		}
	}
	for _, ref := range o.Against {
		ref, _, _ := strings.Cut(ref, "=")
		if _, _, err := dataset.ParseName(ref, dataset.Test); err != nil {
			return fmt.Errorf("--against: %w", err)
		}
	}
	return nil
}

// Evaluate measures a run, or a shipped model, and writes its report.
func Evaluate(ctx context.Context, rt *runtime.Runtime, o Options) (*Result, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	a := &assessment{Options: o, rt: rt}
	defer a.close()
	release, err := atomicfile.Fill(a.Dir, "evaluate", "ebm evaluate")
	if err != nil {
		return nil, err
	}
	defer release()
	if err := a.measure(ctx); err != nil {
		return nil, err
	}
	doc, err := a.report()
	if err != nil {
		return nil, err
	}
	r := &Result{
		Run: a.Run, Report: filepath.Join(a.Dir, report.HTMLFile), Weights: a.weights, Selection: a.selection, Notes: a.notes,
		Metrics: doc.Metrics(),
	}
	if a.samples != nil {
		r.Samples = a.samples.Shape()[0]
	}
	if err := a.keepOld(doc); err != nil {
		return nil, err
	}
	return r, doc.Write(a.Dir)
}

// measure does all parts, each as far as it can be had. Samples are drawn when
// a part needs them.
func (a *assessment) measure(ctx context.Context) error {
	if err := a.timed("load", func() error { return a.load(ctx) }); err != nil {
		return err
	}
	if a.Selecting != nil {
		if err := a.timed("select", func() error { return a.selectBest(ctx) }); err != nil {
			return err
		}
	}
	for _, part := range []struct {
		name         Part
		needsSamples bool
		do           func(context.Context) error
	}{
		{Metrics, true, a.measureSamples}, {Modes, true, a.countModes}, {Outliers, false, a.outliers},
		{Noise, false, a.noise}, {Neighbours, true, a.nearestTraining},
	} {
		if len(a.Parts) > 0 && !slices.Contains(a.Parts, part.name) {
			continue
		}
		if part.needsSamples && a.samples == nil {
			if err := a.timed("samples", func() error { return a.sample(ctx) }); err != nil {
				return err
			}
		}
		if err := a.timed(string(part.name), func() error { return part.do(ctx) }); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

func (a *assessment) timed(name string, do func() error) error {
	begin := time.Now()
	err := do()
	a.took = append(a.took, report.Timing{Name: name, Took: time.Since(begin)})
	return err
}

// note says what was left out.
func (a *assessment) note(format string, args ...any) {
	a.notes = append(a.notes, fmt.Sprintf(format, args...))
	a.Log(a.notes[len(a.notes)-1])
}

func (a *assessment) close() {
	if a.model != nil {
		a.model.Close()
	}
	if a.classifier != nil {
		a.classifier.Close()
	}
}

// RunFolder returns ref if it is the folder of a run, and "" if not.
func RunFolder(ref string) string {
	if train.HasConfig(ref) {
		return ref
	}
	return ""
}

// load opens the model and the data that it was trained on.
func (a *assessment) load(ctx context.Context) error {
	if a.Selecting != nil && RunFolder(a.Run) == "" {
		return wrong("--select: %s is not the folder of a run, want one with checkpoints", a.Run)
	}
	of, err := CheckpointOf(a.Run, a.Checkpoint)
	if err != nil {
		return err
	}
	if err := a.open(of); err != nil {
		return err
	}
	return a.loadData(ctx)
}

// open loads the energy of a checkpoint, or of what is no run, in place of any
// before.
func (a *assessment) open(of string) error {
	s, err := a.loadSubject(of + a.Place)
	if err != nil {
		return err
	}
	if of != a.Run {
		s.checkpoint = filepath.Base(of)
	}
	if folder := RunFolder(a.Run); folder != "" {
		settings, err := train.ReadSettings(folder)
		if err != nil {
			return err
		}
		s.settings = &settings
	}
	a.subject = s
	if a.model != nil {
		a.model.Close()
		a.model = nil
	}
	if a.model, err = probe.Open(a.rt, s.source); err != nil {
		return fmt.Errorf("%s: %w", a.Run, err)
	}
	return nil
}

// loadSubject finds what ref names: a model with weights, or an ONNX file.
func (a *assessment) loadSubject(ref string) (subject, error) {
	m, err := ebm.LoadWith(ref, ebm.LoadOptions{Log: a.Log, ONNX: a.ONNX})
	if err != nil {
		return subject{}, err
	}
	if a.Sigma0 != 0 {
		m.Sigma0 = a.Sigma0
	}
	if m.Sigma0 == 0 {
		return subject{}, wrong("%s does not say its σ₀, want --sigma0", a.Run)
	}
	s := subject{meta: m.Meta, about: m.About, weights: m.Hash, pad: m.Pad}
	if s.about["network"] == "" {
		s.about["network"] = fmt.Sprint(m.Network)
	}
	if s.files, err = m.Files(); err != nil {
		return s, err
	}
	s.source.Objective = m.Objective()
	s.source.Score, err = m.ONNX(ebm.ScoreKind)
	return s, err
}

// loadData loads the pictures that the model was trained on, and those that
// were held out.
func (a *assessment) loadData(ctx context.Context) error {
	name := a.DataName
	if name == "" {
		name = a.about["data"]
	}
	if name == "" {
		return wrong("nothing says which data %s was trained on, want --data-name SET", a.Run)
	}
	spec := dataset.Spec{Name: name, Dir: a.DataDir, Size: a.model.Shape()[2], Log: a.Log}
	if a.settings != nil && name == a.settings.Data.Name {
		spec.Seed = a.settings.Seed
		if spec.Dir == "" {
			spec.Dir = a.settings.Data.Dir
		}
	}
	if name == "folder" {
		spec.Channels = a.model.Shape()[0]
	}
	var err error
	if a.training, err = a.loadSet(ctx, spec, dataset.Train); err != nil {
		return err
	}
	if a.settings != nil && a.settings.Data.Hash != "" && a.settings.Data.Hash != a.training.Hash() {
		a.note("the pictures of %s are not those of the run: their SHA-256 begins with %.12s, the run's with %.12s", name,
			a.training.Hash(), a.settings.Data.Hash)
	}
	if a.heldOut, err = a.loadSet(ctx, spec, dataset.Test); err != nil {
		if ctx.Err() != nil {
			return err
		}
		a.note("no held-out pictures: %v", err)
		a.heldOut = nil
	}
	return nil
}

func (a *assessment) loadSet(ctx context.Context, spec dataset.Spec, split dataset.Split) (*dataset.Set, error) {
	spec.Split = split
	set, err := dataset.Load(ctx, spec)
	if err != nil {
		return nil, err
	}
	if want, got := a.model.Shape(), []int{set.Channels, set.Height, set.Width}; !slices.Equal(want, got) {
		return nil, fmt.Errorf("%s has pictures of %v, want %v, which the model takes", spec.Name, got, want)
	}
	return set, nil
}
