package sets

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"ebm/evaluate"
	"ebm/evaluate/features"
	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/models/tensor"
)

// makerArray is the array in files of features and statistics that says, as
// JSON text, what made them. Other programs pass over it.
const makerArray = "made_by"

// makerOf reads it; nil stays nil.
func makerOf(t *tensor.Tensor) (*features.Maker, error) {
	if t == nil {
		return nil, nil
	}
	if t.DType() != tensor.Uint8 || t.Rank() != 1 || t.Len() > 1<<16 {
		return nil, fmt.Errorf("%s is %v, want JSON text as uint8", makerArray, t)
	}
	maker := new(features.Maker)
	if err := json.Unmarshal(tensor.Data[uint8](t), maker); err != nil {
		return nil, fmt.Errorf("%s: %w", makerArray, err)
	}
	return maker, nil
}

// readMaker reads it from a file of statistics.
func readMaker(path string) (*features.Maker, error) {
	archive, err := npz.Open(path)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	if !slices.Contains(archive.Names(), makerArray) {
		return nil, nil
	}
	t, err := archive.Read(makerArray)
	if err == nil {
		var maker *features.Maker
		if maker, err = makerOf(t); err == nil {
			return maker, nil
		}
	}
	return nil, fmt.Errorf("statistics %s: %w", path, err)
}

// writeStatistics writes statistics with what made them.
func writeStatistics(path string, s *evaluate.Statistics, m features.Maker) error {
	d := len(s.Mean)
	return writeArrays(path, npz.Deflate, map[string]*tensor.Tensor{
		"mu": tensor.Of(s.Mean, d), "sigma": tensor.Of(s.Covariance, d, d),
		"count": tensor.Of([]int64{int64(s.Count)}), makerArray: text(m),
	})
}

// writeFeatures writes features with what made them.
func writeFeatures(path string, set features.Set, m features.Maker) error {
	arrays := map[string]*tensor.Tensor{"features": set.Features, makerArray: text(m)}
	if set.Logits != nil {
		arrays["logits"] = set.Logits
	}
	return writeArrays(path, npz.Store, arrays)
}

func text(m features.Maker) *tensor.Tensor {
	t := m.JSON()
	return tensor.Of(t, len(t))
}

func writeArrays(path string, method npz.Method, arrays map[string]*tensor.Tensor) error {
	return atomicfile.Write(path, func(w io.Writer) error { return npz.Write(w, arrays, method) })
}
