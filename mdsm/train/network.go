package train

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ebm/export/onnximport"
	"ebm/internal/files"
	"ebm/mdsm"
	"ebm/models/energy"
)

// Names of networks beside energy.Nets.
const (
	MLP     = "mlp"  // an energy.Perceptron of points
	FileNet = "onnx" // the energy of an ONNX file, EnergyFile in the run's folder
)

// EnergyFile is the file of FileNet in a run's folder.
const EnergyFile = "energy.onnx"

// ErrNoFile says that a network is that of a file, which settings alone do not have.
var ErrNoFile = errors.New("the network is that of an ONNX file")

// Points returns the settings of a training on points with d values that are
// standardised.
func Points(d int) Settings {
	s := demo()
	s.Preset, s.Steps, s.Batch, s.Shards = "", 5000, 256, 1
	s.Net = NetSettings{Name: MLP, Inputs: d, Hidden: []int{128, 128}, Activation: energy.Swish}
	s.Data = DataSettings{Points: 10_000}
	// In few dimensions a point does not tell how noisy it is, so that levels far from
	// σ₀ would blur the energy.
	s.Noise = NoiseSettings{Sigma0: 0.1, Min: 0.05, Max: 0.2, Spacing: mdsm.Geometric, Weighting: mdsm.InverseVariance}
	s.Optimiser.LearningRate = LearningRate{Schedule: Cosine, Initial: 4e-3, Final: 1e-5}
	return s
}

// Pictures reports whether s trains on pictures, rather than on points.
func (s Settings) Pictures() bool { return s.Net.Name != MLP && s.Data.Size != 0 }

// builtIn returns the network that s trains, if settings alone say which it is.
func (s Settings) builtIn() (energy.Network, bool) {
	switch s.Net.Name {
	case FileNet:
		return nil, false
	case MLP:
		return energy.Perceptron{In: s.Net.Inputs, Widths: s.Net.Hidden, Activation: s.Net.Activation}, true
	}
	return s.Network(), true
}

// NetworkName says which network s trains, for people.
func (s Settings) NetworkName() string {
	if n, ok := s.builtIn(); ok {
		return fmt.Sprint(n)
	}
	return "an ONNX file, " + s.Net.File
}

// Open returns the network that s trains, in the run's folder dir, and of one in a
// file the weights that it has there.
func (s Settings) Open(dir string) (energy.Network, energy.Weights, error) {
	if n, ok := s.builtIn(); ok {
		return n, nil, nil
	}
	path := filepath.Join(dir, EnergyFile)
	b, err := files.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(b)
	if has := hex.EncodeToString(sum[:]); s.Net.File != "" && has != s.Net.File {
		return nil, nil, fmt.Errorf("%s has the SHA-256 %s, want %s", path, has, s.Net.File)
	}
	return s.Net.Read(path)
}

// Read returns the energy of a file as a network that can be trained, and the
// weights that it has there.
func (n NetSettings) Read(path string) (energy.Network, energy.Weights, error) {
	f, model, err := ModelSettings{Path: path, Mode: InferenceMode}.Read(onnximport.Options{}, false, n.outputs()...)
	if err != nil {
		return nil, nil, err
	}
	net, err := mdsm.FunctionOf{Input: n.Input, Output: n.Output, Value: n.Value, Parameters: f.Parameters}.Network(f.Graph)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return net, energy.Weights(f.First(model)), nil
}

func (n NetSettings) outputs() []string {
	if n.Output == "" {
		return nil
	}
	return []string{n.Output}
}

// validateNet checks what describes the network.
func (s Settings) validateNet() error {
	switch s.Net.Name {
	case FileNet:
		return oneOf("net.energy_of", s.Net.Value, append(mdsm.Values(), "")...)
	case MLP:
		return firstOf(
			atLeast("net.inputs", s.Net.Inputs, 1),
			when(len(s.Net.Hidden) > 0 && !slices.ContainsFunc(s.Net.Hidden, func(n int) bool { return n < 1 || n > 1<<20 }),
				"net.hidden", s.Net.Hidden,
				"the units of one hidden layer or more"),
		)
	}
	return firstOf(
		oneOf("net.name", s.Net.Name, append(energy.Names(), MLP)...),
		atLeast("net.channels", s.Net.Channels, 1), atLeast("net.dim", s.Net.Dim, 1), atLeast("data.size", s.Data.Size, 1),
		s.validateUNet(), s.validateSize(),
		oneOf("net.head", s.Net.Head, append(energy.Heads(s.Net.Name), "")...),
	)
}

// validateUNet checks what an energy.UNet alone has.
func (s Settings) validateUNet() error {
	if s.Net.Name != energy.UNetName {
		want := "none for " + s.Net.Name + ", but for " + energy.UNetName
		return firstOf(when(len(s.Net.Multipliers) == 0, "net.multipliers", s.Net.Multipliers, want),
			when(s.Net.Blocks == 0, "net.blocks", s.Net.Blocks, want))
	}
	m := s.Net.Multipliers
	return firstOf(
		when(len(m) == 0 || len(m) <= 16 && slices.Min(m) > 0 && slices.Max(m) <= 1<<10, "net.multipliers", m,
			"up to 16 numbers from 1 to 1024, one for each level"),
		when(s.Net.Blocks >= 0 && s.Net.Blocks <= 1<<10, "net.blocks", s.Net.Blocks, "a number up to 1024, 0 for the default"),
	)
}

// validateSize checks that the network can halve the pictures.
func (s Settings) validateSize() error {
	multiple := s.Network().SizeMultiple()
	return when(s.Data.Size%multiple == 0, "data.size", s.Data.Size, fmt.Sprintf("a multiple of %d for %s", multiple, s.Net.Name))
}

// describePoints enters what files of the weights of a network of points, or of a
// file, say about themselves.
func (s Settings) describePoints(d map[string]string) {
	if s.Net.Name != MLP && s.Net.Name != FileNet {
		return
	}
	for _, key := range []string{"dim", "channels", "head"} {
		delete(d, key)
	}
	if !s.Pictures() {
		delete(d, "size")
		delete(d, "data_range")
		d["mean"], d["deviation"] = numbers(s.Data.Mean), numbers(s.Data.Deviation)
	}
	if s.Net.Name == MLP {
		d["inputs"], d["hidden"] = strconv.Itoa(s.Net.Inputs), commas(s.Net.Hidden)
	} else {
		d["file_sha256"] = s.Net.File
		delete(d, "activation")
	}
}

// commas writes whole numbers with commas between them.
func commas(list []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ","), "[]")
}

// numbers writes numbers with commas between them.
func numbers(list []float64) string {
	text := make([]string, len(list))
	for i, v := range list {
		text[i] = formatted(v)
	}
	return strings.Join(text, ",")
}
