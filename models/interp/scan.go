package interp

import (
	"slices"

	"ebm/models/graph"
	"ebm/models/tensor"
)

func scan(c *call) ([]*tensor.Tensor, error) {
	a := c.node.Attr().(graph.ScanAttr)
	state, scanned, shared := slices.Clone(c.in[:a.Carried]), c.in[a.Carried:len(c.in)-a.Shared], c.in[len(c.in)-a.Shared:]
	stacks := make([]*tensor.Tensor, len(c.shapes)-a.Carried)
	for i := range stacks {
		dtype := c.node.Types()[a.Carried+i].DType
		stacks[i] = tensor.New(widened(dtype), c.shapes[a.Carried+i]...)
	}
	steps := scanned[0].Shape()[0]
	for k := range steps {
		if a.Reverse {
			k = steps - 1 - k
		}
		args := slices.Clone(state)
		for _, x := range scanned {
			args = append(args, gather(x, row(x, k)))
		}
		args = append(args, shared...)
		results, err := c.run(a.Body, args)
		if err != nil {
			return nil, err
		}
		state = results[:a.Carried]
		for i, y := range results[a.Carried:] {
			scatter(stacks[i], y, row(stacks[i], k))
		}
	}
	return append(slices.Clone(state), stacks...), nil
}

// row is the view of x at index k of its first axis.
func row(x *tensor.Tensor, k int) view {
	strides := rowMajor(x.Shape())
	return view{shape: x.Shape()[1:], strides: strides[1:], base: k * strides[0]}
}
