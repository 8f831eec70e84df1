package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"ebm"
	"ebm/cmd/internal/verify"
	"ebm/evaluate"
	"ebm/evaluate/features"
	"ebm/evaluate/probe"
	"ebm/internal/atomicfile"
	"ebm/mdsm/dataset"
	"ebm/mdsm/langevin"
	"ebm/mdsm/samples"
	"ebm/mdsm/train"
	"ebm/models/zoo"
)

// demoModel is the shipped model that the demo goes on from.
const demoModel = "mnist16"

func newDemo(a *app) *cobra.Command {
	d := demo{app: a}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "The main job on real MNIST: train, export, verify, sample, report",
		Long: `demo trains the shipped MNIST model a little further, exports it as ONNX, checks
the exported gradient against finite differences, draws samples by annealed
Langevin dynamics, has a classifier read them, and writes a report that a browser
shows. What it needs, it
fetches through the Go module proxy: ONNX Runtime's library and MNIST.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context()) },
	}
	cmd.Flags().StringVar(&d.out, "out", "", "the run's folder (default the first free one of runs/demo, runs/demo-2, …)")
	cmd.Flags().IntVar(&d.steps, "steps", 300, "training steps at most")
	cmd.Flags().DurationVar(&d.budget, "budget", 75*time.Second, "training time at most")
	cmd.Flags().IntVar(&d.count, "count", 64, "samples to draw")
	cmd.Flags().BoolVar(&d.asJSON, "json", false, "print where everything is, and how good, as JSON")
	return cmd
}

// demo is one run of the command and what its parts found out.
type demo struct {
	*app
	out          string
	steps, count int
	budget       time.Duration
	asJSON       bool

	began    time.Time
	took     []timing
	settings train.Settings
	data     *dataset.Set
	card     zoo.Card
	result   train.Result
	model    *ebm.Model
	files    []exported
	score    verify.Certificate
	process  *samples.Process
	features features.Maker // of the classifier behind modes and distance
	modes    evaluate.ModeResult
	distance *evaluate.FrechetDistance // nil for a single sample
}

type timing struct {
	name string
	took time.Duration
}

func (d *demo) run(ctx context.Context) error {
	if d.steps < 1 || d.count < 1 || d.budget <= 0 {
		return usagef("--steps %d --count %d --budget %v, want positive values", d.steps, d.count, d.budget)
	}
	var err error
	if d.out, err = freeFolder(d.out, filepath.Join("runs", "demo")); err != nil {
		return err
	}
	if d.card, err = zoo.CardOf(demoModel); err != nil {
		return err
	}
	d.began = time.Now()
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"fetch and load", d.prepare},
		{"train", d.train},
		{"export", d.export},
		{"verify", d.verify},
		{"sample", d.sample},
		{"measure", d.measure},
	} {
		begin := time.Now()
		if err := part.do(ctx); err != nil {
			return err
		}
		d.took = append(d.took, timing{part.name, time.Since(begin)})
	}
	if err := d.report(); err != nil {
		return err
	}
	if err := d.print(); err != nil {
		return err
	}
	if !d.score.Passed() {
		return errors.New("a check failed, see the report")
	}
	return nil
}

// print says where what was made is, and how good it is.
func (d *demo) print() error {
	if d.asJSON {
		return d.printJSON(map[string]any{
			"path": d.out, "samples": filepath.Join(d.out, "samples", "grid.png"), "model": filepath.Join(d.out, "model"), "report": filepath.Join(d.out, "report.html"),
			"certificate": d.score, "passed": d.score.Passed(), "modes_covered": d.modes.Covered, "modes": d.modes.Modes, "confident": d.modes.Confident,
			"seconds": time.Since(d.began).Seconds(),
		})
	}
	d.printf("samples   %s\nmodel     %s\nreport    %s\n", filepath.Join(d.out, "samples", "grid.png"), filepath.Join(d.out, "model"), filepath.Join(d.out, "report.html"))
	for _, c := range d.score.Checks {
		d.printf("checked   %s: error %.2g of the largest magnitude, want at most %.0g\n", c.Name, c.Worst(), c.Tolerance)
	}
	d.printf("digits    %d of %d, and the classifier is sure of %.0f %% of the samples\n", d.modes.Covered, d.modes.Modes, 100*d.modes.Confident)
	d.printf("took      %v\n", time.Since(d.began).Round(time.Second))
	return nil
}

// freeFolder returns the folder asked for, which must not exist yet, or the
// first of stem, stem-2, … that does not.
func freeFolder(asked, stem string) (string, error) {
	free := func(path string) bool {
		_, err := os.Stat(path)
		return errors.Is(err, os.ErrNotExist)
	}
	if asked != "" {
		if !free(asked) {
			return "", fmt.Errorf("%s exists, want a new folder for --out", asked)
		}
		return asked, nil
	}
	path := stem
	for i := 2; !free(path); i++ {
		path = fmt.Sprintf("%s-%d", stem, i)
	}
	return path, nil
}

// prepare fetches the library and the pictures.
func (d *demo) prepare(ctx context.Context) error {
	if _, err := d.runtime(ctx); err != nil {
		return err
	}
	var err error
	if d.settings, err = train.Preset("demo"); err != nil {
		return err
	}
	d.settings.Start = demoModel
	d.settings.Seed = 2 // other noise and order than the shipped weights saw
	d.settings.Steps = d.steps
	d.settings.Optimiser.LearningRate = train.LearningRate{Schedule: train.Cosine, Initial: 2e-5, Final: 1e-6}
	d.settings.Output.LogEvery = 10
	set := d.settings
	d.data, err = dataset.Load(ctx, dataset.Spec{Name: set.Data.Name, Dir: set.Data.Dir, Size: set.Data.Size, Seed: set.Seed, Log: d.app.log})
	return err
}

// train goes on from the shipped weights for a bounded time.
func (d *demo) train(ctx context.Context) error {
	shipped, err := ebm.Load(demoModel)
	if err != nil {
		return err
	}
	rt, err := d.runtime(ctx)
	if err != nil {
		return err
	}
	d.result, err = train.Train(ctx, rt, d.settings, d.data, train.Options{
		Dir: d.out, Start: shipped.Weights, Budget: d.budget, Progress: d.progress(),
	})
	if err != nil {
		return err
	}
	d.model, err = ebm.Load(d.out)
	return err
}

func (d *demo) export(context.Context) error {
	var err error
	d.files, err = writeKinds(d.app, d.model, filepath.Join(d.out, "model"),
		[]ebm.Kind{ebm.EnergyKind, ebm.ScoreKind, ebm.TrainKind}, 0)
	return err
}

// verify checks the exported gradient on training pictures with noise.
func (d *demo) verify(ctx context.Context) error {
	x := dataset.Tensor(d.data, []int{0, 1, 2, 3})
	var err error
	d.score, err = certify(ctx, d.app, d.model, verify.Options{Pictures: x, Sigmas: []float64{0.1, 0.5, 1, 3}, ScoreTolerance: 1e-6})
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(d.out, "model", "certificate.json"), d.score.WriteJSON)
}

// sample draws samples of the model by the paper's schedule.
func (d *demo) sample(ctx context.Context) error {
	models, err := d.model.Files()
	if err != nil {
		return err
	}
	rt, err := d.runtime(ctx)
	if err != nil {
		return err
	}
	sampler, err := langevin.New(rt, models)
	if err != nil {
		return err
	}
	defer sampler.Close()
	sampler.Progress = d.progress()
	set := langevin.Default(d.count)
	set.Seed = 1
	set.Watch = samples.Watch{Chains: min(d.count, 16), Snapshots: []int{0, 500, 1000, 1500, 2000, 2300, 2500, 2600, 2700}}
	folder := samples.Folder{
		Dir: d.samplesDir(), Crop: d.model.Crop(), Grid: d.count, Animation: true,
		Describe: d.model.Metadata(), Log: d.log,
	}
	if _, err := sampler.Write(ctx, set, folder); err != nil {
		return err
	}
	d.process, err = samples.ReadProcess(folder.Dir)
	return err
}

// measure has the shipped classifier tell which digits the samples are, and how
// far they are from the training pictures in its features.
func (d *demo) measure(ctx context.Context) error {
	rt, err := d.runtime(ctx)
	if err != nil {
		return err
	}
	shape := d.model.Shape()
	x, err := probe.ReadSamples(filepath.Join(d.samplesDir(), samples.ArchiveFile), shape)
	if err != nil {
		return err
	}
	network, err := features.ShippedClassifier(d.settings.Data.Name)
	if err != nil {
		return err
	}
	classes, err := network.Open(rt, shape[0], shape[1], shape[2])
	if err != nil {
		return err
	}
	defer classes.Close()
	d.features = classes.Maker()
	if d.modes, err = classes.Modes(ctx, x); err != nil || d.count < 2 {
		return err
	}
	drawn, err := probe.Statistics(ctx, classes, x, nil)
	if err != nil {
		return err
	}
	reference, err := probe.Statistics(ctx, classes, probe.All(d.data), d.progress())
	if err != nil {
		return err
	}
	distance, err := evaluate.Frechet(ctx, drawn, reference)
	d.distance = &distance
	return err
}

func (d *demo) samplesDir() string { return filepath.Join(d.out, "samples") }
