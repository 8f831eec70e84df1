// Package rng draws counter-based random numbers: every number is a pure
// function of (seed, purpose, sample, step, index), so that sample i's noise
// at step k is the same whatever the batch, the shard, the machine or a
// restart. There is no state to save.
//
// The generator is Philox 4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel
// random numbers: as easy as 1, 2, 3" (SC 2011). It maps a 128-bit counter to
// 128 random bits under a 64-bit key. The words are laid out as
//
//	key      [0] seed, bits 0–31       [1] seed, bits 32–63
//	counter  [0] block (see below)
//	         [1] step
//	         [2] sample, bits 0–31
//	         [3] sample, bits 32–47, then 8 bits of purpose, then 8 bits of lane
//
// and nothing is hashed, so two different tuples never meet in one counter as
// long as seed < 2⁶⁴, purpose < 2⁸, sample < 2⁴⁸, step < 2³² and index < 2³².
// Values outside panic: they are errors of the program.
//
// In lane 0 the block is index/4 and its word index%4 belongs to the number
// dst[index]. Lanes 1 to 255 hold what the normal distribution's rare
// rejections need: there the block is the index itself and the lane counts
// the attempts, so that no number depends on its neighbours. A shorter dst is
// therefore a prefix of a longer one.
//
// [Source.Uint32s], [Source.Uniform], [Source.Normal], [Source.IntN] and
// [Source.Permutation] look at the same words: give each use its own purpose.
//
// Normals come from the ziggurat of Marsaglia and Tsang (J. Stat. Soft. 5,
// 2000) with 256 layers. The layer (8 bits), and the sign and position (24
// bits) are taken from different bits of one word (Doornik 2005); wedges and
// the tail beyond r ≈ 3.654 are decided in float64 with 64 fresh bits for each
// uniform, so the tail follows the density to beyond 10σ. Within a layer of
// half-width X ≤ 3.92 the positions are X·(2k+1)/2²⁴: no zero, and a spacing
// below 5·10⁻⁷.
//
// All arithmetic is integer or correctly rounded and never fused, so the bits
// are the same on every platform. They are part of the project's file
// formats: samples are named by their seed. They never change.
package rng
