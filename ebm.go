// Package ebm opens energy-based models and scores, denoises, samples and fills in
// pictures with them through ONNX Runtime.
//
// A model is an energy E(x) of pictures x [N C H W] with values around [0, 1], or
// of points x [N D]. Its score −∇E(x) points towards the data: x + σ₀²·score is x
// with noise of any level taken away (Li, Chen, Sommer, Entropy 2023, 25(10),
// 1367). Models are named by a reference: the folder of a training run, one of
// its checkpoints, a file of weights, an ONNX file of any origin, or the name of a
// shipped model.
//
//	engine, err := ebm.Open(ctx, "mnist16", ebm.Config{})
//	energy, score, err := engine.Score(ctx, pictures)
//
// [Load] finds a model without opening ONNX Runtime, and a program that has a
// network of its own makes a [Model] of it; [Model.Open] makes its [Engine], and
// [Model.WriteONNX] its ONNX files.
//
// The packages below do one job each: models/energy defines networks as
// graphs, models/autodiff differentiates them, export turns them into ONNX,
// mdsm trains and samples them, runtime runs ONNX.
package ebm

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ebm/mdsm/langevin"
	"ebm/mdsm/train"
	"ebm/models/energy"
	"ebm/models/weights"
	"ebm/models/zoo"
)

// Model is an energy, and what is known about it. One that a program makes of a
// network of its own needs Network, Weights and Sigma0.
type Model struct {
	Name string // the reference it was loaded by
	// Network is the energy as a function of graphs: an energy.Picture, or what an
	// ONNX file computes, which is imported when a graph is first built of it.
	Network energy.Network
	Weights energy.Weights // of Network's parameters; an ONNX file has none
	Meta
	// About describes the training: preset, data, steps and more, by key; for an
	// ONNX file it is the file's metadata.
	About map[string]string
	// Hash is the SHA-256 of the weights, in hexadecimal.
	Hash string
	// Unused are the names of parameters in the file that the network does not
	// use, see energy.DropUnused.
	Unused []string

	// Sampler, when it is not nil, is what the kind sampler is of: the whole chain, in
	// place of K steps of eq. (8).
	Sampler *langevin.Recipe
	// NoiseSeed, when it is not nil, has the file of the kind sampler draw its noise
	// itself, by the index of the sample and of the step ([export.CountNoise]).
	NoiseSeed *uint64

	settings *train.Settings // of the run it came from, if it did
	folder   string          // of that run
	file     *onnxFile       // that computes the score in place of Network's graph, if it does
}

// Load finds a model by its reference:
//
//   - the folder of a run: the weights of its newest checkpoint, the averaged
//     ones if the run averages;
//   - the folder of a checkpoint (…/checkpoints/step-00010000);
//   - a file or folder of weights that weights.Open reads, whose network is
//     recognised from names and shapes, see energy.Find; of several networks,
//     FILE#PLACE is the one in a place, such as ckpt.pth#ema;
//   - an ONNX file of any origin (.onnx) with an input x, float32 [N …], of which
//     only N may be dynamic, and the outputs score (−∇E, of x's shape) and
//     energy [N], or one of them: the score of energy alone is derived here
//     (docs/onnx-import.md lists the operators that can be);
//   - the name of a shipped model, see Names.
func Load(ref string) (*Model, error) { return LoadWith(ref, LoadOptions{}) }

// LoadOptions override what a file of weights says.
type LoadOptions struct {
	Activation energy.Activation // "" for the file's, or ELU
	Head       energy.Head       // "" for the one that names and shapes show
	Size       int               // height and width of pictures where weights do not show them, 0 for the file's
	Log        func(line string) // gets a line when a file holds more than was taken; may be nil
	ONNX       *ONNXOptions      // of an ONNX file, nil for one with x and energy or score
}

// LoadWith is Load with options.
func LoadWith(ref string, o LoadOptions) (*Model, error) {
	path, place := weights.SplitRef(ref)
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir() && !weights.IsFolder(path):
		return loadFolder(path)
	case strings.EqualFold(filepath.Ext(path), ".onnx"):
		if o.ONNX != nil {
			return loadFunction(ref, *o.ONNX)
		}
		return loadONNX(ref)
	case err == nil:
		return loadFile(path, place, o)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	set, ok, err := zoo.Open(ref)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("%s: no such run, file of weights, ONNX file or shipped model (%s)", ref, strings.Join(zoo.Names(), ", "))
	}
	net, err := energy.Recognise(energy.Weights(set.Tensors()))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	return fromFound(ref, &energy.Found{Network: net, Set: set}, o)
}

func loadFolder(dir string) (*Model, error) {
	checkpoint, run := train.Checkpoint{Dir: dir}, dir
	var w energy.Weights
	var err error
	if digits, ok := strings.CutPrefix(filepath.Base(filepath.Clean(dir)), "step-"); ok {
		run = filepath.Dir(filepath.Dir(filepath.Clean(dir)))
		checkpoint.Step, _ = strconv.Atoi(digits) // a renamed folder does not say it
		w, err = checkpoint.Weights()
	} else if checkpoint, w, err = train.NewestWeights(dir); errors.Is(err, train.ErrNoCheckpoint) {
		err = fmt.Errorf("%w, want the folder of a training run", err)
	}
	if err != nil {
		return nil, err
	}
	return trained(dir, run, w, checkpoint.Step)
}

// ModelAt returns the model of the run in a folder with weights that it has, or had,
// after so many updates.
func ModelAt(run string, w energy.Weights, step int) (*Model, error) {
	return trained(run, run, w, step)
}

func trained(name, run string, w energy.Weights, step int) (*Model, error) {
	s, err := train.ReadSettings(run)
	if err != nil {
		return nil, err
	}
	m := &Model{Name: name, Weights: w, About: s.Describe(), settings: &s, folder: run}
	m.About["step"] = strconv.Itoa(step)
	net, _, err := s.Open(run)
	if err != nil {
		return nil, err
	}
	return m, m.complete(net)
}

func loadFile(path, place string, o LoadOptions) (*Model, error) {
	f, err := weights.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found, err := energy.Find(f, place, o.Head)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if found.Note != "" && o.Log != nil {
		o.Log(found.Note)
	}
	return fromFound(path, found, o)
}

// fromFound makes a model of a network whose metadata may say more.
func fromFound(name string, found *energy.Found, o LoadOptions) (*Model, error) {
	m := &Model{Name: name, Weights: found.Set.Tensors(), About: maps.Clone(found.Set.Metadata), Unused: found.Unused}
	if m.About == nil {
		m.About = make(map[string]string)
	}
	if o.Activation != "" {
		m.About["activation"] = string(o.Activation)
	}
	plan := found.Network.Plan()
	if a := energy.Activation(m.About["activation"]); a != "" {
		plan.Activation = a
	}
	if plan.Size == 0 {
		said, _ := strconv.Atoi(m.About["size"])
		if plan.Size = cmp.Or(o.Size, said); plan.Size == 0 {
			return nil, fmt.Errorf("%s: %v, want the size of the pictures (--size), which weights of a %s head do not show", name,
				found.Network, plan.Head)
		}
	}
	return m, m.complete(plan.Network())
}

// complete sets the network, checks the weights and reads what About says.
func (m *Model) complete(net energy.Network) (err error) {
	m.Network = net
	if n, ok := net.(energy.Picture); ok {
		if err := n.Validate(); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	if err := m.Weights.Check(net); err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	if m.Meta, err = ParseMeta(m.About, m.Shape()); err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	m.Hash = m.Set().Hash()
	return nil
}

// Shape returns the shape of one x, such as [C H W].
func (m *Model) Shape() []int { return m.Network.InputShape() }

// Crop returns the side of the pictures without their padding, 0 where there is
// none to cut off.
func (m *Model) Crop() int {
	if shape := m.Shape(); m.Pad > 0 && len(shape) == 3 {
		return shape[2] - 2*m.Pad
	}
	return 0
}

// Picture returns the network of a model of the project's own, which has weights
// to export, to train on and to certify. The error says what another model is.
func (m *Model) Picture() (energy.Picture, error) {
	n, ok := m.Network.(energy.Picture)
	if !ok {
		return n, fmt.Errorf("%s: %v, want a run or a file of weights", m.Name, m.Network)
	}
	return n, nil
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
	if m.file != nil {
		return maps.Clone(m.About)
	}
	meta := map[string]string{
		"network": fmt.Sprint(m.Network), "sigma0": formatSigma(m.Sigma0),
		"data_range": "[0, 1]", "step_size": "0.02", "weights_sha256": m.Hash,
	}
	if m.Sigma0 == 0 {
		delete(meta, "sigma0")
	}
	if len(m.Shape()) == 1 {
		delete(meta, "data_range")
		for _, key := range []string{"mean", "deviation"} {
			if m.About[key] != "" {
				meta[key] = m.About[key]
			}
		}
	}
	for _, key := range append(samplerKeys(), "preset", "data", "step", "objective") {
		if v, ok := m.About[key]; ok {
			meta[key] = v
		}
	}
	return meta
}

// Names returns the names of the shipped models.
func Names() []string { return slices.Clone(zoo.Names()) }
