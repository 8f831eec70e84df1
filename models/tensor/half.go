package tensor

import "math"

// Float32 returns the value of h. Every binary16 value is exact in float32.
func (h Float16Bits) Float32() float32 {
	sign := uint32(h&0x8000) << 16
	exp := uint32(h>>10) & 0x1f
	frac := uint32(h & 0x3ff)
	switch exp {
	case 0: // zero or subnormal: frac · 2⁻²⁴
		v := float32(frac) / (1 << 24)
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 0x1f: // infinity or not a number
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// ToFloat16 returns the binary16 value nearest to v, the even one of two that
// are equally near; values beyond ±65520 become infinite.
func ToFloat16(v float32) Float16Bits {
	bits := math.Float32bits(v)
	sign := Float16Bits(bits >> 16 & 0x8000)
	bits &= 0x7fffffff
	switch {
	case bits > 0x7f800000: // not a number
		return sign | 0x7e00
	case bits >= 0x477ff000: // rounds to 65536 or more
		return sign | 0x7c00
	case bits < 0x38800000: // below 2⁻¹⁴: a multiple of 2⁻²⁴
		return sign | Float16Bits(math.RoundToEven(float64(math.Float32frombits(bits))*(1<<24)))
	}
	bits += 0xfff + bits>>13&1 // half an ulp, less when the last bit is even
	return sign | Float16Bits((bits-112<<23)>>13)
}

// Float32 returns the value of b, which is exact in float32.
func (b BFloat16Bits) Float32() float32 { return math.Float32frombits(uint32(b) << 16) }

// AsFloat16 returns t itself when its elements are float16 and a rounded copy
// otherwise.
func (t *Tensor) AsFloat16() *Tensor {
	if t.dtype == Float16 {
		return t
	}
	out := New(Float16, t.shape...)
	for i, v := range t.AsFloat32().data.([]float32) {
		out.data.([]Float16Bits)[i] = ToFloat16(v)
	}
	return out
}
