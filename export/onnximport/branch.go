package onnximport

import (
	"maps"

	"ebm/export/onnxpb"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// readIf reads the branch that a known condition takes. Where it depends on
// inputs, both branches are computed, and each result is chosen by Where.
func readIf(c *call) []*value {
	yes, no := c.branchGraph("then_branch"), c.branchGraph("else_branch")
	cond := c.x(0)
	if cond.DType() != tensor.Bool {
		c.fail("%v, want a bool", cond.Type())
	}
	if t := c.folder.value(cond); t != nil && t.Len() == 1 {
		if tensor.Data[bool](t)[0] {
			return c.branch(yes)
		}
		return c.branch(no)
	}
	if v, ok := volume(cond.Shape()); !ok || v != graph.Const(1) {
		c.fail("%v, want one condition", cond.Type())
	}
	cond = graph.Reshape(cond, nil)
	a, b := c.branch(yes), c.branch(no)
	if len(a) != len(b) {
		c.fail("branches with %d and %d results", len(a), len(b))
	}
	for i := range a {
		x, y := c.nodeOf(a[i]), c.nodeOf(b[i])
		if !x.Type().Equal(y.Type()) {
			c.fail("the condition depends on inputs, and the branches give %v and %v", x.Type(), y.Type())
		}
		a[i] = &value{node: graph.Where(graph.Broadcast(cond, x.Shape()), x, y)}
	}
	return a
}

func (c *call) branchGraph(name string) *onnxpb.GraphProto {
	g := c.graphs[name]
	if g == nil {
		c.fail("attribute %q is missing", name)
	}
	c.ignore(name)
	return g
}

// branch imports a graph without inputs of its own, which sees the values of
// the one around it.
func (c *call) branch(g *onnxpb.GraphProto) []*value {
	if len(g.Input) > 0 {
		c.fail("a branch with inputs")
	}
	return c.body(g, nil)
}

// body imports a graph inside of a node, whose inputs are given, and which sees the
// values of the one around it.
func (c *call) body(g *onnxpb.GraphProto, inputs []*value) []*value {
	const deepest = 32
	if c.depth++; c.depth > deepest {
		c.fail("branches inside more than %d others", deepest)
	}
	outer, defined := c.values, c.defined
	defer func() { c.values, c.defined, c.depth = outer, defined, c.depth-1 }()
	c.values, c.defined = maps.Clone(outer), make(map[string]bool)
	if len(g.Input) != len(inputs) || len(g.SparseInitializer) > 0 {
		c.fail("a graph of %d inputs for %d values, or with sparse initialisers", len(g.Input), len(inputs))
	}
	for i, in := range g.Input {
		c.values[in.GetName()] = inputs[i]
	}
	if err := c.initialisers(g); err != nil {
		panic(failure{err})
	}
	if err := c.nodes(g); err != nil {
		panic(failure{err})
	}
	var results []*value
	for _, out := range g.Output {
		v := c.values[out.GetName()]
		if v != nil && v.broken {
			panic(failure{errBroken})
		}
		if v == nil || v.absent != "" {
			c.fail("output %q of a branch is not computed", out.GetName())
		}
		results = append(results, v)
	}
	return results
}
