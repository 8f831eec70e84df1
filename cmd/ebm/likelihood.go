package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm/cmd/internal/assess"
	"ebm/internal/atomicfile"
	"ebm/mdsm/ais"
	"ebm/mdsm/hmc"
	"ebm/mdsm/samples"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// likelihoodFlags are the flags of likelihood.
type likelihoodFlags struct {
	energyFlags
	pictureFlags
	partFlags
	points string
	out    string

	toys []string
	dims []int

	preset      string
	set         ais.Settings // what the flags said
	chains      int
	ratio       float64
	temperature float64
	asJSON      bool
}

func (f *likelihoodFlags) add(fs *pflag.FlagSet) {
	f.energyFlags.add(fs)
	f.pictureFlags.add(fs, "pictures whose density is measured (default: the test pictures of the model's data)")
	fs.IntVar(&f.count, "count", 64, "pictures to measure, each with a reverse chain; 0 for log Z alone")
	fs.StringVar(&f.points, "points", string(ais.Clean),
		"where the density is measured: clean (x, as in the paper), noisy (x + σ₀·n) or dequantised (x + (u − ½)/255)")
	fs.StringVar(&f.out, "out", "", "folder of likelihood.json and of the chains' states, with which a run that was stopped goes on "+
		"(default RUN/likelihood for a run)")
	fs.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	f.partFlags.add(fs, "folder (--out)")
	group(fs, "In place of a model", func(fs *pflag.FlagSet) {
		fs.StringSliceVar(&f.toys, "toy", nil, "densities whose log Z is known: "+strings.Join(energy.Toys(), ", "))
		fs.IntSliceVar(&f.dims, "dim", []int{2, 16, 128, 1024}, "numbers of dimensions")
	})
	group(fs, "The chains", f.addChains)
}

func (f *likelihoodFlags) addChains(fs *pflag.FlagSet) {
	fs.StringVar(&f.preset, "preset", "cheap", "work: cheap (1,000 distributions, 5 leapfrog steps) or paper (10,000, 10)")
	fs.IntVar(&f.set.Distributions, "distributions", 0, "distributions between the reference and the model (default: the preset's)")
	fs.IntVar(&f.set.Leapfrog, "hmc-steps", 0, "leapfrog steps in the transition at each distribution (default: the preset's)")
	fs.IntVar(&f.chains, "chains", 64, "forward chains")
	fs.Float64Var(&f.set.Reference.Sigma, "reference-sigma", 1, "standard deviation of the reference, a normal distribution around 0.5")
	fs.Float64Var(&f.ratio, "ratio", 0, "r of the ladder βₖ = (r^(k/M) − 1)/(r − 1), 1 for a linear one (default: reference-sigma²/σ₀²)")
	fs.Float64Var(&f.temperature, "temperature", 1, "T of the model, exp(−E/T)")
	fs.Uint64Var(&f.set.Seed, "seed", 0, "seed; chain i of a seed is the same whatever the number of chains or restarts")
}

func newLikelihood(a *app) *cobra.Command {
	var f likelihoodFlags
	cmd := &cobra.Command{
		Use:   "likelihood (--run REF | --toy NAME --dim N)",
		Short: "Estimate log Z and the density of pictures by annealed importance sampling",
		Long: `likelihood runs chains between a normal distribution and the model, in both
directions, with a transition of Hamiltonian Monte Carlo at each of many
distributions on the way.

Forward chains bound log Z from below in expectation. Reverse chains begin at
the pictures and give the paper's estimate of their density (mean of log p(x));
they bound log Z from above only where they begin with exact draws of the
model, as they do with --toy. Bits per dimension are for pixel values from 0 to
255. docs/validation.md says what exactly is measured, and how well.`,
		Example: `  ebm likelihood --run mnist16 --count 64 --out likelihood
  ebm likelihood --run runs/mnist --preset paper --points noisy
  ebm likelihood --toy gaussian,mixture --dim 2,1024`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (f.run == "") == (len(f.toys) == 0) {
				return usagef("want --run REF, the model, or --toy NAME, a known density")
			}
			if err := f.check(); err != nil {
				return err
			}
			if len(f.toys) > 0 {
				return f.measureToys(cmd.Context(), a)
			}
			return f.measure(cmd.Context(), a, cmd)
		},
	}
	f.add(cmd.Flags())
	return cmd
}

// check completes the settings by the preset's, and finds wrong usage.
func (f *likelihoodFlags) check() error {
	preset := ais.Cheap()
	switch f.preset {
	case "cheap":
	case "paper":
		preset = ais.Paper()
	default:
		return usagef("--preset %s, want cheap or paper", f.preset)
	}
	if f.set.Distributions == 0 {
		f.set.Distributions = preset.Distributions
	}
	if f.set.Leapfrog == 0 {
		f.set.Leapfrog = preset.Leapfrog
	}
	f.set.Target, f.set.StepSize, f.set.Reference.Mean = preset.Target, preset.StepSize, preset.Reference.Mean
	f.set.Temperature = f.temperature
	f.set.Ratio = f.ratio
	if f.ratio == 0 {
		f.set.Ratio = 1 // until the model is known
	}
	if err := f.set.Validate(); err != nil {
		return usageError{err}
	}
	if _, err := ais.ParsePoints(f.points); err != nil {
		return usageError{err}
	}
	if err := atLeast(least{"chains", float64(f.chains), 0}, least{"count", float64(f.count), 0}); err != nil {
		return err
	}
	if f.chains+f.count == 0 {
		return usagef("--chains 0 --count 0 leave nothing to do, want some chains or pictures")
	}
	return nil
}

// likelihood is what is printed and kept.
type likelihood struct {
	Model        string       `json:"model"`
	Settings     ais.Settings `json:"settings"`
	Dimensions   int          `json:"dimensions"`
	Sigma0       float64      `json:"sigma0,omitempty"`
	LogZ0        float64      `json:"reference_log_z"`
	Known        *float64     `json:"known_log_z,omitempty"`
	Forward      *ais.LogZ    `json:"forward,omitempty"`
	Reverse      *ais.LogZ    `json:"reverse,omitempty"`
	ReverseFrom  string       `json:"reverse_from,omitempty"`
	Points       string       `json:"points,omitempty"`
	PaperDensity *ais.Density `json:"density_reverse,omitempty"`
	Density      *ais.Density `json:"density_forward,omitempty"`
}

func (f *likelihoodFlags) measure(ctx context.Context, a *app, cmd *cobra.Command) error {
	share, err := f.share(a)
	if err != nil {
		return err
	}
	m, err := f.loadJumping(a)
	if err != nil {
		return err
	}
	if folder := assess.RunFolder(f.run); f.out == "" && folder != "" {
		f.out = filepath.Join(folder, "likelihood")
	}
	if f.images == "" && f.count > 0 {
		if m.Data == "" || m.Data == "folder" {
			return usagef("want --images X, the pictures to measure: the model does not say which data set it is of")
		}
		f.images = m.Data + ":test"
	}
	set := f.settings(m.Sigma0)
	r := likelihood{Model: f.run, Settings: set, Sigma0: m.Sigma0}
	var points *tensor.Tensor
	if f.count > 0 {
		x, err := f.pictures(ctx, a, m.Shape())
		if err != nil {
			return err
		}
		points = ais.Points(f.points).Of(x, m.Sigma0, set.Seed)
		r.Points, r.ReverseFrom = f.points, "pictures, so no bound: "+f.images
	}
	if f.out == "" && !share.Part.Whole() {
		return usagef("want --out DIR, the folder that parts share")
	}
	if f.out == "" {
		a.log("there is no --out: when this is stopped, it begins anew")
	}
	err = f.estimate(ctx, a, &r, m.Network, m.Weights, points, func(e *ais.Estimator) (func(), error) {
		if e.Share = share; f.out == "" {
			return func() {}, nil
		}
		key := e.Key()
		if points != nil {
			key += samples.HashOf(points)
		}
		return a.shared(cmd, share, f.out, fmt.Sprintf("%s %d", key, f.chains))
	})
	if err != nil {
		return a.finishedPart(err, share, f.out, f.asJSON)
	}
	if f.out != "" {
		if err := writeJSON(filepath.Join(f.out, "likelihood.json"), r); err != nil {
			return err
		}
	}
	if f.asJSON {
		return a.printJSON(r)
	}
	r.print(a)
	return nil
}

// settings returns the settings for a model with noise of σ₀.
func (f *likelihoodFlags) settings(sigma0 float64) ais.Settings {
	set := f.set
	if f.ratio == 0 {
		s := set.Reference.Sigma / sigma0
		set.Ratio = max(s*s, 1)
	}
	return set
}

// estimate runs the chains and fills in what they say, after begin has its say.
func (f *likelihoodFlags) estimate(ctx context.Context, a *app, r *likelihood, n energy.Network, w energy.Weights,
	points *tensor.Tensor, begin func(*ais.Estimator) (release func(), err error)) error {
	files, err := hmc.NewFiles(n, w, r.Settings.Reference, r.Settings.Leapfrog)
	if err != nil {
		return err
	}
	rt, err := a.runtime(ctx)
	if err != nil {
		return err
	}
	kernel, err := hmc.Load(rt, files)
	if err != nil {
		return err
	}
	defer kernel.Close()
	e, err := ais.New(kernel, r.Settings)
	if err != nil {
		return err
	}
	e.Progress, e.Dir, e.Log = a.progress(), f.out, a.log
	release, err := begin(e)
	if err != nil {
		return err
	}
	defer release()
	r.Dimensions, r.LogZ0 = tensor.Volume(n.InputShape()), e.LogZ0()
	m, err := e.Measure(ctx, f.chains, points, r.Points == "") // exact draws of a toy have no kind
	r.Forward, r.Reverse, r.PaperDensity, r.Density = m.Forward, m.Reverse, m.PaperDensity, m.Density
	return err
}

// alone begins chains that no others are joined with.
func alone(*ais.Estimator) (release func(), err error) { return func() {}, nil }

func (f *likelihoodFlags) measureToys(ctx context.Context, a *app) error {
	var all []likelihood
	for _, name := range f.toys {
		for _, dim := range f.dims {
			d, err := energy.Toy(name, dim)
			if err != nil {
				return usageError{err}
			}
			known := d.LogZ()
			r := likelihood{Model: name, Settings: f.settings(0.1), Known: &known, ReverseFrom: "exact draws"}
			if f.temperature != 1 {
				return usagef("--temperature %g: toys are known at temperature 1", f.temperature)
			}
			var points *tensor.Tensor
			if f.count > 0 {
				points = energy.Draws(d, f.count, rng.New(f.set.Seed))
			}
			if err := f.estimate(ctx, a, &r, energy.Known{Density: d}, nil, points, alone); err != nil {
				return fmt.Errorf("%s in %d dimensions: %w", name, dim, err)
			}
			all = append(all, r)
		}
	}
	if f.asJSON {
		return a.printJSON(all)
	}
	a.printf("density\tdim\tlog Z\tforward\t±\tlower bound\tESS\treverse\t±\tupper bound\tESS\n")
	for _, r := range all {
		a.printf("%s\t%d\t%.3f", r.Model, r.Dimensions, *r.Known)
		for _, z := range []*ais.LogZ{r.Forward, r.Reverse} {
			if z == nil {
				a.printf("\t-\t-\t-\t-")
				continue
			}
			a.printf("\t%.3f\t%.3f\t%.3f\t%.1f", z.Estimate.Value, z.Estimate.StdErr, z.Mean.Value, z.ESS)
		}
		a.printf("\n")
	}
	return nil
}

// print says a result in words.
func (r likelihood) print(a *app) {
	a.printf("%s\t%d dimensions, T = %g, %d distributions, %d leapfrog steps\n", r.Model, r.Dimensions, r.Settings.Temperature,
		r.Settings.Distributions, r.Settings.Leapfrog)
	nats := func(e ais.Estimate) string {
		return fmt.Sprintf("%.2f ± %.2f nats (95 %%: %.2f … %.2f)", e.Value, e.StdErr, e.Low, e.High)
	}
	shape := func(z *ais.LogZ) string {
		if z.Doubtful() {
			a.log("warning: the error bars of log Z are not to be believed, a few chains decide: its bounds, the means, hold; more distributions " +
				"or chains would mend it")
		}
		if z.Pareto == nil {
			return "unknown"
		}
		return fmt.Sprintf("%.2f", *z.Pareto)
	}
	bits := func(e ais.Estimate) string { return fmt.Sprintf("%.4f ± %.4f bits/dim", e.Value, e.StdErr) }
	if z := r.Forward; z != nil {
		a.printf("log Z, forward\t%s\tESS %.1f of %d chains, Pareto k %s, acceptance %.2f\n", nats(z.Estimate), z.ESS,
			z.Chains, shape(z), z.Acceptance)
		a.printf("lower bound\t%s\n", nats(z.Mean))
	}
	if z := r.Reverse; z != nil {
		a.printf("log Z, reverse\t%s\tESS %.1f of %d chains, Pareto k %s, acceptance %.2f, from %s\n", nats(z.Estimate), z.ESS, z.Chains,
			shape(z), z.Acceptance, r.ReverseFrom)
		a.printf("mean, reverse\t%s\n", nats(z.Mean))
	}
	if d := r.PaperDensity; d != nil {
		a.printf("log p(x), reverse (the paper's)\t%s\t%s\tof %d points, %s; pixel values 0…255\n", nats(d.LogDensity),
			bits(d.BitsPerDim), d.Points, r.Points)
		a.printf("log of mean p(x), reverse\t%.2f nats\n", d.LogMean)
	}
	if d := r.Density; d != nil {
		a.printf("log p(x), forward log Z\t%s\t%s\n", nats(d.LogDensity), bits(d.BitsPerDim))
	}
}

// writeJSON writes a result as a file, in a folder that is made if it is not
// there. Numbers that are not finite are null.
func writeJSON(path string, v any) error {
	if err := atomicfile.MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	data, _, err := finiteJSON(v)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, append(data, '\n'))
}
