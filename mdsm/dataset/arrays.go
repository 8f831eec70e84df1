package dataset

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"ebm/internal/npz"
	"ebm/models/tensor"
)

// Pictures reads a user's own pictures as float32 [N C H W] with values from 0
// to 1, for a model of [C H W]: a picture, or a folder or archive of them, whose
// middle square is resized where it must be; or the array of an .npy file, or
// arr_0 of an .npz, of uint8 [N H W C] or floating-point [N C H W].
func Pictures(ctx context.Context, path string, shape []int) (*tensor.Tensor, error) {
	switch filepath.Ext(path) {
	case ".npy", ".npz":
		return readArray(path, shape)
	}
	set, err := Load(ctx, Spec{Name: "folder", Dir: path, Size: shape[2], Channels: shape[0]})
	if err != nil {
		return nil, err
	}
	if set.Height != shape[1] || set.Width != shape[2] {
		return nil, fmt.Errorf("%s: pictures are %d×%d, want %d×%d", path, set.Height, set.Width, shape[1], shape[2])
	}
	return Tensor(set, nil), nil
}

// readArray reads the one array of a NumPy file, or its arr_0: uint8 with the
// channels last, as samples are kept, or floating-point with them first.
func readArray(path string, shape []int) (*tensor.Tensor, error) {
	var x *tensor.Tensor
	var err error
	if filepath.Ext(path) == ".npy" {
		x, err = npz.ReadNpyFile(path)
	} else {
		var all map[string]*tensor.Tensor
		if all, err = npz.ReadFile(path); err == nil {
			if x = all["arr_0"]; x == nil {
				return nil, fmt.Errorf("%s, want an array named arr_0", path)
			}
		}
	}
	if err != nil {
		return nil, err
	}
	last := []int{shape[1], shape[2], shape[0]}
	if x.Rank() > 0 && x.Shape()[0] == 0 {
		return nil, fmt.Errorf("%s holds no pictures, want one or more", path)
	}
	switch {
	case x.Rank() == 4 && x.DType().IsFloat() && slices.Equal(x.Shape()[1:], shape):
		return x.AsFloat32(), nil
	case x.Rank() == 4 && x.DType() == tensor.Uint8 && slices.Equal(x.Shape()[1:], last):
		return fromBytes(x, shape), nil
	}
	return nil, fmt.Errorf("%s holds %v, want floating-point pictures [N %v] or uint8 ones [N %v]", path, x, shape, last)
}

// fromBytes turns uint8 [N H W C] into float32 [N C H W] from 0 to 1.
func fromBytes(x *tensor.Tensor, shape []int) *tensor.Tensor {
	n, c, pixels := x.Shape()[0], shape[0], shape[1]*shape[2]
	out := tensor.New(tensor.Float32, append([]int{n}, shape...)...)
	from, to := tensor.Data[uint8](x), tensor.Data[float32](out)
	for i := range n {
		for p := range pixels {
			for k := range c {
				to[(i*c+k)*pixels+p] = float32(from[(i*pixels+p)*c+k]) / 255
			}
		}
	}
	return out
}
