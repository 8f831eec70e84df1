package assess

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ebm/evaluate/features"
	"ebm/evaluate/sets"
	"ebm/models/inception"
	"ebm/models/zoo"
	"ebm/runtime"
)

// Features say which network sees pictures. The zero value takes Inception
// where its weights are found, and otherwise what needs no weights.
type Features struct {
	Network    features.Identity    // of the kinds Inception, Classifier and Pixels, or zero
	Inception  string               // file of weights, "" for those that are found
	ONNX       features.ONNXOptions // an ONNX file in place of the network; Path "" for none
	Convention inception.Convention
	Recipe     string // of features.Recipes, "" for none: it says which network and what is done to pictures
}

// Open finds the network. The error wraps features.ErrNoInception where it is
// that of FID and has no weights.
func (f Features) Open() (*features.Network, error) {
	var recipe features.Recipe
	if f.Recipe != "" {
		var err error
		if recipe, err = features.FindRecipe(f.Recipe); err != nil {
			return nil, err
		}
		f.Convention = recipe.Convention
		f.ONNX.Range, f.ONNX.Cut, f.ONNX.Recipe = recipe.Range, recipe.Cut, recipe.Name
		if f.ONNX.Size == 0 {
			f.ONNX.Size = recipe.Size
		}
		if recipe.Layer != "" {
			f.Network.Kind = features.Inception
		}
	}
	switch {
	case f.ONNX.Path != "":
		o := f.ONNX
		o.Convention = f.Convention
		return features.ONNXFile(o)
	case f.Network.Kind == features.Classifier:
		return features.ShippedClassifier(f.Network.Data)
	case f.Network.Kind == features.Pixels:
		return features.PixelValues(), nil
	}
	path, err := features.FindInception(f.Inception)
	if err != nil {
		return nil, err
	}
	return features.InceptionFile(path, f.Convention, recipe)
}

// openFor finds the network for sources, which is the classifier when there is
// no other and the pictures are such as it knows.
func (f Features) openFor(sources []*sets.Source, log func(string)) (*features.Network, error) {
	network, err := f.Open()
	if !errors.Is(err, features.ErrNoInception) {
		return network, err
	}
	name := features.DefaultClassifier
	for _, s := range sources {
		if s.Kind != sets.Pictures {
			continue
		}
		if s.Channels != 1 || s.Height != s.Width || !features.Recognises(name, s.Height) || f.Network.Kind != "" {
			return nil, fmt.Errorf("pictures need a feature network: %w", err)
		}
		// The data set says which classes there are.
		if slices.Contains(zoo.Classifiers(), s.Data) {
			name = s.Data
		}
	}
	log("no Inception weights: the features are those of the shipped classifier of " + name + ", whose numbers are no FID")
	return features.ShippedClassifier(name)
}

// SetsOptions say which two sets are compared, and how.
type SetsOptions struct {
	Samples, Reference string // as sets.Open takes them; Reference "" for none
	Data               string // folder of a named data set's files
	Limit              int    // pictures of each side, the first; 0 for all
	Range              string // of the samples, where they are floats, see sets.SourceOptions
	Features           Features
	Metrics            sets.Options // without its sources and network
}

// Sets compares two sets. open opens ONNX Runtime, which statistics can do without.
func Sets(ctx context.Context, open func(context.Context) (*runtime.Runtime, error), o SetsOptions) (result *sets.Result, err error) {
	m := o.Metrics
	source := sets.SourceOptions{Data: o.Data, Limit: o.Limit, Range: o.Range, Log: m.Log}
	if m.Samples, err = sets.Open(ctx, o.Samples, source); err != nil {
		return nil, err
	}
	defer m.Samples.Close()
	sources := []*sets.Source{m.Samples}
	if o.Reference != "" {
		source.Side, source.Range = m.Samples.Height, ""
		if m.Reference, err = sets.Open(ctx, o.Reference, source); err != nil {
			return nil, err
		}
		defer m.Reference.Close()
		sources = append(sources, m.Reference)
	}
	var rt *runtime.Runtime
	for _, s := range sources {
		if s.Kind == sets.Pictures && m.Network == nil {
			if m.Network, err = o.Features.openFor(sources, m.Log); err != nil {
				return nil, err
			}
		}
		// Kernels, neighbourhoods and distances are products of matrices, which statistics can do without.
		if rt == nil {
			if rt, err = open(ctx); err != nil && s.Kind != sets.Statistics {
				return nil, err
			}
		}
	}
	return sets.Run(ctx, rt, m)
}
