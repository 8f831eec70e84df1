package picture

import (
	"fmt"
	"math"

	"ebm/models/tensor"
)

// Bytes returns x with its values in 0…255, in the same shape: floats are
// clipped to [0, 1], scaled by 255 and rounded to nearest (halves up), NaN
// becomes 0. A uint8 tensor is returned as it is. Other element types are an
// error.
func Bytes(x *tensor.Tensor) (*tensor.Tensor, error) {
	switch x.DType() {
	case tensor.Uint8:
		return x, nil
	case tensor.Float32:
		return quantised(tensor.Data[float32](x), x.Shape()), nil
	case tensor.Float64:
		return quantised(tensor.Data[float64](x), x.Shape()), nil
	}
	return nil, fmt.Errorf("pictures have elements of type %v, want float32, float64 or uint8", x.DType())
}

func quantised[T float32 | float64](values []T, shape []int) *tensor.Tensor {
	out := make([]uint8, len(values))
	for i, v := range values {
		out[i] = quantise(float64(v))
	}
	return tensor.Of(out, shape...)
}

func quantise(v float64) uint8 {
	// NaN fails the first comparison and is written as black.
	if !(v > 0) {
		return 0
	}
	if v >= 1 {
		return 255
	}
	return uint8(math.Floor(255*v + 0.5))
}

// NHWC returns a copy of x, [N, C, H, W], with its channels last:
// [N, H, W, C]. The elements may be float32 or uint8.
func NHWC(x *tensor.Tensor) (*tensor.Tensor, error) {
	if err := wantRank4(x); err != nil {
		return nil, err
	}
	switch x.DType() {
	case tensor.Float32:
		return channelsLast(tensor.Data[float32](x), x.Shape()), nil
	case tensor.Uint8:
		return channelsLast(tensor.Data[uint8](x), x.Shape()), nil
	}
	return nil, fmt.Errorf("pictures have elements of type %v, want float32 or uint8", x.DType())
}

func channelsLast[T float32 | uint8](src []T, shape []int) *tensor.Tensor {
	n, c, h, w := shape[0], shape[1], shape[2], shape[3]
	dst := make([]T, len(src))
	area := h * w
	for i := range n {
		for ch := range c {
			plane := src[(i*c+ch)*area:][:area]
			for p, v := range plane {
				dst[(i*area+p)*c+ch] = v
			}
		}
	}
	return tensor.Of(dst, n, h, w, c)
}

// NCHW returns a copy of x, uint8 [N, H, W, C], with its channels first:
// [N, C, H, W]. It undoes NHWC.
func NCHW(x *tensor.Tensor) (*tensor.Tensor, error) {
	if err := wantRank4(x); err != nil {
		return nil, err
	}
	if x.DType() != tensor.Uint8 {
		return nil, fmt.Errorf("pictures have elements of type %v, want uint8", x.DType())
	}
	n, h, w, c := x.Shape()[0], x.Shape()[1], x.Shape()[2], x.Shape()[3]
	src, dst, area := tensor.Data[uint8](x), make([]uint8, x.Len()), h*w
	for i := range n {
		for p := range area {
			for ch := range c {
				dst[(i*c+ch)*area+p] = src[(i*area+p)*c+ch]
			}
		}
	}
	return tensor.Of(dst, n, c, h, w), nil
}

// Surround returns x, uint8 [N, C, H, W], with zeros around each picture, as
// a copy of height x width pixels. An odd margin leaves its extra row or
// column at the bottom or right. It undoes Crop where what was cut off is
// black.
func Surround(x *tensor.Tensor, height, width int) (*tensor.Tensor, error) {
	if err := wantRank4(x); err != nil {
		return nil, err
	}
	h, w := x.Shape()[2], x.Shape()[3]
	if x.DType() != tensor.Uint8 || height < h || width < w {
		return nil, fmt.Errorf("cannot surround pictures %v to %dx%d, want uint8 ones that are no larger", x, height, width)
	}
	planes := x.Shape()[0] * x.Shape()[1]
	top, left := (height-h)/2, (width-w)/2
	src, dst := tensor.Data[uint8](x), make([]uint8, planes*height*width)
	for plane := range planes {
		for y := range h {
			copy(dst[(plane*height+top+y)*width+left:], src[(plane*h+y)*w:(plane*h+y+1)*w])
		}
	}
	return tensor.Of(dst, x.Shape()[0], x.Shape()[1], height, width), nil
}

// Crop returns the middle height x width pixels of each picture of x,
// [N, C, H, W], as a copy. An odd margin leaves its extra row or column at
// the bottom or right. It undoes the padding of 28x28 sets to 32x32.
// The elements may be float32 or uint8.
func Crop(x *tensor.Tensor, height, width int) (*tensor.Tensor, error) {
	if err := wantRank4(x); err != nil {
		return nil, err
	}
	h, w := x.Shape()[2], x.Shape()[3]
	if height < 1 || width < 1 || height > h || width > w {
		return nil, fmt.Errorf("cannot crop pictures of %dx%d to %dx%d", h, w, height, width)
	}
	switch x.DType() {
	case tensor.Float32:
		return cropped(tensor.Data[float32](x), x.Shape(), height, width), nil
	case tensor.Uint8:
		return cropped(tensor.Data[uint8](x), x.Shape(), height, width), nil
	}
	return nil, fmt.Errorf("pictures have elements of type %v, want float32 or uint8", x.DType())
}

func cropped[T float32 | uint8](src []T, shape []int, height, width int) *tensor.Tensor {
	n, c, h, w := shape[0], shape[1], shape[2], shape[3]
	top, left := (h-height)/2, (w-width)/2
	dst := make([]T, 0, n*c*height*width)
	for plane := range n * c {
		for y := range height {
			row := src[plane*h*w+(top+y)*w+left:]
			dst = append(dst, row[:width]...)
		}
	}
	return tensor.Of(dst, n, c, height, width)
}

func wantRank4(x *tensor.Tensor) error {
	if x.Rank() != 4 {
		return fmt.Errorf("pictures have shape %v, want [N, C, H, W]", x.Shape())
	}
	return nil
}
