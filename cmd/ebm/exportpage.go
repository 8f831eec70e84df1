package main

import (
	"slices"

	"ebm"
	"ebm/export/bundle"
	"ebm/mdsm/dataset"
	"ebm/models/classifier"
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
	o.SigmaMax = m.SigmaMax
	if inner := m.Shape()[2] - 2*m.Pad; !slices.Contains(zoo.Classifiers(), m.Data) || !slices.Contains(classifier.Sides(), inner) {
		return o, nil
	}
	set, err := zoo.OpenClassifier(m.Data)
	if err != nil {
		return o, err
	}
	o.Classifier, o.Classes = set.Tensors(), dataset.ClassNames(m.Data)
	return o, nil
}
