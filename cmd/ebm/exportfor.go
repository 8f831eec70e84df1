package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"ebm"
	"ebm/export"
	"ebm/export/bundle"
	"ebm/mdsm"
	"ebm/mdsm/langevin"
	"ebm/mdsm/mcmc"
	"ebm/models/graph"
)

// otherFlags say what is written for which other program.
type otherFlags struct {
	fewStepFlags
	target   string
	name     string
	steps    int
	stepSize float64
	seed     uint32
	draw     bool
	page     pageFlags
}

func (f *otherFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.target, "for", "", "another program to write for: "+strings.Join(targetNames(), ", "))
	fs.StringVar(&f.sampler, "sampler", string(mcmc.Langevin),
		"what sampler.onnx and generator.onnx are of: langevin, steps of eq. (8) for the sampler and the paper's chain for the generator, or "+
			"whole chains of "+langevin.MethodNames())
	group(fs, "Chains of few evaluations", f.fewStepFlags.add)
	group(fs, "With --for", func(fs *pflag.FlagSet) {
		fs.StringVar(&f.name, "name", "", "the model's name in files (default: from its reference)")
	})
	group(fs, "With --for torch-fidelity, page", f.addChain)
	fs.BoolVar(&f.draw, "draw-noise", false, "have sampler.onnx draw its noise itself, each sample's by its index, the step's and "+
		"--seed alone, whatever the batch")
	group(fs, "With --draw-noise, --for torch-fidelity", func(fs *pflag.FlagSet) {
		fs.Uint32Var(&f.seed, "seed", 0, "seed of the noise, below 2^24")
	})
	group(fs, "With --for page", f.page.add)
}

func (f *otherFlags) addChain(fs *pflag.FlagSet) {
	defaults := langevin.Default(1)
	fs.IntVar(&f.steps, "steps", defaults.Schedule.Steps, "Langevin steps of the chain")
	fs.Float64Var(&f.stepSize, "step-size", defaults.StepSize, "the step size ε in units of x")
}

// forAlone are the flags that mean something with --for alone, with the targets
// that they belong to, none for all.
func forAlone() map[string][]string {
	chain, page := []string{"torch-fidelity", "page"}, []string{"page"}
	return map[string][]string{
		"name": nil, "steps": chain, "step-size": chain, "seed": {"torch-fidelity"},
		"precision": page, "webgpu": page, "images": page, "data": page, "mask": page,
	}
}

// check refuses flags that mean nothing without --for, or for its target.
func (f *otherFlags) check(fs *pflag.FlagSet) error {
	if err := f.fewStepFlags.check(); err != nil {
		return err
	}
	if fs.Changed("name") {
		if err := bundle.CheckName(f.name); err != nil {
			return usagef("--%w", err)
		}
	}
	if f.draw && f.target != "" {
		return usagef("--draw-noise and --for exclude each other: it is sampler.onnx that draws")
	}
	of := forAlone()
	for _, name := range slices.Sorted(maps.Keys(of)) {
		switch {
		case !fs.Changed(name), name == "seed" && f.draw:
		case f.target == "":
			return usagef("--%s belongs to --for", name)
		case len(of[name]) > 0 && !slices.Contains(of[name], f.target):
			return usagef("--%s belongs to --for %s", name, strings.Join(of[name], " and "))
		}
	}
	return f.page.check()
}

func targetNames() []string {
	var names []string
	for _, t := range bundle.Targets() {
		names = append(names, t.Name)
	}
	return names
}

func targetHelp() string {
	var b strings.Builder
	for _, t := range bundle.Targets() {
		fmt.Fprintf(&b, "  %-15s %s\n", t.Name, t.About)
		if len(t.Kinds) > 0 {
			fmt.Fprintf(&b, "  %-15s (%s unless --kinds says otherwise)\n", "", strings.Join(t.Kinds, ", "))
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// exportFor writes a model for another program and prints the files, the
// errors of reduced precision, and a command that uses what was written.
func exportFor(ctx context.Context, a *app, flags modelFlags, other otherFlags, out string, kinds []string, batch int, asJSON bool) error {
	target, err := bundle.Find(other.target)
	if err == nil {
		err = target.Check(kinds)
	}
	if err != nil {
		return usageError{err}
	}
	chain, err := other.chain()
	if err != nil {
		return usageError{err}
	}
	flags.any = target.Any
	m, err := flags.load(a)
	if err != nil {
		return err
	}
	o := bundle.Options{Kinds: kinds, Batch: batch, Seed: other.seed, Progress: a.progress()}
	if target.Measures {
		if o.Runtime, err = a.runtime(ctx); err != nil {
			return err
		}
	}
	if m.Sampler, err = other.few(m); err != nil {
		return err
	}
	if target.File {
		if !strings.HasSuffix(out, ".html") {
			return usagef("--out %s, want FILE.html for --for %s", out, target.Name)
		}
		if o.Page, err = other.page.options(ctx, a, m, m.Sampler, chain); err != nil {
			return err
		}
	}
	if m.Sampler != nil {
		if chain, err = m.Chain(*m.Sampler); err != nil {
			return err
		}
	}
	chain.Sigma0, chain.Pad = m.Sigma0, m.Pad
	result, err := target.Write(ctx, out, source(m, other.name, chain), o)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(result)
	}
	for _, f := range result.Files {
		a.printf("%s\t%d bytes\n", f.Path, f.Bytes)
	}
	for _, d := range result.Errors {
		a.printf("%s of %s.onnx differs from float32: %v\n", d.Output, d.Kind, d)
	}
	if result.Use != "" {
		a.log("use it by:  " + result.Use)
	}
	return nil
}

// chain returns the chain of a generator, but for what the model says.
func (f *otherFlags) chain() (mdsm.Chain, error) {
	if f.seed >= export.MaxSeed {
		return mdsm.Chain{}, fmt.Errorf("--seed %d, want a number below 2^24, since ONNX keeps seeds as float32", f.seed)
	}
	s := langevin.Default(1)
	s.Schedule.Steps, s.StepSize = f.steps, f.stepSize
	return chainOf(s)
}

// chainOf returns the chain of settings, but for what a model says.
func chainOf(s langevin.Settings) (mdsm.Chain, error) {
	if err := s.Validate(); err != nil {
		return mdsm.Chain{}, err
	}
	temperatures, err := s.Schedule.Temperatures()
	return mdsm.Chain{Mean: s.Start.Mean, Sigma: s.Start.Sigma, Updates: langevin.At(s.StepSize, temperatures)}, err
}

// source describes a model to the packages that write it for others.
func source(m *ebm.Model, name string, chain mdsm.Chain) bundle.Source {
	if name == "" {
		name = bundle.NameOf(m.Name)
	}
	return bundle.Source{
		Name: name, Network: m.Network, Weights: m.Set(), Sigma0: m.Sigma0, Pad: m.Pad, Metadata: m.Metadata(),
		Graph: func(kind string) (*graph.Graph, export.Options, error) {
			k, err := ebm.ParseKind(kind)
			if err != nil {
				return nil, export.Options{}, err
			}
			g, err := m.Graph(k)
			return g, m.ExportOptions(k, 0), err
		},
		Score:     func() ([]byte, error) { return m.ONNX(ebm.ScoreKind) },
		Generator: func() (*graph.Graph, error) { return mdsm.GeneratorGraph(m.Network, m.Weights, chain) },
	}
}
