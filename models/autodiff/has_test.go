package autodiff

import "ebm/models/graph"

// Has reports whether op has a derivative rule, or is known to have none
// because nothing flows back through it.
func Has(op graph.Op) bool {
	_, ok := rules[op]
	return ok
}
