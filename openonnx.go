package ebm

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"ebm/export"
	"ebm/export/onnximport"
	"ebm/internal/files"
	"ebm/mdsm"
	"ebm/mdsm/langevin"
	"ebm/models/autodiff"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/runtime"
)

// onnxFile is an ONNX file whose score computes as it is, whether or not its
// energy can be imported. It is the model's network, which is imported when a
// graph is first built of it.
type onnxFile struct {
	path     string
	shape    []int
	score    []byte // x → score, and energy if the file has it
	imported func() (energy.Network, error)
}

func (f *onnxFile) InputShape() []int              { return slices.Clone(f.shape) }
func (f *onnxFile) Parameters() []energy.Parameter { return nil }
func (f *onnxFile) String() string                 { return "an ONNX file" }

func (f *onnxFile) Energy(x *graph.Node, _ energy.Params) *graph.Node {
	n, err := f.imported()
	if err != nil {
		panic(&graph.Error{Err: err})
	}
	return n.Energy(x, nil)
}

// loadONNX finds out what a file computes.
func loadONNX(path string) (*Model, error) {
	info, err := runtime.Describe(context.Background(), path)
	if err != nil {
		return nil, err
	}
	named := func(list []runtime.ValueInfo, name string) int {
		return slices.IndexFunc(list, func(v runtime.ValueInfo) bool { return v.Name == name })
	}
	in, out := info.Inputs, info.Outputs
	at, scored := named(in, "x"), named(out, "score") >= 0
	if at < 0 || !scored && named(out, "energy") < 0 {
		return nil, fmt.Errorf("%s: the file computes %v of %v, want energy or score, or both, of x", path, out, in)
	}
	f := &onnxFile{path: path, imported: sync.OnceValues(func() (energy.Network, error) { return importEnergy(path) })}
	if shape := in[at].Shape; len(shape) > 0 {
		f.shape = shape[1:]
	}
	m := &Model{Name: path, Network: f, About: info.Metadata, file: f}
	if m.Meta, err = ParseMeta(info.Metadata, f.shape); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if _, said := info.Metadata["sigma0"]; !said {
		m.Sigma0 = 0
	}
	if scored {
		f.score, err = files.ReadFile(path)
	} else {
		f.score, err = withScore(path)
	}
	if err != nil {
		return nil, err
	}
	m.Hash = langevin.Files{Score: f.score, Sigma0: m.Sigma0}.Hash()
	return m, nil
}

// ONNXOptions say what in an ONNX file is an energy.
type ONNXOptions struct {
	Energy mdsm.FunctionOf
	Import onnximport.Options
}

// loadFunction reads the energy of a file as a network, of which all else is derived.
// Its input may be float16.
func loadFunction(path string, o ONNXOptions) (*Model, error) {
	o.Import.InUse = true
	if o.Energy.Output != "" {
		o.Import.Of = []string{o.Energy.Output}
	}
	read, err := onnximport.Read(path, o.Import)
	if err != nil {
		return nil, err
	}
	net, err := o.Energy.Network(read.Graph)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m := &Model{Name: path, Network: net, Weights: energy.Weights{}, About: read.Metadata}
	if m.Meta, err = ParseMeta(read.Metadata, m.Shape()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if _, said := read.Metadata["sigma0"]; !said {
		m.Sigma0 = 0
	}
	files, err := m.Files()
	m.Hash = files.Hash()
	return m, err
}

// importEnergy returns the energy of a file as a network.
func importEnergy(path string) (energy.Network, error) {
	m, err := onnximport.Read(path, onnximport.Options{})
	if err != nil {
		return nil, err
	}
	n, err := mdsm.Function(m.Graph)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}

// withScore returns the bytes of a file that computes the score too.
func withScore(path string) ([]byte, error) {
	m, err := onnximport.Read(path, onnximport.Options{})
	if err != nil {
		return nil, err
	}
	err = graph.Catch(func() {
		score := graph.Neg(autodiff.Gradient(m.Values["energy"], m.Values["x"])[0])
		m.Graph.Output("score", score)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: derive the score: %w", path, err)
	}
	b, err := export.Bytes(m.Graph, export.Options{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}
