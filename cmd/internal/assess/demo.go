package assess

import (
	"context"
	"path/filepath"
	"time"

	"ebm"
	"ebm/cmd/internal/report"
	"ebm/cmd/internal/verify"
	"ebm/evaluate"
	"ebm/evaluate/features"
	"ebm/evaluate/probe"
	"ebm/internal/atomicfile"
	"ebm/mdsm/dataset"
	"ebm/mdsm/langevin"
	"ebm/mdsm/samples"
	"ebm/mdsm/train"
	"ebm/models/tensor"
	"ebm/models/zoo"
	"ebm/runtime"
	"ebm/runtime/progress"
)

// demoModel is the shipped model that the demo goes on from.
const demoModel = "mnist16"

// DemoOptions say how much work the demo is.
type DemoOptions struct {
	Dir      string        // of the run, made
	Steps    int           // training steps at most
	Budget   time.Duration // training time at most
	Count    int           // samples to draw
	Program  string        // name and version, for the certificate
	Progress progress.Progress
	Log      func(line string)
}

// DemoResult says where what the demo made is, and how good it is.
type DemoResult struct {
	Page        string             `json:"page,omitempty"` // that samples in a browser, where it was made
	Dir         string             `json:"path"`
	Samples     string             `json:"samples"`
	Model       string             `json:"model"`
	Report      string             `json:"report"`
	Certificate verify.Certificate `json:"certificate"`
	Passed      bool               `json:"passed"` // all checks of the certificate
	Covered     int                `json:"modes_covered"`
	Modes       int                `json:"modes"`
	Confident   float64            `json:"confident"` // share of the samples that the classifier is sure of
	Samplers    []Drawn            `json:"samplers"`  // the paper's schedule and one of few evaluations, side by side
	Seconds     float64            `json:"seconds"`
}

// Drawn is what a sampler took, and how good its samples are.
type Drawn struct {
	Sampler     string   `json:"sampler"`
	Path        string   `json:"path"`        // of the grid
	Evaluations int      `json:"evaluations"` // of the score, for a sample
	Seconds     float64  `json:"seconds"`
	Covered     int      `json:"modes_covered"`
	Confident   float64  `json:"confident"`
	Frechet     *float64 `json:"frechet_distance,omitempty"` // in the classifier's features, biased by how few there are
}

// demo is one run of the main job and what its parts found out.
type demo struct {
	DemoOptions
	rt *runtime.Runtime

	took     []report.Timing
	settings train.Settings
	data     *dataset.Set
	card     zoo.Card
	result   train.Result
	model    *ebm.Model
	files    []Exported
	score    verify.Certificate
	samples  *tensor.Tensor // uint8 [n C H W]
	process  *samples.Process
	recipe   langevin.Recipe // of few evaluations
	fast     *tensor.Tensor  // its samples
	drawn    []Drawn
	features features.Maker // of the classifier behind modes and distance
	modes    evaluate.ModeResult
	distance *evaluate.FrechetDistance // nil for a single sample
}

// Demo does the main job on real digits: it trains the shipped model a little
// further, exports it, checks the exported gradient, draws samples, has a
// classifier read them, and writes the report. open opens ONNX Runtime, which
// may be fetched.
func Demo(ctx context.Context, open func(context.Context) (*runtime.Runtime, error), o DemoOptions) (*DemoResult, error) {
	d, began := demo{DemoOptions: o}, time.Now()
	var err error
	if d.card, err = zoo.CardOf(demoModel); err != nil {
		return nil, err
	}
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"fetch and load", func(ctx context.Context) (err error) {
			if d.rt, err = open(ctx); err != nil {
				return err
			}
			return d.prepare(ctx)
		}},
		{"train", d.train},
		{"export", d.export},
		{"verify", d.verify},
		{"sample", d.sample},
		{"measure", d.measure},
	} {
		begin := time.Now()
		if err := part.do(ctx); err != nil {
			return nil, err
		}
		d.took = append(d.took, report.Timing{Name: part.name, Took: time.Since(begin)})
	}
	if err := d.report(); err != nil {
		return nil, err
	}
	return &DemoResult{
		Dir: d.Dir, Samples: filepath.Join(d.samplesDir(), samples.GridFile), Model: filepath.Join(d.Dir, "model"),
		Report:      filepath.Join(d.Dir, report.HTMLFile),
		Certificate: d.score, Passed: d.score.Passed(), Covered: d.modes.Covered, Modes: d.modes.Modes, Confident: d.modes.Confident,
		Samplers: d.drawn, Seconds: time.Since(began).Seconds(),
	}, nil
}

// prepare fetches the pictures.
func (d *demo) prepare(ctx context.Context) error {
	var err error
	if d.settings, err = train.Preset("demo"); err != nil {
		return err
	}
	d.settings.Start = demoModel
	d.settings.Seed = 2 // other noise and order than the shipped weights saw
	d.settings.Steps = d.Steps
	d.settings.Optimiser.LearningRate = train.LearningRate{Schedule: train.Cosine, Initial: 2e-5, Final: 1e-6}
	d.settings.Output.LogEvery = 10
	data := d.settings.Data
	d.data, err = dataset.Load(ctx, dataset.Spec{Name: data.Name, Dir: data.Dir, Size: data.Size, Seed: d.settings.Seed, Log: d.Log})
	return err
}

// train goes on from the shipped weights for a bounded time.
func (d *demo) train(ctx context.Context) error {
	shipped, err := ebm.Load(demoModel)
	if err != nil {
		return err
	}
	if d.recipe, err = shipped.Recipe(fewEvaluations); err != nil {
		return err
	}
	d.result, err = train.Train(ctx, d.rt, d.settings, d.data, train.Options{
		Dir: d.Dir, Start: shipped.Weights, Budget: d.Budget, Progress: d.Progress,
	})
	if err != nil {
		return err
	}
	d.model, err = ebm.Load(d.Dir)
	return err
}

func (d *demo) export(context.Context) error {
	var err error
	d.files, err = WriteKinds(d.model, filepath.Join(d.Dir, "model"), []ebm.Kind{ebm.EnergyKind, ebm.ScoreKind, ebm.TrainKind}, 0, d.Progress)
	return err
}

// verify checks the exported gradient on training pictures with noise.
func (d *demo) verify(ctx context.Context) error {
	x := dataset.Tensor(d.data, []int{0, 1, 2, 3})
	var err error
	d.score, err = verify.Score(ctx, d.rt, d.model.Network, d.model.Weights, verify.Options{
		Pictures: x, Sigmas: []float64{0.1, 0.5, 1, 3}, ScoreTolerance: 1e-6, Objective: d.model.Objective(),
		Program: d.Program, Progress: d.Progress,
	})
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(d.Dir, "model", "certificate.json"), d.score.WriteJSON)
}

// sample draws samples of the model by the paper's schedule.
func (d *demo) sample(ctx context.Context) error {
	models, err := d.model.Files()
	if err != nil {
		return err
	}
	set := langevin.Default(d.Count)
	set.Seed = 1
	set.Watch = samples.Watch{Chains: min(d.Count, 16), Snapshots: []int{0, 500, 1000, 1500, 2000, 2300, 2500, 2600, 2700}}
	folder := samples.Folder{
		Dir: d.samplesDir(), Crop: d.model.Crop(), Grid: d.Count, Animation: true,
		Describe: d.model.Metadata(), Log: d.Log,
	}
	begin := time.Now()
	if d.samples, err = draw(ctx, d.rt, models, set, folder, d.Progress); err != nil {
		return err
	}
	d.drawn = append(d.drawn, Drawn{Sampler: "paper", Path: filepath.Join(folder.Dir, samples.GridFile), Evaluations: set.Schedule.Steps + 1,
		Seconds: time.Since(begin).Seconds()})
	if d.process, err = samples.ReadProcess(folder.Dir); err != nil {
		return err
	}
	return d.sampleFast(ctx, models)
}

// fewEvaluations is the budget of the demo's second sampler.
const fewEvaluations = 70

// sampleFast draws as many samples by few evaluations.
func (d *demo) sampleFast(ctx context.Context, models langevin.Files) error {
	set := langevin.Default(d.Count)
	var err error
	if set.Updates, err = d.recipe.Updates(d.model.SigmaMax, d.model.Sigma0); err != nil {
		return err
	}
	set.Start, set.Seed = d.recipe.Start(d.model.SigmaMax), 1
	folder := samples.Folder{Dir: filepath.Join(d.Dir, "samples-fast"), Crop: d.model.Crop(), Grid: d.Count,
		Describe: d.model.Metadata(), Log: d.Log}
	begin := time.Now()
	d.fast, err = draw(ctx, d.rt, models, set, folder, d.Progress)
	d.drawn = append(d.drawn, Drawn{Sampler: "fast", Path: filepath.Join(folder.Dir, samples.GridFile), Evaluations: d.recipe.Evaluations(),
		Seconds: time.Since(begin).Seconds()})
	return err
}

// measure has the shipped classifier tell which digits the samples are, and how
// far they are from the training pictures in its features.
func (d *demo) measure(ctx context.Context) error {
	shape := d.model.Shape()
	network, err := features.ShippedClassifier(d.settings.Data.Name)
	if err != nil {
		return err
	}
	classes, err := network.Open(d.rt, shape[0], shape[1], shape[2])
	if err != nil {
		return err
	}
	defer classes.Close()
	d.features = classes.Maker()
	var reference *evaluate.Statistics
	if d.Count > 1 {
		if reference, err = probe.Statistics(ctx, classes, probe.All(d.data), d.Progress); err != nil {
			return err
		}
	}
	for i, x := range []*tensor.Tensor{d.samples, d.fast} {
		modes, err := classes.Modes(ctx, x)
		if err != nil {
			return err
		}
		of := &d.drawn[i]
		of.Covered, of.Confident = modes.Covered, modes.Confident
		var distance *evaluate.FrechetDistance
		if reference != nil {
			drawn, err := probe.Statistics(ctx, classes, x, nil)
			if err != nil {
				return err
			}
			found, err := evaluate.Frechet(ctx, drawn, reference)
			if err != nil {
				return err
			}
			distance, of.Frechet = &found, &found.Distance
		}
		if i == 0 {
			d.modes, d.distance = modes, distance
		}
	}
	return nil
}

// samplesDir returns the folder of the samples.
func (d *demo) samplesDir() string { return filepath.Join(d.Dir, "samples") }
