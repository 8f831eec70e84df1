package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"ebm"
	"ebm/mdsm/langevin"
	"ebm/mdsm/mcmc"
)

// fewStepFlags are the flags of samplers of few evaluations. The command adds
// --sampler, with the samplers that it has.
type fewStepFlags struct {
	sampler     string
	fast        bool
	evaluations int
	recipe      string
	levels      int
	corrector   int
	tail        int
}

func (f *fewStepFlags) add(fs *pflag.FlagSet) {
	fs.BoolVar(&f.fast, "fast", false, "few evaluations in place of the paper's 2,701: what ebm tune-sampler found, for the model or in "+
		"general")
	fs.IntVar(&f.evaluations, "evaluations", 70, "with --fast, evaluations of the score for a sample at most")
	fs.StringVar(&f.recipe, "recipe", "", "a file of ebm tune-sampler to take --fast from")
	fs.IntVar(&f.levels, "levels", 30, "steps of such a --sampler, from the largest noise level of the training to σ₀")
	fs.IntVar(&f.corrector, "corrector", 0, "Langevin steps after each of them")
	fs.IntVar(&f.tail, "tail", 0, "Langevin steps at the end in which the temperature falls to 0")
}

// method returns that of --sampler, "" for samplers that are none.
func (f *fewStepFlags) method() langevin.Method {
	if m := langevin.Method(f.sampler); slices.Contains(langevin.Methods(), m) {
		return m
	}
	return ""
}

// check finds wrong usage. others are the samplers of the command beside langevin
// and those of few evaluations.
func (f *fewStepFlags) check(others ...string) error {
	names := append([]string{string(mcmc.Langevin)}, strings.Split(langevin.MethodNames(), ", ")...)
	names = append(names, others...)
	switch {
	case !slices.Contains(names, f.sampler):
		return usagef("--sampler: unknown sampler %q, want one of %s", f.sampler, strings.Join(names, ", "))
	case f.fast && f.sampler != string(mcmc.Langevin):
		return usagef("--fast has a sampler of its own, want it without --sampler %s", f.sampler)
	case f.recipe != "" && f.sampler != string(mcmc.Langevin):
		return usagef("--recipe %s has a sampler of its own, want it without --sampler %s", f.recipe, f.sampler)
	}
	return atLeast(least{"levels", float64(f.levels), 1}, least{"evaluations", float64(f.evaluations), 2},
		least{"corrector", float64(f.corrector), 0}, least{"tail", float64(f.tail), 0})
}

// isFew reports whether a sampler of few evaluations is asked for.
func (f *fewStepFlags) isFew() bool { return f.fast || f.recipe != "" || f.method() != "" }

// few returns the sampler of few evaluations of a model, nil if none is asked for.
func (f *fewStepFlags) few(m *ebm.Model) (*langevin.Recipe, error) {
	var r langevin.Recipe
	var err error
	switch {
	case f.isFew() && !m.Annealed():
		return nil, usagef("%s was trained by %s, which samplers of few evaluations are not for", m.Name, m.TrainedBy)
	case f.isFew() && m.Sigma0 == 0:
		return nil, usagef("%s does not say its σ₀, want --sigma0 for samplers of few evaluations", m.Name)
	case f.recipe != "":
		r, err = f.read()
	case f.fast:
		r, err = m.Recipe(f.evaluations)
	case f.method() != "":
		r = langevin.NewRecipe(f.method(), f.levels)
		r.Corrector, r.Freeze = f.corrector, f.tail
	default:
		return nil, nil
	}
	return &r, err
}

// apply changes settings to the sampler of few evaluations of a model, if one is asked
// for, and returns it.
func (f *fewStepFlags) apply(set *langevin.Settings, m *ebm.Model) (*langevin.Recipe, error) {
	r, err := f.few(m)
	if r == nil || err != nil {
		return nil, err
	}
	if set.Updates, err = r.Updates(m.SigmaMax, m.Sigma0); err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	set.Start = r.Start(m.SigmaMax)
	return r, nil
}

// read returns what --recipe has.
func (f *fewStepFlags) read() (langevin.Recipe, error) {
	found, err := langevin.ReadTuned(f.recipe)
	if err != nil {
		return langevin.Recipe{}, err
	}
	r, ok := found.Within(f.evaluations)
	if !ok {
		return r, fmt.Errorf("%s has no sampler of %d evaluations or fewer", f.recipe, f.evaluations)
	}
	return r, nil
}

// checkStart finds wrong usage of samplers of few evaluations in chains.
func (f *sampleFlags) checkStart() error {
	switch {
	case f.sampler == langevin.TemperingName && f.draws > 1:
		return usagef("--draws %d with tempering, want chains of langevin, mala or hmc for several draws of each", f.draws)
	case !f.isFew():
		return nil
	case f.draws > 1:
		return usagef("--draws %d, want chains of langevin, mala or hmc for several draws of each", f.draws)
	case f.start != "noise":
		return usagef("--start %s, want chains of langevin, mala or hmc, since others begin with noise", f.start)
	}
	return nil
}
