package export

import "ebm/models/graph"

// Has reports whether op can be lowered to ONNX.
func Has(op graph.Op) bool {
	return op == graph.OpInput || op == graph.OpConstant || lowerers()[op] != nil
}
