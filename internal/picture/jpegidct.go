package picture

// Constants of the inverse transform in 8192ths, after Loeffler, Ligtenberg and
// Moschytz (ICASSP 1989), as libjpeg's accurate integer method (jidctint.c) has them.
const (
	fix0298 = 2446
	fix0390 = 3196
	fix0541 = 4433
	fix0765 = 6270
	fix0899 = 7373
	fix1175 = 9633
	fix1501 = 12299
	fix1847 = 15137
	fix1961 = 16069
	fix2053 = 16819
	fix2562 = 20995
	fix3072 = 25172
)

// plane transforms a component's blocks to samples.
func (f *jpegFile) plane(c *component) plane {
	size := f.samples(c)
	p := plane{size.X, size.Y, 8 * c.wide, make([]uint8, 64*c.wide*c.high)}
	var work [64]int32
	for i := range c.wide * c.high {
		b := c.coefficients[64*i:][:64]
		for k, v := range b {
			work[k] = int32(v) * c.quant[k]
		}
		for x := range 8 {
			inverse(work[x:], 8, 11)
		}
		at := i/c.wide*8*p.stride + i%c.wide*8
		for y := range 8 {
			row := work[8*y : 8*y+8 : 8*y+8]
			inverse(row, 1, 18)
			for x, v := range row {
				p.pix[at+y*p.stride+x] = clip(int(v) + 128)
			}
		}
	}
	return p
}

// inverse transforms eight values that are step apart; the results are divided
// by 2^shift and rounded.
func inverse(v []int32, step int, shift uint) {
	in := func(k int) int32 { return v[k*step] }
	z := (in(2) + in(6)) * fix0541
	even2, even3 := z-in(6)*fix1847, z+in(2)*fix0765
	even0, even1 := (in(0)+in(4))<<13, (in(0)-in(4))<<13
	t10, t13, t11, t12 := even0+even3, even0-even3, even1+even2, even1-even2

	o0, o1, o2, o3 := in(7), in(5), in(3), in(1)
	z1, z2, z3, z4 := -(o0+o3)*fix0899, -(o1+o2)*fix2562, o0+o2, o1+o3
	z5 := (z3 + z4) * fix1175
	z3, z4 = z5-z3*fix1961, z5-z4*fix0390
	o0 = o0*fix0298 + z1 + z3
	o1 = o1*fix2053 + z2 + z4
	o2 = o2*fix3072 + z2 + z3
	o3 = o3*fix1501 + z1 + z4

	round := int32(1) << (shift - 1)
	for k, pair := range [4][2]int32{{t10, o3}, {t11, o2}, {t12, o1}, {t13, o0}} {
		v[k*step] = (pair[0] + pair[1] + round) >> shift
		v[(7-k)*step] = (pair[0] - pair[1] + round) >> shift
	}
}
