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
	kernelSize, taps := rows*columns, len(sums)*columns
	// What each tap of the result adds up, of a kernel of w.
	type term struct {
		at     int
		factor float64
	}
	terms := make([][]term, taps)
	for tap := range terms {
		for r, factor := range sums[tap/columns] {
			if factor != 0 {
				terms[tap] = append(terms[tap], term{r*columns + tap%columns, factor})
			}
		}
	}
	// at is the place of w[o i] in from, by the axes of the result.
	first, second := co, ci
	at := func(o, i int) int { return (o*ci + i) * kernelSize }
	if flipped {
		first, second = ci, co
		at = func(i, o int) int { return (o*ci + i) * kernelSize }
	}
	result := tensor.New(tensor.Float32, first/b, second/b, len(sums), columns, b, b)
	to := tensor.Data[float32](result)
	for block := range first / b * (second / b) {
		f0, s0 := block/(second/b)*b, block%(second/b)*b
		part := to[block*taps*b*b:][:taps*b*b]
		for f := range b {
			for s := range b {
				kernel := from[at(f0+f, s0+s):][:kernelSize]
				place := part[s*b+f:]
				for tap, list := range terms {
					if flipped {
						tap = taps - 1 - tap
					}
					var sum float64
					for _, t := range list {
						sum += t.factor * float64(kernel[t.at])
					}
					place[tap*b*b] = float32(sum)
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
