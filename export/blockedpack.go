package export

import (
	"ebm/models/graph"
	"ebm/models/tensor"
)

// packed returns the constant w [Co Ci K L] in blocks of b, as
// [Co/b Ci/b K' L b(i) b(o)]. Its K' rows of taps are sums of w's, with the
// factors that sums has for each. If flipped, it is turned by half a turn and
// its channels are exchanged: [Ci/b Co/b K' L b(o) b(i)].
//
// What ONNX Runtime is given so, it need not make itself when it loads the
// model, where it would hold every step of the way.
func packed(w *graph.Node, b int, flipped bool, sums [][]float64) *tensor.Tensor {
	s, _ := w.Shape().Static()
	co, ci, rows, columns := s[0], s[1], s[2], s[3]
	from := tensor.Data[float32](w.ConstantValue())
	shape := []int{co / b, ci / b, len(sums), columns, b, b}
	if flipped {
		shape[0], shape[1] = shape[1], shape[0]
	}
	result := tensor.New(tensor.Float32, shape...)
	to := tensor.Data[float32](result)
	for o := range co {
		for i := range ci {
			kernel := from[(o*ci+i)*rows*columns:][:rows*columns]
			first, second := o, i
			if flipped {
				first, second = i, o
			}
			block := to[(first/b*shape[1]+second/b)*len(sums)*columns*b*b:]
			for k, factors := range sums {
				for l := range columns {
					var sum float64
					for r, f := range factors {
						if f != 0 {
							sum += f * float64(kernel[r*columns+l])
						}
					}
					tap := k*columns + l
					if flipped {
						tap = len(sums)*columns - 1 - tap
					}
					block[(tap*b+second%b)*b+first%b] = float32(sum)
				}
			}
		}
	}
	return result
}

// unit returns the factors for weights of a shape [Co Ci K L] as they are.
func unit(s graph.Shape) [][]float64 {
	rows, _ := s[2].Constant()
	sums := make([][]float64, rows)
	for k := range sums {
		sums[k] = make([]float64, rows)
		sums[k][k] = 1
	}
	return sums
}
