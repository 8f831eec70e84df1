package rng

import (
	"encoding/binary"
	"math"
)

//go:generate go run mktables.go

// A layer of the ziggurat is the region |x| < X, low ≤ exp(−x²/2) < high
// under and around the normal density; the 256 layers have one area. The
// lowest, ziggurat[0], is the rectangle below the density of r = tailStart
// together with the tail beyond r.
type layer struct {
	inner uint32  // positions |2k+1| below this are under the density for every height
	scale float32 // X / 2²⁴
	low   float64 // density at X
	high  float64 // density at the X of the layer above
}

// Ziggurat returns the tables behind Normal, for generators in other languages
// that draw the same numbers: r as float64, then of each of the 256 layers, from
// the lowest up, inner (uint32), scale (float32), low and high (float64), all
// little-endian. A signed 24-bit position k of a word w (its upper 25 bits,
// made odd: v = w>>7 | 1) lies in layer w mod 256 at x = v·scale; it is under the
// density for every height if |v| < inner.
func Ziggurat() []byte {
	b := binary.LittleEndian.AppendUint64(nil, math.Float64bits(tailStart))
	for _, l := range ziggurat {
		b = binary.LittleEndian.AppendUint32(b, l.inner)
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(l.scale))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(l.low))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(l.high))
	}
	return b
}

// position returns the odd number 2k+1 of a word's signed 24-bit position k.
func position(w uint32) int32 { return int32(w)>>7 | 1 }

func magnitude(v int32) uint32 {
	sign := v >> 31
	return uint32((v ^ sign) - sign)
}

// normalOutside finishes the normal number of an index whose first word w
// fell outside the inner part of its layer.
func (s *stream) normalOutside(w, index uint32) float32 {
	for lane := uint8(1); ; lane++ {
		a, b, c, d := s.block(index, lane)
		v := position(w)
		l := &ziggurat[uint8(w)]
		if uint8(w) == 0 {
			// Marsaglia's tail: an exponential beyond r, accepted with
			// probability exp(−x²/2). A rejection stays in the tail.
			x := -float64(logarithm(unit(a, b)) * (1 / tailStart))
			y := -logarithm(unit(c, d))
			if float64(2*y) > float64(x*x) || lane == math.MaxUint8 {
				x += tailStart
				return float32(math.Copysign(x, float64(v)))
			}
			continue
		}
		x := float64(v) * float64(l.scale) // exact
		height := l.low + float64(unit(a, b)*(l.high-l.low))
		if logarithm(height) < -0.5*float64(x*x) || lane == math.MaxUint8 {
			return float32(x)
		}
		// The wedge missed the density: a fresh draw from the block's rest.
		w = c
		v = position(w)
		if l = &ziggurat[uint8(w)]; magnitude(v) < l.inner {
			return float32(v) * l.scale
		}
	}
}

// unit returns a uniform number in (0, 1) from 64 random bits. Small numbers
// keep their relative precision.
func unit(lo, hi uint32) float64 {
	return (float64(uint64(lo)|uint64(hi)<<32) + 0.5) * (1.0 / (1 << 64))
}

// logarithm returns ln x of a normal number x > 0 within two units in the last place.
// math.Log and math.Exp differ in their last bits between platforms; this
// uses only correctly rounded steps, and explicit conversions where a
// compiler might fuse a product with a sum.
func logarithm(x float64) float64 {
	frac, exp := math.Frexp(x)
	if frac < math.Sqrt2/2 {
		frac *= 2
		exp--
	}
	// ln m = 2 artanh t with t = (m−1)/(m+1), |t| < 0.172.
	t := (frac - 1) / (frac + 1)
	t2 := float64(t * t)
	sum := 1.0 / 21
	sum = float64(sum*t2) + 1.0/19
	sum = float64(sum*t2) + 1.0/17
	sum = float64(sum*t2) + 1.0/15
	sum = float64(sum*t2) + 1.0/13
	sum = float64(sum*t2) + 1.0/11
	sum = float64(sum*t2) + 1.0/9
	sum = float64(sum*t2) + 1.0/7
	sum = float64(sum*t2) + 1.0/5
	sum = float64(sum*t2) + 1.0/3
	series := float64(2*t) + float64(float64(2*t)*float64(sum*t2))
	return float64(float64(exp)*math.Ln2) + series
}
