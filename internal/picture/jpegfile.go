package picture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"slices"
)

// jpegFile is a JPEG file while it is read (ITU-T T.81).
type jpegFile struct {
	width, height int
	progressive   bool
	components    []*component
	most          image.Point // largest sampling factors
	quant         [4]*[64]int32
	huffman       [2][4]*huffman // for the first coefficients and the others
	restart       int            // MCUs between restarts, 0 for none
	jfif          bool
	adobe         int // the Adobe marker's transform, −1 without one

	at    int // of the next marker in data
	scans int
	data  []byte
}

// component is a colour channel: its coefficients in blocks, by rows.
type component struct {
	id, h, v     int
	table        int
	quant        *[64]int32 // as it was at the first scan
	wide, high   int        // blocks, of whole MCUs
	coefficients []int16    // 64 a block, in natural order
	dc           int32      // the last first coefficient
	dcTable      *huffman
	acTable      *huffman
}

// blocks returns how many blocks hold samples.
func (f *jpegFile) blocks(c *component) (wide, high int) {
	size := f.samples(c)
	return (size.X + 7) / 8, (size.Y + 7) / 8
}

// samples returns the size of a component.
func (f *jpegFile) samples(c *component) image.Point {
	return image.Pt((f.width*c.h+f.most.X-1)/f.most.X, (f.height*c.v+f.most.Y-1)/f.most.Y)
}

var zigzag = [64]int{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

var errJPEG = errors.New("JPEG: damaged data")

// readJPEG reads all scans.
func readJPEG(data []byte) (*jpegFile, error) {
	f := &jpegFile{data: data, at: 2, adobe: -1}
	if len(data) < 2 || data[0] != 0xff || data[1] != 0xd8 {
		return nil, errors.New("JPEG: want ff d8 at its start")
	}
	for {
		marker, segment, err := f.segment()
		if err != nil {
			return nil, err
		}
		switch {
		case marker == 0xd9: // end
			if slices.ContainsFunc(f.components, func(c *component) bool { return c.quant == nil }) || len(f.components) == 0 {
				return nil, errors.New("JPEG: a component has no scan")
			}
			return f, nil
		case marker == 0xc0 || marker == 0xc1 || marker == 0xc2:
			err = f.frame(marker, segment)
		case marker == 0xc4:
			err = f.huffmanTables(segment)
		case marker >= 0xc3 && marker <= 0xcf && marker != 0xc8:
			return nil, fmt.Errorf("JPEG: coding %#x, want baseline or progressive Huffman coding", marker)
		case marker == 0xdb:
			err = f.quantTables(segment)
		case marker == 0xdd && len(segment) == 2:
			f.restart = int(binary.BigEndian.Uint16(segment))
		case marker == 0xda:
			err = f.scan(segment)
		case marker == 0xe0:
			f.jfif = f.jfif || len(segment) >= 5 && string(segment[:5]) == "JFIF\x00"
		case marker == 0xee && len(segment) >= 12 && string(segment[:5]) == "Adobe":
			f.adobe = int(segment[11])
		}
		if err != nil {
			return nil, err
		}
	}
}

// segment reads a marker and what belongs to it.
func (f *jpegFile) segment() (marker byte, segment []byte, err error) {
	for f.at < len(f.data) && f.data[f.at] != 0xff { // bytes between segments, as libjpeg skips them
		f.at++
	}
	for f.at < len(f.data) && f.data[f.at] == 0xff {
		f.at++
	}
	if f.at >= len(f.data) {
		return 0, nil, io.ErrUnexpectedEOF
	}
	marker = f.data[f.at]
	f.at++
	if marker == 0xd9 || marker == 0 || marker >= 0xd0 && marker <= 0xd7 {
		return marker, nil, nil
	}
	if f.at+2 > len(f.data) {
		return 0, nil, io.ErrUnexpectedEOF
	}
	length := int(binary.BigEndian.Uint16(f.data[f.at:]))
	if length < 2 || f.at+length > len(f.data) {
		return 0, nil, io.ErrUnexpectedEOF
	}
	segment = f.data[f.at+2 : f.at+length]
	f.at += length
	return marker, segment, nil
}

func (f *jpegFile) frame(marker byte, s []byte) error {
	if f.components != nil {
		return errors.New("JPEG: two frames")
	}
	if len(s) < 6 || len(s) != 6+3*int(s[5]) {
		return errJPEG
	}
	f.progressive = marker == 0xc2
	f.height, f.width = int(binary.BigEndian.Uint16(s[1:])), int(binary.BigEndian.Uint16(s[3:]))
	if s[0] != 8 || f.width == 0 || f.height == 0 {
		return fmt.Errorf("JPEG: %d bits and %dx%d pixels, want 8 bits and a size", s[0], f.width, f.height)
	}
	f.most = image.Pt(1, 1)
	var components []*component
	for i := range int(s[5]) {
		c := &component{id: int(s[6+3*i]), h: int(s[7+3*i] >> 4), v: int(s[7+3*i] & 15), table: int(s[8+3*i])}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.table > 3 {
			return errJPEG
		}
		f.most = image.Pt(max(f.most.X, c.h), max(f.most.Y, c.v))
		components = append(components, c)
	}
	if n := len(components); n != 1 && n != 3 && n != 4 {
		return fmt.Errorf("JPEG: %d components, want 1, 3 or 4", n)
	}
	for _, c := range components {
		if f.most.X%c.h != 0 || f.most.Y%c.v != 0 {
			return fmt.Errorf("JPEG: sampling %d×%d of %v, want whole ratios", c.h, c.v, f.most)
		}
	}
	f.components = components
	return nil
}

func (f *jpegFile) quantTables(s []byte) error {
	for len(s) > 0 {
		wide, size := s[0]>>4 != 0, 65
		if wide {
			size = 129
		}
		if len(s) < size || s[0]&15 > 3 {
			return errJPEG
		}
		t := new([64]int32)
		for i, natural := range zigzag {
			if t[natural] = int32(s[1+i]); wide {
				t[natural] = int32(binary.BigEndian.Uint16(s[1+2*i:]))
			}
		}
		f.quant[s[0]&15] = t
		s = s[size:]
	}
	return nil
}

// huffman decodes by the first eight bits, or by the largest code of each length.
type huffman struct {
	fast   [256]uint16 // length<<8 | value, 0 for longer codes
	values []byte
	last   [17]int // the largest code of a length, −1 for none
	offset [17]int // from a code of a length to its value's place
}

func (f *jpegFile) huffmanTables(s []byte) error {
	for len(s) > 0 {
		if len(s) < 17 || s[0]>>4 > 1 || s[0]&15 > 3 {
			return errJPEG
		}
		n := 0
		for _, k := range s[1:17] {
			n += int(k)
		}
		if n > 256 || len(s) < 17+n {
			return errJPEG
		}
		t := &huffman{values: s[17 : 17+n]}
		code, place := 0, 0
		for length := 1; length <= 16; length++ {
			t.offset[length], t.last[length] = place-code, -1
			for range s[length] {
				if code >= 1<<length {
					return errJPEG
				}
				if length <= 8 {
					for i := range 1 << (8 - length) {
						t.fast[code<<(8-length)|i] = uint16(length)<<8 | uint16(t.values[place])
					}
				}
				t.last[length] = code
				code++
				place++
			}
			code <<= 1
		}
		f.huffman[s[0]>>4][s[0]&15] = t
		s = s[17+n:]
	}
	return nil
}
