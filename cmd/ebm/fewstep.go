package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"ebm"
	"ebm/mdsm"
	"ebm/mdsm/langevin"
	"ebm/mdsm/mcmc"
)

// fewStepFlags are the flags of samplers of few evaluations.
type fewStepFlags struct {
	fast   bool
	levels int
}

func (f *fewStepFlags) add(fs *pflag.FlagSet) {
	fs.BoolVar(&f.fast, "fast", false, "70 evaluations in place of 2,701: ancestral steps from the largest noise level, then a short annealed chain")
	fs.IntVar(&f.levels, "levels", 30, "steps of ancestral and ddim, from the largest noise level of the training to σ₀")
}

// rule is a way from a noise level to a lower one.
type rule struct {
	name string
	step func(a, b, sigma0 float64) mdsm.Update
}

func rules() []rule { return []rule{{"ancestral", mdsm.Ancestral}, {"ddim", mdsm.DDIM}} }

// samplerNames are the values of --sampler.
func samplerNames() []string {
	names := []string{string(mcmc.Langevin)}
	for _, r := range rules() {
		names = append(names, r.name)
	}
	return append(names, string(mcmc.MALA), string(mcmc.HMC))
}

// rule returns that of --sampler; ok is false for samplers that are none.
func (f *sampleFlags) rule() (r rule, ok bool) {
	i := slices.IndexFunc(rules(), func(r rule) bool { return r.name == f.sampler })
	if i < 0 {
		return r, false
	}
	return rules()[i], true
}

// checkFew finds wrong usage of samplers of few evaluations.
func (f *sampleFlags) checkFew() error {
	_, few := f.rule()
	switch {
	case !slices.Contains(samplerNames(), f.sampler):
		return usagef("--sampler: unknown sampler %q, want one of %s", f.sampler, strings.Join(samplerNames(), ", "))
	case f.fast && f.sampler != string(mcmc.Langevin):
		return usagef("--fast has a sampler of its own, want it without --sampler %s", f.sampler)
	case !few && !f.fast:
		return nil
	case f.draws > 1:
		return usagef("--draws %d, want chains of langevin, mala or hmc for several draws of each", f.draws)
	case f.start != "noise":
		return usagef("--start %s, want chains of langevin, mala or hmc, since others begin with noise", f.start)
	}
	return atLeast(least{"levels", float64(f.levels), 1})
}

// few changes settings to a sampler of few evaluations of a model, if one is asked
// for: chains begin with noise of the largest level of the training.
func (f *sampleFlags) few(set *langevin.Settings, m *ebm.Model) (err error) {
	r, ok := f.rule()
	switch {
	case (f.fast || ok) && m.Sigma0 == 0:
		return usagef("%s does not say its σ₀, want --sigma0 for samplers of few evaluations", f.run)
	case f.fast:
		set.Updates, err = mdsm.FastSteps(m.SigmaMax, m.Sigma0)
	case ok:
		set.Updates, err = mdsm.FewSteps(r.step, m.SigmaMax, m.Sigma0, m.Sigma0, f.levels)
	default:
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	set.Start.Sigma = m.SigmaMax
	if set.Watch.Chains > 0 {
		set.Watch.Snapshots = langevin.Snapshots(12, len(set.Updates))
	}
	return nil
}
