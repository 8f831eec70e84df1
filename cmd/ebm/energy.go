package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"ebm"
	"ebm/export/onnximport"
	"ebm/mdsm"
	"ebm/models/energy"
)

// energyFlags say which energy a command takes.
type energyFlags struct {
	run, checkpoint string
	sigma0          float64
}

func (f *energyFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.run, "run", "", "the model: a run's folder, one of its checkpoints, a file of weights, a shipped model, or an energy.onnx")
	addCheckpoint(fs, &f.checkpoint)
	fs.Float64Var(&f.sigma0, "sigma0", 0, "σ₀ of the model (default: what it says, or 0.1)")
}

// energy loads it.
func (f *energyFlags) energy() (chosen, error) {
	ref, err := checkpointOf(f.run, f.checkpoint)
	if err != nil {
		return chosen{}, err
	}
	return loadEnergy(ref, f.sigma0)
}

// chosen is an energy network that a command was given, with what is known of
// it.
type chosen struct {
	network energy.Network
	weights energy.Weights
	sigma0  float64
	pad     int
	data    string // the data set that it was trained on, "" when that is not known
	about   map[string]string
}

// loadEnergy finds what ref names, as an energy: a model with weights, or an
// ONNX file that computes one. sigma0, when it is not 0, is believed in place
// of what a file says.
func loadEnergy(ref string, sigma0 float64) (chosen, error) {
	if err := atLeast(least{"sigma0", sigma0, 0}); err != nil {
		return chosen{}, err
	}
	if strings.EqualFold(filepath.Ext(ref), ".onnx") {
		m, err := onnximport.Read(ref, onnximport.Options{})
		if err != nil {
			return chosen{}, err
		}
		n, err := mdsm.Function(m.Graph)
		if err != nil {
			return chosen{}, fmt.Errorf("%s: %w", ref, err)
		}
		c := chosen{network: n, sigma0: sigma0, about: m.Metadata}
		if c.sigma0 == 0 {
			c.sigma0 = 0.1
			if text, ok := m.Metadata["sigma0"]; ok {
				if _, err := fmt.Sscan(text, &c.sigma0); err != nil || !(c.sigma0 > 0) {
					return c, fmt.Errorf("%s: metadata say sigma0 is %q, want a positive number", ref, text)
				}
			}
		}
		return c, nil
	}
	m, err := ebm.Load(ref)
	if err != nil {
		return chosen{}, err
	}
	c := chosen{network: m.Network, weights: m.Weights, sigma0: m.Sigma0, pad: m.Pad, data: m.About["data"], about: m.Metadata()}
	if sigma0 != 0 {
		c.sigma0 = sigma0
	}
	return c, nil
}

// runFolder returns ref if it is the folder of a run, "" if not.
func runFolder(ref string) string {
	if info, err := os.Stat(filepath.Join(ref, "config.toml")); err == nil && !info.IsDir() {
		return ref
	}
	return ""
}
