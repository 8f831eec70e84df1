package metrics

import "testing"

// BenchmarkAdd writes lines of four numbers, to both files.
func BenchmarkAdd(b *testing.B) {
	w, err := Create(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	values := map[string]float64{"loss": 43.1, "grad_norm": 4312, "learning_rate": 1e-3, "steps_per_second": 5.9}
	for step := int64(0); b.Loop(); step++ {
		if err := w.Add(step, values); err != nil {
			b.Fatal(err)
		}
	}
}
