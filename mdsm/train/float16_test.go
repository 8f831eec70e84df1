package train_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm/train"
	"ebm/models/tensor"
	"ebm/runtime"
)

// A training in float16, which the CPU plays by rounding factors and results of products, lowers the loss
// as one in float32; an update whose gradient leaves the range changes nothing, and is told.
func TestFloat16(t *testing.T) {
	testkit.Long(t)
	s, data := tiny()
	s.Steps, s.Batch, s.Net.Dim, s.Optimiser.LearningRate.Initial = 40, 4, 4, 2e-2
	for i := range data.Pixels {
		data.Pixels[i] = uint8(i % 8 * 30)
	}
	const small = 20 // the step with a noise level at which the loss has a large weight
	curve := func(c runtime.Config, shards int, level float32) (losses, norms []float64, lines []string) {
		c.Provider, c.Threads = runtime.CPU, 1
		rt, err := runtime.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer rt.Close()
		s.Shards = shards
		var sigma []float32
		p := problem(t, s, data, func(step int) {
			sigma[0] = 0.05
			if step == small {
				sigma[0] = level
			}
		})
		sigma = tensor.Data[float32](p.Batch["sigma"])
		l := loop(s, "")
		l.Log = func(line string) { lines = append(lines, line) }
		l.Hook = func(_ context.Context, u train.Update) error {
			losses, norms = append(losses, u.Loss), append(norms, u.GradNorm)
			return nil
		}
		if _, err := train.Run(t.Context(), rt, p, l); err != nil {
			t.Fatal(err)
		}
		return losses, norms, lines
	}
	mean := func(v []float64) (sum float64) {
		for _, x := range v {
			sum += x / float64(len(v))
		}
		return sum
	}
	half := runtime.Config{Precision: runtime.FP16, Rounding: true}
	want, _, _ := curve(runtime.Config{}, 1, 0.05)
	got, _, told := curve(half, 1, 0.05)
	a, b := mean(want[30:])/mean(want[:10]), mean(got[30:])/mean(got[:10])
	t.Logf("losses fall to %.4f of the first in float32 and %.4f in float16", a, b)
	if !(a < 0.99) || !(math.Abs(a-b) < 0.1*(1-a)) || len(told) > 0 {
		t.Errorf("losses fall to %g of the first in float32 and %g in float16, and %q is told", a, b, told)
	}
	for _, shards := range []int{1, 2} {
		losses, norms, told := curve(half, shards, 1e-9)
		if len(told) != 1 || !strings.Contains(told[0], "step 20: ") || !math.IsNaN(norms[small-1]) && !math.IsInf(norms[small-1], 0) {
			t.Errorf("%d shards: %q is told, the norm of step %d is %g", shards, told, small, norms[small-1])
		}
		if b := mean(losses[30:]) / mean(losses[:10]); !(math.Abs(a-b) < 0.02) {
			t.Errorf("%d shards: after an update that was left out losses fall to %g of the first, want about %g", shards, b, a)
		}
	}
}
