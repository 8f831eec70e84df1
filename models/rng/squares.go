package rng

// Squares is the counter-based generator of Widynski, "Squares: a fast counter-based
// RNG" (arXiv 2004.06278), with four rounds and 32 bits of output. It takes nothing but
// products and sums of 64-bit integers and exchanges of their halves, so that a graph of
// ONNX operators can make it on a device (package export), to the same integers. Philox
// is faster here, and what this program draws by itself is Philox's.
//
// Keys must be irregular: see SquaresKey.
func Squares(counter, key uint64) uint32 {
	x := counter * key
	y, z := x, x+key
	x = x*x + y
	x = x>>32 | x<<32
	x = x*x + z
	x = x>>32 | x<<32
	x = x*x + y
	x = x>>32 | x<<32
	return uint32((x*x + z) >> 32)
}

// SquaresKey returns the key of a seed for what one purpose draws for one block of samples:
// a counter has room for 2^28 of them. It has the form that the paper asks for: sixteen
// hexadecimal digits without a zero, no digit twice in either half, and the last one odd.
func SquaresKey(seed uint64, p Purpose, block uint64) uint64 {
	var key uint64
	for half := range uint64(2) {
		// Of sampling's first block these are the numbers 0 and 1.
		digits := New(seed).Permutation(15, Key, block<<9|uint64(p^SampleNoise)<<1|half)[:8]
		if half == 1 {
			// The last digit is the first odd one of the half; of eight different digits from 1 to 15
			// one is odd at least, since there are seven even ones.
			for i, d := range digits {
				if (d+1)%2 == 1 {
					digits[i], digits[7] = digits[7], d
					break
				}
			}
		}
		for _, d := range digits {
			key = key<<4 | uint64(d+1)
		}
	}
	return key
}

// The parts of a counter of Squares, from the highest bits: the sample, the step, and the
// word of that sample and step.
const (
	SquaresWordBits   = 20
	SquaresStepBits   = 16
	SquaresSampleBits = 64 - SquaresStepBits - SquaresWordBits
)

// SquaresCounter returns the counter of a word. It panics where a part does not fit, which
// is an error of the program.
func SquaresCounter(sample, step, word uint64) uint64 {
	if sample>>SquaresSampleBits != 0 || step>>SquaresStepBits != 0 || word>>SquaresWordBits != 0 {
		panic("rng: the counter of Squares has 28 bits for the sample, 16 for the step and 20 for the word")
	}
	return (sample<<SquaresStepBits|step)<<SquaresWordBits | word
}
