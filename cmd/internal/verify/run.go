package verify

import (
	"context"
	"fmt"

	"ebm/models/graph"
	"ebm/models/interp"
	"ebm/models/tensor"
)

// run computes the outputs for x [N …] in ONNX Runtime, some pictures at a
// time.
func (s *session) run(ctx context.Context, x *tensor.Tensor) (values, error) {
	return s.inGroups(x, s.group(x), func(part *tensor.Tensor) (map[string]*tensor.Tensor, error) {
		return s.model.Run(ctx, map[string]*tensor.Tensor{"x": part})
	})
}

// interpret computes the outputs for x [N …] in the interpreter, a picture at a
// time, so that progress shows.
func (s *session) interpret(ctx context.Context, x *tensor.Tensor) (values, error) {
	cost := multiplications(needed(s.graph, s.outputs...))
	return s.inGroups(x, max(s.fixed, 1), func(part *tensor.Tensor) (map[string]*tensor.Tensor, error) {
		out, err := eval(ctx, s.graph, map[string]*tensor.Tensor{"x": part}, nodes(s.graph, s.outputs)...)
		if err != nil {
			return nil, err
		}
		s.stage.Add(int64(cost * float64(part.Shape()[0]) / unit))
		named := make(map[string]*tensor.Tensor)
		for i, name := range s.outputs {
			named[name] = out[i]
		}
		return named, nil
	})
}

// eval computes nodes in the interpreter. It may take a minute and cannot be
// stopped: when ctx ends, eval returns at once, and the interpreter when it is
// done.
func eval(ctx context.Context, g *graph.Graph, in map[string]*tensor.Tensor, wanted ...*graph.Node) ([]*tensor.Tensor, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	type result struct {
		out []*tensor.Tensor
		err error
	}
	done := make(chan result, 1)
	go func() {
		out, err := interp.Eval(g, in, wanted...)
		done <- result{out, err}
	}()
	select {
	case r := <-done:
		return r.out, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// nodes returns outputs of a graph by name.
func nodes(g *graph.Graph, names []string) []*graph.Node {
	list := make([]*graph.Node, len(names))
	for i, name := range names {
		for _, out := range g.Outputs() {
			if out.Name == name {
				list[i] = out.Node
			}
		}
	}
	return list
}

// group returns the number of pictures that run together: the model's batch
// where it is fixed, and else few enough for large networks.
func (s *session) group(x *tensor.Tensor) int {
	if s.fixed > 0 {
		return s.fixed
	}
	return min(x.Shape()[0], 16)
}

// inGroups runs f on x [N …] by groups of pictures, the last of which is filled
// up with zeros, and joins what the pictures have of each output.
func (s *session) inGroups(x *tensor.Tensor, group int, f func(*tensor.Tensor) (map[string]*tensor.Tensor, error)) (values, error) {
	n := x.Shape()[0]
	joined := make(values)
	for from := 0; from < n; from += group {
		out, err := f(rowsFrom(x, from, group))
		if err != nil {
			return nil, err
		}
		for _, name := range s.outputs {
			t := out[name]
			if t.Len()%group != 0 {
				return nil, fmt.Errorf("output %s of %d pictures is %v, want as many elements for each", name, group, t)
			}
			joined[name] = append(joined[name], t.Float64s()[:t.Len()/group*min(group, n-from)]...)
		}
	}
	return joined, nil
}

// rowsFrom returns count rows of a float32 tensor from one on, zeros after its
// end.
func rowsFrom(t *tensor.Tensor, from, count int) *tensor.Tensor {
	each := t.Len() / t.Shape()[0]
	out := tensor.New(tensor.Float32, append([]int{count}, t.Shape()[1:]...)...)
	copy(tensor.Data[float32](out), tensor.Data[float32](t)[from*each:])
	return out
}

// needed returns the nodes that outputs of a graph need.
func needed(g *graph.Graph, outputs ...string) []*graph.Node {
	want := make([]bool, len(g.Nodes()))
	for _, n := range nodes(g, outputs) {
		want[n.ID()] = true
	}
	var list []*graph.Node
	for id := len(want) - 1; id >= 0; id-- {
		if n := g.Nodes()[id]; want[id] {
			list = append(list, n)
			for _, in := range n.Inputs() {
				want[in.ID()] = true
			}
		}
	}
	return list
}
