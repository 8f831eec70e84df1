package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"ebm"
	"ebm/export/bundle"
	"ebm/mdsm"
	"ebm/mdsm/dataset"
	"ebm/models/classifier"
	"ebm/models/zoo"
	"ebm/runtime"
)

// writePage writes the page of a run with the usual settings, where
// onnxruntime-web is there, and returns its path; else it says how a page is to
// be had and returns "".
func writePage(ctx context.Context, a *app, run string) (string, error) {
	m, err := ebm.Load(run)
	if err != nil {
		return "", err
	}
	path := filepath.Join(run, "page.html")
	o, err := pageOptions(m, bundle.PageOptions{Precision: bundle.Precisions()[0]})
	if errors.Is(err, runtime.ErrNoWeb) {
		a.log("a page that samples in a browser:  ebm runtime install --provider web && ebm export --run " + run + " --for page --out " + path)
		return "", nil
	}
	if err != nil {
		return "", err
	}
	target, err := bundle.Find("page")
	if err != nil {
		return "", err
	}
	src, err := source(m, "", mdsm.Chain{})
	if err != nil {
		return "", err
	}
	_, err = target.Write(ctx, path, src, bundle.Options{Page: o})
	return path, err
}

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
