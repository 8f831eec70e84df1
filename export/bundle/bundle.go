package bundle

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"ebm/export"
	"ebm/export/onnxpb"
	"ebm/internal/atomicfile"
	"ebm/internal/onnxwire"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/weights"
	"ebm/runtime"
	"ebm/runtime/progress"
)

// Source is a model to be packaged.
type Source struct {
	// Name goes into names of files: letters, digits, '-', '_' and '.'.
	Name string
	// Network is the energy: one of the project's own networks, but for targets
	// that take any.
	Network energy.Network
	Weights *weights.Set // of the network, empty where it has none
	// Sigma0 is σ₀, in units of x.
	Sigma0 float64
	// Pad is the number of rows and columns around pictures that are no data.
	Pad int
	// Metadata is what ONNX files of the model carry.
	Metadata map[string]string
	// Graph returns the graph of a kind of file, with a symbolic batch N, and
	// what the file carries.
	Graph func(kind string) (*graph.Graph, export.Options, error)
	// Score returns the ONNX file x → energy, score of any energy, whether or not
	// there is a graph of it.
	Score func() ([]byte, error)
	// Generator returns the graph of a whole chain, as of mdsm.GeneratorGraph.
	Generator func() (*graph.Graph, error)
}

// Options say how a target is written.
type Options struct {
	// Kinds are the kinds of files, the target's own when there are none.
	Kinds []string
	// Batch fixes N where it is not 0.
	Batch int
	// Seed is of the noise that a generator draws, below export.MaxSeed.
	Seed uint32
	// Runtime measures the errors of the float16 and int8 variants, which need
	// it.
	Runtime *runtime.Runtime
	// Page says what the target page holds.
	Page PageOptions
	// Progress shows how far measuring is; nil shows nothing.
	Progress progress.Progress
}

// Result says what was written.
type Result struct {
	Files  []File      `json:"files"`
	Errors []Deviation `json:"errors,omitempty"`
	// Use is a command that uses the files, where there is one.
	Use string `json:"use,omitempty"`
}

// File is one that was written.
type File struct {
	Path   string `json:"path"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Target is a form that another program wants models in.
type Target struct {
	Name  string
	About string
	// Kinds are those written unless others are asked for, and Takes all that
	// can be; both are empty where there is no choice.
	Kinds, Takes []string
	// Measures says that Options.Runtime is needed.
	Measures bool
	// File says that one file is written, and not a folder.
	File bool
	// Any says that energies of any origin are taken, not the project's networks
	// alone.
	Any   bool
	write func(ctx context.Context, w *writer) error
}

// Targets returns all targets.
func Targets() []Target {
	all := []string{"energy", "score", "hvp", "train", "sampler", "denoise"}
	fixed := []string{"energy", "score", "sampler", "denoise"} // with constant weights, and measured as they are
	return []Target{
		{"triton", "a model repository of the Triton inference server", []string{"energy", "score", "sampler"}, all, false,
			false, false, writeTriton},
		{"huggingface", "a folder with a model card, safetensors and ONNX files", []string{"energy", "score", "denoise", "sampler"}, all, false,
			false, false, writeHub},
		{"torch-fidelity", "a generator z → uint8 images that torch-fidelity's command line takes", nil, nil, false,
			false, false, writeGenerator},
		{"float16", "ONNX files that compute in float16 between the first and the last convolution", []string{"energy", "score", "denoise"},
			fixed, true, false, false, writeHalf},
		{"int8", "ONNX files with the weights of convolutions as int8, computing in float32", []string{"energy", "score", "denoise"}, fixed, true,
			false, false, writeInt8},
		{"web", "a page that shows energies and denoises in a browser, by onnxruntime-web", nil, nil, false, false, false, writeWeb},
		{"page", "one HTML file that samples from any energy and fills in pictures in a browser, without a network", nil, nil,
			false, true, true, writePage},
	}
}

// Find returns the target called name.
func Find(name string) (Target, error) {
	var names []string
	for _, t := range Targets() {
		if t.Name == name {
			return t, nil
		}
		names = append(names, t.Name)
	}
	return Target{}, fmt.Errorf("unknown target %q, want one of %s", name, strings.Join(names, ", "))
}

// Check reports kinds that the target does not take.
func (t Target) Check(kinds []string) error {
	for i, k := range kinds {
		switch {
		case len(t.Takes) == 0:
			return fmt.Errorf("%s has one form, and no kinds to choose from", t.Name)
		case !slices.Contains(t.Takes, k):
			return fmt.Errorf("%s cannot be written of kind %q, but of %s", t.Name, k, strings.Join(t.Takes, ", "))
		case slices.Contains(kinds[:i], k):
			return fmt.Errorf("kind %q is named twice", k)
		}
	}
	return nil
}

// Write writes s to the folder out, which is made if it is not there (or to the
// file out, if the target is one). Files of the same names are replaced, others
// stay.
func (t Target) Write(ctx context.Context, out string, s Source, o Options) (Result, error) {
	if err := t.Check(o.Kinds); err != nil {
		return Result{}, err
	}
	if err := CheckName(s.Name); err != nil {
		return Result{}, err
	}
	if len(o.Kinds) == 0 {
		o.Kinds = t.Kinds
	}
	w := &writer{Source: s, Options: o, dir: out}
	var own bool
	if w.net, own = s.Network.(energy.Picture); !own && !t.Any {
		return Result{}, fmt.Errorf("%s for %s: it is %v, want a run or a file of weights", s.Name, t.Name, s.Network)
	}
	if t.File {
		w.dir, w.file = filepath.Split(out)
	}
	if err := t.write(ctx, w); err != nil {
		return Result{}, fmt.Errorf("%s for %s: %w", s.Name, t.Name, err)
	}
	return w.result, nil
}

var errName = errors.New("want letters, digits, '-', '_' and '.', with a letter or digit first")

// CheckName returns an error for a name that cannot be part of names of files.
func CheckName(name string) error {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !inName(r) }) || strings.ContainsAny(name[:1], "-_.") {
		return fmt.Errorf("name %q: %w", name, errName)
	}
	return nil
}

func inName(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
}

// NameOf makes a name out of a reference to a model, such as a path.
func NameOf(ref string) string {
	base := filepath.Base(filepath.Clean(ref))
	for _, ext := range []string{".safetensors", ".pt", ".pth", ".npz", ".onnx"} {
		base = strings.TrimSuffix(base, ext)
	}
	name := strings.Map(func(r rune) rune {
		if inName(r) {
			return r
		}
		return '-'
	}, base)
	if name = strings.TrimLeft(name, "-_."); name == "" {
		return "model"
	}
	return name
}

// writer is one call of Write.
type writer struct {
	Source
	Options
	net    energy.Picture // the network, but for targets that take any
	dir    string
	file   string // the one to write, of a target that is a file
	result Result
}

// model returns the ONNX model of a kind.
func (w *writer) model(kind string) (*onnxpb.ModelProto, error) {
	g, o, err := w.Graph(kind)
	if err != nil {
		return nil, err
	}
	o.Sizes = w.sizes()
	return export.Model(g, o)
}

func (w *writer) sizes() map[string]int {
	if w.Batch == 0 {
		return nil
	}
	return map[string]int{"N": w.Batch}
}

// putModel writes a model as one file.
func (w *writer) putModel(path string, m *onnxpb.ModelProto) error {
	b, err := export.Marshal(m)
	if err != nil {
		return err
	}
	return w.put(path, onnxwire.Seal(b))
}

// put writes one file, named by a path with slashes below the folder.
func (w *writer) put(path string, data []byte) error {
	full := filepath.Join(w.dir, filepath.FromSlash(path))
	if err := atomicfile.MkdirAll(filepath.Dir(full)); err != nil {
		return err
	}
	if err := atomicfile.WriteFile(full, data); err != nil {
		return err
	}
	w.result.Files = append(w.result.Files, File{full, int64(len(data)), sha256Of(data)})
	return nil
}

// sha256Of returns the SHA-256 of data in hexadecimal.
func sha256Of(data []byte) string {
	return fmt.Sprintf("%x", sha256.Sum256(data))
}
