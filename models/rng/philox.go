package rng

const (
	mul0  = 0xD2511F53
	mul1  = 0xCD9E8D57
	weyl0 = 0x9E3779B9
	weyl1 = 0xBB67AE85
)

// round is one round of Philox 4x32.
func round(c0, c1, c2, c3, k0, k1 uint32) (uint32, uint32, uint32, uint32) {
	p0, p1 := uint64(c0)*mul0, uint64(c2)*mul1
	return uint32(p1>>32) ^ c1 ^ k0, uint32(p1), uint32(p0>>32) ^ c3 ^ k1, uint32(p0)
}

// philox is Philox 4x32-10: ten rounds applied to the counter, with the key
// stepped between them.
func philox(c0, c1, c2, c3, k0, k1 uint32) (uint32, uint32, uint32, uint32) {
	for range 10 {
		c0, c1, c2, c3 = round(c0, c1, c2, c3, k0, k1)
		k0 += weyl0
		k1 += weyl1
	}
	return c0, c1, c2, c3
}

// stream is one (seed, purpose, sample, step): all but the first counter word
// and the lane.
type stream struct {
	k0, k1     uint32 // key
	c1, c2, c3 uint32 // counter words; c3 with lane 0
}

// block returns the four words of a block of a lane.
func (s *stream) block(block uint32, lane uint8) (uint32, uint32, uint32, uint32) {
	return philox(block, s.c1, s.c2, s.c3|uint32(lane)<<24, s.k0, s.k1)
}

// fill writes lane 0's words from the given block on; len(dst) need not be a
// multiple of 4.
func (s *stream) fill(dst []uint32, block uint32) {
	for len(dst) >= 8 {
		s.pair((*[8]uint32)(dst), block)
		dst = dst[8:]
		block += 2
	}
	for len(dst) > 0 {
		var words [4]uint32
		words[0], words[1], words[2], words[3] = s.block(block, 0)
		dst = dst[copy(dst, words[:]):]
		block++
	}
}

// pair writes two blocks of lane 0. It is philox for both at once, as one
// alone leaves the processor waiting for its products; two rounds to a turn
// spare it moves between registers.
func (s *stream) pair(dst *[8]uint32, block uint32) {
	a0, a1, a2, a3 := block, s.c1, s.c2, s.c3
	b0, b1, b2, b3 := block+1, s.c1, s.c2, s.c3
	k0, k1 := s.k0, s.k1
	for range 5 {
		a0, a1, a2, a3 = round(a0, a1, a2, a3, k0, k1)
		b0, b1, b2, b3 = round(b0, b1, b2, b3, k0, k1)
		k0 += weyl0
		k1 += weyl1
		a0, a1, a2, a3 = round(a0, a1, a2, a3, k0, k1)
		b0, b1, b2, b3 = round(b0, b1, b2, b3, k0, k1)
		k0 += weyl0
		k1 += weyl1
	}
	*dst = [8]uint32{a0, a1, a2, a3, b0, b1, b2, b3}
}
