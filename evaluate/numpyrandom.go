package evaluate

// DefaultSeed is the seed of torch-fidelity's orders.
const DefaultSeed = 2020

// randomState is NumPy's RandomState(seed): the Mersenne Twister MT19937 of
// Matsumoto and Nishimura (1998), seeded by its init_genrand. NumPy has frozen
// these streams, which are how published numbers choose their subsets; random
// numbers of this project's own come from models/rng.
type randomState struct {
	words [twisterWords]uint32
	next  int
}

const (
	twisterWords  = 624
	twisterOffset = 397
)

func newRandomState(seed uint32) *randomState {
	s := &randomState{next: twisterWords}
	s.words[0] = seed
	for i := 1; i < twisterWords; i++ {
		last := s.words[i-1]
		s.words[i] = 1812433253*(last^last>>30) + uint32(i)
	}
	return s
}

// uint32 returns the next output.
func (s *randomState) uint32() uint32 {
	if s.next == twisterWords {
		s.twist()
	}
	y := s.words[s.next]
	s.next++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

func (s *randomState) twist() {
	for i := range s.words {
		y := s.words[i]&0x80000000 | s.words[(i+1)%twisterWords]&0x7fffffff
		v := s.words[(i+twisterOffset)%twisterWords] ^ y>>1
		if y&1 != 0 {
			v ^= 0x9908b0df
		}
		s.words[i] = v
	}
	s.next = 0
}

// interval returns a number in [0, most] as NumPy's legacy shuffle draws it:
// outputs cut to the bits of most, until one is not beyond it. Larger numbers
// than 32 bits do not occur here, as they count samples in memory.
func (s *randomState) interval(most uint32) uint32 {
	mask := most
	for shift := 1; shift <= 16; shift *= 2 {
		mask |= mask >> shift
	}
	for {
		if v := s.uint32() & mask; v <= most {
			return v
		}
	}
}

// permutation is RandomState.permutation(n). Its first k numbers are
// RandomState.choice(n, k, replace=False).
func (s *randomState) permutation(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := s.interval(uint32(i))
		order[i], order[j] = order[j], order[i]
	}
	return order
}
