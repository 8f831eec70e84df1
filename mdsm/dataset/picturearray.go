package dataset

import (
	"fmt"
	"image"
	"io"
	"math"

	"ebm/internal/picture"
	"ebm/models/tensor"
)

// Ranges are what the floats of a picture may mean for black and white.
func Ranges() []string { return []string{"0..1", "-1..1", "0..255"} }

// PictureArray reads the pictures of an array as bytes, in order.
type PictureArray struct {
	Channels, Height, Width int
	// Hint ends the error of floats that are outside of their range: how another one is
	// asked for.
	Hint string

	rows    *Array
	how     placement
	colours colours
}

// NewPictureArray recognises the pictures of an array: whole numbers from 0 to 255, or floats of a range, one of
// [Ranges], of which "" is the first. Arrays of another shape are errors.
func NewPictureArray(rows *Array, span string) (*PictureArray, error) {
	how, err := placementOf(rows.DType, rows.Shape)
	if err != nil {
		return nil, err
	}
	if min(how.height, how.width) < 1 || max(how.height, how.width) > 1<<14 {
		return nil, fmt.Errorf("pictures of %d×%d pixels, want 1 to %d a side", how.height, how.width, 1<<14)
	}
	p := &PictureArray{Channels: how.channels, Height: how.height, Width: how.width, rows: rows, how: how, colours: colours{low: 0, high: 255}}
	if rows.DType.IsFloat() {
		switch span {
		case "-1..1":
			p.colours.low, p.colours.high = -1, 1
		case "0..255":
		default:
			p.colours.high = 1
		}
	}
	return p, nil
}

// Next returns the next pictures, at most n of them, as uint8 [n C H W], and io.EOF after the last.
func (p *PictureArray) Next(n int) (*tensor.Tensor, error) {
	first := p.rows.At()
	x, err := p.rows.Next(n)
	if err != nil {
		return nil, err
	}
	if x.DType() != tensor.Uint8 {
		hint := ""
		if x.DType().IsFloat() {
			hint = p.Hint
		}
		if x, err = p.colours.bytes(x, first, hint); err != nil {
			return nil, fmt.Errorf("%s: %w", p.rows.path, err)
		}
	}
	return p.how.channelsFirst(x), nil
}

// loadArray reads the pictures of an array as a set, with the middle square brought to a size where one is asked for.
func loadArray(spec Spec) (*Set, error) {
	rows, err := OpenArray(spec.Dir)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if spec.Split == Test {
		return nil, fmt.Errorf("%s has no split called %v, want an array of its own for it", spec.Dir, spec.Split)
	}
	pictures, err := NewPictureArray(rows, "")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", spec.Dir, err)
	}
	n, channels := rows.Shape[0], spec.Channels
	if channels == 0 {
		channels = pictures.Channels
	}
	side := min(pictures.Height, pictures.Width)
	fr := frame{image.Rect(0, 0, pictures.Width, pictures.Height), pictures.Height, pictures.Width}
	if spec.Size > 0 {
		fr = frame{middle(pictures.Width, pictures.Height, side, side), spec.Size, spec.Size}
	}
	set := &Set{Channels: channels, Height: fr.height, Width: fr.width, Source: spec.Dir}
	each := channels * fr.height * fr.width
	set.Pixels = make([]uint8, n*each)
	for i := range n {
		x, err := pictures.Next(1)
		if err != nil {
			return nil, err
		}
		planes(set.Pixels[i*each:(i+1)*each], resized(imageOf(x), fr))
	}
	if _, err := rows.Next(1); err != io.EOF {
		return nil, fmt.Errorf("%s: after %d pictures: %w", spec.Dir, n, err)
	}
	return set, nil
}

// imageOf returns a picture, uint8 [1 C H W], as an image.
func imageOf(x *tensor.Tensor) image.Image {
	channels, height, width := x.Shape()[1], x.Shape()[2], x.Shape()[3]
	out, plane := image.NewNRGBA(image.Rect(0, 0, width, height)), height*width
	for i := range plane {
		for c := range 3 {
			out.Pix[4*i+c] = tensor.Data[uint8](x)[min(c, channels-1)*plane+i]
		}
		out.Pix[4*i+3] = 255
	}
	return out
}

// placement says where an array [N …] has its pictures' rows, columns and channels.
type placement struct {
	channels, height, width int
	last                    bool // the channels come last
	transparent             bool // the fourth is transparency
}

// placementOf recognises the shape of pictures: [N H W], [N C H W] or [N H W C] with 1 or 3
// channels, or [N H W 4] with transparency. Where both could be meant, the channels of bytes come
// last, as pictures have them, and those of other numbers first, as networks have them.
func placementOf(dtype tensor.DType, shape []int) (placement, error) {
	isCount := func(c int) bool { return c == 1 || c == 3 }
	switch {
	case dtype == tensor.Bool:
	case len(shape) == 3:
		return placement{channels: 1, height: shape[1], width: shape[2]}, nil
	case len(shape) == 4 && isCount(shape[1]) && (dtype != tensor.Uint8 || !isCount(shape[3])):
		return placement{channels: shape[1], height: shape[2], width: shape[3]}, nil
	case len(shape) == 4 && isCount(shape[3]):
		return placement{channels: shape[3], height: shape[1], width: shape[2], last: true}, nil
	case len(shape) == 4 && shape[3] == 4:
		return placement{channels: 3, height: shape[1], width: shape[2], last: true, transparent: true}, nil
	}
	return placement{}, fmt.Errorf("an array %v%v, want pictures [N C H W] or [N H W C] with 1 or 3 channels, or [N H W 4], or features, "+
		"floats [N d]", dtype, shape)
}

// channelsFirst turns bytes of an arrangement into [N C H W]; transparent pictures are laid over white.
func (a placement) channelsFirst(x *tensor.Tensor) *tensor.Tensor {
	n, pixels := x.Shape()[0], a.height*a.width
	if !a.last {
		return x.Reshape(n, a.channels, a.height, a.width)
	}
	out := tensor.New(tensor.Uint8, n, a.channels, a.height, a.width)
	from, to := tensor.Data[uint8](x), tensor.Data[uint8](out)
	stored := a.channels
	if a.transparent {
		stored = 4
	}
	for i := range n {
		for p := range pixels {
			pixel := from[(i*pixels+p)*stored:][:stored]
			for k := range a.channels {
				v := int(pixel[k])
				if a.transparent {
					v = (v*int(pixel[3]) + 255*(255-int(pixel[3])) + 127) / 255
				}
				to[(i*a.channels+k)*pixels+p] = uint8(v)
			}
		}
	}
	return out
}

// colours brings numbers from low to high to bytes and counts those that are beyond.
type colours struct {
	low, high      float64
	beyond, values int
}

// bytes returns numbers as colours from 0 to 255. NaN and infinity are errors, and so are more than one
// value in a hundred, of all so far, clearly beyond the range, which would be cut.
func (c *colours) bytes(x *tensor.Tensor, first int, hint string) (*tensor.Tensor, error) {
	each := x.Len() / x.Shape()[0]
	out := tensor.New(tensor.Float64, x.Shape()...)
	for i, v := range x.Float64s() {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("pixel %d of picture %d is not finite", i%each, first+i/each)
		}
		v = (v - c.low) / (c.high - c.low)
		if v < -0.1 || v > 1.1 {
			c.beyond++
		}
		tensor.Data[float64](out)[i] = v
	}
	if c.values += x.Len(); c.beyond*100 > c.values {
		return nil, fmt.Errorf("%.0f %% of the values are outside %g..%g, want colours of a range%s",
			100*float64(c.beyond)/float64(c.values), c.low, c.high, hint)
	}
	return picture.Bytes(out)
}
