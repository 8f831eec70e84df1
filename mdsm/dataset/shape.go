package dataset

import (
	"fmt"
	"slices"
)

const (
	maxSide     = 4096       // bounds the size that can be asked for, in pixels
	maxPictures = 10_000_000 // bounds the number of pictures that can be asked for
)

// greySizes are the sides that the 28x28 sets can be had in, and colourSizes
// those of the 32x32 sets; the default comes first.
func greySizes() []int   { return []int{32, 16, 28} }
func colourSizes() []int { return []int{32, 16} }

// fit brings planes, [n, native, native], to the wanted side, which is one of
// sizes or 0 for the first of them: as they are, with zeros around them, or as
// 2x2 means of the first size. It returns the planes, their side and the
// number of zeros on each side.
func fit(planes []uint8, native, wanted int, sizes []int) (out []uint8, side, border int, err error) {
	side = wanted
	if side == 0 {
		side = sizes[0]
	}
	if !slices.Contains(sizes, side) {
		return nil, 0, 0, fmt.Errorf("size %d, want one of %v", side, sizes)
	}
	border = padding(native, side, sizes)
	if side == native {
		return planes, side, border, nil
	}
	out = surround(planes, native, padding(native, sizes[0], sizes))
	if side*2 == sizes[0] {
		out = halve(out, sizes[0])
	}
	return out, side, border, nil
}

// padding returns the zeros on each side of pictures of a side.
func padding(native, side int, sizes []int) int {
	border := (sizes[0] - native) / 2
	switch side {
	case sizes[0]:
		return border
	case sizes[0] / 2:
		return border / 2
	}
	return 0
}

// PadOf returns Set.Pad of a known set at a side in pixels, 0 for sets whose
// pictures are padded at no size.
func PadOf(name string, side int) int {
	for _, info := range Catalogue() {
		if info.Name == name && info.native > 0 {
			return padding(info.native, side, info.Sizes)
		}
	}
	return 0
}

// surround puts border rows and columns of zeros on each side of every plane
// of planes [n, side, side].
func surround(planes []uint8, side, border int) []uint8 {
	if border == 0 {
		return planes
	}
	wide := side + 2*border
	n := len(planes) / (side * side)
	out := make([]uint8, n*wide*wide)
	for i := range n * side {
		plane, row := i/side, i%side
		at := (plane*wide+row+border)*wide + border
		copy(out[at:at+side], planes[i*side:])
	}
	return out
}

// halve takes the mean of every 2x2 block of planes [n, side, side], side
// even, rounded to the nearest byte, halves up.
func halve(planes []uint8, side int) []uint8 {
	half := side / 2
	out := make([]uint8, len(planes)/4)
	for i := range out {
		row, col := i/half, i%half
		at := 2*row*side + 2*col // rows of all planes are even in number
		sum := int(planes[at]) + int(planes[at+1]) + int(planes[at+side]) + int(planes[at+side+1])
		out[i] = uint8((sum + 2) / 4)
	}
	return out
}
