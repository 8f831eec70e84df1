package main

import (
	"github.com/spf13/pflag"

	"ebm"
)

// energyFlags say which model, of any form, a command takes.
type energyFlags struct {
	run    string
	sigma0 float64
	checkpointFlags
	foreignFlags
}

// foreignFlags say what in an ONNX file of another program is the energy.
type foreignFlags struct {
	functionFlags
	sizes, values []string
}

func (f *energyFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.run, "run", "", "the model: a run's folder, one of its checkpoints, a file of weights, a shipped model, or a "+
		"score.onnx or energy.onnx")
	f.checkpointFlags.add(fs)
	fs.Float64Var(&f.sigma0, "sigma0", 0, "σ₀ of the model (default: what it says)")
	f.foreignFlags.add(fs)
}

func (f *foreignFlags) add(fs *pflag.FlagSet) {
	group(fs, ofForeign, func(fs *pflag.FlagSet) {
		fs.StringSliceVar(&f.sizes, "size", nil, "fix a symbolic size, such as T=64; may be given several times")
		f.addValues(fs)
	})
}

// ofForeign is the group of these flags in help.
const ofForeign = "Of an ONNX file of another program"

// addValues adds the flags but for sizes.
func (f *foreignFlags) addValues(fs *pflag.FlagSet) {
	f.functionFlags.add(fs)
	addValue(fs, &f.values)
}

// addValue adds the flag --value of an ONNX file's inputs.
func addValue(fs *pflag.FlagSet, values *[]string) {
	fs.StringArrayVar(values, "value", nil, "make an input of whole numbers a constant, such as shape=1,16; may be given several times")
}

// onnx returns what the flags say of an ONNX file, nil for nothing.
func (f *foreignFlags) onnx() (*ebm.ONNXOptions, error) {
	if f.functionFlags == (functionFlags{}) && len(f.sizes) == 0 && len(f.values) == 0 {
		return nil, nil
	}
	if err := f.functionFlags.check(); err != nil {
		return nil, err
	}
	o, err := importOptions(f.sizes, f.values)
	return &ebm.ONNXOptions{Energy: f.function(nil), Import: o}, err
}

// load finds it.
func (f *energyFlags) load(a *app) (*ebm.Model, error) {
	if err := atLeast(least{"sigma0", f.sigma0, 0}); err != nil {
		return nil, err
	}
	ref, err := f.of(f.run)
	if err != nil {
		return nil, err
	}
	onnx, err := f.onnx()
	if err != nil {
		return nil, err
	}
	m, err := ebm.LoadWith(ref, ebm.LoadOptions{Log: a.log, ONNX: onnx})
	if err == nil && f.sigma0 != 0 {
		m.Sigma0 = f.sigma0
	}
	return m, err
}

// loadJumping finds a model whose σ₀ is known.
func (f *energyFlags) loadJumping(a *app) (*ebm.Model, error) {
	m, err := f.load(a)
	if err == nil && !m.Annealed() {
		return nil, m.KnowsSigma0()
	}
	if err == nil && m.Sigma0 == 0 {
		return nil, usagef("%s does not say its σ₀, want --sigma0", f.run)
	}
	return m, err
}
