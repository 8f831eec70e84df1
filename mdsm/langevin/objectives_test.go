package langevin_test

import (
	"testing"

	"ebm/mdsm"
	"ebm/mdsm/langevin"
)

// TestFlowStepsAreFine: steps of the default number are transport by Heun's method up to
// τ*, and then Langevin steps whose noise has a variance of 0.005 at most.
func TestFlowStepsAreFine(t *testing.T) {
	for _, epsilon := range []float64{0, 0.0025, 0.5, 2} {
		f := langevin.Flow{Heating: mdsm.Heating{Tau: 0.5, Epsilon: epsilon}}
		n := f.Steps()
		list, err := f.Updates(1, n)
		if err != nil || n < 50 {
			t.Fatalf("ε_max %g: %d steps (%v)", epsilon, n, err)
		}
		transport := 0
		for _, u := range list {
			if u.Temperature == 0 {
				transport++
			}
			if v := u.StepSize * u.StepSize * u.Temperature; v > 0.005+1e-12 {
				t.Errorf("ε_max %g: a step's noise has variance %g, want 0.005 at most", epsilon, v)
			}
		}
		if want := 2 * n; epsilon == 0 && transport != want || epsilon > 0 && (transport < n-2 || transport > n+2) {
			t.Errorf("ε_max %g: %d of %d updates are transport", epsilon, transport, len(list))
		}
	}
}
