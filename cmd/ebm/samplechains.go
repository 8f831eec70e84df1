package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"

	"github.com/spf13/pflag"

	"ebm"
	"ebm/mdsm/hmc"
	"ebm/mdsm/langevin"
	"ebm/mdsm/mcmc"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
)

// chainFlags are the flags of sample for other samplers than annealed Langevin,
// for chains of several draws, and for where chains begin.
type chainFlags struct {
	leapfrog   int
	target     float64
	draws      int
	warmup     int
	thin       int
	jump       bool
	start      string
	startNoise float64
	data       string
}

func (f *chainFlags) add(fs *pflag.FlagSet) {
	fs.IntVar(&f.leapfrog, "hmc-steps", 10, "leapfrog steps of a transition of hmc")
	fs.Float64Var(&f.target, "target", 0, fmt.Sprintf("acceptance that mala and hmc adapt their steps to (default %g and %g)",
		hmc.TargetMALA, hmc.TargetHMC))
	fs.IntVar(&f.draws, "draws", 1, "samples of each chain; with more than one, chains go on at T = 1")
	fs.IntVar(&f.warmup, "warmup", 500, "transitions at T = 1 before the draws of mala, hmc and chains of several draws")
	fs.IntVar(&f.thin, "thin", 10, "transitions for each draw")
	fs.BoolVar(&f.jump, "jump", false, "mala and hmc: make the denoising jump after every draw, which takes away noise of σ₀")
	fs.StringVar(&f.start, "start", "noise", "where chains begin: noise (0.5 + n), or pictures such as mnist:train, a folder or an .npy")
	fs.Float64Var(&f.startNoise, "start-noise", -1, "standard deviation of the noise on pictures that chains begin at (default σ₀)")
	fs.StringVar(&f.data, "data", "", "folder of the data set that --start names, if it is not found by itself")
}

// persistent reports whether package mcmc runs the chains.
func (f *sampleFlags) persistent() bool {
	return f.sampler == string(mcmc.MALA) || f.sampler == string(mcmc.HMC) || f.draws > 1
}

// check finds wrong usage.
func (f *chainFlags) check() error {
	if err := atLeast(least{"draws", float64(f.draws), 1}, least{"warmup", float64(f.warmup), 0}, least{"thin", float64(f.thin), 1},
		least{"hmc-steps", float64(f.leapfrog), 1}); err != nil {
		return err
	}
	if !(f.target >= 0 && f.target < 1) {
		return usagef("--target %g, want an acceptance from 0 to below 1", f.target)
	}
	if math.IsInf(f.startNoise, 0) || math.IsNaN(f.startNoise) {
		return usagef("--start-noise %g, want a finite number", f.startNoise)
	}
	return nil
}

// from returns the points that chains begin at, and the noise on them; nil for
// noise alone.
func (f *chainFlags) from(ctx context.Context, a *app, shape []int, sigma0 float64) (*tensor.Tensor, float64, error) {
	if f.start == "noise" {
		return nil, 0, nil
	}
	start := pictureFlags{images: f.start, data: f.data}
	x, err := start.pictures(ctx, a, shape)
	if f.startNoise >= 0 {
		sigma0 = f.startNoise
	}
	return x, sigma0, err
}

// chains draws samples by Markov chains into the folder.
func (f *sampleFlags) chains(ctx context.Context, a *app, m *ebm.Model, plain langevin.Settings) error {
	set, err := f.chainSettings(ctx, a, m, plain)
	if err != nil {
		return err
	}
	files, err := mcmc.NewFiles(m.Network, m.Weights, m.Sigma0, set.Leapfrog)
	if err != nil {
		return err
	}
	rt, err := a.runtime(ctx)
	if err != nil {
		return err
	}
	sampler, err := mcmc.New(rt, files)
	if err != nil {
		return fmt.Errorf("%s: %w", f.run, err)
	}
	defer sampler.Close()
	sampler.Progress = a.progress()
	w, err := sampler.Write(ctx, set, f.folder(a, m))
	if err != nil {
		return err
	}
	return f.printChains(a, w)
}

// chainSettings returns the settings of the chains, which are plain but for what
// chains of several draws have beside them.
func (f *sampleFlags) chainSettings(ctx context.Context, a *app, m *ebm.Model, plain langevin.Settings) (mcmc.Settings, error) {
	if f.count%f.draws != 0 {
		return mcmc.Settings{}, usagef("--count %d, want a multiple of --draws %d", f.count, f.draws)
	}
	set := mcmc.Default(mcmc.Method(f.sampler), plain.Count/f.draws)
	set.First = plain.First / f.draws
	set.StepSize, set.Seed, set.Batch, set.Raw = f.stepSize, f.seed, f.batch, plain.Raw
	set.Warmup, set.Draws, set.Thin = f.warmup, f.draws, f.thin
	if set.Method != mcmc.Langevin { // their draws follow exp(−E) as they are
		set.Raw = !f.jump
		if f.jump {
			if err := m.KnowsSigma0(); err != nil {
				return set, err
			}
		}
	}
	if set.Method == mcmc.HMC {
		set.Leapfrog = f.leapfrog
		set.Target = hmc.Target(f.leapfrog)
	}
	if f.target > 0 && set.Method != mcmc.Langevin {
		set.Target = f.target
	}
	set.Temperature = plain.Schedule.Cool
	var err error
	if set.Start.From, set.Start.Sigma, err = f.from(ctx, a, m.Shape(), m.Sigma0); err != nil {
		return set, err
	}
	if set.Start.From == nil { // from noise, chains cool down first
		set.Start.Sigma = plain.Start.Sigma
		temperatures, err := plain.Schedule.Temperatures()
		if err != nil {
			return set, err
		}
		for _, t := range temperatures {
			if !(t > plain.Schedule.Cool) {
				break
			}
			set.Anneal = append(set.Anneal, t)
		}
	}
	if err := set.Validate(); err != nil {
		return set, usageError{err}
	}
	return set, nil
}

// printChains prints what was drawn, and how good it is.
func (f *sampleFlags) printChains(a *app, w samples.Written) error {
	r, err := mcmc.ReadReport(f.out)
	if err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(f.out, "diagnostics.json"), r); err != nil {
		return err
	}
	if f.asJSON {
		return a.printJSON(map[string]any{"path": w.Path, "count": w.Count, "made": w.Made, "reused": w.Reused, "diagnostics": r})
	}
	a.printf("%s\t%d samples\t%d drawn now\n", w.Path, w.Count, w.Made)
	a.printf("%d chains of %d draws\tacceptance %.3f\tstep size %.4g\t%d divergent\n", r.Chains, r.Draws, r.Acceptance,
		r.StepSize, r.Divergent)
	if d := r.Energy; d != nil {
		a.printf("energy\t%.3f ± %.3f\tR-hat %.3f\tESS %.0f bulk, %.0f tail\n", d.Mean, d.StdErr, d.RHat, d.Bulk, d.Tail)
	}
	if r.Values > 0 {
		a.printf("worst of %d pixels\t\tR-hat %.3f\tESS %.0f bulk, %.0f tail\n", r.Values, r.RHat, r.Bulk, r.Tail)
	}
	return nil
}
