// Package langevin draws samples of an energy by annealed Langevin dynamics,
// in ONNX Runtime.
//
// A chain starts at x = 0.5 + n and makes one update of eq. (8) of the paper
// (see package mdsm) for every temperature of its schedule,
//
//	x ← x − ε²/2 ∇E(x) + ε √T n,
//
// and then, unless told otherwise, one denoising jump (eq. 9). x is a picture
// [C H W] with values around [0, 1] or a point [D], ε the step size in units
// of x, T the temperature and n standard normal noise. [Schedule] has the
// paper's temperatures; [Sampler] runs chains and denoises given pictures, fills
// in hidden pixels ([Fill]), makes chains at several temperatures swap places ([Tempering]), and
// writes folders of samples (package samples).
//
// # Bits
//
// Sample i depends on the seed, the settings and i alone: its start and its
// noise are package rng's numbers (SampleStart; SampleNoise and the step) for
// sample i. On the CPU it is the same to the last bit whatever the threads, the
// number of samples at once, their order, the steps in a run of the model, or
// restarts, because nothing that is computed changes its shape: samples
// go through the model in groups of a size that follows from the model alone,
// sample i in group i/size at place i%size, one thread to a group and as many
// groups at once as there are threads. Of the kernels in use only Softplus was seen to
// depend on batch and threads, by one unit in the last place, so groups at the ends of a
// range are padded, but for networks of kernels that do not (Files.AnyBatch): of these
// no more is computed than is wanted, and fewer groups than threads are shared between
// them. One thread to a group was also found to be faster than two threads to a batch. On a device the size of the groups is a setting, and
// samples are the same for one size.
package langevin
