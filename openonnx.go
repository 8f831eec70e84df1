package ebm

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"

	"ebm/export"
	"ebm/export/onnximport"
	"ebm/mdsm/langevin"
	"ebm/models/autodiff"
	"ebm/models/graph"
	"ebm/runtime"
)

// OpenONNX loads the energy of an ONNX file, of any origin, into ONNX Runtime:
// a file with float32 x [N …] → score (−∇E) of x's shape, and energy [N] or none;
// or x → energy, whose score is then derived here (docs/onnx-import.md lists the
// operators that can be). Only N may be dynamic. σ₀ is what the file's metadata say
// under sigma0, or the paper's 0.1. Close the engine when done; its Model is
// nil.
func OpenONNX(ctx context.Context, path string, c Config) (*Engine, error) {
	models, _, err := ReadONNX(ctx, path)
	if err != nil {
		return nil, err
	}
	e := &Engine{name: path, models: models}
	if e.rt, err = runtime.Open(ctx, c); err != nil {
		return nil, err
	}
	score, err := e.rt.Load(e.models.Score, runtime.SessionOptions{})
	if err != nil {
		e.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	e.score = score
	return e, nil
}

// ReadONNX reads a file as OpenONNX does, in the form that package langevin
// samples from, and returns its metadata.
func ReadONNX(ctx context.Context, path string) (langevin.Files, map[string]string, error) {
	fail := func(err error) (langevin.Files, map[string]string, error) { return langevin.Files{}, nil, err }
	info, err := runtime.Describe(ctx, path)
	if err != nil {
		return fail(err)
	}
	models := langevin.Files{Sigma0: paperSigma0}
	if text, ok := info.Metadata["sigma0"]; ok {
		if models.Sigma0, err = strconv.ParseFloat(text, 64); err != nil || !(models.Sigma0 > 0) {
			return fail(fmt.Errorf("%s: metadata say sigma0 is %q, want a positive number", path, text))
		}
	}
	named := func(list []runtime.ValueInfo, name string) bool {
		return slices.ContainsFunc(list, func(v runtime.ValueInfo) bool { return v.Name == name })
	}
	switch in, out := info.Inputs, info.Outputs; {
	case !named(in, "x") || !named(out, "energy") && !named(out, "score"):
		return fail(fmt.Errorf("%s: the file computes %v of %v, want energy or score, or both, of x", path, out, in))
	case named(out, "score"):
		models.Score, err = os.ReadFile(path)
	default:
		models.Score, err = withScore(path)
	}
	if err != nil {
		return fail(err)
	}
	return models, info.Metadata, nil
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
