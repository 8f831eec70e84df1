package onnximport

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ebm/models/autodiff"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Derivatives says what to differentiate by what. Names are those of any
// value of the file: an input, an initialiser, an output, or between.
type Derivatives struct {
	// Of are the values that are differentiated; none stands for the only
	// output. Each is the sum over its elements, or with Seed its product with
	// a seed.
	Of []string
	// Wrt are the values to differentiate by.
	Wrt []string
	// Parameters also differentiates by every floating-point initialiser that
	// one of Of depends on.
	Parameters bool
	// Select takes elements along the last axis of values of Of, by name, in
	// the place of all.
	Select map[string]Selection

	Gradient bool // by each of Wrt; so do HVP, Seed, and asking for nothing else
	Seed     bool // vector-Jacobian products: the cotangents are inputs
	JVP      bool // Jacobian-vector products: the tangents are inputs
	HVP      bool // products of the Hessian with a vector, which is an input
	Jacobian bool // all first derivatives, in one pass
	Hessian  bool // all second derivatives, in one pass

	// Names of what is added; the zero Names are [DefaultNames].
	Names Names
}

// Selection is a choice of elements along the last axis of a value: those at
// Indices, or the one that an int64 input gives, an index for each row.
type Selection struct {
	Indices []int
	Label   string // the name of the input, of the file or new
}

// Names are what inputs and outputs for derivatives are called: a word, and
// the name of what it belongs to, behind a separator.
type Names struct {
	Gradient, Seed, Tangent, JVP, Vector, HVP, Jacobian, Hessian string
	Separator                                                    string
	// Full names derivatives after what they are of even where that is one.
	Full bool
}

// DefaultNames are grad/X, seed/OUTPUT, tangent/X, jvp/OUTPUT, v/X, hvp/X, jac/X
// and hess/X/Y; where several values are differentiated, grad/OUTPUT/X and
// likewise.
func DefaultNames() Names {
	return Names{
		Gradient: "grad", Seed: "seed", Tangent: "tangent", JVP: "jvp", Vector: "v", HVP: "hvp", Jacobian: "jac", Hessian: "hess", Separator: "/",
	}
}

// CasADiNames are those by which CasADi finds derivatives: adj_OUTPUT and fwd_X
// for seeds, adj_X and fwd_OUTPUT for products with them, grad_OUTPUT_X,
// jac_OUTPUT_X and hess_OUTPUT_X_Y. Seeds make the gradient adj_X.
func CasADiNames() Names {
	return Names{
		Gradient: "grad", Seed: "adj", Tangent: "fwd", JVP: "fwd", Vector: "v", HVP: "hvp", Jacobian: "jac", Hessian: "hess",
		Separator: "_", Full: true,
	}
}

// objective is a sum that is differentiated: Σ cotangent·y.
type objective struct {
	name           string // "" for several together
	ys, cotangents []*graph.Node
}

// Differentiate adds outputs to m.Graph, for each value y of d.Of and each x of
// d.Wrt, here by their default names:
//
//	grad/x    ∂(Σ y)/∂x, of x's shape; with Seed Σ_y (∂y/∂x)ᵀ·seed/y
//	jvp/y     Σ_x (∂y/∂x)·tangent/x, of y's shape
//	hvp/x     ∂/∂x Σ_z Σ grad/z · v/z
//	jac/x     ∂y/∂x: the axes of y of constant size, then those of x; over
//	          symbolic axes, such as a batch, y is summed
//	hess/x/z  ∂ grad/x / ∂z, likewise
//
// and the inputs seed/y, tangent/x and v/x. It returns the names of the outputs
// that it added; they are values of m, and can be differentiated again. Values
// that are not there, or not floating-point, or that Of does not depend on, and
// operators without a derivative are errors.
func (m *Model) Differentiate(d Derivatives) (added []string, err error) {
	of, err := m.wanted(d.Of)
	if err != nil {
		return nil, err
	}
	needed := make(map[*graph.Node]bool)
	for i, name := range of {
		if slices.Contains(of[:i], name) {
			return nil, fmt.Errorf("%q is differentiated twice, want values that differ", name)
		}
		n, err := m.value(name)
		if err != nil {
			return nil, err
		}
		maps.Copy(needed, ancestors(n))
	}
	what := strings.Join(of, ", ")
	var names []string
	for _, x := range d.Wrt {
		n, err := m.value(x)
		if err != nil {
			return nil, err
		}
		if !needed[n] {
			return nil, fmt.Errorf("value %q does not depend on %q", what, x)
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
		return nil, fmt.Errorf("nothing to differentiate %q by", what)
	}
	for name := range d.Select {
		if !slices.Contains(of, name) {
			return nil, fmt.Errorf("elements of %q are selected, want one of %q", name, of)
		}
	}
	if d.Names == (Names{}) {
		d.Names = DefaultNames()
	}
	if d.HVP || d.Seed || !d.JVP && !d.Jacobian && !d.Hessian {
		d.Gradient = true
	}
	err = catch(func() {
		b := &differentiation{Model: m, Derivatives: d, names: names, of: of}
		b.add()
		added = b.added
	})
	if err != nil {
		return nil, fmt.Errorf("differentiate %q: %w", what, err)
	}
	return added, nil
}

// differentiation adds what one call of Differentiate asks for.
type differentiation struct {
	*Model
	Derivatives
	names, of []string
	xs, ys    []*graph.Node
	added     []string
}

func (b *differentiation) add() {
	for _, name := range b.names {
		b.xs = append(b.xs, b.Values[name])
	}
	for _, name := range b.of {
		b.ys = append(b.ys, b.selected(name))
	}
	var vectors []*graph.Node // made once, for the first objective
	for _, o := range b.objectives() {
		slopes := autodiff.GradientsBySlopes(o.ys, o.cotangents, b.xs)
		word := b.Names.Gradient
		if b.Seed && b.Names.Full {
			word = b.Names.Seed
		}
		b.warn(slopes)
		if b.Gradient {
			for i, n := range slopes {
				b.output(n, word, o.name, b.names[i])
			}
		}
		if b.HVP {
			if vectors == nil {
				vectors = b.likewise(b.Names.Vector, b.names, b.xs)
			}
			for i, n := range autodiff.Gradient(autodiff.Along(slopes, vectors), b.xs...) {
				b.output(n, b.Names.HVP, o.name, b.names[i])
			}
		}
		for i := 0; i < len(slopes) && b.Hessian; i++ {
			for j, n := range autodiff.Jacobian(slopes[i], b.xs...) {
				b.output(n, b.Names.Hessian, o.name, b.names[i], b.names[j])
			}
		}
	}
	for k := 0; k < len(b.ys) && b.Jacobian; k++ {
		for i, n := range autodiff.Jacobian(b.ys[k], b.xs...) {
			b.output(n, b.Names.Jacobian, b.label(b.of[k]), b.names[i])
		}
	}
	if b.JVP {
		for k, n := range autodiff.JVP(b.ys, b.xs, b.likewise(b.Names.Tangent, b.names, b.xs)) {
			b.output(n, b.Names.JVP, b.of[k])
		}
	}
}

// objectives are the sums of each value, or with seeds one of all together.
func (b *differentiation) objectives() (list []objective) {
	if !b.Gradient && !b.Hessian {
		return nil
	}
	if b.Seed {
		return []objective{{ys: b.ys, cotangents: b.likewise(b.Names.Seed, b.of, b.ys)}}
	}
	for i, y := range b.ys {
		list = append(list, objective{b.label(b.of[i]), []*graph.Node{y}, []*graph.Node{graph.Like(y, 1)}})
	}
	return list
}

// label is the name of what is differentiated in that of a derivative.
func (b *differentiation) label(of string) string {
	if len(b.of) == 1 && !b.Names.Full {
		return ""
	}
	return of
}

// likewise adds an input like each of the nodes.
func (b *differentiation) likewise(word string, names []string, nodes []*graph.Node) []*graph.Node {
	inputs := make([]*graph.Node, len(nodes))
	for i, n := range nodes {
		inputs[i] = b.Graph.Input(b.joined(word, names[i]), n.DType(), n.Shape())
	}
	return inputs
}

func (b *differentiation) output(n *graph.Node, parts ...string) {
	name := b.joined(parts...)
	b.Graph.Output(name, n)
	b.Values[name] = n
	b.added = append(b.added, name)
}

func (b *differentiation) joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), b.Names.Separator)
}

// selected returns a value, or the elements of it that are asked for.
func (b *differentiation) selected(name string) *graph.Node {
	y := b.Values[name]
	s, ok := b.Select[name]
	if !ok {
		return y
	}
	fail := func(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }
	last := y.Rank() - 1
	if last < 0 {
		fail("elements of %q of type %v, want an axis to select along", name, y.Type())
	}
	count, ok := y.Shape()[last].Constant()
	if !ok {
		fail("elements of %q of type %v, want a last axis of constant size", name, y.Type())
	}
	if s.Label == "" {
		at := make([]int64, len(s.Indices))
		for i, index := range s.Indices {
			if index < 0 || index >= count {
				fail("element %d of %q, want 0 to %d", index, name, count-1)
			}
			at[i] = int64(index)
		}
		return graph.Gather(y, b.Graph.Constant(tensor.Of(at, len(at))), last)
	}
	label := b.Values[s.Label]
	if label == nil {
		label = b.Graph.Input(s.Label, tensor.Int64, y.Shape()[:last])
		b.Values[s.Label] = label
	}
	if label.DType().IsFloat() || label.DType() == tensor.Bool || !label.Shape().Equal(y.Shape()[:last]) {
		fail("label %q of type %v, want integers of shape %v", s.Label, label.Type(), y.Shape()[:last])
	}
	label = graph.Broadcast(graph.ExpandDims(graph.Cast(label, tensor.Int64), last), y.Shape())
	classes := graph.Broadcast(b.Graph.Constant(iota64(count)), y.Shape())
	return graph.ReduceSum(graph.Where(graph.Equal(label, classes), y, graph.Like(y, 0)), last)
}

// wanted returns names of values to differentiate, or that of the only output.
func (m *Model) wanted(names []string) ([]string, error) {
	if len(names) > 0 {
		return names, nil
	}
	for _, out := range m.Graph.Outputs() {
		names = append(names, out.Name)
	}
	if len(names) != 1 {
		return nil, fmt.Errorf("which of the outputs %q to differentiate is not said", names)
	}
	return names, nil
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
		return nil, &NameError{"value", name, known}
	}
	if !n.DType().IsFloat() {
		return nil, fmt.Errorf("value %q is of type %v, want floating-point numbers", name, n.Type())
	}
	return n, nil
}

// ancestors returns the nodes that n depends on, itself included.
func ancestors(n *graph.Node) map[*graph.Node]bool {
	needed := make(map[*graph.Node]bool)
	for id, wanted := range n.Graph().Needed(n) {
		if wanted {
			needed[n.Graph().Nodes()[id]] = true
		}
	}
	return needed
}
