package mdsm_test

import (
	"fmt"

	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/interp"
	"ebm/models/tensor"
)

// Make the graphs of a known energy, ‖x‖²/2 in the plane, and evaluate them: the
// score at x is −x, and a jump with σ₀ = 0.5 takes a quarter of the way to 0.
func Example() {
	normal := energy.Known{Density: energy.Gaussian{Mean: []float64{0, 0}, Sigma: []float64{1, 1}}}
	x := map[string]*tensor.Tensor{"x": tensor.Of([]float32{3, -4}, 1, 2)}
	score, err := interp.Run(mdsm.ScoreGraph(normal, nil), x)
	if err != nil {
		fmt.Println(err)
		return
	}
	jump, err := interp.Run(mdsm.DenoiseGraph(normal, nil, 0.5), x)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(score["energy"].Float64s(), score["score"].Float64s(), jump["denoised"].Float64s())
	// Output: [12.5] [-3 4] [2.25 -3]
}
