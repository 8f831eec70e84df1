package mcmc_test

import (
	"context"
	"fmt"
	"log"

	"ebm/mdsm/mcmc"
	"ebm/models/energy"
	"ebm/runtime"
)

// Run chains of Hamiltonian Monte Carlo on a normal distribution in the plane and
// ask whether they have met: R̂ of the energy is near 1.
func Example() {
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	normal := energy.Known{Density: energy.Gaussian{Mean: []float64{0.5, 0.5}, Sigma: []float64{0.5, 0.5}}}
	set := mcmc.Default(mcmc.HMC, 16)
	set.Warmup, set.Draws, set.StepSize = 200, 200, 0.1
	files, err := mcmc.NewFiles(normal, nil, 0.1, set.Leapfrog)
	check(err)
	rt, err := runtime.Open(ctx, runtime.Config{Provider: runtime.CPU})
	check(err)
	defer rt.Close()
	sampler, err := mcmc.New(rt, files)
	check(err)
	defer sampler.Close()
	var energies [][]float64
	check(sampler.Sample(ctx, set, func(c mcmc.Chains) error {
		energies = append(energies, c.Energy...)
		return nil
	}))
	d, err := mcmc.Diagnose(energies)
	check(err)
	fmt.Printf("%d chains of %d draws, R-hat below 1.05: %t\n", len(energies), len(energies[0]), d.RHat < 1.05)
	// Output: 16 chains of 200 draws, R-hat below 1.05: true
}
