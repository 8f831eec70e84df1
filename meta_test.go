package ebm_test

import (
	"reflect"
	"slices"
	"testing"

	"ebm"
)

func TestParseMeta(t *testing.T) {
	digits, colour := []int{1, 16, 16}, []int{3, 32, 32}
	for _, c := range []struct {
		about map[string]string
		shape []int
		want  ebm.Meta
	}{
		{nil, colour, ebm.Meta{Sigma0: 0.1, SigmaMin: 0.1, SigmaMax: 3}},
		{map[string]string{"sigma0": "0.2", "sigma_min": "0.05", "sigma_max": "2", "pad": "2", "data": "folder"}, digits,
			ebm.Meta{Sigma0: 0.2, SigmaMin: 0.05, SigmaMax: 2, Pad: 2, Data: "folder"}},
		{map[string]string{"data": "mnist"}, digits, ebm.Meta{Sigma0: 0.1, SigmaMin: 0.1, SigmaMax: 3, Pad: 1, Data: "mnist"}},
		{map[string]string{"data": "mnist", "pad": "0"}, digits, ebm.Meta{Sigma0: 0.1, SigmaMin: 0.1, SigmaMax: 3, Data: "mnist"}},
		{map[string]string{"data": "stacked-mnist"}, colour, ebm.Meta{Sigma0: 0.1, SigmaMin: 0.1, SigmaMax: 3, Pad: 2, Data: "stacked-mnist"}},
		{map[string]string{"data": "mnist"}, []int{1, 28, 28}, ebm.Meta{Sigma0: 0.1, SigmaMin: 0.1, SigmaMax: 3, Data: "mnist"}},
		{map[string]string{"data": "cifar10"}, colour, ebm.Meta{Sigma0: 0.1, SigmaMin: 0.1, SigmaMax: 3, Data: "cifar10"}},
		{map[string]string{"pad": "7"}, []int{2}, ebm.Meta{Sigma0: 0.1, SigmaMin: 0.1, SigmaMax: 3}}, // points have none
	} {
		if got, err := ebm.ParseMeta(c.about, c.shape); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v of %v: %+v, error %v, want %+v", c.about, c.shape, got, err, c.want)
		}
	}
	for _, bad := range []map[string]string{
		{"sigma0": "0"}, {"sigma0": "NaN"}, {"sigma_min": "low"}, {"sigma_max": "Inf"}, {"pad": "-1"}, {"pad": "8"}, {"pad": "one"},
	} {
		if got, err := ebm.ParseMeta(bad, digits); err == nil {
			t.Errorf("%v: %+v, want an error", bad, got)
		}
	}
	levels, err := ebm.Meta{SigmaMin: 0.1, SigmaMax: 10}.Levels(3)
	if err != nil || !slices.EqualFunc(levels, []float64{0.1, 1, 10}, func(a, b float64) bool { return a-b < 1e-12 && b-a < 1e-12 }) {
		t.Errorf("levels %v, error %v", levels, err)
	}
}
