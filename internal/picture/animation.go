package picture

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"io"
	"math"
	"slices"
	"time"

	"ebm/models/tensor"
)

// Animation shows frames one after the other, each drawn as a grid, for ever.
type Animation struct {
	Grid  Grid
	Delay time.Duration // how long a frame is shown, in steps of 10 ms
	Hold  time.Duration // how much longer the last one is shown
}

// WriteGIF writes frames, tensors of one shape [N, C, H, W] with C of 1 or 3,
// as an animated GIF. Grey levels are kept exactly; colours too where a frame
// has at most 256, otherwise each frame gets the palette that suits it and
// its pixels are dithered.
func (a Animation) WriteGIF(w io.Writer, frames []*tensor.Tensor) error {
	if len(frames) == 0 {
		return errors.New("an animation needs at least one frame")
	}
	out := &gif.GIF{}
	for i, frame := range frames {
		if !slices.Equal(frame.Shape(), frames[0].Shape()) {
			return fmt.Errorf("frame %d has shape %v, the first %v", i, frame.Shape(), frames[0].Shape())
		}
		l, err := a.Grid.layout(frame)
		if err != nil {
			return fmt.Errorf("frame %d: %w", i, err)
		}
		drawn := enlarged(paletted(l.draw()), l.scale).(*image.Paletted)
		if s := drawn.Rect.Size(); s.X > math.MaxUint16 || s.Y > math.MaxUint16 {
			return fmt.Errorf("animation would have %v pixels, want at most %d in each direction", s, math.MaxUint16)
		}
		out.Image = append(out.Image, drawn)
		out.Delay = append(out.Delay, hundredths(a.Delay))
	}
	out.Delay[len(out.Delay)-1] = hundredths(a.Delay + a.Hold)
	if err := gif.EncodeAll(w, out); err != nil {
		return fmt.Errorf("write GIF of %d frames: %w", len(frames), err)
	}
	return nil
}

// hundredths returns d in the unit of GIF. Browsers slow anything below 20 ms
// down to 100 ms, so that is the least.
func hundredths(d time.Duration) int {
	return int(min(max(d/(10*time.Millisecond), 2), math.MaxUint16))
}

// paletted returns img with a palette of at most 256 colours.
func paletted(img image.Image) *image.Paletted {
	if grey, ok := img.(*image.Gray); ok {
		palette := make(color.Palette, 256)
		for i := range palette {
			palette[i] = color.Gray{Y: uint8(i)}
		}
		return &image.Paletted{Pix: grey.Pix, Stride: grey.Stride, Rect: grey.Rect, Palette: palette}
	}
	rgba := img.(*image.RGBA)
	palette, exact := exactPalette(rgba)
	if !exact {
		palette = medianCut(rgba)
	}
	out := image.NewPaletted(rgba.Rect, palette)
	drawer := draw.Drawer(draw.FloydSteinberg)
	if exact {
		drawer = draw.Src
	}
	drawer.Draw(out, out.Rect, rgba, image.Point{})
	return out
}

// exactPalette returns the colours of img in the order they are met, and
// whether there are at most 256 of them.
func exactPalette(img *image.RGBA) (color.Palette, bool) {
	seen := map[color.RGBA]bool{}
	var palette color.Palette
	for p := 0; p < len(img.Pix); p += 4 {
		c := color.RGBA{img.Pix[p], img.Pix[p+1], img.Pix[p+2], 255}
		if seen[c] {
			continue
		}
		if len(palette) == 256 {
			return nil, false
		}
		seen[c] = true
		palette = append(palette, c)
	}
	return palette, true
}
