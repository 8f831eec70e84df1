package hmc_test

import (
	"context"
	"fmt"
	"log"

	"ebm/mdsm"
	"ebm/mdsm/hmc"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/runtime"
)

// Make transitions of a group of chains on a normal distribution: small steps
// conserve the Hamiltonian, so that nearly all are accepted.
func Example() {
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	normal := energy.Known{Density: energy.Gaussian{Mean: []float64{0, 0}, Sigma: []float64{1, 1}}}
	files, err := hmc.NewFiles(normal, nil, mdsm.Reference{Sigma: 1}, 5)
	check(err)
	rt, err := runtime.Open(ctx, runtime.Config{Provider: runtime.CPU})
	check(err)
	defer rt.Close()
	kernel, err := hmc.Load(rt, files)
	check(err)
	defer kernel.Close()
	layout := kernel.Layout(0)
	numbers := kernel.Numbers(layout, rng.New(1), 0, 0, layout.Size, 20)
	chains, err := kernel.Start(ctx, layout.New(), numbers) // every chain at 0
	check(err)
	defer chains.Close()
	mean := 0.0
	for t := range 20 {
		numbers.Draw(t, func(int) float64 { return 0.05 })
		outcome, err := chains.Move(ctx, hmc.Potential{Energy: 1})
		check(err)
		for _, p := range outcome.Probability {
			mean += float64(p) / float64(20*layout.Size)
		}
	}
	fmt.Println("acceptance above 0.99:", mean > 0.99)
	// Output: acceptance above 0.99: true
}
