package train

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"ebm/export/onnximport"
	"ebm/models/tensor"
)

// ModelSettings say which of an ONNX model's initialisers are trained, and how the
// model is read.
type ModelSettings struct {
	Path string `toml:"path"`
	// Hash is the SHA-256 of the file, filled in when a run begins.
	Hash string `toml:"hash,omitempty"`
	// Train and Freeze are patterns of names, in which * stands for any text: what
	// Train names, or without any all that the model's values depend on, and not what
	// Freeze names.
	Train  []string `toml:"train,omitempty"`
	Freeze []string `toml:"freeze,omitempty"`
	// LoRA is a setting as of ParseLoRA: what is trained are low-rank changes of the
	// matrices and 1×1 convolutions that the patterns Target name, all without any.
	LoRA   string   `toml:"lora,omitempty"`
	Target []string `toml:"target,omitempty"`
	Mode   Mode     `toml:"mode,omitempty"` // "" for TrainingMode
	// Sizes fixes symbolic sizes of the model, as NAME=NUMBER.
	Sizes []string `toml:"sizes,omitempty"`
}

// Mode says what batch normalisation and dropout of a model do while it is trained.
type Mode string

// The modes.
const (
	TrainingMode  Mode = "train"     // statistics of the batch, and elements dropped
	InferenceMode Mode = "inference" // as in use
)

// Validate reports the first setting that cannot be.
func (m ModelSettings) Validate() error {
	var err error
	if m.LoRA != "" {
		_, err = ParseLoRA(m.LoRA)
	}
	return firstOf(when(m.Path != "", "model.path", m.Path, "an ONNX file"), oneOf("model.mode", m.Mode, TrainingMode, InferenceMode, ""), err,
		when(m.LoRA != "" || len(m.Target) == 0, "model.target", m.Target, "a LoRA, whose targets they are"),
		when(m.LoRA == "" || len(m.Train)+len(m.Freeze) == 0, "model.lora", m.LoRA, "no train and freeze beside it, but target"))
}

// Read reads the model as a function: with the parameters that the settings choose,
// of which one of the values called of, or without any an output, depends. It returns
// the model too, which has the first values. training false reads it as in use, with
// the same parameters.
func (m ModelSettings) Read(o onnximport.Options, training bool, of ...string) (Function, *onnximport.Model, error) {
	o.Training = training && m.Mode != InferenceMode
	o.InUse = !o.Training
	known, err := onnximport.Read(m.Path, o)
	if err != nil {
		return Function{}, nil, err
	}
	for _, name := range of {
		if known.Values[name] == nil {
			return Function{}, nil, fmt.Errorf("%s: no value is called %s, want an output", m.Path, name)
		}
	}
	names, err := m.choose(known, known.Trainable(of...))
	if err != nil {
		return Function{}, nil, fmt.Errorf("%s: %w", m.Path, err)
	}
	// What a node must know beforehand is read as a constant, so only what is chosen
	// is free.
	o.Free = func(name string) bool { return slices.Contains(names, name) }
	read, err := onnximport.Read(m.Path, o)
	if err != nil {
		return Function{}, nil, err
	}
	f := Imported(read)
	if m.LoRA == "" {
		return f, read, nil
	}
	l, err := ParseLoRA(m.LoRA)
	if err != nil {
		return Function{}, nil, err
	}
	f, err = f.Adapted(read, l)
	return f, read, err
}

// choose returns the names that the patterns choose of those that can be trained in a
// model.
func (m ModelSettings) choose(known *onnximport.Model, trainable []string) ([]string, error) {
	all, train := known.Parameters, m.Train
	if m.LoRA != "" {
		train = m.Target
		trainable = slices.DeleteFunc(trainable, func(name string) bool { _, ok := known.Multiplies(name); return !ok })
	}
	matches := func(patterns []string) (func(name string) bool, error) {
		list := make([]*regexp.Regexp, len(patterns))
		for i, p := range patterns {
			list[i] = regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, ".*") + "$")
			if !slices.ContainsFunc(all, list[i].MatchString) {
				return nil, fmt.Errorf("no initialiser is called %s, want names such as %s", p, strings.Join(all[:min(3, len(all))], ", "))
			}
		}
		return func(name string) bool {
			return slices.ContainsFunc(list, func(r *regexp.Regexp) bool { return r.MatchString(name) })
		}, nil
	}
	trained, err := matches(train)
	if err != nil {
		return nil, err
	}
	frozen, err := matches(m.Freeze)
	if err != nil {
		return nil, err
	}
	var names []string
	of := ""
	if m.LoRA != "" {
		of = ", and that are matrices of MatMul or Gemm or 1×1 convolutions"
	}
	for _, name := range trainable {
		if (len(train) == 0 || trained(name)) && !frozen(name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("none of %d initialisers is trained, want one or more that an output depends on%s", len(all), of)
	}
	return names, nil
}

// First returns the first values of a function's parameters and states, of the
// model that it was read from.
func (f Function) First(m *onnximport.Model) map[string]*tensor.Tensor {
	first := make(map[string]*tensor.Tensor)
	for _, name := range slices.Concat(f.Parameters, f.States) {
		if t := m.Initial[name]; t != nil {
			first[name] = t.AsFloat32()
		}
	}
	f.drawAdapters(first)
	return first
}
