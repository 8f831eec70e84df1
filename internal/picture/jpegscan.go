package picture

import (
	"errors"
	"fmt"
	"slices"
)

// maxScans bounds the time that a small file can take: encoders make about ten, and each may visit every block.
const maxScans = 100

// scanner reads the bits of one scan.
type scanner struct {
	f          *jpegFile
	acc        uint32
	n          int // bits in acc
	padding    int // bits of acc that the data do not hold
	eobRun     int
	start, end int // of the coefficients
	high, low  int // bit positions of successive approximation
	failed     bool
}

// need fills acc with n ≤ 16 bits; beyond a marker they are zeros.
func (s *scanner) need(n int) {
	for s.n < n {
		d, at := s.f.data, s.f.at
		var b byte
		switch {
		case at >= len(d) || d[at] == 0xff && (at+1 >= len(d) || d[at+1] != 0):
			s.padding += 8
		default:
			b = d[at]
			if s.f.at++; b == 0xff {
				s.f.at++
			}
		}
		s.acc = s.acc<<8 | uint32(b)
		s.n += 8
	}
}

func (s *scanner) bits(n int) int32 {
	if n == 0 {
		return 0
	}
	s.need(n)
	s.n -= n
	return int32(s.acc >> s.n & (1<<n - 1))
}

// value reads the n bits of a number that is negative when the first is 0.
func (s *scanner) value(n int) int32 {
	v := s.bits(n)
	if n > 0 && v < 1<<(n-1) {
		v += -1<<n + 1
	}
	return v
}

func (s *scanner) symbol(t *huffman) int {
	s.need(16)
	if e := t.fast[s.acc>>(s.n-8)&255]; e != 0 {
		s.n -= int(e >> 8)
		return int(e & 255)
	}
	for length := 9; length <= 16; length++ {
		if code := int(s.acc >> (s.n - length) & (1<<length - 1)); code <= t.last[length] {
			s.n -= length
			return int(t.values[code+t.offset[length]])
		}
	}
	s.failed = true
	return 0
}

func (f *jpegFile) scan(head []byte) error {
	if len(head) < 1 || len(head) != 4+2*int(head[0]) || len(f.components) == 0 {
		return errJPEG
	}
	if f.scans++; f.scans > maxScans {
		return fmt.Errorf("JPEG: more than %d scans", maxScans)
	}
	s := &scanner{f: f, start: int(head[len(head)-3]), end: int(head[len(head)-2]), high: int(head[len(head)-1] >> 4),
		low: int(head[len(head)-1] & 15)}
	if !f.progressive {
		s.start, s.end, s.high, s.low = 0, 63, 0, 0
	}
	if s.end > 63 || s.start > s.end || s.low > 13 || s.start == 0 && s.end > 0 && f.progressive {
		return errJPEG
	}
	var chosen []*component
	for i := range int(head[0]) {
		k := slices.IndexFunc(f.components, func(c *component) bool { return c.id == int(head[1+2*i]) })
		if k < 0 || slices.Contains(chosen, f.components[k]) || head[2+2*i]>>4 > 3 || head[2+2*i]&15 > 3 {
			return errJPEG
		}
		c := f.components[k]
		chosen = append(chosen, c)
		c.dcTable, c.acTable, c.dc = f.huffman[0][head[2+2*i]>>4], f.huffman[1][head[2+2*i]&15], 0
		if s.start == 0 && s.high == 0 && c.dcTable == nil || s.end > 0 && c.acTable == nil {
			return errors.New("JPEG: a scan without its Huffman table")
		}
		if c.quant == nil {
			if c.quant = f.quant[c.table]; c.quant == nil {
				return errors.New("JPEG: a scan without its quantisation table")
			}
		}
		if c.coefficients == nil {
			c.wide = (f.width + 8*f.most.X - 1) / (8 * f.most.X) * c.h
			c.high = (f.height + 8*f.most.Y - 1) / (8 * f.most.Y) * c.v
			c.coefficients = make([]int16, 64*c.wide*c.high)
		}
	}
	if len(chosen) > 1 && s.start > 0 {
		return errJPEG
	}
	return s.run(chosen)
}

// run decodes the blocks of a scan: those with samples of one component, or
// whole MCUs of several.
func (s *scanner) run(chosen []*component) error {
	c := chosen[0]
	if len(chosen) == 1 {
		wide, high := s.f.blocks(c)
		for i := range wide * high {
			if err := s.restart(i, chosen); err != nil {
				return err
			}
			s.block(c, i/wide*c.wide+i%wide)
		}
		return s.finish()
	}
	across := c.wide / c.h
	for i := range across * (c.high / c.v) {
		if err := s.restart(i, chosen); err != nil {
			return err
		}
		for _, c := range chosen {
			for k := range c.h * c.v {
				s.block(c, (i/across*c.v+k/c.h)*c.wide+i%across*c.h+k%c.h)
			}
		}
	}
	return s.finish()
}

// finish reports damage since it was last asked.
func (s *scanner) finish() error {
	if s.failed || s.n < s.padding {
		return errJPEG
	}
	s.acc, s.n, s.padding, s.eobRun = 0, 0, 0, 0
	return nil
}

// restart reads the marker before MCU i, where there is one.
func (s *scanner) restart(i int, chosen []*component) error {
	if s.f.restart == 0 || i == 0 || i%s.f.restart != 0 {
		if s.failed || s.n < s.padding {
			return errJPEG
		}
		return nil
	}
	if err := s.finish(); err != nil {
		return err
	}
	marker, _, err := s.f.segment()
	if err != nil || marker != byte(0xd0+(i/s.f.restart-1)%8) {
		return errJPEG
	}
	for _, c := range chosen {
		c.dc = 0
	}
	return nil
}

// block decodes a block's share of the scan.
func (s *scanner) block(c *component, i int) {
	b := c.coefficients[64*i:][:64]
	switch {
	case s.start > 0 && s.high > 0:
		s.refine(c, b)
		return
	case s.start == 0 && s.high > 0:
		b[0] |= int16(s.bits(1) << s.low)
		return
	case s.start == 0:
		length := s.symbol(c.dcTable)
		if length > 15 {
			s.failed = true
			return
		}
		c.dc += s.value(length)
		b[0] = int16(c.dc << s.low)
	}
	if s.eobRun > 0 {
		s.eobRun--
		return
	}
	for k := max(s.start, 1); k <= s.end; k++ {
		symbol := s.symbol(c.acTable)
		run, length := symbol>>4, symbol&15
		if length == 0 && run < 15 { // end of the block, or of a run of them
			s.eobRun = 1<<run + int(s.bits(run)) - 1
			return
		}
		k += run
		if k > s.end {
			s.failed = true
			return
		}
		if length > 0 {
			b[zigzag[k]] = int16(s.value(length) << s.low)
		}
	}
}

// refine adds a bit to coefficients that are there, and new ones between.
func (s *scanner) refine(c *component, b []int16) {
	bit := int16(1) << s.low
	k := s.start
	correct := func(v *int16) {
		if s.bits(1) != 0 && *v&bit == 0 {
			if *v > 0 {
				*v += bit
			} else {
				*v -= bit
			}
		}
	}
	if s.eobRun == 0 {
		for ; k <= s.end; k++ {
			symbol := s.symbol(c.acTable)
			run, length := symbol>>4, symbol&15
			var fresh int16
			switch {
			case length > 1:
				s.failed = true
				return
			case length == 1:
				if fresh = -bit; s.bits(1) != 0 {
					fresh = bit
				}
			case run < 15:
				s.eobRun = 1<<run + int(s.bits(run))
			}
			if s.eobRun > 0 {
				break
			}
			for ; k <= s.end; k++ {
				if v := &b[zigzag[k]]; *v != 0 {
					correct(v)
				} else if run--; run < 0 {
					break
				}
			}
			if fresh != 0 && k <= s.end {
				b[zigzag[k]] = fresh
			}
			if s.failed {
				return
			}
		}
	}
	if s.eobRun > 0 {
		for ; k <= s.end; k++ {
			if v := &b[zigzag[k]]; *v != 0 {
				correct(v)
			}
		}
		s.eobRun--
	}
}
