package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm"
	"ebm/mdsm/langevin"
	"ebm/mdsm/samples"
)

// sampleFlags are the flags of sample.
type sampleFlags struct {
	run, out     string
	checkpoint   string
	count, batch int
	seed         uint64
	schedule     string
	steps        int
	stepSize     float64
	hot          float64
	raw          bool
	sigma0       float64
	shard        string
	float32      bool
	png          bool
	grid         int
	animation    bool
	watched      int
	crop         int
	asJSON       bool
	chainFlags
}

func (f *sampleFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.run, "run", "", "the model: a run's folder, one of its checkpoints, a file of weights, a shipped model, or a score.onnx or energy.onnx")
	addCheckpoint(fs, &f.checkpoint)
	fs.StringVar(&f.out, "out", "", "folder of the samples (default RUN/samples for a run)")
	fs.IntVar(&f.count, "count", 64, "number of samples")
	fs.Uint64Var(&f.seed, "seed", 0, "seed; sample i of a seed is the same whatever the batch, shard or restart")
	fs.IntVar(&f.batch, "batch", 0, "samples computed at once (default: as many as the threads take)")
	fs.StringVar(&f.shard, "shard", "", "draw only part I/N of the samples, to be joined with --merge")
	fs.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	group(fs, "The chains", f.addSchedule)
	group(fs, "What is written", f.addFiles)
	group(fs, "Samplers with corrections, and chains of several draws", f.chainFlags.add)
}

func (f *sampleFlags) addSchedule(fs *pflag.FlagSet) {
	fs.StringVar(&f.schedule, "schedule", "paper", "temperatures: paper (exp), lin or constant (T = 1)")
	fs.IntVar(&f.steps, "steps", 2700, "Langevin steps; other numbers keep the schedule's proportions")
	fs.Float64Var(&f.stepSize, "step-size", 0.02, "ε, in units of x; 0.015 to 0.05 is reasonable")
	fs.Float64Var(&f.hot, "hot", 100, "temperature of the first steps")
	fs.BoolVar(&f.raw, "raw", false, "leave out the denoising jump at the end")
	fs.Float64Var(&f.sigma0, "sigma0", 0, "σ₀ of the denoising jump for an ONNX file (default: what the file says, or 0.1)")
}

func (f *sampleFlags) addFiles(fs *pflag.FlagSet) {
	fs.BoolVar(&f.float32, "float32", false, "also write samples_float32.npy, neither clipped nor rounded")
	fs.BoolVar(&f.png, "png", false, "also write every sample as a PNG file")
	fs.IntVar(&f.grid, "grid", 64, "samples in grid.png, 0 for no grid")
	fs.BoolVar(&f.animation, "animation", false, "also draw process.gif, the chains along the way")
	fs.IntVar(&f.watched, "chains", 16, "chains whose energies and snapshots are recorded in trace.json")
	fs.IntVar(&f.crop, "crop", -1, "keep the middle N×N pixels, 0 for all (default: what was padding in training is cut off)")
}

func newSample(a *app) *cobra.Command {
	var f sampleFlags
	var merge []string
	cmd := &cobra.Command{
		Use:   "sample --run REF --count N --out DIR",
		Short: "Draw samples by annealed Langevin dynamics, MALA or Hamiltonian Monte Carlo",
		Long: `sample fills a folder: samples.npz (arr_0, uint8 [N H W C]), grid.png,
trace.json (energies and temperature along some chains). It writes as it goes;
called again after it was stopped or killed, it draws only what is missing, and
the files are the same, byte for byte.

With --sampler mala or hmc, or --draws above 1, chains cool down from noise by
the schedule (or begin at pictures, --start), adapt their step sizes in a
warm-up at T = 1, and then give their draws, which leave exp(−E) invariant but
for unadjusted langevin. The folder then has chains.npz and diagnostics.json, with R-hat and
effective sample sizes of the energy and of pixels, in place of trace.json.`,
		Example: `  ebm sample --run mnist16 --count 64 --out samples
  ebm sample --run mnist16 --sampler hmc --count 400 --draws 100 --start mnist:train --out chains
  ebm sample --run runs/mnist --count 50000 --shard 1/4 --out part1
  ebm sample --merge part1,part2,part3,part4 --out samples`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(merge) > 0 {
				return f.merge(cmd.Context(), a, merge)
			}
			return f.sample(cmd.Context(), a)
		},
	}
	cmd.Flags().StringSliceVar(&merge, "merge", nil, "join finished folders of --shard into --out instead")
	f.add(cmd.Flags())
	return cmd
}

func (f *sampleFlags) sample(ctx context.Context, a *app) error {
	set, err := f.settings()
	if err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	ref, err := checkpointOf(f.run, f.checkpoint)
	if err != nil {
		return err
	}
	if f.persistent() {
		return f.chains(ctx, a, ref)
	}
	model, err := loadSampled(ctx, ref, f.sigma0)
	if err != nil {
		return err
	}
	if f.out == "" {
		if model.folder == "" {
			return usagef("want --out DIR, the folder of the samples")
		}
		f.out = filepath.Join(model.folder, "samples")
	}
	rt, err := a.runtime(ctx)
	if err != nil {
		return err
	}
	sampler, err := langevin.New(rt, model.models)
	if err != nil {
		return fmt.Errorf("%s: %w", f.run, err)
	}
	defer sampler.Close()
	sampler.Progress = a.progress()
	if err := f.startAt(ctx, a, &set, sampler.Shape(), model.models.Sigma0); err != nil {
		return err
	}
	w, err := sampler.Write(ctx, set, f.folder(a, f.cropped(sampler.Shape(), model.pad), model.describe))
	if err != nil {
		return err
	}
	return f.print(a, w)
}

func (f *sampleFlags) settings() (langevin.Settings, error) {
	if f.run == "" {
		return langevin.Settings{}, usagef("want --run REF, the model to sample from")
	}
	if err := atLeast(least{"grid", float64(f.grid), 0}, least{"chains", float64(f.watched), 0}, least{"crop", float64(f.crop), -1}); err != nil {
		return langevin.Settings{}, err
	}
	kind, err := langevin.ParseCooling(f.schedule)
	if err != nil {
		return langevin.Settings{}, usageError{err}
	}
	set := langevin.Default(f.count)
	set.Schedule.Cooling, set.Schedule.Steps, set.Schedule.Hot = kind, f.steps, f.hot
	set.StepSize, set.Seed, set.Batch, set.Raw = f.stepSize, f.seed, f.batch, f.raw
	if err := set.Validate(); err != nil {
		return set, usageError{err}
	}
	if f.shard != "" {
		var i, n int
		if _, err := fmt.Sscanf(f.shard, "%d/%d", &i, &n); err != nil {
			return set, usagef("--shard %q, want a part I/N such as 1/4", f.shard)
		}
		if set, err = set.Shard(i, n); err != nil {
			return set, usageError{err}
		}
	}
	set.Watch.Chains = min(f.watched, set.Count)
	if set.Watch.Chains > 0 {
		set.Watch.Snapshots = langevin.Snapshots(12, f.steps)
	}
	return set, nil
}

func (f *sampleFlags) folder(a *app, crop int, describe map[string]string) samples.Folder {
	return samples.Folder{
		Dir: f.out, Crop: crop, Float32: f.float32, Grid: f.grid, Animation: f.animation, PNG: f.png,
		Describe: describe, Log: a.log,
	}
}

func (f *sampleFlags) merge(ctx context.Context, a *app, parts []string) error {
	if f.out == "" {
		return usagef("want --out DIR, the folder to join the parts in")
	}
	w, err := samples.Merge(ctx, f.folder(a, 0, nil), parts, a.progress())
	if err != nil {
		return err
	}
	return f.print(a, w)
}

func (f *sampleFlags) print(a *app, w samples.Written) error {
	if f.asJSON {
		return a.printJSON(map[string]any{"path": w.Path, "count": w.Count, "made": w.Made, "reused": w.Reused})
	}
	a.printf("%s\t%d samples\t%d drawn now\n", w.Path, w.Count, w.Made)
	return nil
}

// sampled is a model as the sampler takes it.
type sampled struct {
	models   langevin.Files
	folder   string // of the run, if it is one
	pad      int
	describe map[string]string
}

// loadSampled finds what ref names: a model with weights, or an ONNX file
// with the score of one.
func loadSampled(ctx context.Context, ref string, sigma0 float64) (sampled, error) {
	if err := atLeast(least{"sigma0", sigma0, 0}); err != nil {
		return sampled{}, err
	}
	if strings.EqualFold(filepath.Ext(ref), ".onnx") {
		models, meta, err := ebm.ReadONNX(ctx, ref)
		if sigma0 != 0 {
			models.Sigma0 = sigma0
		}
		return sampled{models: models, describe: meta}, err
	}
	m, err := ebm.Load(ref)
	if err != nil {
		return sampled{}, err
	}
	models, err := m.Files()
	if err != nil {
		return sampled{}, err
	}
	return sampled{models: models, pad: m.Pad, describe: m.Metadata(), folder: runFolder(ref)}, nil
}
