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
// [Settings] describe the paper's training of an energy network by multiscale
// denoising score matching; [Preset] has the paper's own. [Train] makes the
// problem of it, in a folder that explains itself:
//
//	config.toml                                    the settings
//	metrics.jsonl, tensorboard/                    loss and more, by step
//	checkpoints/step-00010000/model.safetensors    weights
//	checkpoints/step-00010000/state.safetensors    moments, averaged weights
package train
