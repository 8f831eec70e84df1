// Package ebm loads energy-based models and scores, denoises and samples with
// them through ONNX Runtime.
//
// A model is an energy E(x) of pictures x [N C H W] with values around
// [0, 1]. Its score −∇E(x) points towards the data: x + σ₀²·score is x with
// noise of any level taken away (Li, Chen, Sommer, Entropy 2023, 25(10),
// 1367). Models are named by a reference: the folder of a training run, one
// of its checkpoints, a file of weights, or the name of a shipped model.
//
//	model, err := ebm.Load("mnist16")
//	engine, err := model.Open(ctx, ebm.Config{})
//	energy, score, err := engine.Score(ctx, pictures)
//
// Energies in ONNX files of any origin are opened by [OpenONNX].
//
// The packages below do one job each: models/energy defines networks as
// graphs, models/autodiff differentiates them, export turns them into ONNX,
// mdsm trains and samples them, runtime runs ONNX.
package ebm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ebm/mdsm/train"
	"ebm/models/energy"
	"ebm/models/weights"
	"ebm/models/zoo"
)

// Model is an energy network with weights, and what is known about them.
type Model struct {
	Name    string // the reference it was loaded by
	Network energy.ResNet
	Weights energy.Weights
	// Sigma0 is σ₀, the noise level that one denoising jump takes away from
	// samples at temperature 1.
	Sigma0 float64
	// Pad is the number of rows and columns of zeros on each side of the
	// pictures that were added to the data for training.
	Pad int
	// About describes the training: preset, data, steps and more, by key.
	About map[string]string
	// Hash is the SHA-256 of the weights, in hexadecimal.
	Hash string
	// Unused are the names of parameters in the file that the network does not
	// use, see energy.DropUnused.
	Unused []string

	settings *train.Settings // of the run it came from, if it did
}

// Load finds a model by its reference:
//
//   - the folder of a run: the weights of its newest checkpoint, the averaged
//     ones if the run averages;
//   - the folder of a checkpoint (…/checkpoints/step-00010000);
//   - a file of weights (.safetensors, .pt, .pth, .npz), whose network is
//     recognised from names and shapes;
//   - the name of a shipped model, see zoo.Names.
func Load(ref string) (*Model, error) {
	info, err := os.Stat(ref)
	switch {
	case err == nil && info.IsDir():
		return loadFolder(ref)
	case err == nil:
		return loadFile(ref)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	set, ok, err := zoo.Open(ref)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("%s: no such run, file of weights or shipped model (%s)", ref, strings.Join(zoo.Names(), ", "))
	}
	return fromSet(ref, set)
}

func loadFolder(dir string) (*Model, error) {
	checkpoint := train.Checkpoint{Dir: dir}
	run := dir
	if digits, ok := strings.CutPrefix(filepath.Base(filepath.Clean(dir)), "step-"); ok {
		run = filepath.Dir(filepath.Dir(filepath.Clean(dir)))
		checkpoint.Step, _ = strconv.Atoi(digits) // a renamed folder does not say it
	} else {
		newest, err := train.Newest(dir)
		if err != nil {
			return nil, fmt.Errorf("%w, want the folder of a training run", err)
		}
		checkpoint = newest
	}
	s, err := train.ReadSettings(run)
	if err != nil {
		return nil, err
	}
	w, err := checkpoint.Weights()
	if err != nil {
		return nil, err
	}
	m := &Model{Name: dir, Network: s.Network(), Weights: w, About: s.Describe(), settings: &s}
	m.About["step"] = strconv.Itoa(checkpoint.Step)
	return m, m.complete()
}

func loadFile(path string) (*Model, error) {
	if strings.EqualFold(filepath.Ext(path), ".onnx") {
		return nil, fmt.Errorf("%s: an ONNX file holds a function, want a run or a file of weights", path)
	}
	set, err := weights.Load(path)
	if err != nil {
		return nil, err
	}
	return fromSet(path, set)
}

// fromSet makes a model of named tensors whose metadata may say more.
func fromSet(name string, set *weights.Set) (*Model, error) {
	w := make(energy.Weights)
	for n, t := range set.All() {
		w[n] = t
	}
	w = energy.CutPrefix(w)
	used := energy.DropUnused(w)
	net, err := energy.Recognise(used)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	m := &Model{Name: name, Network: net, Weights: used, About: make(map[string]string)}
	for n := range w {
		if used[n] == nil {
			m.Unused = append(m.Unused, n)
		}
	}
	slices.Sort(m.Unused)
	for k, v := range set.Metadata {
		m.About[k] = v
	}
	if a := energy.Activation(m.About["activation"]); a != "" {
		m.Network.Activation = a
	}
	return m, m.complete()
}

// paperSigma0 is σ₀ where nothing says otherwise.
const paperSigma0 = 0.1

// complete checks the weights and reads what About says.
func (m *Model) complete() error {
	if err := m.Network.Validate(); err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	if err := m.Weights.Check(m.Network); err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	m.Sigma0 = paperSigma0
	if text, ok := m.About["sigma0"]; ok {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || !(v > 0) {
			return fmt.Errorf("%s: metadata say sigma0 is %q, want a positive number", m.Name, text)
		}
		m.Sigma0 = v
	}
	if text, ok := m.About["pad"]; ok {
		v, err := strconv.Atoi(text)
		if err != nil || v < 0 || 2*v >= m.Network.Size {
			return fmt.Errorf("%s: metadata say pad is %q, want a number of pixels", m.Name, text)
		}
		m.Pad = v
	}
	m.Hash = m.Set().Hash()
	return nil
}

// Set returns the weights in the network's order, with About as metadata, as
// files keep them.
func (m *Model) Set() *weights.Set {
	set := &weights.Set{Metadata: m.About}
	for _, p := range m.Network.Parameters() {
		// Names of a network's parameters are valid and differ.
		_ = set.Add(p.Name, m.Weights[p.Name])
	}
	return set
}

// Metadata returns what ONNX files of this model carry, beside their kind.
func (m *Model) Metadata() map[string]string {
	meta := map[string]string{
		"network": m.Network.String(), "sigma0": strconv.FormatFloat(m.Sigma0, 'g', -1, 64),
		"data_range": "[0, 1]", "step_size": "0.02", "weights_sha256": m.Hash,
	}
	for _, key := range []string{"preset", "data", "step"} {
		if v, ok := m.About[key]; ok {
			meta[key] = v
		}
	}
	return meta
}

// Names returns the names of the shipped models.
func Names() []string { return slices.Clone(zoo.Names()) }
