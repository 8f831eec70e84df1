package ais_test

import (
	"context"
	"fmt"
	"log"
	"math"

	"ebm/mdsm/ais"
	"ebm/mdsm/hmc"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/runtime"
)

// Estimate log Z of a density whose normaliser is known, in both directions: the
// reverse chains begin at exact draws, so that they bound it from above.
func Example() {
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	density, err := energy.Toy("gaussian", 2)
	check(err)
	set := ais.Cheap()
	set.Distributions = 100
	files, err := hmc.NewFiles(energy.Known{Density: density}, nil, set.Reference, set.Leapfrog)
	check(err)
	rt, err := runtime.Open(ctx, runtime.Config{Provider: runtime.CPU})
	check(err)
	defer rt.Close()
	kernel, err := hmc.Load(rt, files)
	check(err)
	defer kernel.Close()
	estimator, err := ais.New(kernel, set)
	check(err)
	m, err := estimator.Measure(ctx, 64, energy.Draws(density, 64, rng.New(1)), true)
	check(err)
	near := func(z *ais.LogZ) bool { return math.Abs(z.Estimate.Value-density.LogZ()) < 0.5 }
	fmt.Println("within half a nat, forward and in reverse:", near(m.Forward), near(m.Reverse))
	// Output: within half a nat, forward and in reverse: true true
}
