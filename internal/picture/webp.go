package picture

import (
	"image"
	"io"

	"golang.org/x/image/webp"
)

// decodeWebP decodes a WebP file to the values of libwebp, which are Pillow's: chroma
// is interpolated between its samples, and colours are in the range of television (16…235).
func decodeWebP(r io.Reader) (image.Image, error) {
	m, err := webp.Decode(r)
	if err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case *image.YCbCr:
		return webpColours(m, nil), nil
	case *image.NYCbCrA:
		return webpColours(&m.YCbCr, m), nil
	}
	return m, nil
}

func webpColours(m *image.YCbCr, alpha *image.NYCbCrA) *image.NRGBA {
	size := m.Rect.Size()
	out := image.NewNRGBA(image.Rectangle{Max: size})
	wide, high := (size.X+1)/2, (size.Y+1)/2
	for y := range size.Y {
		near := y / 2
		far := min(max(near-1+y%2*2, 0), high-1) // the row of chroma above, then the one below
		for x := range size.X {
			nearX := x / 2
			farX := min(max(nearX-1+x%2*2, 0), wide-1)
			sample := func(pix []uint8) int {
				at := func(x, y int) int { return int(pix[y*m.CStride+x]) }
				// 9, 3, 3 and 1 sixteenths, rounded in libwebp's order.
				n, h, v, d := at(nearX, near), at(farX, near), at(nearX, far), at(farX, far)
				if nearX == farX { // no column beyond
					return (3*n + v + 2) >> 2
				}
				return ((n+h+v+d+8+2*(h+v))>>3 + n) >> 1
			}
			luma, u, v := 19077*int(m.Y[y*m.YStride+x])>>8, sample(m.Cb), sample(m.Cr)
			p := out.Pix[y*out.Stride+4*x:]
			p[0] = clip((luma + 26149*v>>8 - 14234) >> 6)
			p[1] = clip((luma - 6419*u>>8 - 13320*v>>8 + 8708) >> 6)
			p[2] = clip((luma + 33050*u>>8 - 17685) >> 6)
			p[3] = 255
			if alpha != nil {
				p[3] = alpha.A[y*alpha.AStride+x]
			}
		}
	}
	return out
}
