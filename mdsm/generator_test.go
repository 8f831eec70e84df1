package mdsm_test

import (
	"math"
	"strings"
	"testing"

	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// TestGeneratorIsTheSampler gives the generator and the sampler with its jump
// the same noise.
func TestGeneratorIsTheSampler(t *testing.T) {
	const steps, batch, pad = 6, 3, 2
	for _, channels := range []int{1, 3} {
		net := energy.ResNet{Net: "res6", Channels: channels, Dim: 4, Size: 16}
		w := energy.Init(net, rng.New(1))
		for _, p := range w {
			for i := range tensor.Data[float32](p) {
				tensor.Data[float32](p)[i] *= 2.2 // scores that move pictures
			}
		}
		c := mdsm.Chain{Mean: 0.5, Sigma: 0.4, Sigma0: 0.1, Pad: pad}
		temperatures := []float64{20, 10, 5, 2, 1, 0}
		for _, t := range temperatures {
			c.Updates = append(c.Updates, mdsm.Update{StepSize: 0.03, Temperature: t})
		}
		g, err := mdsm.GeneratorGraph(net, w, c)
		if err != nil {
			t.Fatal(err)
		}
		z, noise := normal(2, batch, channels*256), normal(3, steps+1, batch, channels, 16, 16)
		got := execute(t, g, values{"z": z, "noise": noise})["images"]

		x := tensor.New(tensor.Float64, batch, channels, 16, 16)
		for i, v := range z.Float64s() {
			tensor.Data[float64](x)[i] = 0.5 + 0.4*v
		}
		first := tensor.Of(noise.Float64s()[:steps*batch*channels*256], steps, batch, channels, 16, 16)
		out := execute(t, mdsm.SamplerGraph(net, w), values{
			"x": x, "noise": first, "temperature": f64([]int{steps}, temperatures...), "step_size": f64([]int{1}, 0.03)})
		clean := execute(t, mdsm.DenoiseGraph(net, w, c.Sigma0), values{"x": out["x_next"]})["denoised"].Float64s()

		const side = 16 - 2*pad
		if got.DType() != tensor.Uint8 || len(got.Shape()) != 4 || got.Shape()[1] != 3 || got.Shape()[2] != side || got.Shape()[3] != side {
			t.Fatalf("images are %v, want uint8[%d 3 %d %d]", got, batch, side, side)
		}
		moved := 0.0
		for i, v := range tensor.Data[uint8](got) {
			col, row, ch, n := i%side, i/side%side, i/side/side%3, i/side/side/3
			at := ((n*channels+ch%channels)*16+row+pad)*16 + col + pad
			want := min(max(clean[at], 0), 1) * 255
			if d := math.Abs(float64(v) - want); d > 0.5+1e-3 {
				t.Fatalf("%d channels: byte %d is %d, want %g", channels, i, v, want)
			}
			moved = math.Max(moved, math.Abs(clean[at]-out["x_next"].Float64s()[at]))
		}
		if moved < 1e-3 {
			t.Errorf("the jump moves pictures by %g at most, too little to see it missing", moved)
		}
	}
}

func TestGeneratorRefuses(t *testing.T) {
	net := energy.ResNet{Net: "res6", Channels: 2, Dim: 4, Size: 16}
	c := mdsm.Chain{Sigma: 1, Sigma0: 0.1, Updates: []mdsm.Update{{StepSize: 0.02, Temperature: 1}}}
	if _, err := mdsm.GeneratorGraph(net, energy.Init(net, rng.New(1)), c); err == nil || !strings.Contains(err.Error(), "[2 16 16]") {
		t.Errorf("two channels: %v", err)
	}
	net.Channels = 1
	c.Pad = 8
	if _, err := mdsm.GeneratorGraph(net, energy.Init(net, rng.New(1)), c); err == nil || !strings.Contains(err.Error(), "cut by 8") {
		t.Errorf("nothing left: %v", err)
	}
	c.Pad, c.Updates = 0, nil
	if _, err := mdsm.GeneratorGraph(net, energy.Init(net, rng.New(1)), c); err == nil || !strings.Contains(err.Error(), "no steps") {
		t.Errorf("no steps: %v", err)
	}
}
