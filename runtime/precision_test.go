package runtime

import (
	"errors"
	"strings"
	"testing"
)

// TestPrecisionsOfTheCPU: it has float32, and plays others where that is asked for.
func TestPrecisionsOfTheCPU(t *testing.T) {
	for _, c := range []struct {
		precision Precision
		rounding  bool
		refused   string // "" where it opens
	}{
		{"", false, ""}, {FP32, true, ""}, {FP16, true, ""}, {BF16, true, ""},
		{TF32, false, "provider cpu: --precision tf32, want fp32"}, {FP16, false, "--precision fp16, want fp32"},
		{TF32, true, "--precision tf32, want fp32, fp16 or bf16"}, {"fp8", true, `precision "fp8", want fp32, tf32, fp16 or bf16`},
	} {
		r, err := Open(t.Context(), Config{Provider: CPU, Precision: c.precision, Rounding: c.rounding})
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%q: error %v, want %q in it", c.precision, err, c.refused)
			}
			if c.precision != "fp8" && !errors.As(err, new(*ProviderError)) {
				t.Errorf("%q: error %v, want a *ProviderError", c.precision, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%q: %v", c.precision, err)
		}
		i := r.Info()
		exact := c.precision == FP32 || c.precision == ""
		if i.Precision.Half() == exact || strings.Contains(i.Engine(), string(i.Precision)) == exact {
			t.Errorf("%q: %+v of engine %q", c.precision, i, i.Engine())
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
