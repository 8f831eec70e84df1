package main

import (
	"fmt"
	"slices"
	"strconv"

	"ebm"
	"ebm/export/bundle"
	"ebm/mdsm/dataset"
	"ebm/models/classifier"
	"ebm/models/energy"
	"ebm/models/zoo"
	"ebm/runtime"
)

// pageOptions adds to the flags what a page of a model needs: onnxruntime-web,
// the noise that the model was trained on, and the classifier that knows its
// data, where one is shipped.
func pageOptions(m *ebm.Model, o bundle.PageOptions) (bundle.PageOptions, error) {
	var err error
	if o.Web, err = runtime.WebFolder(); err != nil {
		return o, err
	}
	if o.SigmaMax, err = strconv.ParseFloat(m.About["sigma_max"], 64); err != nil {
		return o, fmt.Errorf("%s: metadata say sigma_max is %q, want the largest noise level of the training", m.Name, m.About["sigma_max"])
	}
	data := m.About["data"]
	if inner := m.Network.Size - 2*m.Pad; !slices.Contains(zoo.Classifiers(), data) || !slices.Contains(classifier.Sides(), inner) {
		return o, nil
	}
	set, err := zoo.OpenClassifier(data)
	if err != nil {
		return o, err
	}
	o.Classifier, o.Classes = make(energy.Weights), dataset.ClassNames(data)
	for n, t := range set.All() {
		o.Classifier[n] = t
	}
	return o, nil
}
