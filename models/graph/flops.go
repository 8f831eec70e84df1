package graph

// FLOPs counts the floating-point operations of the convolutions and matrix
// products that g's outputs need, a multiply-add as two, with the given sizes
// of symbolic dimensions. The body of a Scan counts once for every step.
// Everything else is memory traffic more than arithmetic and counts as
// nothing; zeros in the padding count like other elements. These are the
// conventions of PyTorch's flop_counter. The number is exact up to 2^53.
//
// A symbol without a size is an error that names it.
func (g *Graph) FLOPs(sizes map[string]int) (float64, error) {
	live := g.live()
	total := 0.0
	for _, n := range g.nodes {
		if !live[n.id] {
			continue
		}
		count, err := n.flops(sizes)
		if err != nil {
			return 0, err
		}
		total += count
	}
	return total, nil
}

// flops counts the operations of one node.
func (n *Node) flops(sizes map[string]int) (float64, error) {
	switch n.op {
	case OpConv: // every output takes one multiply-add with every weight of its channel
		return multiplyAdds(sizes, append(n.batchAndWindows(n.Shape()), n.inputs[1].Shape()...))
	case OpConvInputGrad:
		return multiplyAdds(sizes, append(n.batchAndWindows(n.inputs[0].Shape()), n.inputs[1].Shape()...))
	case OpConvFilterGrad:
		return multiplyAdds(sizes, append(n.batchAndWindows(n.inputs[1].Shape()), n.Shape()...))
	case OpMatMul:
		a := n.inputs[0].Shape()
		return multiplyAdds(sizes, append(n.Shape()[:n.Rank():n.Rank()], a[len(a)-1]))
	case OpScan:
		attr := n.attr.(ScanAttr)
		steps, err := n.inputs[attr.Carried].Shape()[:1].Bind(sizes)
		if err != nil {
			return 0, err
		}
		body, err := attr.Body.FLOPs(sizes)
		return float64(steps[0]) * body, err
	}
	return 0, nil
}

// batchAndWindows returns the dimensions of a convolution's output y [N Co …]
// but for its channels, which are the weights' too.
func (n *Node) batchAndWindows(y Shape) Shape {
	return append(Shape{y[0]}, y[2:]...)
}

// multiplyAdds returns twice the product of dimensions.
func multiplyAdds(sizes map[string]int, s Shape) (float64, error) {
	dims, err := s.Bind(sizes)
	if err != nil {
		return 0, err
	}
	total := 2.0
	for _, d := range dims {
		total *= float64(d)
	}
	return total, nil
}
