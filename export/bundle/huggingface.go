package bundle

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"ebm/export/onnxpb"
	"ebm/models/energy"
	"ebm/models/weights"
)

//go:embed files/card.md.tmpl
var cardTemplate string

// writeHub writes model.safetensors, config.json, onnx/KIND.onnx and README.md,
// the model card that hubs show.
func writeHub(ctx context.Context, w *writer) error {
	var b bytes.Buffer
	if err := weights.WriteSafetensors(&b, w.Weights); err != nil {
		return err
	}
	if err := w.put("model.safetensors", b.Bytes()); err != nil {
		return err
	}
	config, err := w.config()
	if err != nil {
		return err
	}
	if err := w.put("config.json", config); err != nil {
		return err
	}
	card := card{
		Title: w.Name, Network: w.net.String(), Shape: w.net.InputShape(), Sigma0: w.Sigma0, Hash: w.Metadata["weights_sha256"],
		Data: w.Metadata["data"], StepSize: w.Metadata["step_size"],
	}
	for key, value := range w.Metadata {
		card.Settings = append(card.Settings, setting{key, value})
	}
	slices.SortFunc(card.Settings, func(a, b setting) int { return strings.Compare(a.Key, b.Key) })
	for _, kind := range w.Kinds {
		if err := ctx.Err(); err != nil {
			return err
		}
		m, err := w.model(kind)
		if err != nil {
			return err
		}
		path := "onnx/" + kind + ".onnx"
		if err := w.putModel(path, m); err != nil {
			return err
		}
		card.Files = append(card.Files, modelFile{path, w.result.Files[len(w.result.Files)-1].SHA256, signature(m.Graph.Input),
			signature(m.Graph.Output)})
		card.Score = card.Score || kind == "score"
		card.Sampler = card.Sampler || kind == "sampler"
	}
	text, err := card.text()
	if err != nil {
		return err
	}
	return w.put("README.md", text)
}

// config is config.json: the network's fields and what else is known.
func (w *writer) config() ([]byte, error) {
	n := w.net.Plan()
	values := map[string]any{
		"model_type": "ebm", "architecture": n.Net, "dim": n.Dim, "channels": n.Channels, "size": n.Size,
		"head": string(n.Head), "activation": string(n.Activation), "pad": w.Pad, "sigma0": w.Sigma0,
	}
	if n.Net == energy.UNetName {
		values["multipliers"], values["blocks"] = n.Multipliers, n.Blocks
	}
	for key, value := range w.Metadata {
		if _, taken := values[key]; !taken {
			values[key] = value
		}
	}
	b, err := json.MarshalIndent(values, "", "  ")
	return append(b, '\n'), err
}

// card is what the template shows.
type card struct {
	Title, Network       string
	Shape                []int
	Sigma0               float64
	Hash, Data, StepSize string
	Settings             []setting
	Files                []modelFile
	Score, Sampler       bool
}

type setting struct{ Key, Value string }

type modelFile struct {
	Path, Hash      string
	Inputs, Outputs []string // at most a few, and a word for the rest
}

// signature lists values with their shapes.
func signature(values []*onnxpb.ValueInfoProto) []string {
	const most = 6
	var list []string
	for i, v := range values {
		if i == most {
			return append(list, fmt.Sprintf("and %d more", len(values)-most))
		}
		var dims []string
		for _, d := range dimsOf(v) {
			if s := d.GetDimParam(); s != "" {
				dims = append(dims, s)
			} else {
				dims = append(dims, fmt.Sprint(d.GetDimValue()))
			}
		}
		list = append(list, fmt.Sprintf("`%s` [%s]", v.GetName(), strings.Join(dims, " ")))
	}
	return list
}

func (c card) text() ([]byte, error) {
	funcs := template.FuncMap{
		"join": strings.Join,
		// A JSON string is a YAML one, whatever is in it.
		"yaml": func(s string) (string, error) {
			b, err := json.Marshal(s)
			return string(b), err
		},
		"shape":  func(s []int) string { return strings.Trim(fmt.Sprint(s), "[]") },
		"python": func(s []int) string { return strings.ReplaceAll(strings.Trim(fmt.Sprint(s), "[]"), " ", ", ") },
		// A cell of a table ends at a bar or a new line.
		"cell": func(s string) string { return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s) },
	}
	t, err := template.New("card").Funcs(funcs).Parse(cardTemplate)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, c)
	return b.Bytes(), err
}
