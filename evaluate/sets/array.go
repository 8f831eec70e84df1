package sets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"ebm/evaluate/features"
	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/internal/picture"
	"ebm/mdsm/dataset"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
)

// openArrays tells files of arrays apart by what they hold.
func (s *Source) openArrays(path string) error {
	if _, err := samples.CheckFloats(path); err != nil {
		return err
	}
	if _, err := atomicfile.CheckSum(path); err != nil {
		return err
	}
	var names []string
	if strings.HasSuffix(strings.ToLower(path), ".npz") {
		archive, err := npz.Open(path)
		if err != nil {
			return err
		}
		names = archive.Names()
		archive.Close()
		switch {
		case slices.Contains(names, "mu") || slices.Contains(names, "sigma"):
			return s.openStatistics(path)
		case slices.Contains(names, "features"):
			return s.openFeatureFile(path)
		}
	}
	rows, err := dataset.OpenArray(path)
	if err != nil {
		return err
	}
	if s.Labels, err = readLabels(path, names, rows.Shape[0]); err != nil {
		return errors.Join(err, rows.Close())
	}
	if len(rows.Shape) == 2 && rows.DType.IsFloat() {
		defer rows.Close()
		all, err := rows.Next(max(rows.Shape[0], 1))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return s.holdFeatures(path, features.Set{Features: all})
	}
	if err := s.openRows(rows); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), rows.Close())
	}
	return nil
}

// readLabels reads the classes of n samples beside them, from the array labels, y or arr_1 of whole numbers.
func readLabels(path string, names []string, n int) ([]string, error) {
	for _, usual := range []string{"labels", "y", "arr_1"} {
		if !slices.Contains(names, usual) {
			continue
		}
		archive, err := npz.Open(path)
		if err != nil {
			return nil, err
		}
		defer archive.Close()
		t, err := archive.Read(usual)
		if err != nil {
			return nil, err
		}
		labels, err := labelsOf(t, n)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return labels, nil
	}
	return nil, nil
}

// arranged says where an array [N …] has its pictures' rows, columns and channels.
type arranged struct {
	channels, height, width int
	last                    bool // the channels come last
	transparent             bool // the fourth is transparency
}

// arrangementOf recognises the shape of pictures: [N H W], [N C H W] or [N H W C] with 1 or 3
// channels, or [N H W 4] with transparency. Where both could be meant, the channels of bytes come
// last, as pictures have them, and those of other numbers first, as networks have them.
func arrangementOf(dtype tensor.DType, shape []int) (arranged, error) {
	isCount := func(c int) bool { return c == 1 || c == 3 }
	switch {
	case dtype == tensor.Bool:
	case len(shape) == 3:
		return arranged{channels: 1, height: shape[1], width: shape[2]}, nil
	case len(shape) == 4 && isCount(shape[1]) && (dtype != tensor.Uint8 || !isCount(shape[3])):
		return arranged{channels: shape[1], height: shape[2], width: shape[3]}, nil
	case len(shape) == 4 && isCount(shape[3]):
		return arranged{channels: shape[3], height: shape[1], width: shape[2], last: true}, nil
	case len(shape) == 4 && shape[3] == 4:
		return arranged{channels: 3, height: shape[1], width: shape[2], last: true, transparent: true}, nil
	}
	return arranged{}, fmt.Errorf("an array %v%v, want pictures [N C H W] or [N H W C] with 1 or 3 channels, or [N H W 4], or features, "+
		"floats [N d]", dtype, shape)
}

// openRows prepares to read pictures from an array, in order.
func (s *Source) openRows(rows *dataset.Array) error {
	how, err := arrangementOf(rows.DType, rows.Shape)
	if err != nil {
		return err
	}
	s.Channels, s.Height, s.Width = how.channels, how.height, how.width
	if min(s.Height, s.Width) < 1 || max(s.Height, s.Width) > 1<<14 {
		return fmt.Errorf("pictures of %d×%d pixels, want 1 to %d a side", s.Height, s.Width, 1<<14)
	}
	s.Kind, s.Count, s.close = Pictures, rows.Shape[0], rows.Close
	colours := colours{low: 0, high: 255}
	if rows.DType.IsFloat() {
		switch colours.flag = " (--samples-range " + strings.Join(Ranges(), " or ") + ")"; s.span {
		case "-1..1":
			colours.low, colours.high = -1, 1
		case "0..255":
		default:
			colours.high = 1
		}
	}
	s.end = func() error {
		for {
			if _, err := rows.Next(Block); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
	at := 0
	s.read = func(_ context.Context, first, n int) ([]*tensor.Tensor, error) {
		if first != at {
			return nil, fmt.Errorf("%s: pictures are read in order, %d was wanted after %d", s.Name, first, at)
		}
		x, err := rows.Next(n)
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%s: %w", s.Name, io.ErrUnexpectedEOF)
		}
		if err != nil {
			return nil, err
		}
		at += n
		if x.DType() != tensor.Uint8 {
			if x, err = colours.bytes(x, first); err != nil {
				return nil, fmt.Errorf("%s: %w", s.Name, err)
			}
		}
		return []*tensor.Tensor{how.channelsFirst(x)}, nil
	}
	return nil
}

// channelsFirst turns bytes of an arrangement into [N C H W]; transparent pictures are laid over white.
func (a arranged) channelsFirst(x *tensor.Tensor) *tensor.Tensor {
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
	flag           string // how another range is asked for
	beyond, values int
}

// bytes returns numbers as colours from 0 to 255. NaN and infinity are errors, and so are more than one
// value in a hundred, of all so far, clearly beyond the range, which would be cut.
func (c *colours) bytes(x *tensor.Tensor, first int) (*tensor.Tensor, error) {
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
			100*float64(c.beyond)/float64(c.values), c.low, c.high, c.flag)
	}
	return picture.Bytes(out)
}
