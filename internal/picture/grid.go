package picture

import (
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"

	"ebm/models/tensor"
)

// maxPixels bounds the size of one picture file, so that a mistaken scale is
// an error and not an exhausted machine.
const maxPixels = 1 << 28

// Grid lays pictures out in rows, left to right and top to bottom. The zero
// value is a nearly square grid without padding or enlargement.
type Grid struct {
	Columns    int   // pictures in a row; 0 for the least number that makes the grid no higher than wide
	Padding    int   // pixels around and between the pictures, before enlargement
	Scale      int   // every pixel becomes Scale x Scale pixels; 0 counts as 1
	Background uint8 // grey level of the padding and of empty places; 0 is black
	Apart      int   // the first so many columns stand apart from the others by three paddings more; 0 for none
}

// Image draws x, [N, C, H, W] with C of 1 or 3, as an *image.Gray or an opaque
// *image.RGBA.
func (g Grid) Image(x *tensor.Tensor) (image.Image, error) {
	l, err := g.layout(x)
	if err != nil {
		return nil, err
	}
	return enlarged(l.draw(), l.scale), nil
}

// WritePNG writes the grid of x, [N, C, H, W] with C of 1 or 3, as a PNG
// file: 8-bit grey for one channel, 8-bit RGB for three.
func (g Grid) WritePNG(w io.Writer, x *tensor.Tensor) error {
	img, err := g.Image(x)
	if err != nil {
		return err
	}
	return encodePNG(w, img)
}

func encodePNG(w io.Writer, img image.Image) error {
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(w, img); err != nil {
		return fmt.Errorf("write PNG of %v: %w", img.Bounds().Size(), err)
	}
	return nil
}

// layout is a grid whose numbers have been checked against its pictures.
type layout struct {
	n, c, h, w    int
	pixels        []uint8 // [n, c, h, w]
	columns, rows int
	padding       int
	scale         int
	background    uint8
	apart, gap    int // columns before a wider gap, and what it is wider by
}

func (g Grid) layout(x *tensor.Tensor) (*layout, error) {
	if err := wantRank4(x); err != nil {
		return nil, err
	}
	if g.Columns < 0 || g.Padding < 0 || g.Scale < 0 || g.Apart < 0 {
		return nil, fmt.Errorf("grid has %d columns, %d of them apart, padding %d and scale %d, want none below 0", g.Columns,
			g.Apart, g.Padding, g.Scale)
	}
	s := x.Shape()
	l := &layout{
		n: s[0], c: s[1], h: s[2], w: s[3],
		columns: g.Columns, padding: g.Padding, scale: max(g.Scale, 1), background: g.Background,
	}
	if l.c != 1 && l.c != 3 {
		return nil, fmt.Errorf("pictures have shape %v with %d channels, want 1 or 3", s, l.c)
	}
	if x.Len() == 0 {
		return nil, errors.New("no pictures to draw: shape " + fmt.Sprint(s))
	}
	if l.columns == 0 {
		l.columns = int(math.Ceil(math.Sqrt(float64(l.n))))
	}
	l.columns = min(l.columns, l.n)
	l.rows = (l.n + l.columns - 1) / l.columns
	if g.Apart > 0 && g.Apart < l.columns {
		l.apart, l.gap = g.Apart, 3*l.padding
	}
	// In floating point, so that absurd settings cannot wrap around.
	width := (float64(l.columns)*(float64(l.w)+float64(l.padding)) + float64(l.padding) + float64(l.gap)) * float64(l.scale)
	height := (float64(l.rows)*(float64(l.h)+float64(l.padding)) + float64(l.padding)) * float64(l.scale)
	if width*height > maxPixels {
		return nil, fmt.Errorf("grid of %d pictures would have %.0fx%.0f pixels, want at most %d in all", l.n, width, height, maxPixels)
	}
	b, err := Bytes(x)
	if err != nil {
		return nil, err
	}
	l.pixels = tensor.Data[uint8](b)
	return l, nil
}

// draw returns the grid before enlargement.
func (l *layout) draw() image.Image {
	bounds := image.Rect(0, 0, l.columns*(l.w+l.padding)+l.padding+l.gap, l.rows*(l.h+l.padding)+l.padding)
	if l.c == 1 {
		img := image.NewGray(bounds)
		fill(img.Pix, l.background)
		for i := range l.n {
			x0, y0 := l.origin(i)
			for y := range l.h {
				copy(img.Pix[img.PixOffset(x0, y0+y):], l.row(i, 0, y))
			}
		}
		return img
	}
	img := image.NewRGBA(bounds)
	fill(img.Pix, l.background)
	for p := 3; p < len(img.Pix); p += 4 {
		img.Pix[p] = 255
	}
	for i := range l.n {
		x0, y0 := l.origin(i)
		for c := range 3 {
			for y := range l.h {
				at := img.Pix[img.PixOffset(x0, y0+y)+c:]
				for x, v := range l.row(i, c, y) {
					at[4*x] = v
				}
			}
		}
	}
	return img
}

func (l *layout) origin(i int) (x, y int) {
	column := i % l.columns
	if column >= l.apart {
		x = l.gap
	}
	return x + l.padding + column*(l.w+l.padding), l.padding + (i/l.columns)*(l.h+l.padding)
}

func (l *layout) row(i, c, y int) []uint8 {
	return l.pixels[((i*l.c+c)*l.h+y)*l.w:][:l.w]
}

func fill(b []uint8, v uint8) {
	for i := range b {
		b[i] = v
	}
}

// enlarged repeats every pixel scale times in both directions.
func enlarged(img image.Image, scale int) image.Image {
	if scale == 1 {
		return img
	}
	size := img.Bounds().Size()
	bounds := image.Rect(0, 0, size.X*scale, size.Y*scale)
	switch src := img.(type) {
	case *image.Gray:
		dst := image.NewGray(bounds)
		repeat(dst.Pix, src.Pix, size, 1, scale)
		return dst
	case *image.Paletted:
		dst := image.NewPaletted(bounds, src.Palette)
		repeat(dst.Pix, src.Pix, size, 1, scale)
		return dst
	default:
		dst := image.NewRGBA(bounds)
		repeat(dst.Pix, img.(*image.RGBA).Pix, size, 4, scale)
		return dst
	}
}

// repeat copies src, rows of size.X pixels of depth bytes, to dst, scale
// times as wide and high.
func repeat(dst, src []uint8, size image.Point, depth, scale int) {
	from, to := size.X*depth, size.X*depth*scale
	for y := range size.Y {
		first := dst[y*scale*to:][:to]
		for x := range size.X {
			for s := range scale {
				copy(first[(x*scale+s)*depth:], src[y*from+x*depth:][:depth])
			}
		}
		for s := 1; s < scale; s++ {
			copy(dst[(y*scale+s)*to:], first)
		}
	}
}
