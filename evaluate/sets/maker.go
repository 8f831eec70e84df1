package sets

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"ebm/evaluate"
	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/models/tensor"
)

// makerArray is the array in files of features and statistics that says, as
// JSON text, what made them. Other programs pass over it.
const makerArray = "made_by"

// makerOf reads it; nil stays nil.
func makerOf(t *tensor.Tensor) (*evaluate.FeatureMaker, error) {
	if t == nil {
		return nil, nil
	}
	if t.DType() != tensor.Uint8 || t.Rank() != 1 || t.Len() > 1<<16 {
		return nil, fmt.Errorf("%s is %v, want JSON text as uint8", makerArray, t)
	}
	maker := new(evaluate.FeatureMaker)
	if err := json.Unmarshal(tensor.Data[uint8](t), maker); err != nil {
		return nil, fmt.Errorf("%s: %w", makerArray, err)
	}
	return maker, nil
}

// readMaker reads it from a file of statistics.
func readMaker(path string) (*evaluate.FeatureMaker, error) {
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
		var maker *evaluate.FeatureMaker
		if maker, err = makerOf(t); err == nil {
			return maker, nil
		}
	}
	return nil, fmt.Errorf("statistics %s: %w", path, err)
}

// makerText is what files and the cache hold of a maker.
func makerText(m evaluate.FeatureMaker) []byte {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and numbers alone
	}
	return text
}

// agree is an error when two sources have features of different kinds.
func agree(nameA string, a evaluate.FeatureMaker, nameB string, b evaluate.FeatureMaker) error {
	if a.Features == 0 { // not known before the first picture
		a.Features = b.Features
	}
	var differ []string
	for _, field := range []struct{ name, a, b string }{
		{"network", a.Network, b.Network}, {"weights", a.Weights, b.Weights}, {"preprocessing", a.Preprocess, b.Preprocess},
		{"range", a.Range, b.Range}, {"input", a.Input, b.Input}, {"output", a.Output, b.Output},
		{"number of features", fmt.Sprint(a.Features), fmt.Sprint(b.Features)},
	} {
		if field.a != field.b {
			differ = append(differ, fmt.Sprintf("%s %s against %s", field.name, orNone(field.a), orNone(field.b)))
		}
	}
	if differ != nil {
		return fmt.Errorf("%s and %s have features of different kinds (%s): they do not compare", nameA, nameB, strings.Join(differ, ", "))
	}
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// writeStatistics writes statistics with what made them.
func writeStatistics(path string, s *evaluate.Statistics, m evaluate.FeatureMaker) error {
	d := len(s.Mean)
	return writeArrays(path, npz.Deflate, map[string]*tensor.Tensor{
		"mu": tensor.Of(s.Mean, d), "sigma": tensor.Of(s.Covariance, d, d),
		"count": tensor.Of([]int64{int64(s.Count)}), makerArray: text(m),
	})
}

// writeFeatures writes features with what made them.
func writeFeatures(path string, set evaluate.FeatureSet, m evaluate.FeatureMaker) error {
	arrays := map[string]*tensor.Tensor{"features": set.Features, makerArray: text(m)}
	if set.Logits != nil {
		arrays["logits"] = set.Logits
	}
	return writeArrays(path, npz.Store, arrays)
}

func text(m evaluate.FeatureMaker) *tensor.Tensor {
	t := makerText(m)
	return tensor.Of(t, len(t))
}

func writeArrays(path string, method npz.Method, arrays map[string]*tensor.Tensor) error {
	return atomicfile.Write(path, func(w io.Writer) error { return npz.Write(w, arrays, method) })
}
