package probe

import (
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"ebm/models/rng"
)

// The share of false alarms over many calibrations is what was asked for.
func TestCalibrate(t *testing.T) {
	draw := func(n int, number uint64) []float64 {
		v, out := make([]float32, n), make([]float64, n)
		rng.New(3).Normal(v, rng.Probe, number, 0)
		for i, x := range v {
			out[i] = float64(x)
		}
		return out
	}
	for _, c := range []struct {
		n    int
		rate float64
	}{{19, 0.05}, {99, 0.05}, {37, 0.1}} {
		const trials, fresh = 2000, 50
		alarms := 0
		for i := range uint64(trials) {
			threshold, err := Calibrate(draw(c.n, 2*i), c.rate)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range draw(fresh, 2*i+1) {
				if v > threshold {
					alarms++
				}
			}
		}
		// The expected share is exact: (n + 1 − k) / (n + 1), at most the rate.
		want := float64(c.n+1-int(math.Ceil(float64(c.n+1)*(1-c.rate)-1e-9))) / float64(c.n+1)
		if got := float64(alarms) / (trials * fresh); math.Abs(got-want) > 0.004 || want > c.rate+1e-12 {
			t.Errorf("%d values at a rate of %g: %.4f false alarms, want %.4f", c.n, c.rate, got, want)
		}
	}
	for want, f := range map[string]func() (float64, error){
		"want at least 19": func() (float64, error) { return Calibrate(make([]float64, 18), 0.05) },
		"between 0 and 1":  func() (float64, error) { return Calibrate(make([]float64, 18), 1) },
		"not a number":     func() (float64, error) { return Calibrate([]float64{math.NaN(), 1}, 0.5) },
	} {
		if _, err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestThresholdFile(t *testing.T) {
	path := ThresholdPath(t.TempDir())
	want := Threshold{By: "loss", Value: 1.5, FalseAlarms: 0.05, Pictures: 99, Data: "x", Weights: strings.Repeat("a", 64),
		Sigmas: []float64{0.1, 1}, Seed: 3}
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := ReadThreshold(path, want.Weights)
	if err != nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("read %v, want %v; error %v", got, want, err)
	}
	if _, err := ReadThreshold(path, strings.Repeat("b", 64)); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("other weights: error %v", err)
	}
	if got, err := ReadThreshold(filepath.Join(t.TempDir(), "none"), ""); got != nil || err != nil {
		t.Errorf("no file gives %v, error %v", got, err)
	}
}
