package ebm

import (
	"cmp"
	"fmt"
	"maps"
	"strings"

	"ebm/export"
	"ebm/export/session"
	"ebm/mdsm"
	"ebm/mdsm/train"
	"ebm/models/graph"
	"ebm/models/rng"
)

// Kind is a function of a model that leaves as an ONNX file of its own.
type Kind string

// The kinds. Inputs and outputs have the same names in every file; N is the
// batch, K a number of Langevin steps.
const (
	EnergyKind  Kind = "energy"  // x [N C H W] → energy [N]
	ScoreKind   Kind = "score"   // x → energy, score
	HVPKind     Kind = "hvp"     // x, v → hvp
	TrainKind   Kind = "train"   // batch, weights, optimiser state → loss, the next weights and state
	SamplerKind Kind = "sampler" // x, step_size, noise [K N C H W], temperature [K] → x_next, energy [K N]
	DenoiseKind Kind = "denoise" // x → energy, denoised
)

// kinds lists the kinds with a sentence about each, for files and help.
var kinds = []struct {
	kind  Kind
	about string
}{
	{EnergyKind, "the energy E(x)"},
	{ScoreKind, "the energy E(x) and the score −∇E(x)"},
	{HVPKind, "the product of the energy's Hessian at x with a vector v"},
	{TrainKind, "one training step: multiscale denoising score matching with double backpropagation, and Adam"},
	{SamplerKind, "K steps of Langevin dynamics, x ← x − ε²/2 ∇E(x) + ε √T n"},
	{DenoiseKind, "one denoising jump, x − σ₀² ∇E(x)"},
}

// valueDocs describe the inputs and outputs of all kinds by name.
var valueDocs = map[string]string{
	"x":             "pictures [N C H W] with values around [0, 1]",
	"v":             "directions, of x's shape",
	"energy":        "E(x) in nats, one for each picture (of each step, for the sampler)",
	"score":         "−∇E(x), of x's shape",
	"hvp":           "∇²E(x)·v, of x's shape",
	"denoised":      "x − σ₀² ∇E(x)",
	"noise":         "standard normal noise, of x's shape (one for each step, for the sampler)",
	"sigma":         "noise levels σ [N], one for each picture",
	"learning_rate": "Adam's learning rate",
	"step":          "the number of this update, from 1",
	"loss":          "mean of l(σ)·‖x − x̃ + σ₀² ∇E(x̃)‖² over the batch, x̃ = x + σ·noise",
	"grad_norm":     "norm of the gradient of loss/σ₀⁴ over all weights",
	"temperature":   "T of each step",
	"step_size":     "ε, 0.02 in the paper",
	"x_next":        "the pictures after K steps",
}

// otherDocs describe the inputs and outputs of training steps of other objectives than
// the paper's.
var otherDocs = map[string]string{
	"loss":        "the objective of the batch",
	"grad_norm":   "norm of the gradient over all weights",
	"neighbours":  "x's of the data [M …]",
	"own":         "the place of each x among the neighbours [N], any other number for none",
	"direction":   "directions of values ±1 [N projections …]",
	"from":        "noise x₀ that transport begins at, of x's shape, paired with x",
	"time":        "t from 0 to 1, one for each pair [N]",
	"start":       "where chains begin, of x's shape",
	"start_time":  "t when chains begin [N], 0 for noise and 1 for data",
	"chain_end":   "where they end, of x's shape",
	"chain_noise": "standard normal noise of the chains' steps [N K …]",
}

// Kinds returns all kinds.
func Kinds() []Kind {
	list := make([]Kind, len(kinds))
	for i, k := range kinds {
		list[i] = k.kind
	}
	return list
}

// ParseKind returns the kind called name.
func ParseKind(name string) (Kind, error) {
	var names []string
	for _, k := range kinds {
		if string(k.kind) == name {
			return k.kind, nil
		}
		names = append(names, string(k.kind))
	}
	return "", fmt.Errorf("unknown kind %q, want one of %s", name, strings.Join(names, ", "))
}

// Graph returns the graph of one kind.
func (m *Model) Graph(k Kind) (g *graph.Graph, err error) {
	if _, err := ParseKind(string(k)); err != nil {
		return nil, err
	}
	if k == TrainKind && len(m.Network.Parameters()) == 0 {
		return nil, fmt.Errorf("%s: %v without parameters, want some to train", m.Name, m.Network)
	}
	var chain error
	err = graph.Catch(func() {
		switch k {
		case EnergyKind:
			g = mdsm.EnergyGraph(m.Network, m.Weights)
		case ScoreKind:
			g = mdsm.ScoreGraph(m.Network, m.Weights)
		case HVPKind:
			g = mdsm.HessianGraph(m.Network, m.Weights)
		case TrainKind:
			g = mdsm.TrainGraph(m.Network, m.criterion(), m.adam())
		case SamplerKind:
			if m.Sampler != nil {
				g, chain = m.chainGraph(*m.Sampler)
				return
			}
			g = mdsm.SamplerGraph(m.Network, m.Weights)
		case DenoiseKind:
			g = mdsm.DenoiseGraph(m.Network, m.Weights, m.Sigma0)
		}
	})
	return g, cmp.Or(err, chain)
}

// criterion returns what the model's run minimises, or the paper's objective.
func (m *Model) criterion() mdsm.Criterion {
	if m.other() {
		return m.settings.Criterion()
	}
	return m.Objective()
}

// other reports whether the model comes from a run that did not minimise the paper's
// objective.
func (m *Model) other() bool {
	return m.settings != nil && m.settings.Objective != "" && m.settings.Objective != train.Denoising
}

// Objective returns the loss that the model was trained with, the paper's
// where that is not known.
func (m *Model) Objective() mdsm.Objective {
	o := mdsm.Objective{Sigma0: m.Sigma0, Weighting: mdsm.Weighting(m.About["weighting"])}
	if o.Weighting.Validate() != nil {
		o.Weighting = mdsm.InverseVariance
	}
	return o
}

// adam returns the optimiser of the model's run, or the paper's.
func (m *Model) adam() mdsm.Optimiser {
	if m.settings != nil {
		return m.settings.Adam()
	}
	return mdsm.PaperAdam()
}

// ExportOptions returns what an ONNX file of one kind carries. batch fixes N;
// 0 leaves it dynamic.
func (m *Model) ExportOptions(k Kind, batch int) export.Options {
	meta := m.Metadata()
	meta["kind"] = string(k)
	if k == SamplerKind && m.Sampler != nil {
		m.describeSampler(meta)
	}
	o := export.Options{Docs: valueDocs, Metadata: meta}
	if k == SamplerKind && m.NoiseSeed != nil {
		meta["noise"], meta["seed"] = "squares", fmt.Sprint(*m.NoiseSeed)
		o.Count = &export.Counted{Input: "noise", Key: rng.SquaresKey(*m.NoiseSeed, rng.SampleNoise, 0)}
	}
	if k == TrainKind && m.other() {
		o.Docs = maps.Clone(valueDocs)
		maps.Copy(o.Docs, otherDocs)
		o.Doc = fmt.Sprintf("one training step: %s with double backpropagation, and Adam (%v)", m.settings.Objective, m.Network)
		return fixed(o, batch)
	}
	for _, row := range kinds {
		if row.kind == k {
			o.Doc = fmt.Sprintf("%s (%v, σ₀ = %g)", row.about, m.Network, m.Sigma0)
		}
	}
	return fixed(o, batch)
}

// fixed returns options with a batch, 0 for a dynamic one.
func fixed(o export.Options, batch int) export.Options {
	if batch > 0 {
		o.Sizes = map[string]int{"N": batch}
	}
	return o
}

// WriteONNX writes one kind as an ONNX file. batch fixes N; 0 leaves it
// dynamic.
func (m *Model) WriteONNX(path string, k Kind, batch int) error {
	g, err := m.Graph(k)
	if err != nil {
		return err
	}
	return export.WriteFile(path, g, m.ExportOptions(k, batch))
}

// ONNX returns the bytes of one kind with a dynamic batch.
func (m *Model) ONNX(k Kind) ([]byte, error) { return m.onnx(k, session.Form{}) }

// onnx is ONNX for a session, in its form.
func (m *Model) onnx(k Kind, form session.Form) ([]byte, error) {
	if m.file != nil && k == ScoreKind {
		return m.file.score, nil
	}
	g, err := m.Graph(k)
	if err != nil {
		return nil, err
	}
	return export.Bytes(g, form.In(m.ExportOptions(k, 0)))
}
