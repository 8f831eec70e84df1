package picture

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"slices"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// format is a kind of picture files, told by how they begin ("?" is any byte).
type format struct {
	magic      string
	extensions []string
	config     func(io.Reader) (image.Config, error)
	decode     func(io.Reader) (image.Image, error)
}

// formats are the kinds that can be read.
func formats() []format {
	return []format{
		{"\x89PNG\r\n\x1a\n", []string{".png"}, png.DecodeConfig, png.Decode},
		{"\xff\xd8\xff", []string{".jpg", ".jpeg"}, jpeg.DecodeConfig, DecodeJPEG},
		{"RIFF????WEBP", []string{".webp"}, webp.DecodeConfig, decodeWebP},
		{"BM", []string{".bmp"}, bmp.DecodeConfig, bmp.Decode},
		{"II*\x00", []string{".tif", ".tiff"}, tiff.DecodeConfig, tiff.Decode},
		{"MM\x00*", nil, tiff.DecodeConfig, tiff.Decode},
		{"GIF8", []string{".gif"}, gif.DecodeConfig, gif.Decode},
		{"P5", []string{".pgm"}, configPPM, decodePPM},
		{"P6", []string{".ppm"}, configPPM, decodePPM},
	}
}

// Extensions lists the endings of the files that [Decode] reads.
func Extensions() []string {
	var all []string
	for _, f := range formats() {
		all = append(all, f.extensions...)
	}
	return all
}

func formatOf(head []byte) (format, error) {
	for _, f := range formats() {
		if len(head) >= len(f.magic) && !slices.ContainsFunc([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}[:len(f.magic)], func(i int) bool {
			return f.magic[i] != '?' && f.magic[i] != head[i]
		}) {
			return f, nil
		}
	}
	return format{}, fmt.Errorf("starts with % x, want one of %s", head[:min(len(head), 8)], strings.Join(Extensions(), ", "))
}

// DecodeConfig reads a picture's size and whether it is grey.
func DecodeConfig(r io.Reader) (size image.Point, grey bool, err error) {
	in := bufio.NewReader(r)
	head, _ := in.Peek(26)
	f, err := formatOf(head)
	if err != nil {
		return size, false, err
	}
	c, err := f.config(in)
	if err != nil {
		return size, false, err
	}
	grey = c.ColorModel == color.GrayModel || c.ColorModel == color.Gray16Model
	if bytes.HasPrefix(head, []byte("\x89PNG")) {
		grey = len(head) == 26 && head[25]&2 == 0 // bit 1 of the colour type says colour; a palette has it too
	}
	return image.Pt(c.Width, c.Height), grey, nil
}

// Decode reads a picture: PNG, JPEG (see [DecodeJPEG]), WebP, BMP, TIFF, GIF (its first frame), PGM or
// PPM. Of 16 bits the upper eight are taken, as Pillow takes them of colours.
func Decode(r io.Reader) (image.Image, error) {
	in := bufio.NewReader(r)
	head, _ := in.Peek(12)
	f, err := formatOf(head)
	if err != nil {
		return nil, err
	}
	m, err := f.decode(in)
	if err != nil {
		return nil, err
	}
	return narrowed(m), nil
}

// narrowed returns a picture of 16 bits with the upper eight.
func narrowed(m image.Image) image.Image {
	switch m := m.(type) {
	case *image.Gray16:
		return &image.Gray{Pix: upper(m.Pix), Stride: m.Stride / 2, Rect: m.Rect}
	case *image.NRGBA64:
		return &image.NRGBA{Pix: upper(m.Pix), Stride: m.Stride / 2, Rect: m.Rect}
	case *image.RGBA64:
		return &image.RGBA{Pix: upper(m.Pix), Stride: m.Stride / 2, Rect: m.Rect}
	}
	return m
}

func upper(pix []uint8) []uint8 {
	out := make([]uint8, len(pix)/2)
	for i := range out {
		out[i] = pix[2*i]
	}
	return out
}

// headPPM reads the header of a PGM or PPM file: P5 or P6, width, height and
// the largest value, between white space and comments.
func headPPM(in *bufio.Reader) (kind byte, size image.Point, most int, err error) {
	var magic [2]byte
	if _, err = io.ReadFull(in, magic[:]); err != nil {
		return 0, size, 0, err
	}
	for _, to := range []*int{&size.X, &size.Y, &most} {
		digits := 0
		for done := false; !done; {
			b, err := in.ReadByte()
			switch {
			case err != nil:
				return 0, size, 0, err
			case b == '#':
				if _, err := in.ReadString('\n'); err != nil {
					return 0, size, 0, err
				}
			case b >= '0' && b <= '9' && digits < 7:
				*to = 10**to + int(b-'0')
				digits++
			case strings.IndexByte(" \t\r\n", b) >= 0:
				done = digits > 0
			default:
				return 0, size, 0, fmt.Errorf("PPM: %q in the header, want numbers", b)
			}
		}
	}
	if size.X < 1 || size.Y < 1 || most < 1 || most > 65535 {
		return 0, size, 0, fmt.Errorf("PPM: %dx%d pixels up to %d, want sizes from 1 and values up to 65535", size.X, size.Y, most)
	}
	return magic[1], size, most, nil
}

func configPPM(r io.Reader) (image.Config, error) {
	kind, size, _, err := headPPM(bufio.NewReader(r))
	c := image.Config{ColorModel: color.NRGBAModel, Width: size.X, Height: size.Y}
	if kind == '5' {
		c.ColorModel = color.GrayModel
	}
	return c, err
}

// decodePPM scales values to 0…255, rounded to the nearest.
func decodePPM(r io.Reader) (image.Image, error) {
	in := bufio.NewReader(r)
	kind, size, most, err := headPPM(in)
	if err != nil {
		return nil, err
	}
	width := 1
	if most > 255 {
		width = 2
	}
	channels := 3
	if kind == '5' {
		channels = 1
	}
	row := make([]byte, width*channels*size.X)
	grey, colour := image.NewGray(image.Rectangle{Max: size}), (*image.NRGBA)(nil)
	if kind == '6' {
		grey, colour = nil, image.NewNRGBA(image.Rectangle{Max: size})
	}
	for y := range size.Y {
		if _, err := io.ReadFull(in, row); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		for i := range channels * size.X {
			v := int(row[width*i])
			if width == 2 {
				v = v<<8 | int(row[2*i+1])
			}
			scaled := uint8((255*min(v, most) + most/2) / most)
			if colour == nil {
				grey.Pix[y*grey.Stride+i] = scaled
			} else {
				colour.Pix[y*colour.Stride+i/3*4+i%3], colour.Pix[y*colour.Stride+i/3*4+3] = scaled, 255
			}
		}
	}
	if colour == nil {
		return grey, nil
	}
	return colour, nil
}
