package export

import (
	"ebm/models/graph"
)

// unroll replaces Scans of a fixed number of steps by these steps, one after another:
// a device's provider has no Scan, and would hand the state back to the CPU at each.
func unroll(g *graph.Graph) *graph.Graph {
	results := make(map[*graph.Node][]*graph.Node) // of each Scan that is replaced
	return graph.Rewrite(g, func(r *graph.Rewriter, old *graph.Node, in []*graph.Node) *graph.Node {
		switch a := old.Attr().(type) {
		case graph.ScanAttr:
			a.Body = unroll(a.Body)
			steps, fixed := old.Inputs()[a.Carried].Shape()[0].Constant()
			if !fixed {
				return graph.Apply(graph.OpScan, a, in...)
			}
			results[old] = unrolled(a, steps, in)
			return results[old][0]
		case graph.ProjectAttr:
			if list := results[old.Inputs()[0]]; list != nil {
				return list[a.Index]
			}
		}
		return r.Keep(old, in)
	})
}

// unrolled adds the steps of a Scan with operands in, and returns its results.
func unrolled(a graph.ScanAttr, steps int, in []*graph.Node) []*graph.Node {
	state, shared := in[:a.Carried], in[len(in)-a.Shared:]
	stacks := make([][]*graph.Node, len(a.Body.Outputs())-a.Carried)
	for i := range steps {
		k := i
		if a.Reverse {
			k = steps - 1 - i
		}
		args := append([]*graph.Node{}, state...)
		for _, x := range in[a.Carried : len(in)-a.Shared] {
			slice := x
			if steps > 1 {
				slice = graph.Slice(x, 0, k, k+1, 1)
			}
			args = append(args, graph.Reshape(slice, x.Shape()[1:]))
		}
		out := graph.Call(a.Body, append(args, shared...)...)
		state = out[:a.Carried]
		for j, y := range out[a.Carried:] {
			row := graph.Reshape(y, append(graph.Dims(1), y.Shape()...))
			if a.Reverse {
				stacks[j] = append([]*graph.Node{row}, stacks[j]...)
			} else {
				stacks[j] = append(stacks[j], row)
			}
		}
	}
	results := append([]*graph.Node{}, state...)
	for _, rows := range stacks {
		results = append(results, graph.Concat(0, rows...))
	}
	return results
}
