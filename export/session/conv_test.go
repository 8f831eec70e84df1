package session

import (
	"fmt"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// TestConvolutions holds convolutions and their adjoints to the interpreter
// where they are made in another form than the definition's: in Winograd's for
// many channels, with the pictures of a batch as one for very many, and in
// squares for few channels of the result.
func TestConvolutions(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	for _, c := range []struct{ co, ci, height, width int }{
		{64, 64, 8, 8}, {64, 96, 2, 5}, {96, 64, 6, 3}, // Winograd's form
		{64, 64, 5, 4},                                                             // not with an odd number of rows
		{304, 304, 4, 4},                                                           // as one picture
		{32, 1, 8, 8}, {32, 3, 8, 8}, {16, 1, 6, 10}, {16, 3, 5, 5}, {16, 5, 4, 4}, // squares of 4, 2 or 1
	} {
		for _, constant := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d→%d on %d×%d, constant %v", c.ci, c.co, c.height, c.width, constant), func(t *testing.T) {
				const batch = 3
				g := graph.New("convolutions")
				same := graph.Conv2D(1, 1)
				x := g.Input("x", tensor.Float32, graph.Batch(c.ci, c.height, c.width))
				y := g.Input("y", tensor.Float32, graph.Batch(c.co, c.height, c.width))
				in := map[string]*tensor.Tensor{
					"x": tensor.New(tensor.Float32, batch, c.ci, c.height, c.width),
					"y": tensor.New(tensor.Float32, batch, c.co, c.height, c.width),
				}
				weights, bias := tensor.New(tensor.Float32, c.co, c.ci, 3, 3), tensor.New(tensor.Float32, c.co)
				for i, v := range []*tensor.Tensor{in["x"], in["y"], weights, bias} {
					rng.New(3).Normal(tensor.Data[float32](v), rng.Init, uint64(i), 0)
				}
				var w, b *graph.Node
				if constant {
					w, b = g.Weight("w", weights), g.Weight("b", bias)
				} else {
					w, b = g.Input("w", tensor.Float32, graph.Dims(c.co, c.ci, 3, 3)), g.Input("b", tensor.Float32, graph.Dims(c.co))
					in["w"], in["b"] = weights, bias
				}
				z := graph.Conv(x, w, same)
				g.Output("conv", graph.Add(graph.Add(z, graph.BroadcastAlong(b, z.Shape(), 1)), y))
				g.Output("adjoint", graph.ConvInputGrad(graph.Elu(y), w, same, []int{c.height, c.width}))
				hold(t, rt, g, in, 2e-6, option{}, option{sizes: map[string]int{"N": batch}})
			})
		}
	}
}
