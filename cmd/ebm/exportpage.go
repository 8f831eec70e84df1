package main

import (
	"context"
	"errors"
	"fmt"
	"math"
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
	fs.StringVar(&f.precision, "precision", "", "how weights are kept: "+strings.Join(bundle.Precisions(), ", ")+" (default int8, float32 for ONNX files)")
	fs.BoolVar(&f.webgpu, "webgpu", false, "a larger page that uses the browser's GPU where it can")
	f.pictureFlags.add(fs, "the page begins with the first of these pictures")
	fs.StringVar(&f.mask, "mask", "", "and with this part hidden, which it fills in: "+strings.Join(langevin.Regions(), ", ")+", or a PNG file")
}

func (f *pageFlags) check() error {
	if f.precision != "" && !slices.Contains(bundle.Precisions(), f.precision) {
		return usagef("--precision %s, want one of %s", f.precision, strings.Join(bundle.Precisions(), ", "))
	}
	return nil
}

// options returns what the page of a model holds: beside what the flags say,
// onnxruntime-web, samplers, and the classifier that knows the data, where one is
// shipped.
func (f *pageFlags) options(ctx context.Context, a *app, m *ebm.Model, chain mdsm.Chain) (o bundle.PageOptions, err error) {
	o = bundle.PageOptions{Precision: f.precision, WebGPU: f.webgpu}
	if o.Web, err = runtime.WebFolder(); err != nil {
		return o, err
	}
	if o.Samplers, err = samplersOf(m, chain); err != nil {
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

// samplersOf returns the samplers that a page offers: one of few evaluations, one
// between, and the chain that was asked for; of points also one that stays at
// temperature 1.
func samplersOf(m *ebm.Model, chain mdsm.Chain) ([]bundle.Sampler, error) {
	var list []bundle.Sampler
	var problem error
	// With follow, the noise level is followed from the start, for updates that
	// are far from equilibrium.
	add := func(name, about string, set langevin.Settings, follow bool) {
		s := bundle.Sampler{Name: name, Mean: set.Start.Mean, Sigma: set.Start.Sigma, Steps: stepsOf(set, m.Sigma0, follow), Jump: m.Sigma0 > 0}
		if s.Jump {
			s.Steps = append(s.Steps, bundle.Step{StepSize: mdsm.Jump(m.Sigma0).StepSize})
		}
		s.About = fmt.Sprintf(about, len(s.Steps))
		list = append(list, s)
	}
	annealed := func(steps int, hot, stepSize float64) langevin.Settings {
		set := langevin.Default(1)
		t, err := langevin.Schedule{Cooling: langevin.Exponential, Steps: steps, Hot: hot, Cool: 1}.Temperatures()
		problem = errors.Join(problem, err)
		set.Updates = langevin.At(stepSize, t)
		return set
	}
	if m.Sigma0 > 0 {
		set := langevin.Default(1)
		if err := (&sampleFlags{fewStepFlags: fewStepFlags{fast: true}}).few(&set, m); err != nil {
			return nil, err
		}
		add("fast", "few steps: %d evaluations", set, true)
		ratio := m.SigmaMax / m.Sigma0
		add("quick", "Langevin, %d larger steps", annealed(300, max(ratio*ratio/9, 1), 0.6*m.Sigma0), false)
	}
	set := langevin.Default(1)
	set.Updates = langevin.At(chain.StepSize, chain.Temperatures)
	add("langevin", "annealed Langevin, %d steps", set, false)
	if len(m.Shape()) == 1 {
		set.Updates = langevin.At(chain.StepSize, slices.Repeat([]float64{1}, len(chain.Temperatures)))
		add("constant", "Langevin at temperature 1, %d steps", set, false)
	}
	return list, problem
}

// stepsOf returns the updates of settings with the noise level of x before each.
// An update with s = (D(x) − x)/σ₀² takes level a to b with
//
//	b² = a² (1 − ε²/2σ₀²)² + ε² T,
//
// which follow traces; at equilibrium at temperature T the level is σ₀√T.
func stepsOf(set langevin.Settings, sigma0 float64, follow bool) []bundle.Step {
	var steps []bundle.Step
	level := set.Start.Sigma
	for _, u := range set.Updates {
		e2 := u.StepSize * u.StepSize
		if !follow {
			level = sigma0 * math.Sqrt(u.Temperature)
		}
		steps = append(steps, bundle.Step{StepSize: u.StepSize, Temperature: u.Temperature, Level: level})
		if follow {
			level = math.Hypot(level*(1-e2/(2*sigma0*sigma0)), u.StepSize*math.Sqrt(u.Temperature))
		}
	}
	return steps
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
	o, err := new(pageFlags).options(ctx, a, m, chain)
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
