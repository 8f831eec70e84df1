package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm"
	"ebm/cmd/internal/assess"
	"ebm/export"
	"ebm/export/onnximport"
	"ebm/mdsm"
	"ebm/mdsm/langevin"
	"ebm/models/classifier"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/zoo"
)

type composeFlags struct {
	runs        []string
	weights     []float64
	temperature float64

	classes     []string
	classWeight float64
	noisy       bool

	pictureFlags
	mask  string
	noise float64

	out    string
	asJSON bool
}

func (f *composeFlags) add(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.runs, "run", nil, "an energy: a run's folder, one of its checkpoints, a file of weights, a shipped model, or an "+
		"energy.onnx; several may be given")
	fs.Float64SliceVar(&f.weights, "weights", nil, "weight of each energy in the sum, in the order of --run (default 1 each)")
	fs.Float64Var(&f.temperature, "temperature", 1, "T that the sum of energies is divided by")
	fs.StringArrayVar(&f.classes, "classifier", nil,
		"a class that pictures are to have: DATA:CLASS of a shipped classifier ("+strings.Join(zoo.Classifiers(),
			", ")+"), or FILE.onnx:OUTPUT:CLASS of any file with logits")
	fs.Float64Var(&f.classWeight, "classifier-weight", 1,
		"weight of −log p(class|x); 1 is Bayes' rule, more keeps to the class where a model or a classifier is unsure")
	fs.BoolVar(&f.noisy, "classifier-noisy", false, "show pictures to classifiers as they are, not denoised: a third of the work, for "+
		"classifiers that know noise")
	f.pictureFlags.add(fs, "a picture whose pixels are given where --mask does not hide them (the first one)")
	fs.StringVar(&f.mask, "mask", "", "what is hidden of it: left, right, top, bottom, centre, or a PNG file")
	fs.Float64Var(&f.noise, "given-noise", 0, "σ of the given pixels, in units of x (default: σ₀ of the composition)")
	fs.StringVar(&f.out, "out", "", "folder of the files, made if it is not there")
	fs.BoolVar(&f.asJSON, "json", false, "print the files as JSON")
}

func newCompose(a *app) *cobra.Command {
	var f composeFlags
	cmd := &cobra.Command{
		Use:   "compose --run REF [--run REF…] --out DIR",
		Short: "Make an energy of others: sums with weights, a temperature, a class, given pixels",
		Long: `compose adds energies, which multiplies their densities, and writes the sum as
any energy is exported: energy.onnx, score.onnx, sampler.onnx and denoise.onnx.

  E(x) = Σ weight·E(x) / temperature − classifier-weight·log p(class|x)
         + ‖given pixels of x − those of the picture‖² / 2σ²

A classifier sees pictures after the denoising jump, as it was trained, unless
--classifier-noisy is set. Sample from DIR/score.onnx or DIR/energy.onnx.`,
		Example: `  ebm compose --run mnist16 --classifier mnist:7 --classifier-weight 30 --out sevens
  ebm sample --run sevens/score.onnx --count 16 --out sevens/samples
  ebm compose --run runs/a --run runs/b --weights 1,0.5 --temperature 0.8 --out both`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(f.runs) == 0 || f.out == "" {
				return usagef("want --run REF, once or more, and --out DIR")
			}
			if len(f.weights) > 0 && len(f.weights) != len(f.runs) {
				return usagef("--weights has %d numbers for %d energies, want one for each --run", len(f.weights), len(f.runs))
			}
			if (f.images == "") != (f.mask == "") {
				return usagef("want --images and --mask together")
			}
			if err := atLeast(least{"given-noise", f.noise, 0}); err != nil {
				return err
			}
			return f.compose(cmd.Context(), a)
		},
	}
	f.add(cmd.Flags())
	return cmd
}

func (f *composeFlags) compose(ctx context.Context, a *app) error {
	c := mdsm.Composition{Temperature: f.temperature}
	pad, data := 0, ""
	for i, ref := range f.runs {
		m, err := a.load(ref)
		if err != nil {
			return err
		}
		term := mdsm.Term{Network: m.Network, Weights: m.Weights, Weight: 1, Sigma0: m.Sigma0}
		if len(f.weights) > 0 {
			term.Weight = f.weights[i]
		}
		c.Terms = append(c.Terms, term)
		pad = max(pad, m.Pad)
		if i == 0 {
			data = m.Data
		}
	}
	for _, text := range f.classes {
		logits, class, err := classOf(text)
		if err != nil {
			return err
		}
		c.Classes = append(c.Classes, mdsm.ClassTerm{Logits: logits, Class: class, Weight: f.classWeight, Noisy: f.noisy})
	}
	if err := c.Validate(); err != nil {
		return usageError{err}
	}
	if f.images != "" {
		var err error
		if c.Region, err = f.region(ctx, a, c, pad); err != nil {
			return err
		}
		if err := c.Validate(); err != nil {
			return usageError{err}
		}
	}
	return f.write(a, c, pad, data)
}

// region is what is given of a picture.
func (f *composeFlags) region(ctx context.Context, a *app, c mdsm.Composition, pad int) (*mdsm.Region, error) {
	f.count = 1
	x, err := f.pictures(ctx, a, c.InputShape())
	if err != nil {
		return nil, err
	}
	r := &mdsm.Region{Picture: x.Rows(0, 1), Sigma: f.noise}
	if r.Sigma == 0 {
		r.Sigma = c.Sigma0()
	}
	r.Hidden, err = langevin.ReadMask(f.mask, c.InputShape(), pad)
	return r, err
}

// classOf finds what DATA:CLASS or FILE.onnx:OUTPUT:CLASS names. Files may have
// colons in their names.
func classOf(text string) (mdsm.Logits, int, error) {
	at := strings.LastIndex(text, ":")
	if at < 0 {
		return nil, 0, usagef("--classifier %q, want DATA:CLASS or FILE.onnx:OUTPUT:CLASS", text)
	}
	class, err := strconv.Atoi(text[at+1:])
	if err != nil || class < 0 {
		return nil, 0, usagef("--classifier %q: its class is %q, want a number from 0", text, text[at+1:])
	}
	name := text[:at]
	if slices.Contains(zoo.Classifiers(), name) {
		set, err := zoo.OpenClassifier(name)
		if err != nil {
			return nil, 0, err
		}
		w := energy.Weights(set.Tensors())
		net, err := classifier.Recognise(w)
		if err == nil && class >= net.Classes {
			err = usagef("--classifier %q: there are classes 0 to %d", text, net.Classes-1)
		}
		return mdsm.ClassifierLogits(net, w), class, err
	}
	at = strings.LastIndex(name, ":")
	if at < 0 || !strings.EqualFold(filepath.Ext(name[:at]), ".onnx") {
		return nil, 0, usagef("--classifier %q, want DATA:CLASS with DATA one of %s, or FILE.onnx:OUTPUT:CLASS", text,
			strings.Join(zoo.Classifiers(), ", "))
	}
	m, err := onnximport.Read(name[:at], onnximport.Options{})
	if err != nil {
		return nil, 0, err
	}
	logits, err := mdsm.FunctionLogits(m.Graph, name[at+1:])
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", name[:at], err)
	}
	return logits, class, nil
}

// write exports the composition.
func (f *composeFlags) write(a *app, c mdsm.Composition, pad int, data string) error {
	meta := map[string]string{
		"composition": f.describe(), "sigma0": strconv.FormatFloat(c.Sigma0(), 'g', -1, 64), "data_range": "[0, 1]", "step_size": "0.02",
	}
	if pad > 0 {
		meta["pad"] = strconv.Itoa(pad)
	}
	if data != "" {
		meta["data"] = data
	}
	graphs := map[ebm.Kind]func() *graph.Graph{
		ebm.EnergyKind:  func() *graph.Graph { return mdsm.EnergyGraph(c, nil) },
		ebm.ScoreKind:   func() *graph.Graph { return mdsm.ScoreGraph(c, nil) },
		ebm.SamplerKind: func() *graph.Graph { return mdsm.SamplerGraph(c, nil) },
		ebm.DenoiseKind: func() *graph.Graph { return mdsm.DenoiseGraph(c, nil, c.Sigma0()) },
	}
	kinds := []ebm.Kind{ebm.EnergyKind, ebm.ScoreKind, ebm.SamplerKind, ebm.DenoiseKind}
	files, err := assess.WriteFiles(f.out, "ebm compose", kinds, func(path string, k ebm.Kind) error {
		var g *graph.Graph
		if err := graph.Catch(func() { g = graphs[k]() }); err != nil {
			return err
		}
		meta["kind"] = string(k)
		return export.WriteFile(path, g, export.Options{Metadata: meta, Doc: "a composition: " + f.describe()})
	}, a.progress())
	if err != nil {
		return err
	}
	if f.asJSON {
		return a.printJSON(map[string]any{"files": files, "composition": f.describe(), "sigma0": c.Sigma0()})
	}
	a.printFiles(files)
	a.printf("sigma0\t%g\n", c.Sigma0())
	return nil
}

// describe says the composition in a line.
func (f *composeFlags) describe() string {
	var parts []string
	for i, ref := range f.runs {
		weight := 1.0
		if len(f.weights) > 0 {
			weight = f.weights[i]
		}
		parts = append(parts, fmt.Sprintf("%g·E(%s)", weight, filepath.Base(ref)))
	}
	text := strings.Join(parts, " + ")
	if f.temperature != 1 {
		text = fmt.Sprintf("(%s)/%g", text, f.temperature)
	}
	for _, class := range f.classes {
		text += fmt.Sprintf(" − %g·log p(%s)", f.classWeight, filepath.Base(class))
	}
	if f.images != "" {
		text += fmt.Sprintf(", given %s but for %s", filepath.Base(f.images), filepath.Base(f.mask))
	}
	return text
}
