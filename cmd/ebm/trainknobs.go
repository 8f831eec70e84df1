package main

import (
	"time"

	"github.com/spf13/pflag"

	"ebm/mdsm"
	"ebm/mdsm/train"
	"ebm/models/energy"
)

// trainKnobs is the table of settings that are flags of train.
func trainKnobs() knobs[train.Settings] {
	return knobs[train.Settings]{
		word("data-name", "data set: mnist, fashion-mnist, stacked-mnist, cifar10, svhn, celeba or folder",
			func(s *train.Settings) *string { return &s.Data.Name }),
		word("data", "folder or file of the data, or your own pictures: a folder, .zip, .tar, .npz, .npy or .pt (default: found by itself "+
			"where it can be); points in an .npy, .npz or .csv, or rings, moons, spirals or checkerboard",
			func(s *train.Settings) *string { return &s.Data.Dir }),
		number("size", "height and width of the pictures in pixels", func(s *train.Settings) *int { return &s.Data.Size }),
		number("channels", "channels of the pictures: 1 grey, 3 colour (default for your own: grey where all of them are)",
			func(s *train.Settings) *int { return &s.Net.Channels }),
		toggle("flip", "mirror pictures at random", func(s *train.Settings) *bool { return &s.Data.Flip }),
		number("steps", "updates to make in all", func(s *train.Settings) *int { return &s.Steps }),
		number("batch", "pictures in a batch, each with a noise level of its own", func(s *train.Settings) *int { return &s.Batch }),
		number("shards", "parts of a batch whose gradients are computed side by side (changes the last bits), 1 for none",
			func(s *train.Settings) *int { return &s.Shards }),
		word("net", "network: res6, res12, res18, res34 or unet; of points mlp", func(s *train.Settings) *string { return &s.Net.Name }),
		newKnob("hidden", func(s *train.Settings) *[]int { return &s.Net.Hidden }, func(fs *pflag.FlagSet, p *[]int) {
			fs.IntSliceVar(p, "hidden", *p, "mlp: units of each hidden layer, such as 128,128")
		}),
		word("input", "with --model: the energy's input, if it is not called x", func(s *train.Settings) *string { return &s.Net.Input }),
		word("energy", "with --model: the energy's output, if it is not called energy", func(s *train.Settings) *string { return &s.Net.Output }),
		word("energy-of", "with --model: what the energy is of the output: energy, linear, quadratic or logits",
			func(s *train.Settings) *mdsm.Value { return &s.Net.Value }),
		number("points", "points to draw of a set that --data names", func(s *train.Settings) *int { return &s.Data.Points }),
		number("dim", "channels after the network's first convolution", func(s *train.Settings) *int { return &s.Net.Dim }),
		newKnob("multipliers", func(s *train.Settings) *[]int { return &s.Net.Multipliers }, addMultipliers),
		number("blocks", blocksHelp, func(s *train.Settings) *int { return &s.Net.Blocks }),
		word("head", "the network's head: quadratic (the paper's), linear, or of a unet residual (½‖x − f(x)‖²)",
			func(s *train.Settings) *energy.Head { return &s.Net.Head }),
		word("activation", "elu (the paper's), relu, softplus, swish or tanh",
			func(s *train.Settings) *energy.Activation { return &s.Net.Activation }),
		natural("seed", "seed of the first weights, the order of the data and the noise", func(s *train.Settings) *uint64 { return &s.Seed }),
		real("sigma0", "σ₀, the noise level whose density the model approximates, in units of x",
			func(s *train.Settings) *float64 { return &s.Noise.Sigma0 }),
		real("sigma-min", "smallest noise level, in units of x", func(s *train.Settings) *float64 { return &s.Noise.Min }),
		real("sigma-max", "largest noise level, in units of x", func(s *train.Settings) *float64 { return &s.Noise.Max }),
		word("sigma-spacing", "noise levels: linear or geometric between the two",
			func(s *train.Settings) *mdsm.Spacing { return &s.Noise.Spacing }),
		word("weighting", "weight l(σ) of a noise level: inverse-variance (the paper's), inverse or uniform",
			func(s *train.Settings) *mdsm.Weighting { return &s.Noise.Weighting }),
		word("objective", "what is minimised: denoising (the paper's), posterior, ncsn, score-matching, energy-matching, persistent or "+
			"likelihood, see docs/objectives.md",
			func(s *train.Settings) *train.Objective { return &s.Objective }),
		number("neighbours", "posterior: x's of the data that the weights are over, 0 for all",
			func(s *train.Settings) *int { return &s.Posterior.Neighbours }),
		number("projections", "score-matching: random directions of each x, 0 for the trace of the Hessian itself (default 0 for points, 1 for "+
			"pictures)", func(s *train.Settings) *int { return &s.Projections }),
		real("warm-up", "energy-matching: share of the updates that are transport alone",
			func(s *train.Settings) *float64 { return &s.Transport.WarmUp }),
		real("contrast", "energy-matching: weight λ of the contrast after these, 0 for none",
			func(s *train.Settings) *float64 { return &s.Transport.Contrast }),
		real("floor", "energy-matching: where the weighted contrast is below minus this it is left, 0 for nowhere",
			func(s *train.Settings) *float64 { return &s.Transport.Floor }),
		real("tau", "energy-matching: time τ* from which on chains have noise, up to 1",
			func(s *train.Settings) *float64 { return &s.Transport.Tau }),
		number("chain-steps", "likelihood, persistent, energy-matching: Langevin steps of a chain in every update",
			func(s *train.Settings) *int { return &s.Chains.Steps }),
		real("chain-step-size", "likelihood, persistent, energy-matching: ε of these steps",
			func(s *train.Settings) *float64 { return &s.Chains.StepSize }),
		real("chain-temperature", "likelihood, persistent, energy-matching: T of these steps",
			func(s *train.Settings) *float64 { return &s.Chains.Temperature }),
		real("data-noise", "likelihood, persistent: noise on the data, in units of x",
			func(s *train.Settings) *float64 { return &s.Chains.DataNoise }),
		real("regularise", "likelihood, persistent: weight of the squares of energies",
			func(s *train.Settings) *float64 { return &s.Chains.Regularise }),
		number("replay", "persistent: places of the buffer of ends of chains, at which others begin",
			func(s *train.Settings) *int { return &s.Chains.Replay }),
		real("restart", "persistent: share of the chains that begin at noise", func(s *train.Settings) *float64 { return &s.Chains.Restart }),
		real("learning-rate", "Adam's learning rate at the start", func(s *train.Settings) *float64 { return &s.Optimiser.LearningRate.Initial }),
		real("final-learning-rate", "learning rate at the end of a cosine schedule",
			func(s *train.Settings) *float64 { return &s.Optimiser.LearningRate.Final }),
		word("schedule", "learning rate over the run: cosine, steps (a tenth after each sixth) or constant",
			func(s *train.Settings) *train.Schedule { return &s.Optimiser.LearningRate.Schedule }),
		real("beta1", "Adam's decay of the first moment", func(s *train.Settings) *float64 { return &s.Optimiser.Beta1 }),
		real("beta2", "Adam's decay of the second moment", func(s *train.Settings) *float64 { return &s.Optimiser.Beta2 }),
		real("epsilon", "Adam's ε", func(s *train.Settings) *float64 { return &s.Optimiser.Epsilon }),
		real("ema", "decay of averaged weights, 0 for none", func(s *train.Settings) *float64 { return &s.Optimiser.EMA }),
		real("clip", "largest norm of a gradient over all weights, as grad_norm of the metrics is, 0 for any",
			func(s *train.Settings) *float64 { return &s.Optimiser.Clip }),
		word("start", "weights to begin with instead of random ones: a run, a file or a shipped model",
			func(s *train.Settings) *string { return &s.Start }),
		checkpointEvery(func(s *train.Settings) *train.Interval { return &s.Output.CheckpointEvery }),
		span("mtbf", "mean time between failures of the run, such as 12h, for --checkpoint-every auto (default 24h)",
			func(s *train.Settings) *time.Duration { return &s.Output.MTBF }),
		number("keep-checkpoints", "checkpoints to keep, 0 for all", func(s *train.Settings) *int { return &s.Output.KeepCheckpoints }),
		number("log-every", "steps between lines of metrics", func(s *train.Settings) *int { return &s.Output.LogEvery }),
		number("validate-every", "steps between measurements of the loss, by noise level, on pictures held out, 0 for none",
			func(s *train.Settings) *int { return &s.Output.ValidateEvery }),
		number("early-stop", "end after so many of these measurements without a lower loss, 0 for never",
			func(s *train.Settings) *int { return &s.Output.EarlyStop }),
		number("sample-every", "of these measurements, between pictures of quick samples, 0 for none",
			func(s *train.Settings) *int { return &s.Output.SampleEvery }),
	}
}

// blocksHelp is of the flag --blocks of a unet.
const blocksHelp = "unet: residual blocks of a level, on each way (default 1)"

// addMultipliers adds the flag --multipliers of a unet.
func addMultipliers(fs *pflag.FlagSet, p *[]int) {
	fs.IntSliceVar(p, "multipliers", *p, "unet: channels of each level, from the pictures' size down, as multiples of --dim (default 1,2,2)")
}
