package classifier

import (
	"fmt"
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

// Sides returns the heights and widths of the square pictures that [Preprocess]
// brings to [Size]: MNIST's own and half of it, each with or without padding.
func Sides() []int { return []int{14, 16, 28, 32} }

// Fit adds the way from square pictures x [N C S S], S one of Sides, to [N C Size
// Size]: pictures without their padding get it again as zeros, and larger ones
// the mean of every 2×2 block.
func Fit(x *graph.Node, side int) *graph.Node {
	if side == 14 || side == 28 {
		rim := []int{0, 0, side / 14, side / 14}
		x = graph.Pad(x, rim, rim, nil)
	}
	if side > Size {
		x = graph.MeanPool(x, graph.Pool2D(2, 2, 0))
	}
	return x
}

// Preprocess adds the way from pictures x [N C H W], float32 from 0 to 255, C
// of 1 or 3, H = W one of [Sides], to what the network sees: digits
// [C·N 1 Size Size] in [0, 1], the channels of a picture one after the other,
// each as a digit of its own.
//
//	28 × 28   two rows and columns of zeros on each side, then as 32 × 32
//	32 × 32   the mean of every 2×2 block, rounded to a whole number, halves up
//	14 × 14   a row and a column of zeros on each side
//	16 × 16   as it is
//
// then divided by 255. This is how the project's data sets are made, and how
// samples lose their padding (28 of 32, 14 of 16), so a digit looks the same
// to the network in each size. Other shapes are errors.
func Preprocess(x *graph.Node) (*graph.Node, error) {
	channels, side, ok := pictures(x)
	if !ok {
		return nil, fmt.Errorf("pictures are %v, want float32[N C S S] with C of 1 or 3 and S of %v", x.Type(), Sides())
	}
	var y *graph.Node
	err := graph.Catch(func() {
		y = graph.Reshape(x, graph.Shape{graph.Const(channels).Mul(x.Shape()[0]), graph.Const(1), graph.Const(side), graph.Const(side)})
		if y = Fit(y, side); side > Size {
			y = graph.Floor(graph.Shift(y, 0.5))
		}
		// Divided and not multiplied by 1/255, for the bits of training.
		y = graph.Div(y, graph.Like(y, 255))
	})
	return y, err
}

// pictures returns the channels and the side of x where they are such as
// Preprocess takes.
func pictures(x *graph.Node) (channels, side int, ok bool) {
	shape := x.Shape()
	if x.DType() != tensor.Float32 || len(shape) != 4 || shape[2] != shape[3] {
		return 0, 0, false
	}
	channels, ok1 := shape[1].Constant()
	side, ok2 := shape[2].Constant()
	return channels, side, ok1 && ok2 && (channels == 1 || channels == 3) && slices.Contains(Sides(), side)
}
