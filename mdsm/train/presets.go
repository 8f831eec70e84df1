package train

import (
	"fmt"
	"strings"

	"ebm/mdsm"
	"ebm/models/energy"
)

// preset is a set of settings with a name and a line about it.
type preset struct {
	name, about string
	settings    Settings
}

// presets returns the presets in the order of help texts. The numbers are
// those of the paper's section 4 and appendix D, and of its code where the
// paper is silent: cosine annealing to 1e-6, and 1e-4 for MNIST's learning
// rate in the code where the text says 5e-5 (the text's is taken).
func presets() []preset {
	return []preset{
		{"demo", "MNIST as 16×16 means, small enough for a laptop's processor", demo()},
		{"mnist", "the paper's MNIST: Res12 of 64 channels, noise 0.1…3 geometric, 100,000 steps", paperMNIST("mnist", 1)},
		{"fashion-mnist", "the paper's Fashion-MNIST, settings as mnist", paperMNIST("fashion-mnist", 1)},
		{"stacked-mnist", "three digits as channels, for counting modes; settings as mnist", paperMNIST("stacked-mnist", 3)},
		{"single-noise", "the paper's comparison (appendix B): mnist with the one noise level 0.3 as σ and σ₀", singleNoise()},
		{"likelihood", "the paper's other comparison: mnist by maximum likelihood, 30 Langevin steps in every update", likelihood()},
		{"cifar10", "the paper's CIFAR-10: Res18 of 128 channels, noise 0.05…1.2 linear, 300,000 steps", paperColour("cifar10", false)},
		{"celeba", "the paper's CelebA: as cifar10, with random mirror images", paperColour("celeba", true)},
	}
}

func base(data string, channels int) Settings {
	return Settings{
		Preset: data, Seed: 1, Batch: 128, Shards: 2,
		Data:  DataSettings{Name: data, Size: 32},
		Net:   NetSettings{Channels: channels, Head: energy.Quadratic, Activation: energy.ELU},
		Noise: NoiseSettings{Sigma0: 0.1, Weighting: mdsm.InverseVariance},
		Optimiser: OptimiserSettings{
			LearningRate: LearningRate{Schedule: Cosine, Initial: 5e-5, Final: 1e-6},
			Beta1:        0.9, Beta2: 0.95, Epsilon: 1e-8,
		},
		Output: OutputSettings{CheckpointEvery: 5000, LogEvery: 20, SampleEvery: 1},
	}
}

func paperMNIST(data string, channels int) Settings {
	s := base(data, channels)
	s.Steps = 100_000
	s.Net.Name, s.Net.Dim = "res12", 64
	s.Noise.Min, s.Noise.Max, s.Noise.Spacing = 0.1, 3, mdsm.Geometric
	return s
}

// singleNoise trains at one level, which is then σ₀ too, so that samples at
// temperature 1 have the density that was learnt.
func singleNoise() Settings {
	s := paperMNIST("mnist", 1)
	s.Preset = "single-noise"
	s.Noise.Sigma0, s.Noise.Min, s.Noise.Max = 0.3, 0.3, 0.3
	return s
}

func likelihood() Settings {
	s := paperMNIST("mnist", 1)
	s.Preset, s.Objective = "likelihood", Likelihood
	s.Chains = ChainSettings{Steps: 30, StepSize: 0.3, Temperature: 1e-3, DataNoise: 0.03, Regularise: 0.01}
	return s
}

func paperColour(data string, flip bool) Settings {
	s := base(data, 3)
	s.Steps = 300_000
	s.Data.Flip = flip
	s.Net.Name, s.Net.Dim = "res18", 128
	s.Noise.Min, s.Noise.Max, s.Noise.Spacing = 0.05, 1.2, mdsm.Linear
	return s
}

// demo is MNIST in a form that gives digits within an hour on two cores:
// small pictures, small batches (each position has a noise level of its own)
// at a larger learning rate, and averaged weights.
func demo() Settings {
	s := paperMNIST("mnist", 1)
	s.Preset = "demo"
	s.Steps, s.Batch = 14_000, 32
	s.Shards = 1 // half of 32 small pictures is too little work for a core
	s.Data.Size = 16
	s.Net.Dim = 32
	s.Optimiser.LearningRate = LearningRate{Schedule: Cosine, Initial: 1e-3, Final: 1e-6}
	s.Optimiser.EMA = 0.999
	s.Output.CheckpointEvery, s.Output.KeepCheckpoints = 1000, 3
	return s
}

// Folder returns the settings for a folder of a user's own pictures of so many
// channels: those of demo at 32×32, with the noise levels of the paper's colour
// pictures where they have colour.
func Folder(channels int) Settings {
	s := demo()
	s.Preset, s.Steps, s.Shards = "", 20_000, 2
	s.Data.Name, s.Data.Size, s.Net.Channels = "folder", 32, channels
	if channels > 1 {
		colour := paperColour("folder", false)
		s.Noise = colour.Noise
	}
	return s
}

// Preset returns the settings called name. The error lists all names.
func Preset(name string) (Settings, error) {
	for _, p := range presets() {
		if p.name == name {
			return p.settings, nil
		}
	}
	return Settings{}, fmt.Errorf("unknown preset %q, want one of %s", name, strings.Join(Presets(), ", "))
}

// Presets returns the names of the presets.
func Presets() []string {
	var names []string
	for _, p := range presets() {
		names = append(names, p.name)
	}
	return names
}

// PresetHelp lists the presets, a line each.
func PresetHelp() string {
	var b strings.Builder
	for _, p := range presets() {
		fmt.Fprintf(&b, "  %-14s %s\n", p.name, p.about)
	}
	return b.String()
}
