package langevin_test

import (
	"context"
	"fmt"
	"log"
	"math"

	"ebm/mdsm/langevin"
	"ebm/models/energy"
	"ebm/models/tensor"
	"ebm/runtime"
)

// Draw 2,048 points of a normal distribution around (0.5, 0.5) with standard
// deviation 0.5 by 100 steps at temperature 1.
func Example() {
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	normal := energy.Known{Density: energy.Gaussian{Mean: []float64{0.5, 0.5}, Sigma: []float64{0.5, 0.5}}}
	files, err := langevin.NewFiles(normal, nil, 0.1, nil)
	check(err)
	rt, err := runtime.Open(ctx, runtime.Config{Provider: runtime.CPU})
	check(err)
	defer rt.Close()
	sampler, err := langevin.New(rt, files)
	check(err)
	defer sampler.Close()
	set := langevin.Default(2048)
	set.Schedule = langevin.Schedule{Cooling: langevin.Constant, Steps: 100, Cool: 1}
	set.StepSize, set.Raw = 0.2, true // no jump, which takes noise of σ₀ away
	x, err := sampler.All(ctx, set)
	check(err)
	mean, square := 0.0, 0.0
	for _, v := range tensor.Data[float32](x) {
		mean += float64(v) / float64(x.Len())
		square += float64(v) * float64(v) / float64(x.Len())
	}
	fmt.Printf("%v: mean %.1f, standard deviation %.1f\n", x, mean, math.Sqrt(square-mean*mean))
	// Output: float32[2048 2]: mean 0.5, standard deviation 0.5
}
