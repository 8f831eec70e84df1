package picture

import (
	"image"
	"io"
)

// DecodeJPEG decodes a JPEG file, baseline or progressive, to the values that libjpeg-turbo gives with
// its defaults, which are Pillow's, OpenCV's and PyTorch's; image/jpeg rounds its inverse transform otherwise
// and repeats samples of chroma where libjpeg interpolates. Grey files give *image.Gray, all others an opaque
// *image.NRGBA; inks (CMYK, YCCK) become colours as Pillow's convert("RGB") makes them. Orientation
// in EXIF is left alone.
func DecodeJPEG(r io.Reader) (image.Image, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	f, err := readJPEG(data)
	if err != nil {
		return nil, err
	}
	size := image.Pt(f.width, f.height)
	planes := make([]plane, len(f.components))
	for i, c := range f.components {
		planes[i] = f.plane(c).enlarged(size, f.most.X/c.h, f.most.Y/c.v)
	}
	if len(planes) == 1 {
		return &image.Gray{Pix: planes[0].pix, Stride: planes[0].stride, Rect: image.Rectangle{Max: size}}, nil
	}
	return colours(planes, f.luminous()), nil
}

// luminous reports whether the components are luminance and chroma (YCbCr, YCCK), as
// libjpeg finds it out.
func (f *jpegFile) luminous() bool {
	if len(f.components) == 4 {
		return f.adobe == 2
	}
	if f.jfif || f.adobe >= 0 {
		return f.jfif || f.adobe != 0
	}
	c := f.components
	return !(c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B')
}

// plane is one component, of samples in rows.
type plane struct {
	width, height int
	stride        int
	pix           []uint8
}

// enlarged returns the plane with across × down times its samples, cut to a
// size: in libjpeg's "fancy" way by triangle filters where that has one, else by
// repetition (jdsample.c). Beyond an edge the samples are those of the edge.
func (p plane) enlarged(size image.Point, across, down int) plane {
	if across == 1 && down == 1 {
		return p
	}
	fancy := across <= 2 && down <= 2 && (across == 1 || p.width > 2)
	out := plane{size.X, size.Y, size.X, make([]uint8, size.X*size.Y)}
	wide := make([]uint8, p.width*across)
	sums := make([]int, p.width)
	for y := range size.Y {
		row := p.row(y / down)
		dst := out.row(y)
		switch {
		case !fancy:
			for x := range dst {
				dst[x] = row[x/across]
			}
			continue
		case down == 1:
			doubled(wide, row)
		default:
			near := p.row(min(max(y/2-1+y%2*2, 0), p.height-1)) // the row above, then the one below
			for x, v := range row {
				sums[x] = 3*int(v) + int(near[x])
			}
			if across == 2 {
				doubledSums(wide, sums)
			} else {
				for x, s := range sums {
					wide[x] = uint8((s + 1 + y%2) >> 2)
				}
			}
		}
		copy(dst, wide)
	}
	return out
}

func (p plane) row(y int) []uint8 { return p.pix[y*p.stride:][:p.width] }

// doubled interpolates between samples: 3/4 of the nearer and 1/4 of the
// farther, rounded down and up in turn (h2v1_fancy_upsample).
func doubled(dst, src []uint8) {
	last := len(src) - 1
	for x, v := range src {
		three := 3 * int(v)
		dst[2*x] = uint8((three + int(src[max(x-1, 0)]) + 1) >> 2)
		dst[2*x+1] = uint8((three + int(src[min(x+1, last)]) + 2) >> 2)
	}
}

// doubledSums does the same with sums of two rows, 3 of the nearer and 1 of
// the farther (h2v2_fancy_upsample).
func doubledSums(dst []uint8, sums []int) {
	last := len(sums) - 1
	for x, s := range sums {
		dst[2*x] = uint8((3*s + sums[max(x-1, 0)] + 8) >> 4)
		dst[2*x+1] = uint8((3*s + sums[min(x+1, last)] + 7) >> 4)
	}
}

// Weights of the colours in 65536ths.
const (
	crToRed   = 91881  // 1.40200
	cbToBlue  = 116130 // 1.77200
	crToGreen = 46802  // 0.71414
	cbToGreen = 22554  // 0.34414
	half      = 1 << 15
)

// rgb converts one pixel as jdcolor.c does.
func rgb(y, cb, cr uint8) (r, g, b uint8) {
	blue, red := int(cb)-128, int(cr)-128
	return clip(int(y) + (crToRed*red+half)>>16),
		clip(int(y) + (half-cbToGreen*blue-crToGreen*red)>>16),
		clip(int(y) + (cbToBlue*blue+half)>>16)
}

func clip(v int) uint8 { return uint8(min(max(v, 0), 255)) }

// colours makes pixels of three components, or of four inks.
func colours(planes []plane, luminous bool) *image.NRGBA {
	out := image.NewNRGBA(image.Rect(0, 0, planes[0].width, planes[0].height))
	for y := range planes[0].height {
		first, second, third := planes[0].row(y), planes[1].row(y), planes[2].row(y)
		dst := out.Pix[y*out.Stride:]
		for x := range first {
			r, g, b := first[x], second[x], third[x]
			if luminous {
				r, g, b = rgb(r, g, b)
			}
			if len(planes) == 4 {
				black := planes[3].row(y)[x]
				if luminous {
					r, g, b = 255-r, 255-g, 255-b
				}
				r, g, b = printed(r, black), printed(g, black), printed(b, black)
			}
			p := dst[4*x : 4*x+4 : 4*x+4]
			p[0], p[1], p[2], p[3] = r, g, b, 255
		}
	}
	return out
}

// printed is the colour of an ink under black. Files hold inks inverted: 255 is none.
func printed(ink, black uint8) uint8 {
	covered := int(255-ink)*int(black) + 128
	return clip(int(black) - (covered>>8+covered)>>8)
}
