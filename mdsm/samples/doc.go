// Package samples fills folders with any number of samples, in bounded memory,
// and goes on where a killed process stopped. Where samples come from is said by a
// [Job]: packages mdsm/langevin and mdsm/mcmc have theirs. [Merge] joins folders
// that several machines filled.
//
//	samples.json             the settings that its samples follow from
//	samples.npz              arr_0, uint8 [N H W C]: clipped to [0, 1], times 255, rounded to nearest
//	samples_float32.npy      the same as float32, neither clipped nor rounded (on demand)
//	trace.json               temperature and energies of some chains by step
//	snapshots.npz            the same chains along the way, and their denoising jumps
//	chains.npz               arrays with a row for each chain, of jobs that have them
//	grid.png, process.gif    the first samples, and how they came about (on demand)
//	png/000000.png …         every sample (on demand)
//	shards/                  until samples.npz is there: FIRST+COUNT.CRC.npy, finished samples;
//	                         process-FIRST and chains-FIRST+COUNT.npz, parts of the trace and of
//	                         the chains' arrays; state-GROUP.npz, chains in progress
package samples
