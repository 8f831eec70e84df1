package evaluate

import (
	"slices"
	"testing"

	"ebm/internal/testkit"
	"ebm/models/tensor"
)

// votes returns logits of so many pictures of each class.
func votes(counts ...int) *tensor.Tensor {
	var values []float32
	n := 0
	for class, c := range counts {
		n += c
		for range c {
			row := make([]float32, len(counts))
			row[class] = 3
			values = append(values, row...)
		}
	}
	return tensor.Of(values, n, len(counts))
}

// TestClassBalance: statistic and probability are SciPy's chi2_contingency of the two rows of
// counts, without a correction and without columns that are empty.
func TestClassBalance(t *testing.T) {
	for _, c := range []struct {
		a, b    []int
		chi, p  float64
		freedom int
	}{
		{[]int{17, 1, 9, 8, 29}, []int{100, 100, 100, 100, 100}, 30.54384448718788, 3.7925149534184754e-06, 4},
		{[]int{10, 0, 12}, []int{30, 0, 20}, 1.3090909090909082, 0.252559317185165, 1},
		{[]int{5, 5}, []int{50, 50}, 0, 1, 1},
		{[]int{0, 7}, []int{0, 3}, 0, 1, 0},
	} {
		got, err := ClassBalance(votes(c.a...), votes(c.b...))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Samples, c.a) || !slices.Equal(got.Reference, c.b) || got.Freedom != c.freedom {
			t.Errorf("%v and %v: %+v", c.a, c.b, got)
		}
		near(t, "χ²", got.ChiSquared, c.chi, 1e-12)
		near(t, "p", got.P, c.p, 1e-10)
	}
	_, err := ClassBalance(votes(1, 2), votes(1, 2, 3))
	testkit.WantError(t, "other classes", err, "logits of 2 and of 3 classes")
	_, err = ClassBalance(nil, votes(1, 2))
	testkit.WantError(t, "no logits", err, "logits are <nil>")
}
