package rng

// Purpose separates the independent uses of one seed. The values are stable
// for ever; new purposes take new numbers, below 256.
type Purpose uint32

// The purposes.
const (
	Init        Purpose = 1  // initial weights; sample: index of the parameter
	Shuffle     Purpose = 2  // order of the training data; sample: epoch
	TrainNoise  Purpose = 3  // noise added to training pictures; sample: position in the batch, step: training step
	SampleStart Purpose = 4  // starting point of a chain; sample: index of the sample
	SampleNoise Purpose = 5  // Langevin noise; sample: index of the sample, step: Langevin step
	Flip        Purpose = 6  // random mirror images; sample: position in the batch, step: training step
	NoiseLevel  Purpose = 7  // noise levels that are drawn rather than spaced
	Compose     Purpose = 8  // choice of parts, such as the three digits of stacked MNIST
	Crop        Purpose = 9  // random crops and shifts
	Momentum    Purpose = 10 // momenta of Hamiltonian Monte Carlo; sample: chain, step: trajectory
	Accept      Purpose = 11 // Metropolis decisions; sample: chain, step: trajectory
	Mask        Purpose = 12 // masks, such as those of inpainting
	Resample    Purpose = 13 // subsets and bootstraps of the metrics
	Probe       Purpose = 14 // directions and points of numerical checks
	Density     Purpose = 15 // draws from known densities
	Split       Purpose = 16 // choice of held-out data
	Dequantise  Purpose = 17 // uniform noise on 8-bit pictures
	ChainStart  Purpose = 18 // where chains inside a training step begin; sample: position in the batch, step: training step
	ChainNoise  Purpose = 19 // noise of these chains; sample: position in the batch, step: training step
	Measure     Purpose = 20 // noise of measurements; sample: picture
	Key         Purpose = 21 // keys of Squares; sample: block, purpose and half, see SquaresKey
	Neighbour   Purpose = 22 // x's of the data that posterior weights are over
	Origin      Purpose = 23 // noise that transport begins at; sample: position in the batch, step: training step
	Swap        Purpose = 24 // swaps of parallel tempering; sample: index of the sample, step: round and pair
	Direction   Purpose = 25 // directions of sliced score matching; sample: position in the batch, step: training step
	Replay      Purpose = 26 // places of a buffer where chains begin; sample: position in the batch, step: training step
)
