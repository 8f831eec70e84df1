package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"ebm/evaluate/features"
	"ebm/evaluate/sets"
	"ebm/models/inception"
	"ebm/models/zoo"
)

// The networks that --features names. An ONNX file has a flag of its own.
const (
	byInception  = "inception"
	byClassifier = "classifier"
	byPixels     = "pixels"
)

// checkNetwork finds flags that name several networks, or none that is known.
func (f *evaluateFlags) checkNetwork() error {
	name, of, _ := strings.Cut(f.features, ":")
	switch {
	case f.onnx != "" && (f.inception != "" || f.features != ""), f.inception != "" && f.features != "" && f.features != byInception:
		return usagef("--features, --inception and --features-onnx name several feature networks: choose one")
	case !slices.Contains([]string{"", byInception, byClassifier, byPixels}, name) || of != "" && name != byClassifier:
		return usagef("--features %s, want %s, %s or %s", f.features, byInception, byClassifier, byPixels)
	case of != "" && !slices.Contains(zoo.Classifiers(), of):
		return usagef("--features %s: the shipped classifiers are those of %s", f.features, strings.Join(zoo.Classifiers(), ", "))
	}
	return nil
}

// network finds the feature network that the flags name.
func (f *evaluateFlags) network() (*features.Network, error) {
	c := inception.Convention(f.preprocess)
	switch name, of, _ := strings.Cut(f.features, ":"); {
	case f.onnx != "":
		return features.ONNXFile(features.ONNXOptions{
			Path: f.onnx, Output: f.output, Logits: f.logits, Range: features.InputRange(f.inputRange), Size: f.size, Convention: c,
		})
	case name == byClassifier && of == "":
		return features.ShippedClassifier(features.DefaultClassifier)
	case name == byClassifier:
		return features.ShippedClassifier(of)
	case name == byPixels:
		return features.PixelValues(), nil
	}
	path, err := features.FindInception(f.inception)
	if err != nil {
		return nil, err
	}
	return features.InceptionFile(path, c)
}

// networkFor is network, or the classifier when there is no other and the
// pictures are such as it knows.
func (f *evaluateFlags) networkFor(a *app, sources []*sets.Source) (*features.Network, error) {
	network, err := f.network()
	if !errors.Is(err, features.ErrNoInception) {
		return network, err
	}
	name := features.DefaultClassifier
	for _, s := range sources {
		if s.Kind != sets.Pictures {
			continue
		}
		if s.Channels != 1 || s.Height != s.Width || !features.Recognises(name, s.Height) || f.features != "" {
			return nil, fmt.Errorf("pictures need a feature network: %w", err)
		}
		// The name of a data set says which classes there are.
		if set, _, _ := strings.Cut(s.Name, ":"); slices.Contains(zoo.Classifiers(), set) {
			name = set
		}
	}
	a.log("no Inception weights: the features are those of the shipped classifier of " + name + ", whose numbers are no FID")
	return features.ShippedClassifier(name)
}
