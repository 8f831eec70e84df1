package probe

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"

	"ebm/internal/atomicfile"
	"ebm/internal/files"
)

// thresholdName is the file of a run's threshold.
const thresholdName = "anomaly.json"

// Threshold tells anomalies: what is above it. It is calibrated on held-out data of the
// kind that the model was trained on.
type Threshold struct {
	By          string    `json:"by"` // what is compared: energy, score_norm or loss
	Value       float64   `json:"threshold"`
	FalseAlarms float64   `json:"false_alarms"` // the share of further such data above it, at most and in the mean over calibrations
	Pictures    int       `json:"pictures"`     // that it was calibrated on
	Data        string    `json:"data"`
	Weights     string    `json:"weights_sha256"`
	Sigmas      []float64 `json:"sigmas,omitempty"` // noise levels of the loss
	Seed        uint64    `json:"seed"`             // of its noise
}

// Calibrate returns the least threshold that the next value, exchangeable with the n given ones,
// exceeds with a probability of at most rate: the ⌈(n+1)(1−rate)⌉-th of the values in order
// (split conformal prediction; Vovk et al. 2005). At least 1/rate − 1 values are needed.
func Calibrate(values []float64, rate float64) (float64, error) {
	if !(rate > 0 && rate < 1) {
		return 0, fmt.Errorf("rate of false alarms %g, want one between 0 and 1", rate)
	}
	if slices.ContainsFunc(values, math.IsNaN) {
		return 0, errors.New("a value is not a number, want finite ones")
	}
	n := len(values)
	// Multiples of the rate that are whole numbers may come out of the product a little larger.
	k := int(math.Ceil(float64(n+1)*(1-rate) - 1e-9))
	if k > n {
		return 0, fmt.Errorf("%d held-out values, want at least %d for a rate of %g", n, int(math.Ceil(1/rate-1-1e-9)), rate)
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(k, 1)-1], nil
}

// Write keeps the threshold beside a run.
func (t Threshold) Write(path string) error {
	return atomicfile.WriteJSON(path, t)
}

// ThresholdPath returns where a run keeps its threshold.
func ThresholdPath(run string) string { return filepath.Join(run, thresholdName) }

// ReadThreshold reads a threshold that was calibrated for the given weights. Without a file
// it is nil.
func ReadThreshold(path, weights string) (*Threshold, error) {
	t, err := files.Parse(path, files.JSON[Threshold])
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if t.Weights != weights {
		return nil, fmt.Errorf("%s: calibrated for the weights %.8s, want those of the model, %.8s: calibrate it anew", path, t.Weights, weights)
	}
	return &t, nil
}
