package langevin

import (
	"fmt"
	"image/png"
	"io"
	"slices"

	"ebm/internal/files"
	"ebm/models/tensor"
)

// Regions are the names of masks that ReadMask knows: a half of the picture, or
// the square of half its side in the middle.
func Regions() []string { return []string{"left", "right", "top", "bottom", "centre"} }

// ReadMask returns a mask [1 C H W] for pictures [C H W] that have pad rows and
// columns of padding on each side, 1 where a pixel is hidden in all channels: a
// region by name, or a PNG file in which every pixel that is not black is hidden.
// The file has the size of the pictures, with or without the padding. Padding is
// never hidden by a region or a file without it.
func ReadMask(ref string, shape []int, pad int) (*tensor.Tensor, error) {
	if len(shape) != 3 || pad < 0 || 2*pad >= min(shape[1], shape[2]) {
		return nil, fmt.Errorf("mask for x of shape %v with padding %d, want pictures [C H W]", shape, pad)
	}
	if slices.Contains(Regions(), ref) {
		height, width := shape[1]-2*pad, shape[2]-2*pad
		return mask(shape, pad, func(row, column int) bool { return inRegion(ref, row, column, height, width) }), nil
	}
	f, err := files.Open(ref)
	if err != nil {
		return nil, fmt.Errorf("mask: %w, want a PNG file or one of %v", err, Regions())
	}
	defer f.Close()
	m, err := decodeMask(f, shape, pad)
	if err != nil {
		return nil, fmt.Errorf("mask %s: %w", ref, err)
	}
	return m, nil
}

func inRegion(name string, row, column, height, width int) bool {
	middle := func(i, n int) bool { return i >= n/4 && i < n/4+(n+1)/2 }
	switch name {
	case "left":
		return column < width/2
	case "right":
		return column >= width/2
	case "top":
		return row < height/2
	case "bottom":
		return row >= height/2
	}
	return middle(row, height) && middle(column, width)
}

// mask returns one whose pixels inside the padding are hidden where hides says.
func mask(shape []int, pad int, hides func(row, column int) bool) *tensor.Tensor {
	m := tensor.New(tensor.Float32, 1, shape[0], shape[1], shape[2])
	values := tensor.Data[float32](m)
	for c := range shape[0] {
		for row := pad; row < shape[1]-pad; row++ {
			for column := pad; column < shape[2]-pad; column++ {
				if hides(row-pad, column-pad) {
					values[(c*shape[1]+row)*shape[2]+column] = 1
				}
			}
		}
	}
	return m
}

// decodeMask reads a PNG file. The size is checked before the pixels are read.
func decodeMask(r io.ReadSeeker, shape []int, pad int) (*tensor.Tensor, error) {
	c, err := png.DecodeConfig(r)
	if err != nil {
		return nil, err
	}
	inner := 0
	switch {
	case c.Width == shape[2] && c.Height == shape[1]:
	case c.Width == shape[2]-2*pad && c.Height == shape[1]-2*pad:
		inner = pad
	default:
		wanted := fmt.Sprintf("%d×%d", shape[2], shape[1])
		if pad > 0 {
			wanted += fmt.Sprintf(", or %d×%d without the padding,", shape[2]-2*pad, shape[1]-2*pad)
		}
		return nil, fmt.Errorf("it is %d×%d, want %s", c.Width, c.Height, wanted)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	picture, err := png.Decode(r)
	if err != nil {
		return nil, err
	}
	corner := picture.Bounds().Min
	return mask(shape, inner, func(row, column int) bool {
		red, green, blue, _ := picture.At(corner.X+column, corner.Y+row).RGBA()
		return red|green|blue != 0
	}), nil
}
