package interp

import (
	"fmt"
	"math"
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

type number interface{ float64 | int64 }

func add[T number](a, b T) T      { return a + b }
func sub[T number](a, b T) T      { return a - b }
func mul[T number](a, b T) T      { return a * b }
func div[T number](a, b T) T      { return a / b }
func larger[T number](a, b T) T   { return max(a, b) }
func smaller[T number](a, b T) T  { return min(a, b) }
func less[T number](a, b T) bool  { return a < b }
func equal[T number](a, b T) bool { return a == b }

// integerPow is aᵇ truncated to an integer.
func integerPow(a, b int64) int64 { return int64(math.Pow(float64(a), float64(b))) }

func elu(x float64) float64 {
	if x > 0 {
		return x
	}
	return math.Expm1(x)
}

func unary(f func(float64) float64) kernel {
	return func(c *call) ([]*tensor.Tensor, error) {
		x := floats(c.in[0])
		y := make([]float64, len(x))
		for i, v := range x {
			y[i] = f(v)
		}
		return one(tensor.Of(y, c.shapes[0]...))
	}
}

// arithmetic applies f or i to pairs of elements of two operands.
func arithmetic[R, S tensor.Element](f func(a, b float64) R, i func(a, b int64) S) kernel {
	return func(c *call) ([]*tensor.Tensor, error) {
		if a, ok := c.in[0].Raw().([]int64); ok {
			return one(tensor.Of(zip(a, tensor.Data[int64](c.in[1]), i), c.shapes[0]...))
		}
		return one(tensor.Of(zip(floats(c.in[0]), floats(c.in[1]), f), c.shapes[0]...))
	}
}

func zip[E, R any](a, b []E, f func(a, b E) R) []R {
	out := make([]R, len(a))
	for i := range a {
		out[i] = f(a[i], b[i])
	}
	return out
}

func divide(c *call) ([]*tensor.Tensor, error) {
	if b, ok := c.in[1].Raw().([]int64); ok && slices.Contains(b, 0) {
		return nil, fmt.Errorf("division of integers by zero")
	}
	return arithmetic(div[float64], div[int64])(c)
}

func where(c *call) ([]*tensor.Tensor, error) {
	cond := tensor.Data[bool](c.in[0])
	switch a := c.in[1].Raw().(type) {
	case []float64:
		return one(tensor.Of(choose(cond, a, floats(c.in[2])), c.shapes[0]...))
	case []int64:
		return one(tensor.Of(choose(cond, a, tensor.Data[int64](c.in[2])), c.shapes[0]...))
	default:
		return one(tensor.Of(choose(cond, tensor.Data[bool](c.in[1]), tensor.Data[bool](c.in[2])), c.shapes[0]...))
	}
}

func choose[T any](cond []bool, a, b []T) []T {
	out := slices.Clone(b)
	for i, c := range cond {
		if c {
			out[i] = a[i]
		}
	}
	return out
}

// cast converts between numbers and bool: bool to 0 and 1, a number to
// whether it is not 0, and a floating-point number to an integer towards 0.
func cast(c *call) ([]*tensor.Tensor, error) {
	x := c.in[0]
	to := widened(c.node.Attr().(graph.CastAttr).DType)
	if x.DType() == to {
		return one(x)
	}
	if to == tensor.Float64 {
		return one(x.AsFloat64())
	}
	values := x.Float64s()
	if to == tensor.Bool {
		out := make([]bool, len(values))
		for i, v := range values {
			out[i] = v != 0
		}
		return one(tensor.Of(out, c.shapes[0]...))
	}
	out := make([]int64, len(values))
	for i, v := range values {
		out[i] = int64(v)
	}
	return one(tensor.Of(out, c.shapes[0]...))
}
