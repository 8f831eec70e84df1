// Package train runs a training step, a graph that ONNX Runtime executes,
// over and over: batches in, weights and optimiser state carried from step to
// step, metrics and checkpoints out.
//
// [Run] is the loop around any [Problem]: a step graph with an optimiser in
// it and a function that fills the inputs of step t. Because what is filled
// in depends on t alone, the number of the step is all of a run's position in
// its data and random numbers, and a run that goes on from a checkpoint gives
// the same weights, bit for bit, as one that was never stopped.
//
// [Matching] makes the problem of any energy network (energy.Network) on any
// data (dataset.Data) by multiscale denoising score matching: Li, Chen and
// Sommer, "Learning Energy-Based Models in High-Dimensional Spaces with
// Multiscale Denoising-Score Matching", Entropy 2023, 25(10), 1367, eq. (7).
// A [Hook] sees every update, and a [Validation] measures the objective on x's
// that were held out.
//
// [Settings] describe the paper's training of its residual networks; [Preset]
// has the paper's own. [Train] makes the problem of it, in a folder that
// explains itself, and so does [TrainClassifier] for the project's classifier:
//
//	config.toml                                    the settings
//	metrics.jsonl, tensorboard/                    loss and more, by step
//	checkpoints/step-00010000/model.safetensors    weights
//	checkpoints/step-00010000/state.safetensors    moments, averaged weights
//
// x and noise levels have the units of the data, [0, 1] for pictures; losses
// are those of eq. (7), which with the paper's weighting is about the number of
// values of x for a network that has learnt nothing.
package train
