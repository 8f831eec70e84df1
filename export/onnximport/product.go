package onnximport

import (
	"slices"

	"ebm/export/onnxpb"
)

// Multiplies reports whether all that the nodes of a file do with an initialiser W is
// to multiply by it: as a matrix, of MatMul or Gemm, also behind a Transpose, or as a
// Conv of kernels of one element in one group. outputs is the axis of W's outputs, 0
// for [outputs inputs …] and 1 for [inputs outputs].
func (m *Model) Multiplies(name string) (outputs int, ok bool) {
	n := m.Values[name]
	if n == nil || !slices.Contains(m.Parameters, name) {
		return 0, false
	}
	rank, kernel := n.Rank(), 1
	for _, d := range n.Shape()[min(2, rank):] {
		k, _ := d.Constant()
		kernel *= k
	}
	if rank < 2 || kernel != 1 {
		return 0, false
	}
	axis := -1
	for _, u := range m.use(name).by {
		if a := m.outputAxis(u, rank); a < 0 || axis >= 0 && a != axis {
			return 0, false
		} else {
			axis = a
		}
	}
	return axis, axis >= 0
}

// outputAxis is the axis of the outputs in an operand of a rank, -1 where the node
// does another thing than to multiply by it.
func (m *Model) outputAxis(u usage, rank int) int {
	integer := func(name string, otherwise int64) int64 {
		for _, a := range u.node.Attribute {
			if a.GetName() == name {
				return a.GetI()
			}
		}
		return otherwise
	}
	switch op := u.node.GetOpType(); {
	case u.node.GetDomain() != "" && u.node.GetDomain() != "ai.onnx":
	case op == "Conv" && u.place == 1 && rank > 2 && integer("group", 1) == 1:
		return 0
	case rank != 2:
	case op == "MatMul" && u.place < 2: // on the left, rows are outputs
		return u.place
	case op == "Gemm" && u.place == 0:
		return int(integer("transA", 0))
	case op == "Gemm" && u.place == 1:
		return 1 - int(integer("transB", 0))
	case op == "Transpose" && swaps(u.node):
		axis := -1
		for i, next := range m.use(u.node.Output[0]).by {
			a := m.outputAxis(next, rank)
			if a < 0 || i > 0 && 1-a != axis {
				return -1
			}
			axis = 1 - a
		}
		return axis
	}
	return -1
}

// swaps reports whether a Transpose of a matrix swaps its axes.
func swaps(n *onnxpb.NodeProto) bool {
	for _, a := range n.Attribute {
		if a.GetName() == "perm" {
			return slices.Equal(a.Ints, []int64{1, 0})
		}
	}
	return true
}
