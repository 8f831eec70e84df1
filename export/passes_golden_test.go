package export_test

import (
	g "ebm/models/graph"
	"ebm/models/tensor"
)

// golden is one graph before and after one pass.
type golden struct {
	pass, name    string
	build         func(f *g.Graph) *g.Node
	before, after string
}

func input(f *g.Graph, name string, shape ...int) *g.Node {
	return f.Input(name, tensor.Float32, symbolic(shape))
}

func goldens() []golden {
	half := g.Pool2D(2, 2, 0)
	return []golden{
		{"products", "of a weight's gradient", func(f *g.Graph) *g.Node {
			x, y := input(f, "x", N, 3), input(f, "y", N, 2)
			return g.Transpose(g.MatMul(g.Transpose(x, 1, 0), y), 1, 0)
		}, `
				graph f
				%0 = Input x : float32[N 3]
				%1 = Input y : float32[N 2]
				%2 = Transpose(%0) axes=[1 0] : float32[3 N]
				%3 = MatMul(%2, %1) : float32[3 2]
				%4 = Transpose(%3) axes=[1 0] : float32[2 3]
				return y=%4
`, `
				graph f
				%0 = Input x : float32[N 3]
				%1 = Input y : float32[N 2]
				%2 = Transpose(%0) axes=[1 0] : float32[3 N]
				%3 = MatMul(%2, %1) : float32[3 2]
				%4 = Transpose(%1) axes=[1 0] : float32[2 N]
				%5 = MatMul(%4, %0) : float32[2 3]
				return y=%5
`},
		{"products", "of a bias's gradient", func(f *g.Graph) *g.Node {
			return g.ReduceSum(input(f, "x", N, 5, 32), 0, 1)
		}, `
				graph f
				%0 = Input x : float32[N 5 32]
				%1 = ReduceSum(%0) axes=[0 1] : float32[32]
				return y=%1
`, `
				graph f
				%0 = Input x : float32[N 5 32]
				%1 = Constant [1] : float32[]
				%2 = Broadcast(%1) to=[1 5·N] : float32[1 5·N]
				%3 = Reshape(%0) to=[5·N 32] : float32[5·N 32]
				%4 = MatMul(%2, %3) : float32[1 32]
				%5 = Reshape(%4) to=[32] : float32[32]
				return y=%5
`},
		{"fold pools into convolutions", "forward", func(f *g.Graph) *g.Node {
			return g.MeanPool(g.Conv(input(f, "x", N, 1, 6, 6), input(f, "w", 2, 1, 3, 3), g.Conv2D(1, 1)), half)
		}, `
				graph f
				%0 = Input x : float32[N 1 6 6]
				%1 = Input w : float32[2 1 3 3]
				%2 = Conv(%0, %1) strides=[1 1] dilations=[1 1] lo=[1 1] hi=[1 1] groups=1 : float32[N 2 6 6]
				%3 = MeanPool(%2) window=[2 2] strides=[2 2] lo=[0 0] hi=[0 0] : float32[N 2 3 3]
				return y=%3
`, `
				graph f
				%0 = Input x : float32[N 1 6 6]
				%1 = Input w : float32[2 1 3 3]
				%2 = Conv(%0, %1) strides=[1 1] dilations=[1 1] lo=[1 1] hi=[1 1] groups=1 : float32[N 2 6 6]
				%3 = MeanPool(%1) window=[2 2] strides=[1 1] lo=[1 1] hi=[1 1] : float32[2 1 4 4]
				%4 = Conv(%0, %3) strides=[2 2] dilations=[1 1] lo=[1 1] hi=[1 1] groups=1 : float32[N 2 3 3]
				return y=%4
`},
		{"fold pools into convolutions", "input gradient", func(f *g.Graph) *g.Node {
			y := g.MeanPoolGrad(input(f, "y", N, 2, 3, 3), half, []int{6, 6})
			return g.ConvInputGrad(y, input(f, "w", 2, 1, 3, 3), g.Conv2D(1, 1), []int{6, 6})
		}, `
				graph f
				%0 = Input y : float32[N 2 3 3]
				%1 = MeanPoolGrad(%0) window=[2 2] strides=[2 2] lo=[0 0] hi=[0 0] size=[6 6] : float32[N 2 6 6]
				%2 = Input w : float32[2 1 3 3]
				%3 = ConvInputGrad(%1, %2) strides=[1 1] dilations=[1 1] lo=[1 1] hi=[1 1] groups=1 size=[6 6] : float32[N 1 6 6]
				return y=%3
`, `
				graph f
				%0 = Input y : float32[N 2 3 3]
				%1 = Input w : float32[2 1 3 3]
				%2 = MeanPoolGrad(%0) window=[2 2] strides=[2 2] lo=[0 0] hi=[0 0] size=[6 6] : float32[N 2 6 6]
				%3 = MeanPool(%1) window=[2 2] strides=[1 1] lo=[1 1] hi=[1 1] : float32[2 1 4 4]
				%4 = ConvInputGrad(%0, %3) strides=[2 2] dilations=[1 1] lo=[1 1] hi=[1 1] groups=1 size=[6 6] : float32[N 1 6 6]
				return y=%4
`},
		{"fold pools into convolutions", "filter gradient", func(f *g.Graph) *g.Node {
			y := g.MeanPoolGrad(input(f, "y", N, 2, 3, 3), half, []int{6, 6})
			return g.ConvFilterGrad(input(f, "x", N, 1, 6, 6), y, g.Conv2D(1, 1), []int{3, 3})
		}, `
				graph f
				%0 = Input y : float32[N 2 3 3]
				%1 = MeanPoolGrad(%0) window=[2 2] strides=[2 2] lo=[0 0] hi=[0 0] size=[6 6] : float32[N 2 6 6]
				%2 = Input x : float32[N 1 6 6]
				%3 = ConvFilterGrad(%2, %1) strides=[1 1] dilations=[1 1] lo=[1 1] hi=[1 1] groups=1 size=[3 3] : float32[2 1 3 3]
				return y=%3
`, `
				graph f
				%0 = Input y : float32[N 2 3 3]
				%1 = Input x : float32[N 1 6 6]
				%2 = MeanPoolGrad(%0) window=[2 2] strides=[2 2] lo=[0 0] hi=[0 0] size=[6 6] : float32[N 2 6 6]
				%3 = ConvFilterGrad(%1, %0) strides=[2 2] dilations=[1 1] lo=[1 1] hi=[1 1] groups=1 size=[4 4] : float32[2 1 4 4]
				%4 = MeanPoolGrad(%3) window=[2 2] strides=[1 1] lo=[1 1] hi=[1 1] size=[3 3] : float32[2 1 3 3]
				return y=%4
`},
		{"fold pools into convolutions", "left alone: the convolution has another use", func(f *g.Graph) *g.Node {
			y := g.Conv(input(f, "x", N, 1, 4, 4), input(f, "w", 1, 1, 1, 1), g.Conv2D(1, 0))
			return g.Add(g.MeanPool(y, half), g.Slice(g.Slice(y, 2, 0, 4, 2), 3, 0, 4, 2))
		}, `
				graph f
				%0 = Input x : float32[N 1 4 4]
				%1 = Input w : float32[1 1 1 1]
				%2 = Conv(%0, %1) strides=[1 1] dilations=[1 1] lo=[0 0] hi=[0 0] groups=1 : float32[N 1 4 4]
				%3 = MeanPool(%2) window=[2 2] strides=[2 2] lo=[0 0] hi=[0 0] : float32[N 1 2 2]
				%4 = Slice(%2) axes=[2] starts=[0] limits=[4] steps=[2] : float32[N 1 2 4]
				%5 = Slice(%4) axes=[3] starts=[0] limits=[4] steps=[2] : float32[N 1 2 2]
				%6 = Add(%3, %5) : float32[N 1 2 2]
				return y=%6
`, `
				graph f
				%0 = Input x : float32[N 1 4 4]
				%1 = Input w : float32[1 1 1 1]
				%2 = Conv(%0, %1) strides=[1 1] dilations=[1 1] lo=[0 0] hi=[0 0] groups=1 : float32[N 1 4 4]
				%3 = MeanPool(%2) window=[2 2] strides=[2 2] lo=[0 0] hi=[0 0] : float32[N 1 2 2]
				%4 = Slice(%2) axes=[2] starts=[0] limits=[4] steps=[2] : float32[N 1 2 4]
				%5 = Slice(%4) axes=[3] starts=[0] limits=[4] steps=[2] : float32[N 1 2 2]
				%6 = Add(%3, %5) : float32[N 1 2 2]
				return y=%6
`},
		{"fold pools into convolutions", "left alone: overlapping windows", func(f *g.Graph) *g.Node {
			y := g.Conv(input(f, "x", N, 1, 4, 4), input(f, "w", 1, 1, 1, 1), g.Conv2D(1, 0))
			return g.MeanPool(y, g.Pool2D(2, 1, 0))
		}, `
				graph f
				%0 = Input x : float32[N 1 4 4]
				%1 = Input w : float32[1 1 1 1]
				%2 = Conv(%0, %1) strides=[1 1] dilations=[1 1] lo=[0 0] hi=[0 0] groups=1 : float32[N 1 4 4]
				%3 = MeanPool(%2) window=[2 2] strides=[1 1] lo=[0 0] hi=[0 0] : float32[N 1 3 3]
				return y=%3
`, `
				graph f
				%0 = Input x : float32[N 1 4 4]
				%1 = Input w : float32[1 1 1 1]
				%2 = Conv(%0, %1) strides=[1 1] dilations=[1 1] lo=[0 0] hi=[0 0] groups=1 : float32[N 1 4 4]
				%3 = MeanPool(%2) window=[2 2] strides=[1 1] lo=[0 0] hi=[0 0] : float32[N 1 3 3]
				return y=%3
`},
		{"fold constants", "a chain", func(f *g.Graph) *g.Node {
			c := f.Constant(tensor.Of([]float32{1, 4, 9}, 3))
			return g.Mul(input(f, "x", 3), g.Sqrt(g.Mul(c, g.Like(c, 4))))
		}, `
				graph f
				%0 = Constant [1 4 9] : float32[3]
				%1 = Input x : float32[3]
				%2 = Constant [4] : float32[]
				%3 = Broadcast(%2) to=[3] : float32[3]
				%4 = Mul(%0, %3) : float32[3]
				%5 = Sqrt(%4) : float32[3]
				%6 = Mul(%1, %5) : float32[3]
				return y=%6
`, `
				graph f
				%0 = Input x : float32[3]
				%1 = Constant [1 4 9] : float32[3]
				%2 = Constant [4] : float32[]
				%3 = Broadcast(%2) to=[3] : float32[3]
				%4 = Constant [4 16 36] : float32[3]
				%5 = Constant [2 4 6] : float32[3]
				%6 = Mul(%0, %5) : float32[3]
				return y=%6
`},
		{"fold constants", "left alone: weights", func(f *g.Graph) *g.Node {
			return g.Mul(input(f, "x", 2), g.Exp(f.Weight("w", tensor.Of([]float32{0, 1}, 2))))
		}, `
				graph f
				%0 = Input x : float32[2]
				%1 = Constant w : float32[2]
				%2 = Exp(%1) : float32[2]
				%3 = Mul(%0, %2) : float32[2]
				return y=%3
`, `
				graph f
				%0 = Input x : float32[2]
				%1 = Constant w : float32[2]
				%2 = Exp(%1) : float32[2]
				%3 = Mul(%0, %2) : float32[2]
				return y=%3
`},
		{"simplify", "neutral elements", func(f *g.Graph) *g.Node {
			x := input(f, "x", N, 2)
			y := g.Add(g.Like(x, 0), g.Mul(g.Like(x, 1), g.Div(g.Sub(x, g.Like(x, 0)), g.Like(x, 1))))
			return g.Neg(g.Neg(g.Exp(y)))
		}, `
				graph f
				%0 = Input x : float32[N 2]
				%1 = Constant [0] : float32[]
				%2 = Broadcast(%1) to=[N 2] : float32[N 2]
				%3 = Constant [1] : float32[]
				%4 = Broadcast(%3) to=[N 2] : float32[N 2]
				%5 = Constant [0] : float32[]
				%6 = Broadcast(%5) to=[N 2] : float32[N 2]
				%7 = Sub(%0, %6) : float32[N 2]
				%8 = Constant [1] : float32[]
				%9 = Broadcast(%8) to=[N 2] : float32[N 2]
				%10 = Div(%7, %9) : float32[N 2]
				%11 = Mul(%4, %10) : float32[N 2]
				%12 = Add(%2, %11) : float32[N 2]
				%13 = Exp(%12) : float32[N 2]
				%14 = Neg(%13) : float32[N 2]
				%15 = Neg(%14) : float32[N 2]
				return y=%15
`, `
				graph f
				%0 = Input x : float32[N 2]
				%1 = Constant [0] : float32[]
				%2 = Broadcast(%1) to=[N 2] : float32[N 2]
				%3 = Constant [1] : float32[]
				%4 = Broadcast(%3) to=[N 2] : float32[N 2]
				%5 = Constant [0] : float32[]
				%6 = Broadcast(%5) to=[N 2] : float32[N 2]
				%7 = Constant [1] : float32[]
				%8 = Broadcast(%7) to=[N 2] : float32[N 2]
				%9 = Exp(%0) : float32[N 2]
				%10 = Neg(%9) : float32[N 2]
				return y=%9
`},
		{"simplify", "scales", func(f *g.Graph) *g.Node {
			return g.Add(g.Scale(g.Scale(input(f, "x", N), 2), 3), g.Neg(input(f, "y", N)))
		}, `
				graph f
				%0 = Input x : float32[N]
				%1 = Constant [2] : float32[]
				%2 = Broadcast(%1) to=[N] : float32[N]
				%3 = Mul(%0, %2) : float32[N]
				%4 = Constant [3] : float32[]
				%5 = Broadcast(%4) to=[N] : float32[N]
				%6 = Mul(%3, %5) : float32[N]
				%7 = Input y : float32[N]
				%8 = Neg(%7) : float32[N]
				%9 = Add(%6, %8) : float32[N]
				return y=%9
`, `
				graph f
				%0 = Input x : float32[N]
				%1 = Input y : float32[N]
				%2 = Constant [2] : float32[]
				%3 = Broadcast(%2) to=[N] : float32[N]
				%4 = Mul(%0, %3) : float32[N]
				%5 = Constant [3] : float32[]
				%6 = Broadcast(%5) to=[N] : float32[N]
				%7 = Constant [6] : float32[]
				%8 = Broadcast(%7) to=[N] : float32[N]
				%9 = Mul(%0, %8) : float32[N]
				%10 = Neg(%1) : float32[N]
				%11 = Sub(%9, %1) : float32[N]
				return y=%11
`},
		{"simplify", "transposes", func(f *g.Graph) *g.Node {
			return g.Exp(g.Transpose(g.Transpose(input(f, "x", 2, 3, N), 1, 2, 0), 2, 0, 1))
		}, `
				graph f
				%0 = Input x : float32[2 3 N]
				%1 = Transpose(%0) axes=[1 2 0] : float32[3 N 2]
				%2 = Transpose(%1) axes=[2 0 1] : float32[2 3 N]
				%3 = Exp(%2) : float32[2 3 N]
				return y=%3
`, `
				graph f
				%0 = Input x : float32[2 3 N]
				%1 = Transpose(%0) axes=[1 2 0] : float32[3 N 2]
				%2 = Exp(%0) : float32[2 3 N]
				return y=%2
`},
		{"share common subexpressions", "twice the same", func(f *g.Graph) *g.Node {
			x := input(f, "x", N, 2)
			return g.Add(g.Exp(g.Scale(x, 2)), g.Exp(g.Scale(x, 2)))
		}, `
				graph f
				%0 = Input x : float32[N 2]
				%1 = Constant [2] : float32[]
				%2 = Broadcast(%1) to=[N 2] : float32[N 2]
				%3 = Mul(%0, %2) : float32[N 2]
				%4 = Exp(%3) : float32[N 2]
				%5 = Constant [2] : float32[]
				%6 = Broadcast(%5) to=[N 2] : float32[N 2]
				%7 = Mul(%0, %6) : float32[N 2]
				%8 = Exp(%7) : float32[N 2]
				%9 = Add(%4, %8) : float32[N 2]
				return y=%9
`, `
				graph f
				%0 = Input x : float32[N 2]
				%1 = Constant [2] : float32[]
				%2 = Broadcast(%1) to=[N 2] : float32[N 2]
				%3 = Mul(%0, %2) : float32[N 2]
				%4 = Exp(%3) : float32[N 2]
				%5 = Add(%4, %4) : float32[N 2]
				return y=%5
`},
		{"share common subexpressions", "inside of a Scan", func(f *g.Graph) *g.Node {
			body := g.New("body")
			s := input(body, "s", 2)
			body.Output("s", g.Add(g.Exp(s), g.Mul(g.Exp(s), input(body, "x", 2))))
			return g.Scan(body, []*g.Node{input(f, "s", 2)}, []*g.Node{input(f, "x", K, 2)})[0]
		}, `
				graph f
				%0 = Input s : float32[2]
				%1 = Input x : float32[K 2]
				%2 = Scan(%0, %1) carried=1 body={
				graph body
				%0 = Input s : float32[2]
				%1 = Exp(%0) : float32[2]
				%2 = Exp(%0) : float32[2]
				%3 = Input x : float32[2]
				%4 = Mul(%2, %3) : float32[2]
				%5 = Add(%1, %4) : float32[2]
				return s=%5
				} : float32[2]
				%3 = Project(%2) output=0 : float32[2]
				return y=%3
`, `
				graph f
				%0 = Input s : float32[2]
				%1 = Input x : float32[K 2]
				%2 = Scan(%0, %1) carried=1 body={
				graph body
				%0 = Input s : float32[2]
				%1 = Input x : float32[2]
				%2 = Exp(%0) : float32[2]
				%3 = Mul(%2, %1) : float32[2]
				%4 = Add(%2, %3) : float32[2]
				return s=%4
				} : float32[2]
				%3 = Project(%2) output=0 : float32[2]
				return y=%3
`},
		{"hoist out of loops", "a weight that every step transposes", func(f *g.Graph) *g.Node {
			body := g.New("body")
			s := body.Input("s", tensor.Float32, g.Dims(1, 2))
			x := body.Input("x", tensor.Float32, g.Dims(1, 2))
			w := body.Input("w", tensor.Float32, g.Dims(2, 2))
			body.Output("s", g.Add(g.MatMul(s, g.Transpose(w, 1, 0)), x))
			return g.ScanShared(body, []*g.Node{input(f, "s", 1, 2)}, []*g.Node{input(f, "x", 3, 1, 2)}, []*g.Node{input(f, "w", 2, 2)}, false)[0]
		}, `
				graph f
				%0 = Input s : float32[1 2]
				%1 = Input x : float32[3 1 2]
				%2 = Input w : float32[2 2]
				%3 = Scan(%0, %1, %2) carried=1 shared=1 body={
				graph body
				%0 = Input s : float32[1 2]
				%1 = Input x : float32[1 2]
				%2 = Input w : float32[2 2]
				%3 = Transpose(%2) axes=[1 0] : float32[2 2]
				%4 = MatMul(%0, %3) : float32[1 2]
				%5 = Add(%4, %1) : float32[1 2]
				return s=%5
				} : float32[1 2]
				%4 = Project(%3) output=0 : float32[1 2]
				return y=%4
`, `
				graph f
				%0 = Input s : float32[1 2]
				%1 = Input x : float32[3 1 2]
				%2 = Input w : float32[2 2]
				%3 = Transpose(%2) axes=[1 0] : float32[2 2]
				%4 = Scan(%0, %1, %2, %3) carried=1 shared=2 body={
				graph body
				%0 = Input s : float32[1 2]
				%1 = Input x : float32[1 2]
				%2 = Input w : float32[2 2]
				%3 = Input hoisted1 : float32[2 2]
				%4 = MatMul(%0, %3) : float32[1 2]
				%5 = Add(%4, %1) : float32[1 2]
				return s=%5
				} : float32[1 2]
				%5 = Project(%4) output=0 : float32[1 2]
				return y=%5
`},
		{"share common subexpressions", "left alone: other attributes, other weights", func(f *g.Graph) *g.Node {
			x := input(f, "x", 2, 2)
			a, b := f.Weight("a", tensor.Of([]float32{1, 2}, 2)), f.Weight("b", tensor.Of([]float32{1, 2}, 2))
			sum := g.Add(g.ReduceSum(x, 0), g.ReduceSum(x, 1))
			return g.Mul(sum, g.Add(a, b))
		}, `
				graph f
				%0 = Input x : float32[2 2]
				%1 = Constant a : float32[2]
				%2 = Constant b : float32[2]
				%3 = ReduceSum(%0) axes=[0] : float32[2]
				%4 = ReduceSum(%0) axes=[1] : float32[2]
				%5 = Add(%3, %4) : float32[2]
				%6 = Add(%1, %2) : float32[2]
				%7 = Mul(%5, %6) : float32[2]
				return y=%7
`, `
				graph f
				%0 = Input x : float32[2 2]
				%1 = Constant a : float32[2]
				%2 = Constant b : float32[2]
				%3 = ReduceSum(%0) axes=[0] : float32[2]
				%4 = ReduceSum(%0) axes=[1] : float32[2]
				%5 = Add(%3, %4) : float32[2]
				%6 = Add(%1, %2) : float32[2]
				%7 = Mul(%5, %6) : float32[2]
				return y=%7
`},
		{"drop dead code", "what no output needs", func(f *g.Graph) *g.Node {
			x := input(f, "x", N)
			g.Exp(g.Neg(x))
			return g.Abs(x)
		}, `
				graph f
				%0 = Input x : float32[N]
				%1 = Neg(%0) : float32[N]
				%2 = Exp(%1) : float32[N]
				%3 = Abs(%0) : float32[N]
				return y=%3
`, `
				graph f
				%0 = Input x : float32[N]
				%1 = Abs(%0) : float32[N]
				return y=%1
`},
	}
}
