package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm"
	"ebm/cmd/internal/assess"
	"ebm/cmd/internal/bench"
	"ebm/mdsm/langevin"
	"ebm/mdsm/mcmc"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
	"ebm/runtime"
)

// sampleFlags are the flags of sample.
type sampleFlags struct {
	energyFlags
	scheduleFlags
	chainFlags
	fewStepFlags
	temperingFlags
	partFlags
	share     samples.Share
	out       string
	count     int
	float32   bool
	png       bool
	grid      int
	animation bool
	watched   int
	crop      int
	asJSON    bool
	until     float64
}

func (f *sampleFlags) add(fs *pflag.FlagSet) {
	f.energyFlags.add(fs)
	fs.StringVar(&f.out, "out", "", "folder of the samples (default RUN/samples for a run)")
	fs.IntVar(&f.count, "count", 64, "number of samples")
	fs.Uint64Var(&f.seed, "seed", 0, "seed; sample i of a seed is the same whatever the batch, shard or restart")
	fs.IntVar(&f.batch, "batch", 0, "samples computed at once (default: as many as the threads take)")
	f.partFlags.add(fs, "folder (--out)")
	fs.StringVar(&f.part, "shard", "", "")
	fs.MarkHidden("shard") // the flag is there: what --part was called
	fs.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	fs.StringVar(&f.sampler, "sampler", string(mcmc.Langevin),
		"langevin; of few evaluations "+langevin.MethodNames()+"; with the correction of Metropolis mala or hmc; or tempering, chains at "+
			"several temperatures that swap")
	group(fs, "The chains", f.addSchedule)
	group(fs, "Of models of energy matching", func(fs *pflag.FlagSet) {
		fs.Float64Var(&f.until, "until", 0, "time at which samples are taken, 1 where transport ends (default 3.25, or 1 without contrast); "+
			"--steps divides it")
	})
	group(fs, "Few evaluations", f.fewStepFlags.add)
	group(fs, "What is written", f.addFiles)
	group(fs, "Parallel tempering", f.temperingFlags.add)
	group(fs, "Samplers with corrections, and chains of several draws", f.chainFlags.add)
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
trace.json (energies and temperature along some chains). Samples of a model of points
are float32 [N D], in the units of the data, and in the plane scatter.png has them
over the contours of the energy. It writes as it goes;
called again after it was stopped or killed, it draws only what is missing, from
where its chains were, and the files are the same, byte for byte. With a larger
--count a finished folder grows.

With --fast, or --sampler ancestral, ddim, heun, edm or adaptive, chains of a few
dozen evaluations go down from the largest noise level of the training; --fast takes
what ebm tune-sampler has found for the model. See docs/sampling.md.

With --sampler tempering each sample has chains at several temperatures (--replicas,
--ladder), --steps steps each, whose neighbours swap places: it finds modes, and their
weights, that annealing misses. trace.json and the log say how often they swapped.

With --sampler mala or hmc, or --draws above 1, chains cool down from noise by
the schedule (or begin at pictures, --start), adapt their step sizes in a
warm-up at T = 1, and then give their draws, which leave exp(−E) invariant but
for unadjusted langevin. The folder then has chains.npz and diagnostics.json, with R-hat and
effective sample sizes of the energy and of pixels, in place of trace.json.`,
		Example: `  ebm sample --run mnist16 --count 64 --out samples
  ebm sample --run mnist16 --count 64 --fast --out fast
  ebm sample --run mnist16 --sampler hmc --count 400 --draws 100 --start mnist:train --out chains
  ebm sample --run runs/mnist --count 50000 --part 1/4 --out samples    (and 2/4 …, anywhere; then)
  ebm merge samples`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(merge) > 0 {
				if f.out == "" {
					return usagef("want --out DIR, the folder to join the parts in")
				}
				return a.merge(cmd.Context(), merge, f.out, f.asJSON)
			}
			share, err := f.partFlags.share(a)
			if err != nil {
				return err
			}
			if f.share = share; a.autotune && !share.Part.Whole() {
				return usagef("--autotune with --part, want --choices, the same for all parts")
			}
			return a.finishedPart(f.sample(cmd.Context(), a, cmd), share, f.out, f.asJSON)
		},
	}
	cmd.Flags().StringSliceVar(&merge, "merge", nil, "")
	cmd.Flags().MarkHidden("merge") // the flag is there: what ebm merge was called
	f.add(cmd.Flags())
	a.addPrecision(cmd.Flags())
	a.addAutotune(cmd.Flags())
	return cmd
}

func (f *sampleFlags) sample(ctx context.Context, a *app, cmd *cobra.Command) error {
	set, err := f.langevin()
	if err != nil {
		return err
	}
	if err := cmp.Or(f.chainFlags.check(), f.fewStepFlags.check(string(mcmc.MALA), string(mcmc.HMC), langevin.TemperingName),
		f.checkStart()); err != nil {
		return err
	}
	if f.sampler == langevin.TemperingName {
		if err := f.temper(&set, f.steps, f.hot); err != nil {
			return err
		}
	}
	m, err := f.energyFlags.load(a)
	if err != nil {
		return err
	}
	if f.out == "" {
		folder := assess.RunFolder(f.run)
		if folder == "" {
			return usagef("want --out DIR, the folder of the samples")
		}
		f.out = filepath.Join(folder, "samples")
	}
	if !f.share.Part.Whole() {
		if err := a.begin(cmd, f.out, ""); err != nil {
			return err
		}
	}
	if err := f.suit(&set, m, cmd.Flags()); err != nil {
		return err
	}
	if m.Sigma0 == 0 && !set.Raw {
		a.log(m.Name + " does not say its σ₀: samples are left without a denoising jump (--sigma0 makes one)")
		set.Raw, set.Watch.Snapshots = true, nil
	}
	if len(m.Shape()) == 1 && m.Mean != nil {
		set.Start.Mean = 0 // of standardised points
	}
	if p := runtime.Precision(a.precision); p.Half() && f.persistent() {
		return usagef("--precision %s with --sampler %s, want fp32 or tf32: its models stay in float32", p, f.sampler)
	}
	if f.persistent() {
		return f.chains(ctx, a, m, set)
	}
	if _, err := f.apply(&set, m); err != nil {
		return err
	}
	if set.Watch.Chains > 0 && len(set.Updates) > 0 && m.Sigma0 > 0 {
		set.Watch.Snapshots = langevin.Snapshots(12, len(set.Updates))
	}
	files, err := m.Files()
	if err != nil {
		return err
	}
	if err := f.tune(ctx, a, m, files.For(set), set); err != nil {
		return err
	}
	sampler, err := a.sampler(ctx, m, files.For(set))
	if err != nil {
		return err
	}
	defer sampler.Close()
	if from, sigma, err := f.from(ctx, a, sampler.Shape(), m.Sigma0); err != nil {
		return err
	} else if from != nil {
		set.Start.From, set.Start.Sigma = from, sigma
	}
	w, err := sampler.Write(ctx, set, f.folder(a, m))
	if err != nil {
		return err
	}
	if err := f.sayAcceptance(a, set); err != nil {
		return err
	}
	if err := f.saySwaps(a, set); err != nil {
		return err
	}
	if err := f.scatter(ctx, a, m); err != nil {
		return err
	}
	return f.print(a, w)
}

// tune takes the choices of the chains on a device.
func (f *sampleFlags) tune(ctx context.Context, a *app, m *ebm.Model, files langevin.Files, set langevin.Settings) error {
	had, _ := samples.ReadRecord(f.out) // what is wrong with one is found when it is written
	const steps = 50                    // beside which what a group has once is little
	set.Schedule.Steps, set.Updates, set.Watch = min(set.Schedule.Steps, steps), set.Updates[:min(len(set.Updates), steps)], samples.Watch{}
	if set.Batch == 0 {
		set.Batch = 128
	}
	set.Count = set.Batch
	load := func(ctx context.Context, rt *runtime.Runtime) (bench.Run, func(), error) {
		sampler, err := langevin.New(rt, files)
		if err != nil {
			return nil, nil, err
		}
		return func(ctx context.Context) (squares float64, err error) {
			x, err := sampler.All(ctx, set)
			if err == nil {
				for _, v := range tensor.Data[float32](x) {
					squares += float64(v) * float64(v)
				}
			}
			return squares, err
		}, func() { sampler.Close() }, nil
	}
	model := fmt.Sprintf("sample %v, with a memory %t", cmp.Or[any](m.Network, m.Name), files.Memory)
	return a.tune(ctx, tuned{Tuning: bench.Tuning{Load: load}, had: had.Choices, model: model, batch: set.Batch, apart: !f.share.Part.Whole()})
}

// suit takes the sampler of a model that is not annealed, and refuses what such a
// sampler has no place for.
func (f *sampleFlags) suit(set *langevin.Settings, m *ebm.Model, flags *pflag.FlagSet) error {
	if f.until < 0 || f.until > 0 && m.Flow == nil {
		return usagef("--until %g, want a positive time, and a model of energy matching", f.until)
	}
	if m.Annealed() {
		return nil
	}
	for _, name := range []string{"sampler", "fast", "recipe", "draws", "schedule", "step-size", "hot"} {
		if flags.Changed(name) {
			return usagef("--%s is for energies that are annealed, want none for %s, which was trained by %s and has a sampler of its own", name,
				m.Name, m.TrainedBy)
		}
	}
	steps := 0
	if flags.Changed("steps") {
		steps = f.steps
	}
	return m.Suit(set, f.until, steps)
}

// sayAcceptance logs with which probability steps of eq. (8) would be accepted with the
// correction of MALA, which tells steps that are too long.
func (f *sampleFlags) sayAcceptance(a *app, set langevin.Settings) error {
	if set.Watch.Chains == 0 || len(set.Watch.Snapshots) == 0 {
		return nil
	}
	p, err := samples.ReadProcess(f.out)
	if err != nil {
		return err
	}
	var list []string
	for _, s := range p.Snapshots {
		if s.Acceptance == nil {
			continue
		}
		mean := 0.0
		for _, v := range s.Acceptance {
			mean += float64(v) / float64(len(s.Acceptance))
		}
		list = append(list, fmt.Sprintf("%.2f at T = %.3g", mean, p.Temperature[s.Step]))
	}
	if len(list) > 0 {
		a.log("a Metropolis correction would accept steps of this size with probability " + strings.Join(list, ", "))
	}
	return nil
}

// langevin returns the settings of one sample for each chain.
func (f *sampleFlags) langevin() (langevin.Settings, error) {
	if f.run == "" {
		return langevin.Settings{}, usagef("want --run REF, the model to sample from")
	}
	if err := atLeast(least{"grid", float64(f.grid), 0}, least{"chains", float64(f.watched), 0},
		least{"crop", float64(f.crop), -1}); err != nil {
		return langevin.Settings{}, err
	}
	set, err := f.settings(f.count)
	if err != nil {
		return set, err
	}
	set.Watch.Chains = min(f.watched, set.Count)
	if set.Watch.Chains > 0 {
		set.Watch.Snapshots = langevin.Snapshots(12, f.steps)
	}
	return set, nil
}

// folder says what is written, and how: of a model, or of merged folders where it
// is nil.
func (f *sampleFlags) folder(a *app, m *ebm.Model) samples.Folder {
	to := samples.Folder{Dir: f.out, Float32: f.float32, Grid: f.grid, Animation: f.animation, PNG: f.png, Log: a.log, Share: f.share}
	if m != nil {
		to.Crop, to.Describe, to.Mean, to.Deviation = m.Crop(), m.Metadata(), m.Mean, m.Deviation
	}
	if f.crop >= 0 {
		to.Crop = f.crop
	}
	return to
}

func (f *sampleFlags) merge(ctx context.Context, a *app, parts []string) error {
	w, err := samples.Merge(ctx, f.folder(a, nil), parts, a.progress())
	if err != nil {
		return err
	}
	return f.print(a, w)
}

func (f *sampleFlags) print(a *app, w samples.Written) error {
	return a.answer(f.asJSON, map[string]any{"path": w.Path, "count": w.Count, "made": w.Made, "reused": w.Reused},
		"%s\t%d samples\t%d drawn now\n", w.Path, w.Count, w.Made)
}
