package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"ebm"
	"ebm/export/bundle"
	"ebm/mdsm"
	"ebm/mdsm/dataset"
	"ebm/mdsm/langevin"
	"ebm/models/classifier"
	"ebm/models/zoo"
	"ebm/runtime"
)

// pageFlags say what a page holds.
type pageFlags struct {
	precision string
	webgpu    bool
	pictureFlags
	mask string
}

func (f *pageFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.precision, "precision", "", "how weights are kept: "+strings.Join(bundle.Precisions(),
		", ")+" (default int8, float32 for ONNX files)")
	fs.BoolVar(&f.webgpu, "webgpu", false, "a larger page that uses the browser's GPU where it can")
	f.pictureFlags.add(fs, "the page begins with the first of these pictures")
	fs.StringVar(&f.mask, "mask", "", "and with this part hidden, which it fills in: "+strings.Join(langevin.Regions(),
		", ")+", or a PNG file")
}

func (f *pageFlags) check() error {
	if f.precision != "" && !slices.Contains(bundle.Precisions(), f.precision) {
		return usagef("--precision %s, want one of %s", f.precision, strings.Join(bundle.Precisions(), ", "))
	}
	return nil
}

// options returns what the page of a model holds: beside what the flags say,
// onnxruntime-web, samplers, the one that is asked for first, and the classifier that knows the data, where one is
// shipped.
func (f *pageFlags) options(ctx context.Context, a *app, m *ebm.Model, asked *langevin.Recipe,
	chain mdsm.Chain) (o bundle.PageOptions, err error) {
	o = bundle.PageOptions{Precision: f.precision, WebGPU: f.webgpu, Mean: m.Mean, Deviation: m.Deviation}
	if o.Web, err = runtime.WebFolder(); err != nil {
		return o, err
	}
	if o.Samplers, err = samplersOf(m, asked, chain); err != nil {
		return o, err
	}
	if f.images != "" {
		f.count = 1
		if o.Picture, err = f.pictures(ctx, a, m.Shape()); err != nil {
			return o, err
		}
	}
	if f.mask != "" {
		if o.Hidden, err = langevin.ReadMask(f.mask, m.Shape(), m.Pad); err != nil {
			return o, err
		}
	}
	if !slices.Contains(zoo.Classifiers(), m.Data) || !slices.Contains(classifier.Sides(), m.Crop()) {
		return o, nil
	}
	set, err := zoo.OpenClassifier(m.Data)
	if err != nil {
		return o, err
	}
	o.Classifier, o.Classes = set.Tensors(), dataset.ClassNames(m.Data)
	return o, nil
}

// samplersOf returns the samplers that a page offers: the one that was asked for, if
// there is one, those of few evaluations, one between, and the annealed chain; of
// points also one that stays at temperature 1.
func samplersOf(m *ebm.Model, asked *langevin.Recipe, chain mdsm.Chain) ([]bundle.Sampler, error) {
	var list []bundle.Sampler
	add := func(name, about string, start langevin.Start, updates []mdsm.Update) {
		s := bundle.Sampler{Name: name, About: fmt.Sprintf(about, len(updates)), Mean: start.Mean, Sigma: start.Sigma, Jump: m.Sigma0 > 0}
		if s.Jump {
			updates = append(slices.Clip(updates), mdsm.Jump(m.Sigma0))
		}
		s.Rows = mdsm.Rows(updates, m.Sigma0)
		list = append(list, s)
	}
	few := func(name, about string, r langevin.Recipe) error {
		updates, err := r.Updates(m.SigmaMax, m.Sigma0)
		if err == nil {
			add(name, about, r.Start(m.SigmaMax), updates)
		}
		return err
	}
	start, hot := langevin.Default(1).Start, 100.0
	if len(m.Shape()) == 1 && m.Mean != nil {
		start.Mean = 0 // of standardised points, as ebm sample begins
	}
	if m.Sigma0 > 0 {
		if asked != nil {
			if err := few("asked", string(asked.Method)+", %d evaluations and a jump", *asked); err != nil {
				return nil, err
			}
		}
		for _, budget := range []int{30, 70} {
			r, err := m.Recipe(budget)
			if err == nil && r.Fits(m.SigmaMax, m.Sigma0) {
				ratio := m.SigmaMax / m.Sigma0
				hot = max(ratio*ratio/9, 1)
				err = few(fmt.Sprintf("fast%d", budget), "few steps, %d and a jump", r)
			}
			if err != nil {
				return nil, err
			}
		}
		t, err := langevin.Schedule{Cooling: langevin.Exponential, Steps: 300, Hot: hot, Cool: 1}.Temperatures()
		if err != nil {
			return nil, err
		}
		add("quick", "Langevin, %d large steps", start, langevin.At(0.6*m.Sigma0, t))
	}
	add("langevin", "annealed Langevin, %d steps", start, chain.Updates)
	if len(m.Shape()) == 1 {
		updates := slices.Clone(chain.Updates)
		for i := range updates {
			updates[i].Temperature = 1
		}
		add("constant", "Langevin at temperature 1, %d steps", start, updates)
	}
	return list, nil
}

// writePage writes the page of a run with the usual settings, where
// onnxruntime-web is there, and returns its path; else it says how a page is to
// be had and returns "".
func writePage(ctx context.Context, a *app, run string) (string, error) {
	m, err := ebm.Load(run)
	if err != nil {
		return "", err
	}
	chain, err := chainOf(langevin.Default(1))
	if err != nil {
		return "", err
	}
	path := filepath.Join(run, "page.html")
	o, err := new(pageFlags).options(ctx, a, m, nil, chain)
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
	_, err = target.Write(ctx, path, source(m, "", chain), bundle.Options{Page: o})
	return path, err
}
