package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm/export"
	"ebm/export/onnximport"
	"ebm/mdsm"
	"ebm/mdsm/train"
	"ebm/models/graph"
	"ebm/models/weights"
)

// matchingLoss is the loss of training-step that is of an energy.
const matchingLoss = "mdsm"

// trainingStepFlags are the flags of training-step.
type trainingStepFlags struct {
	functionFlags
	out, weights string
	values       []string
	sigma0       float64
	weighting    string
	asJSON       bool
	s            train.FitSettings // what the flags said
}

func newTrainingStep(a *app) *cobra.Command {
	var f trainingStepFlags
	cmd := &cobra.Command{
		Use:   "training-step MODEL.onnx --loss L --optimizer O --out FILE.onnx",
		Short: "Make the whole training step of any ONNX model: one file of standard ONNX",
		Long: `training-step reads an ONNX model and writes one update of its weights as a
file of standard ONNX operators (opset 17) that any ONNX runtime executes:

  in   the model's inputs, target (float32 of the output's shape, or int64
       classes), learning_rate [1], step [1] (int64, from 1), every weight P and
       its optimiser state, P.m, P.v, P.sum; running means and variances
  out  loss [1], grad_norm [1], P.next, P.m.next, …

so that a program feeds back what comes out. Nothing in the file is random:
dropout is a function of the input dropout_seed [1] (int64).

With --loss mdsm the model is an energy, and the step that of multiscale denoising
score matching: in go x, noise and sigma in place of a target.`,
		Example: `  ebm training-step resnet18.onnx --loss cross-entropy --optimizer sgd --out train.onnx --weights first.safetensors
  ebm training-step vit.onnx --freeze 'encoder.*' --clip 1 --accumulate 4 --out train.onnx
  ebm training-step gpt2.onnx --lora rank=8,alpha=16 --target '*attn*' --out train.onnx --weights first.safetensors
  ebm training-step energy.onnx --loss mdsm --sigma0 0.1 --out train.onnx`,
		Args: exactArgs(1, "an ONNX file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.s.Model.Path = args[0]
			if f.s.Optimiser.Name != train.AdamWOptimiser && !cmd.Flags().Changed("weight-decay") {
				f.s.Optimiser.WeightDecay = 0
			}
			return f.write(a, cmd.Flags())
		},
	}
	fs := cmd.Flags()
	f.s = train.DefaultFit()
	fs.StringVar(&f.out, "out", "", "the file to write")
	fs.StringVar(&f.weights, "weights", "", "also write the first value of every weight, a .safetensors, .npz or .pt file")
	stepKnobs().add(fs, &f.s)
	addValue(fs, &f.values)
	f.functionFlags.add(fs)
	fs.Float64Var(&f.sigma0, "sigma0", 0.1, "mdsm: σ₀, in units of x")
	fs.StringVar(&f.weighting, "weighting", string(mdsm.InverseVariance),
		"mdsm: weight l(σ) of a noise level: inverse-variance, inverse or uniform")
	fs.BoolVar(&f.asJSON, "json", false, "print what was written as JSON")
	fs.Lookup("loss").Usage += "; or mdsm, for an energy"
	return cmd
}

// functionFlags say which values of an ONNX file are an energy.
type functionFlags struct{ input, energy, value string }

func (f *functionFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.input, "input", "", "an energy's input, if it is not called x")
	fs.StringVar(&f.energy, "energy", "", "an energy's output, if it is not called energy")
	fs.StringVar(&f.value, "energy-of", "", "what the energy is of the output: energy (the number itself), linear (the sum of numbers), "+
		"quadratic (half of that of their squares), or logits (−log Σ exp)")
}

func (f functionFlags) check() error {
	if f.value != "" && !slices.Contains(mdsm.Values(), mdsm.Value(f.value)) {
		return usagef("--energy-of %q, want one of %v", f.value, mdsm.Values())
	}
	return nil
}

// function returns what the flags say, for a model with parameters.
func (f functionFlags) function(parameters []string) mdsm.FunctionOf {
	return mdsm.FunctionOf{Input: f.input, Output: f.energy, Value: mdsm.Value(f.value), Parameters: parameters}
}

func (f *trainingStepFlags) write(a *app, flags *pflag.FlagSet) error {
	if f.out == "" {
		return usagef("want --out FILE.onnx")
	}
	matching := f.s.Loss.Name == matchingLoss
	loss := f.s.Loss
	if matching {
		loss = train.Loss{Name: train.OutputLoss}
	}
	optimiser, err := f.s.Optimiser.Optimiser()
	for _, err := range []error{loss.Validate(), err, f.s.Model.Validate(), f.functionFlags.check()} {
		if err != nil {
			return stepKnobs().wrong(flags, "", err)
		}
	}
	o, err := importOptions(f.s.Model.Sizes, f.values)
	if err != nil {
		return err
	}
	var of []string
	if loss.Output != "" {
		of = []string{loss.Output}
	}
	fn, model, err := f.s.Model.Read(o, !matching, of...)
	if err != nil {
		return err
	}
	fn.Seed = f.s.Seed
	var g *graph.Graph
	metadata := map[string]string{"kind": "training-step", "loss": string(f.s.Loss.Name), "optimiser": optimiser.String(),
		"producer_of_model": model.Producer}
	if matching {
		g, err = f.matching(fn, optimiser, metadata)
	} else {
		g, err = train.Step(fn, loss, optimiser)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.s.Model.Path, err)
	}
	if len(model.Assumes) > 0 {
		metadata["assumes"] = strings.Join(model.Assumes, ", ")
	}
	doc := fmt.Sprintf("one training step of %s: loss %s, %v", model.Graph.Name(), f.s.Loss.Name, optimiser)
	if err := export.WriteFile(f.out, g, export.Options{Doc: doc, Docs: stepDocs(), Metadata: metadata, Version: version()}); err != nil {
		return err
	}
	if f.weights != "" {
		if err := writeFirst(f.weights, fn, model); err != nil {
			return err
		}
	}
	return f.print(a, g, fn, model)
}

// matching returns the step of eq. (7) for the energy that a model computes.
func (f *trainingStepFlags) matching(fn train.Function, optimiser mdsm.Optimiser, metadata map[string]string) (g *graph.Graph, err error) {
	objective := mdsm.Objective{Sigma0: f.sigma0, Weighting: mdsm.Weighting(f.weighting)}
	if !(f.sigma0 > 0) {
		return nil, usagef("--sigma0 %g, want a positive number", f.sigma0)
	}
	if err := objective.Weighting.Validate(); err != nil {
		return nil, usagef("--weighting: %w", err)
	}
	net, err := f.function(fn.Parameters).Network(fn.Graph)
	if err != nil {
		return nil, err
	}
	metadata["sigma0"] = fmt.Sprint(f.sigma0)
	return g, graph.Catch(func() { g = export.Products().Apply(mdsm.TrainGraph(net, objective, optimiser)) })
}

// stepDocs describe the inputs and outputs of a step.
func stepDocs() map[string]string {
	return map[string]string{
		train.TargetInput: "the target: of the output's shape, or classes", "learning_rate": "the optimiser's learning rate",
		"step":               "the number of this update, from 1",
		onnximport.SeedInput: "what dropout follows from", "loss": "mean over the batch, before the update",
		"grad_norm": "norm of the gradient over all weights, before it is clipped",
	}
}

// writeFirst writes the first value of every parameter and state.
func writeFirst(path string, fn train.Function, model *onnximport.Model) error {
	set, first := new(weights.Set), fn.First(model)
	for _, name := range slices.Concat(fn.Parameters, fn.States) {
		if err := set.Add(name, first[name]); err != nil {
			return err
		}
	}
	return weights.Save(path, set)
}

func (f *trainingStepFlags) print(a *app, g *graph.Graph, fn train.Function, model *onnximport.Model) error {
	values, trained, first := 0, []string{}, fn.First(model)
	for _, name := range fn.Parameters {
		trained = append(trained, name)
		values += first[name].Len()
	}
	if f.asJSON {
		report := gradientReport{Path: f.out, Dropped: model.Dropped, Assumes: model.Assumes, Warnings: model.Warnings}
		report.describe(g)
		return a.printJSON(struct {
			gradientReport
			Trained []string `json:"trained"`
			States  []string `json:"states,omitempty"`
		}{report, trained, fn.States})
	}
	a.printf("%s\t%d weights of %d numbers are trained, %d running statistics renewed\n", f.out, len(trained), values, len(fn.States))
	return nil
}
