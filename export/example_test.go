package export_test

import (
	"context"
	"fmt"
	"log"

	"ebm/export"
	"ebm/models/autodiff"
	"ebm/models/graph"
	"ebm/models/tensor"
	"ebm/runtime"
)

// A double well, exported with its score and run.
func Example() {
	g := graph.New("double_well")
	x := g.Input("x", tensor.Float32, graph.Batch(1))
	square := graph.Mul(x, x)
	well := graph.Shift(square, -1)
	energy := graph.ReduceSum(graph.Mul(well, well), 1) // (x²−1)², [N]
	g.Output("energy", energy)
	g.Output("score", graph.Neg(autodiff.Gradient(energy, x)[0]))

	model, err := export.Bytes(g, export.Options{Doc: "(x²−1)² and its score"})
	if err != nil {
		log.Fatal(err)
	}
	rt, err := runtime.Open(context.Background(), runtime.Config{Provider: runtime.CPU})
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	session, err := rt.Load(model, runtime.SessionOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	out, err := session.Run(context.Background(), map[string]*tensor.Tensor{"x": tensor.Of([]float32{0.5, 1, 2}, 3, 1)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("energy", tensor.Data[float32](out["energy"]))
	fmt.Println("score", tensor.Data[float32](out["score"]))
	// Output:
	// energy [0.5625 0 9]
	// score [1.5 -0 -24]
}

// The passes in their order, and what they make of a small graph.
func ExamplePasses() {
	g := graph.New("f")
	x := g.Input("x", tensor.Float32, graph.Batch(2))
	g.Output("y", graph.Scale(graph.Scale(x, 2), 3))
	for _, p := range export.Passes() {
		fmt.Println(p.Name)
		g = p.Apply(g)
	}
	fmt.Print(g)
	// Output:
	// fold pools into convolutions
	// fold constants
	// simplify
	// hoist out of loops
	// share common subexpressions
	// drop dead code
	// graph f
	// %0 = Input x : float32[N 2]
	// %1 = Constant [6] : float32[]
	// %2 = Broadcast(%1) to=[N 2] : float32[N 2]
	// %3 = Mul(%0, %2) : float32[N 2]
	// return y=%3
}
