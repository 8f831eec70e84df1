package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm"
	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/mdsm/langevin"
	"ebm/mdsm/mcmc"
	"ebm/mdsm/restore"
	"ebm/models/tensor"
)

type restoreFlags struct {
	energyFlags
	pictureFlags
	scheduleFlags
	fewStepFlags
	taskFlags
	partFlags
	measured string
	noise    float64
	exact    bool
	samples  int
	out      string
	rows     int
	asJSON   bool
}

func (f *restoreFlags) add(fs *pflag.FlagSet) {
	f.energyFlags.add(fs)
	f.pictureFlags.add(fs, "pictures that are measured, and that results are compared with")
	f.addCount(fs, 8)
	fs.StringVar(&f.measured, "measured", "", "in place of --images, measurements of pictures that are not known: .npy of floats [N M]")
	fs.Float64Var(&f.noise, "noise", 0, "σ_y, the standard deviation of the measurements' noise, which --images get")
	fs.IntVar(&f.samples, "samples", 4, "samples of each picture")
	fs.StringVar(&f.out, "out", "", "folder of the results, made if it is not there")
	fs.Uint64Var(&f.seed, "seed", 0, "seed; sample k of picture i is the same whatever the batch")
	fs.IntVar(&f.batch, "batch", 0, "samples computed at once (default: as many as the threads take)")
	fs.IntVar(&f.rows, "rows", 16, "pictures in restore.png")
	fs.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	f.partFlags.add(fs, "folder (--out)")
	group(fs, "What was measured", f.taskFlags.add)
	fs.StringVar(&f.sampler, "sampler", "fast", "fast (few evaluations, as sample --fast), langevin, or one of "+langevin.MethodNames())
	fs.BoolVar(&f.exact, "exact", false, "with --sampler langevin, draw of exp(−E(x) − ‖y − Ax‖²/2σ_y²) itself, at temperature 1 and "+
		"without a jump")
	group(fs, "The chains", f.addSchedule)
	group(fs, "Few evaluations", f.fewStepFlags.add)
}

func newRestore(a *app) *cobra.Command {
	var f restoreFlags
	cmd := &cobra.Command{
		Use:   "restore --run REF --images X --task T --out DIR",
		Short: "Samples of pictures of which only y = A x + noise was measured",
		Long: `restore draws pictures that agree with a measurement and with the energy: hidden or
missing pixels, a lower resolution, blur, random projections, lost colours, or any
matrix. Pictures given by --images are measured first, and what is restored is
compared with them; --measured takes measurements of pictures that nobody knows.
It writes

  restore.png     a row for each picture: it, its measurement (by the pseudo-inverse),
                  samples, their mean, their standard deviation (three times)
  samples.npy     float32 [pictures·samples C H W], those of a picture one after another
  mean.npy        float32 [pictures C H W], and deviation.npy
  measured.npy    float64 [pictures M]
  restore.json    signal-to-noise ratios (PSNR) of a sample, of the mean, of the
                  pseudo-inverse, and how far samples are from their measurements

Samples differ where the measurement leaves something open; their mean is the best
single guess. A run that was stopped goes on with the same command.`,
		Example: `  ebm restore --run mnist16 --images mnist:test --task superres --factor 2 --out larger
  ebm restore --run mnist16 --images mnist:test --task deblur --blur gaussian:1.5 --noise 0.05 --out sharp
  ebm restore --run runs/cifar --images photos/ --task compressed --keep 0.25 --samples 8 --out restored
  ebm restore --run mnist16 --measured y.npy --task matrix --matrix a.npy --noise 0.1 --out restored`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return f.restore(cmd.Context(), a, cmd)
		},
	}
	f.add(cmd.Flags())
	return cmd
}

// check finds wrong usage.
func (f *restoreFlags) check() error {
	switch {
	case f.run == "" || f.out == "" || (f.images == "") == (f.measured == ""):
		return usagef("want --run REF, --images X or --measured Y.npy, --task T and --out DIR")
	case !(f.noise >= 0) || math.IsInf(f.noise, 0):
		return usagef("--noise %g, want a standard deviation from 0", f.noise)
	}
	if err := f.taskFlags.check(); err != nil {
		return err
	}
	err := atLeast(least{"count", float64(f.count), 0}, least{"samples", float64(f.samples), 1}, least{"rows", float64(f.rows), 1})
	if err != nil {
		return err
	}
	if f.sampler == "fast" {
		f.sampler, f.fast = string(mcmc.Langevin), true
	}
	if f.exact && f.isFew() {
		return usagef("--exact, want it with --sampler langevin")
	}
	return f.fewStepFlags.check()
}

// restored is what is printed and kept.
type restored struct {
	Path      string            `json:"path"`
	Model     string            `json:"model"`
	Images    string            `json:"images,omitempty"`
	Task      string            `json:"task"`
	Operator  string            `json:"operator"`
	Measured  int               `json:"measurements"` // of each picture
	Rank      int               `json:"rank"`
	Noise     float64           `json:"noise"`
	Samples   int               `json:"samples"`
	Seed      uint64            `json:"seed"`
	Schedule  langevin.Schedule `json:"schedule"`
	StepSize  float64           `json:"step_size"`
	Recipe    *langevin.Recipe  `json:"recipe,omitempty"` // in place of the schedule
	Exact     bool              `json:"exact"`
	Residual  float64           `json:"residual"`  // root mean square of Ax − y of samples
	Deviation float64           `json:"deviation"` // root mean square of the samples' standard deviations
	Quality   *quality          `json:"quality,omitempty"`
}

// quality compares with pictures that are known, as means over them.
type quality struct {
	PSNR        float64  `json:"psnr_sample"`
	PSNROfMean  float64  `json:"psnr_mean"`
	PSNRInverse float64  `json:"psnr_inverse"`
	PSNRBicubic *float64 `json:"psnr_bicubic,omitempty"`
	// Agreement is the share of samples to which the shipped classifier gives the
	// class of their picture, AgreementInverse that of pseudo-inverses.
	Agreement        *float64 `json:"agreement,omitempty"`
	AgreementInverse *float64 `json:"agreement_inverse,omitempty"`
}

func (f *restoreFlags) restore(ctx context.Context, a *app, cmd *cobra.Command) error {
	share, err := f.share(a)
	if err != nil {
		return err
	}
	m, err := f.loadJumping(a)
	if err != nil {
		return err
	}
	frame := restore.Frame{Shape: m.Shape(), Pad: m.Pad}
	if err := frame.Check(); err != nil {
		return fmt.Errorf("%s: %w", f.run, err)
	}
	set, err := f.settings(1)
	if err != nil {
		return err
	}
	recipe, err := f.apply(&set, m)
	if err != nil {
		return err
	}
	chains, err := f.chains(set)
	if err != nil {
		return err
	}
	operator, err := f.operator(frame)
	if err != nil {
		return err
	}
	var known *tensor.Tensor
	if f.images != "" {
		if known, err = f.pictures(ctx, a, frame.Shape); err != nil {
			return err
		}
	}
	problem, err := f.problem(operator, known)
	if err != nil {
		return err
	}
	chains.Share = share
	var x *tensor.Tensor
	var release func()
	if fill := problem.Fill(f.samples); fill != nil && !f.exact {
		set.Fill = fill
		x, release, err = a.fill(ctx, m, set, share, f.out, cmd)
	} else {
		x, release, err = f.draw(ctx, a, m, problem, chains, cmd)
	}
	if err != nil {
		return a.finishedPart(err, share, f.out, f.asJSON)
	}
	defer release()
	r := restored{
		Path: f.out, Model: f.run, Images: f.images, Task: f.task, Operator: operator.Name, Measured: operator.Rows,
		Rank: operator.Rank(), Noise: f.noise,
		Samples: f.samples, Seed: f.seed, Schedule: set.Schedule, StepSize: set.StepSize, Recipe: recipe, Exact: f.exact,
	}
	v := newView(frame, problem, known, x, f.samples)
	r.Residual, r.Deviation = v.residual(), v.spread()
	if known != nil {
		if r.Quality, err = f.judge(ctx, a, m, v); err != nil {
			return err
		}
	}
	if err := f.write(r, v); err != nil {
		return err
	}
	if f.asJSON {
		return a.printJSON(r)
	}
	a.printf("%s\t%d pictures, %d samples each\tresidual %.3g", filepath.Join(f.out, "restore.png"), v.count(), f.samples, r.Residual)
	if q := r.Quality; q != nil {
		a.printf("\tPSNR %.2f dB, of the mean %.2f, of the pseudo-inverse %.2f", q.PSNR, q.PSNROfMean, q.PSNRInverse)
	}
	a.printf("\n")
	return nil
}

// chains returns the updates of settings.
func (f *restoreFlags) chains(set langevin.Settings) (restore.Settings, error) {
	r := restore.Settings{
		Updates: set.Updates, Exact: f.exact, Mean: set.Start.Mean, Spread: set.Start.Sigma, Samples: f.samples, Seed: f.seed, Batch: f.batch,
		Dir: filepath.Join(f.out, "chains"),
	}
	if len(r.Updates) > 0 {
		return r, nil
	}
	lowest := 0.0
	if f.exact {
		lowest = 1
	}
	var err error
	r.Updates, err = set.Schedule.Above(lowest, set.StepSize)
	return r, err
}

// problem measures the known pictures, or reads what was measured.
func (f *restoreFlags) problem(a *restore.Operator, known *tensor.Tensor) (restore.Problem, error) {
	if known != nil {
		return restore.Measure(a, known, f.noise, f.seed)
	}
	if _, err := atomicfile.CheckSum(f.measured); err != nil {
		return restore.Problem{}, err
	}
	y, err := npz.ReadNpyFile(f.measured)
	if err != nil {
		return restore.Problem{}, err
	}
	p := restore.Problem{Operator: a, Measured: y, Sigma: f.noise}
	if err := p.Check(); err != nil {
		return p, fmt.Errorf("%s: %w", f.measured, err)
	}
	return p, nil
}

// draw runs the chains, after which the folder is the process's until release.
func (f *restoreFlags) draw(ctx context.Context, a *app, m *ebm.Model, p restore.Problem, set restore.Settings,
	cmd *cobra.Command) (x *tensor.Tensor, release func(), err error) {
	rt, err := a.runtime(ctx)
	if err != nil {
		return nil, nil, err
	}
	files, err := restore.NewFiles(m.Network, m.Weights, p.Operator, m.Sigma0)
	if err != nil {
		return nil, nil, err
	}
	s, err := restore.New(rt, files, p.Operator, m.Sigma0)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", f.run, err)
	}
	defer s.Close()
	if release, err = a.shared(cmd, set.Share, f.out, s.Key(p, set)); err != nil {
		return nil, nil, err
	}
	s.Progress, set.Log = a.progress(), a.log
	if x, err = s.Run(ctx, p, set); err != nil {
		release()
	}
	return x, release, err
}

// judge compares with the pictures that are known.
func (f *restoreFlags) judge(ctx context.Context, a *app, m *ebm.Model, v *view) (*quality, error) {
	q := &quality{PSNR: v.psnr(v.x), PSNROfMean: v.psnr(v.mean), PSNRInverse: v.psnr(v.inverse)}
	if f.task == superres {
		bicubic := v.psnr(v.larger(f.factor))
		q.PSNRBicubic = &bicubic
	}
	classes, err := f.classes(ctx, a, m, v.known, v.x, v.inverse)
	if err != nil || classes == nil {
		return q, err
	}
	of, inverse := agreement(classes[0], classes[1]), agreement(classes[0], classes[2])
	q.Agreement, q.AgreementInverse = &of, &inverse
	return q, nil
}

// write leaves the results, without the padding of the model's pictures.
func (f *restoreFlags) write(r restored, v *view) error {
	for _, file := range []struct {
		name string
		x    *tensor.Tensor
	}{{"samples.npy", v.cropped(v.x)}, {"mean.npy", v.cropped(v.mean)}, {"deviation.npy", v.cropped(v.deviation)},
		{"measured.npy", v.problem.Measured}} {
		err := atomicfile.WriteSealed(filepath.Join(f.out, file.name), func(w io.Writer) error { return npz.WriteNpy(w, file.x) })
		if err != nil {
			return err
		}
	}
	grid, rows := v.grid(f.rows)
	err := atomicfile.Write(filepath.Join(f.out, "restore.png"), func(w io.Writer) error { return grid.WritePNG(w, rows) })
	if err != nil {
		return err
	}
	return writeJSON(filepath.Join(f.out, "restore.json"), r)
}
