package onnximport

import (
	"fmt"
	"maps"
	"slices"

	"ebm/models/autodiff"
	"ebm/models/graph"
)

// Derivatives says what to differentiate by what. Names are those of any
// value of the file: an input, an initialiser, an output, or between.
type Derivatives struct {
	// Of is the value whose sum over all elements is differentiated; "" for
	// the only output.
	Of string
	// Wrt are the values to differentiate by.
	Wrt []string
	// Parameters also differentiates by every floating-point initialiser that
	// Of depends on.
	Parameters bool
	// HVP also multiplies the Hessian by a vector, whose part for the value X
	// is an input of its own.
	HVP bool
}

// The names of what [Model.Differentiate] adds, in front of the name of a
// value.
const (
	GradientPrefix = "grad/" // output: ∂(Σ of)/∂x
	VectorPrefix   = "v/"    // input: the part of a vector that belongs to x
	HVPPrefix      = "hvp/"  // output: the part of the Hessian-vector product that belongs to x
)

// Differentiate adds outputs to m.Graph: for each value x to differentiate by,
// grad/x in the shape of x; and with HVP an input v/x and an output
//
//	hvp/x = ∂/∂x Σ_y Σ grad/y · v/y
//
// It returns the names of the outputs that it added. Values that are not
// there, or not floating-point, or that Of does not depend on, and operators
// without a derivative are errors.
func (m *Model) Differentiate(d Derivatives) (added []string, err error) {
	of, name, err := m.objective(d.Of)
	if err != nil {
		return nil, err
	}
	needed := ancestors(of)
	var names []string
	for _, x := range d.Wrt {
		n, err := m.value(x)
		if err != nil {
			return nil, err
		}
		if !needed[n] {
			return nil, fmt.Errorf("value %q does not depend on %q", name, x)
		}
		if !slices.Contains(names, x) {
			names = append(names, x)
		}
	}
	if d.Parameters {
		for _, x := range m.Parameters {
			if needed[m.Values[x]] && !slices.Contains(names, x) {
				names = append(names, x)
			}
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("nothing to differentiate %q by", name)
	}
	err = graph.Catch(func() { added = m.differentiate(of, names, d.HVP) })
	if err != nil {
		return nil, fmt.Errorf("differentiate %q: %w", name, err)
	}
	return added, nil
}

func (m *Model) differentiate(of *graph.Node, names []string, hvp bool) (added []string) {
	xs := make([]*graph.Node, len(names))
	for i, name := range names {
		xs[i] = m.Values[name]
	}
	output := func(prefix string, nodes []*graph.Node) {
		for i, n := range nodes {
			m.Graph.Output(prefix+names[i], n)
			added = append(added, prefix+names[i])
		}
	}
	grads := autodiff.Gradient(of, xs...)
	output(GradientPrefix, grads)
	if !hvp {
		return added
	}
	var slope *graph.Node // along the vector
	for i, x := range xs {
		v := m.Graph.Input(VectorPrefix+names[i], x.DType(), x.Shape())
		part := graph.ReduceSum(graph.Mul(grads[i], v))
		if slope != nil {
			part = graph.Add(slope, part)
		}
		slope = part
	}
	output(HVPPrefix, autodiff.Gradient(slope, xs...))
	return added
}

// objective returns the value of a name, or the only output.
func (m *Model) objective(name string) (*graph.Node, string, error) {
	if name == "" {
		outputs := m.Graph.Outputs()
		if len(outputs) != 1 {
			var names []string
			for _, out := range outputs {
				names = append(names, out.Name)
			}
			return nil, "", fmt.Errorf("which of the outputs %q to differentiate is not said", names)
		}
		name = outputs[0].Name
	}
	n, err := m.value(name)
	return n, name, err
}

func (m *Model) value(name string) (*graph.Node, error) {
	n := m.Values[name]
	if n == nil {
		known := slices.Sorted(maps.Keys(m.Values))
		if len(known) > 20 {
			known = nil
			for _, in := range m.Graph.Inputs() {
				known = append(known, in.InputName())
			}
			for _, out := range m.Graph.Outputs() {
				known = append(known, out.Name)
			}
		}
		return nil, fmt.Errorf("no value is called %q; there are %q", name, known)
	}
	if !n.DType().IsFloat() {
		return nil, fmt.Errorf("value %q is of type %v, want floating-point numbers", name, n.Type())
	}
	return n, nil
}

// ancestors returns the nodes that n depends on, itself included.
func ancestors(n *graph.Node) map[*graph.Node]bool {
	needed := map[*graph.Node]bool{n: true}
	nodes := n.Graph().Nodes()
	for id := n.ID(); id >= 0; id-- {
		if needed[nodes[id]] {
			for _, in := range nodes[id].Inputs() {
				needed[in] = true
			}
		}
	}
	return needed
}
