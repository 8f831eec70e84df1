package dataset

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"slices"

	"ebm/models/tensor"
)

// Reader gives a user's pictures or rows to a model, a few at a time, as
// float32 [n …] of the shape that the model takes, so that there may be more than memory holds.
type Reader struct {
	Count int
	// Note says what was left out; it is often empty.
	Note string

	names []string // of files; nil for arrays
	at    int
	read  func(ctx context.Context, first, n int) (*tensor.Tensor, error)
	close func() error
}

// OpenReader opens pictures for a model of x [C H W]: a file of a picture, a folder or an archive
// of them, whose middle square is resized where it must be and whose values are from 0 to 1; or, of
// any shape of x, an array with a row for each x: .npy, .npz (arr_0, images, x or the only one) or
// .pt. Arrays may be floating-point, taken as they are, or integers, divided by 255; their channels
// may come last; a fourth channel is transparency over white; grey ones may leave the channel out.
// Close the reader when done.
func OpenReader(ctx context.Context, path string, shape []int) (*Reader, error) {
	r := &Reader{close: func() error { return nil }}
	var err error
	if IsArray(path) {
		err = r.openRows(path, shape)
	} else {
		err = r.openFiles(path, shape)
	}
	if err != nil {
		return nil, err
	}
	if r.Count == 0 {
		return nil, errors.Join(fmt.Errorf("%s holds no pictures, want one or more", path), r.Close())
	}
	return r, nil
}

// ReaderOf gives the rows of a tensor [N …] that is float32 already.
func ReaderOf(x *tensor.Tensor) *Reader {
	return &Reader{Count: x.Shape()[0], close: func() error { return nil },
		read: func(_ context.Context, first, n int) (*tensor.Tensor, error) {
			return x.Rows(first, first+n), nil
		}}
}

// Close closes the file.
func (r *Reader) Close() error { return r.close() }

// Name returns the file of picture i, or "" for one of an array.
func (r *Reader) Name(i int) string {
	if r.names == nil {
		return ""
	}
	return r.names[i]
}

// Next returns the next pictures, at most n of them, and io.EOF after the last.
func (r *Reader) Next(ctx context.Context, n int) (*tensor.Tensor, error) {
	if n = min(n, r.Count-r.at); n <= 0 {
		return nil, io.EOF
	}
	x, err := r.read(ctx, r.at, n)
	r.at += n
	return x, err
}

func (r *Reader) openFiles(path string, shape []int) error {
	if len(shape) != 3 || shape[0] != 1 && shape[0] != 3 || shape[1] != shape[2] {
		return fmt.Errorf("%s: files of pictures for a model of %v, want one of square pictures, [1 n n] or [3 n n]", path, shape)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	files := []pictureFile{{name: path}}
	switch {
	case info.IsDir():
		files, r.Note, err = listPictures(path)
	case isArchive(path):
		files, r.Note, err = listArchive(path)
	}
	if err != nil {
		return err
	}
	for _, f := range files {
		r.names = append(r.names, f.name)
	}
	each := shape[0] * shape[1] * shape[2]
	r.Count = len(files)
	r.read = func(ctx context.Context, first, n int) (*tensor.Tensor, error) {
		x := tensor.New(tensor.Uint8, append([]int{n}, shape...)...)
		err := forEach(ctx, n, func(i int) error {
			h, err := readHeader(files[first+i])
			if err != nil {
				return err
			}
			side := min(h.width, h.height)
			fr := frame{middle(h.width, h.height, side, side), shape[1], shape[2]}
			if h.width == shape[2] && h.height == shape[1] {
				fr.cut = image.Rect(0, 0, h.width, h.height)
			}
			return readPicture(tensor.Data[uint8](x)[i*each:(i+1)*each], files[first+i], h, fr)
		})
		if err != nil {
			return nil, err
		}
		return scaled(x), nil
	}
	return nil
}

// scaled divides bytes by 255.
func scaled(x *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(tensor.Float32, x.Shape()...)
	for i, v := range x.Float64s() {
		tensor.Data[float32](out)[i] = float32(v) / 255
	}
	return out
}

// openRows reads the rows of an array.
func (r *Reader) openRows(path string, shape []int) error {
	rows, err := OpenArray(path)
	if err != nil {
		return err
	}
	if _, err := arrangement(rows.DType, rows.Shape, shape); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), rows.Close())
	}
	r.Count, r.close = rows.Shape[0], rows.Close
	r.read = func(_ context.Context, _, n int) (*tensor.Tensor, error) {
		x, err := rows.Next(n)
		if err != nil {
			return nil, err
		}
		return arranged(x, shape)
	}
	return nil
}

// order is where an array has the channels of its pictures.
type order int

const (
	asIs order = iota
	channelsLast
	overWhite // red, green, blue and transparency come last
)

// arrangement says how rows of a shape become x's of another.
func arrangement(dtype tensor.DType, rows, shape []int) (order, error) {
	if len(rows) > 0 {
		switch one := rows[1:]; {
		case dtype == tensor.Bool:
		case slices.Equal(one, shape), len(shape) == 3 && shape[0] == 1 && slices.Equal(one, shape[1:]):
			return asIs, nil
		case len(shape) == 3 && slices.Equal(one, []int{shape[1], shape[2], shape[0]}):
			return channelsLast, nil
		case len(shape) == 3 && shape[0] == 3 && slices.Equal(one, []int{shape[1], shape[2], 4}):
			return overWhite, nil
		}
	}
	return 0, fmt.Errorf("an array %v%v, want [N] and the model's %v, or with the channels last", dtype, rows, shape)
}

// arranged brings rows to float32 of a shape.
func arranged(x *tensor.Tensor, shape []int) (*tensor.Tensor, error) {
	how, err := arrangement(x.DType(), x.Shape(), shape)
	if err != nil {
		return nil, err
	}
	n := x.Shape()[0]
	if x.DType().IsFloat() {
		x = x.AsFloat32()
	} else {
		x = scaled(x)
	}
	if how == asIs {
		return x.Reshape(append([]int{n}, shape...)...), nil
	}
	c, pixels := shape[0], shape[1]*shape[2]
	stored := x.Len() / (n * pixels) // channels
	out := tensor.New(tensor.Float32, append([]int{n}, shape...)...)
	from, to := tensor.Data[float32](x), tensor.Data[float32](out)
	for i := range n {
		for p := range pixels {
			pixel := from[(i*pixels+p)*stored:][:stored]
			for k := range c {
				v := pixel[k]
				if how == overWhite {
					v = v*pixel[3] + 1 - pixel[3]
				}
				to[(i*c+k)*pixels+p] = v
			}
		}
	}
	return out, nil
}

// Pictures reads all of what [OpenReader] reads.
func Pictures(ctx context.Context, path string, shape []int) (*tensor.Tensor, error) {
	r, err := OpenReader(ctx, path, shape)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.Next(ctx, r.Count)
}
