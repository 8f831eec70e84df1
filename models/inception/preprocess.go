package inception

import (
	"fmt"
	"math"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// Convention is how a program brings pictures to the network's size and
// range. Scores that were made by different conventions do not compare.
type Convention string

// The conventions.
const (
	// PyTorchFID is that of pytorch-fid: bilinear interpolation between the
	// centres of pixels without antialiasing, then 2·x/255 − 1.
	PyTorchFID Convention = "pytorch-fid"
	// TF is that of TensorFlow 1, the original FID and torch-fidelity:
	// bilinear interpolation between the corners of pixels, top left to top
	// left, without antialiasing, then (x − 128)/128.
	TF Convention = "tf"
	// Clean is that of clean-fid: Pillow's bicubic interpolation with
	// antialiasing, cut to 0…255, then (x − 128)/128.
	Clean Convention = "clean"
	// Pillow is that of Pillow on pictures of bytes, as torchvision's transforms
	// use it: the same interpolation, rounded to whole numbers along each axis,
	// the width first. (Pillow 13 takes the height first for some shapes, no squares among them.)
	Pillow Convention = "pillow"
)

// Conventions returns the names of all conventions.
func Conventions() []Convention { return []Convention{PyTorchFID, TF, Clean, Pillow} }

// Preprocess adds the way from pictures x [N 3 H W] of float32 from 0 to 255
// to the network's input [N 3 299 299]: [Resize], and the convention's range.
// Other conventions, and shapes whose height and width are not constant, are
// errors.
func Preprocess(x *graph.Node, c Convention) (*graph.Node, error) {
	if x.DType() != tensor.Float32 || x.Rank() != 4 || !x.Shape()[1:2].Equal(graph.Dims(3)) {
		return nil, fmt.Errorf("pictures are %v, want float32[N 3 H W]", x.Type())
	}
	y, err := Resize(x, c, Size, Size)
	if err != nil {
		return nil, err
	}
	if c == PyTorchFID {
		return graph.Shift(graph.Scale(y, 2.0/255), -1), nil
	}
	return graph.Scale(graph.Shift(y, -128), 1.0/128), nil
}

// Resize adds the way from pictures x [N C H W] of float32 from 0 to 255 to
// [N C height width] in the same range, by a convention's interpolation. Every
// convention is linear along each axis, so it is two products with constant
// matrices. A side that has its length already is left as it is.
func Resize(x *graph.Node, c Convention, height, width int) (*graph.Node, error) {
	weights := map[Convention]func(in, out int) []float32{PyTorchFID: centres, TF: corners, Clean: cubics, Pillow: cubics}[c]
	if weights == nil {
		return nil, fmt.Errorf("preprocessing %q, want one of %v", c, Conventions())
	}
	if x.DType() != tensor.Float32 || x.Rank() != 4 {
		return nil, fmt.Errorf("pictures are %v, want float32[N C H W]", x.Type())
	}
	if min(height, width) < 1 || max(height, width) > 1<<14 {
		return nil, fmt.Errorf("a size of %d×%d, want 1 to %d a side", height, width, 1<<14)
	}
	y := x
	err := graph.Catch(func() {
		size := graph.Spatial(x)
		if c == Pillow {
			y = bytes(resizeLast(graph.Cast(y, tensor.Float64), size[1], width, fixed))
			y = graph.SwapLast(bytes(resizeLast(graph.SwapLast(y), size[0], height, fixed)))
			y = graph.Cast(y, tensor.Float32)
			return
		}
		y = resizeLast(y, size[1], width, weights)
		y = graph.SwapLast(resizeLast(graph.SwapLast(y), size[0], height, weights))
		if c == Clean {
			y = cut(y)
		}
	})
	return y, err
}

// cut takes what is below 0 as 0 and what is above 255 as 255.
func cut(y *graph.Node) *graph.Node {
	return graph.Minimum(graph.Maximum(y, graph.Like(y, 0)), graph.Like(y, 255))
}

// bytes rounds to the nearest of 0, 1, … 255, halves up.
func bytes(y *graph.Node) *graph.Node { return cut(graph.Floor(graph.Shift(y, 0.5))) }

// resizeLast brings the last axis of x [a b c in] to the length out.
func resizeLast[T float32 | float64](x *graph.Node, in, out int, weights func(in, out int) []T) *graph.Node {
	if in == out {
		return x
	}
	shape := x.Shape()
	rows := graph.Shape{shape[:3].Volume(), shape[3]}
	w := x.Graph().Constant(tensor.Of(weights(in, out), in, out))
	y := graph.MatMul(graph.Reshape(x, rows), w)
	return graph.Reshape(y, graph.Shape{shape[0], shape[1], shape[2], graph.Const(out)})
}

// centres returns the weights [in, out] of bilinear interpolation at
// (i + ½)·in/out − ½, in float32 as PyTorch has them.
func centres(in, out int) []float32 {
	scale := float32(in) / float32(out)
	return linear(in, out, func(i int) float32 { return max(0, float32(scale*(float32(i)+0.5))-0.5) })
}

// corners returns those at i·in/out.
func corners(in, out int) []float32 {
	scale := float32(float64(in) / float64(out))
	return linear(in, out, func(i int) float32 { return float32(i) * scale })
}

func linear(in, out int, position func(i int) float32) []float32 {
	w := make([]float32, in*out)
	for i := range out {
		at := position(i)
		low := min(int(at), in-1)
		high := min(low+1, in-1)
		part := min(max(at-float32(low), 0), 1)
		w[low*out+i] += 1 - part
		w[high*out+i] += part
	}
	return w
}

// cubics returns the weights [in, out] of Pillow's bicubic filter: Keys's
// kernel with a = −½, stretched by in/out where the picture shrinks, around
// (i + ½)·in/out, cut at the borders and made to sum to 1.
func cubics(in, out int) []float32 {
	exact := cubic(in, out)
	w := make([]float32, len(exact))
	for i, v := range exact {
		w[i] = float32(v)
	}
	return w
}

// fixed returns the same with 22 bits after the point, as Pillow has them for bytes: sums of them times bytes are
// exact in float64.
func fixed(in, out int) []float64 {
	w := cubic(in, out)
	for i, v := range w {
		w[i] = math.Round(v*(1<<22)) / (1 << 22)
	}
	return w
}

func cubic(in, out int) []float64 {
	scale := float64(in) / float64(out)
	stretch := max(scale, 1)
	w := make([]float64, in*out)
	for i := range out {
		centre := (float64(i) + 0.5) * scale
		first := max(int(centre-2*stretch+0.5), 0)
		last := min(int(centre+2*stretch+0.5), in)
		sum := 0.0
		for j := first; j < last; j++ {
			sum += keys((float64(j) - centre + 0.5) / stretch)
		}
		for j := first; j < last; j++ {
			w[j*out+i] = keys((float64(j)-centre+0.5)/stretch) / sum
		}
	}
	return w
}

func keys(x float64) float64 {
	const a = -0.5
	switch x = math.Abs(x); {
	case x < 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return (((x-5)*x+8)*x - 4) * a
	default:
		return 0
	}
}
