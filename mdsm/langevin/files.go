package langevin

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"

	"ebm/export"
	"ebm/export/session"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/runtime"
)

// Files are the ONNX files that chains run through, as bytes: either Sampler
// (and Denoise), or Score; or for filling in hidden pixels, Inpaint and
// DenoiseHidden.
type Files struct {
	Sampler []byte // as of mdsm.SamplerGraph: several steps in one run
	Denoise []byte // as of mdsm.DenoiseGraph: the denoising jump

	Inpaint       []byte // as of mdsm.InpaintGraph
	DenoiseHidden []byte // as of mdsm.DenoiseHiddenGraph

	// Updates makes the model of updates with a memory, mdsm.UpdatesGraph, which is
	// loaded when such chains are first drawn; nil for none. It fills in, too.
	Updates func() ([]byte, error)

	// Memory says that the chains to come have one: the model of their updates is loaded at
	// once, beside the jump, in place of Sampler. For sets it.
	Memory bool

	// Fixed makes a model of one step, or of the jump: "sampler", "denoise", "inpaint",
	// "denoise_hidden" or "updates", of the graphs above. Chains then stay in the memory of
	// the device, where one computes; nil for models whose chains pass through the host at
	// every run.
	Fixed session.Fixed

	// Score is any model x [N …] → score (of x's shape) and perhaps energy [N].
	// Its steps are made one by one in Go, and its jump is x + Sigma0²·score.
	Score  []byte
	Sigma0 float64

	// AnyBatch says that a chain's bits do not depend on how many go through the models
	// at once, so that groups that are not full compute no more than is wanted, and few
	// chains are shared between threads.
	AnyBatch bool

	// Shape is the shape of one x where the model leaves it open.
	Shape []int

	// Fast, if there is one, makes the same models in the form that is fastest
	// on a runtime, which no file need have; without Sampler for chains with a memory. Hash is
	// that of the models above.
	Fast func(rt *runtime.Runtime, memory bool) (Files, error)
}

// For returns the files for chains of some settings alone, of which no model is loaded that they have no use for.
func (f Files) For(set Settings) Files {
	f.Memory = f.Updates != nil && f.Denoise != nil && set.remembers(set.Updates)
	return f
}

// remembers reports whether chains have a memory.
func (s Settings) remembers(updates []mdsm.Update) bool {
	return slices.ContainsFunc(updates, func(u mdsm.Update) bool {
		// Given pixels have the noise of a level that is not the temperature's.
		return !u.Plain() || s.Fill != nil && u.Level != 0
	})
}

// Hash returns the SHA-256 of the files, in hexadecimal.
func (f Files) Hash() string {
	h := sha256.New()
	files := [][]byte{f.Sampler, f.Denoise, f.Score}
	if f.Inpaint != nil {
		files = append(files, f.Inpaint, f.DenoiseHidden)
	}
	for _, file := range files {
		fmt.Fprintf(h, "%d\n", len(file))
		h.Write(file)
	}
	if f.Score != nil {
		fmt.Fprintf(h, "%g", f.Sigma0)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// NewFiles exports the chain and the jump of a network. options says what a file
// carries, by the name of its graph ("sampler", "denoise"); nil for nothing.
func NewFiles(n energy.Network, w energy.Weights, sigma0 float64, options func(graph string) export.Options) (f Files, err error) {
	// Side by side, since who wants one sample waits for both.
	var wait sync.WaitGroup
	var sampler []byte
	var other error
	wait.Go(func() { sampler, other = bytesOf(options, func() *graph.Graph { return mdsm.SamplerGraph(n, w) }) })
	f, err = NewMemoryFiles(n, w, sigma0, options)
	wait.Wait()
	f.Sampler = sampler
	return f, cmp.Or(other, err)
}

// NewMemoryFiles is NewFiles for chains with a memory alone.
func NewMemoryFiles(n energy.Network, w energy.Weights, sigma0 float64, options func(graph string) export.Options) (f Files, err error) {
	f.Sigma0, f.AnyBatch = sigma0, anyBatch(n)
	f.Updates = func() ([]byte, error) {
		return bytesOf(options, func() *graph.Graph { return mdsm.UpdatesGraph(n, w) })
	}
	f.Fixed = fixed(n, w, sigma0)
	f.Denoise, err = bytesOf(options, func() *graph.Graph { return mdsm.DenoiseGraph(n, w, sigma0) })
	return f, err
}

// NewFillFiles exports the chain and the jump of a network that move hidden
// pixels alone.
func NewFillFiles(n energy.Network, w energy.Weights, sigma0 float64) (f Files, err error) {
	f.Sigma0, f.AnyBatch = sigma0, anyBatch(n)
	f.Inpaint, err = bytesOf(nil, func() *graph.Graph { return mdsm.InpaintGraph(n, w, sigma0) })
	if err != nil {
		return f, err
	}
	f.Updates = func() ([]byte, error) { return bytesOf(nil, func() *graph.Graph { return mdsm.UpdatesGraph(n, w) }) }
	f.Fixed = fixed(n, w, sigma0)
	f.DenoiseHidden, err = bytesOf(nil, func() *graph.Graph { return mdsm.DenoiseHiddenGraph(n, w, sigma0) })
	return f, err
}

// anyBatch reports whether a network is made of kernels whose results for a row were
// never seen to depend on the others, nor on the number of threads: those of Softplus
// do, of the sums and products in a U-Net's normalisations and attention it was not looked for,
// and of networks of a program's own nothing is known.
func anyBatch(n energy.Network) bool {
	net, ok := n.(energy.ResNet)
	return ok && slices.Contains([]energy.Activation{"", energy.ELU, energy.ReLU}, net.Activation)
}

// noiseInput is where the models of Fixed take their noise.
func noiseInput() export.Counted { return export.Counted{Input: "noise"} }

// fixed returns Files.Fixed of a network.
func fixed(n energy.Network, w energy.Weights, sigma0 float64) session.Fixed {
	return session.FixedOf(noiseInput(), map[string]func() *graph.Graph{
		"sampler":        func() *graph.Graph { return mdsm.SamplerGraph(n, w) },
		"inpaint":        func() *graph.Graph { return mdsm.InpaintGraph(n, w, sigma0) },
		"updates":        func() *graph.Graph { return mdsm.UpdatesGraph(n, w) },
		"denoise":        func() *graph.Graph { return mdsm.DenoiseGraph(n, w, sigma0) },
		"denoise_hidden": func() *graph.Graph { return mdsm.DenoiseHiddenGraph(n, w, sigma0) },
	})
}

// bytesOf exports a graph. A network of no use is an error, as it is at other
// public boundaries.
func bytesOf(options func(graph string) export.Options, build func() *graph.Graph) ([]byte, error) {
	var g *graph.Graph
	if err := graph.Catch(func() { g = build() }); err != nil {
		return nil, err
	}
	var o export.Options
	if options != nil {
		o = options(g.Name())
	}
	return export.Bytes(g, o)
}
