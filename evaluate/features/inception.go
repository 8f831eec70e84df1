package features

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ebm/internal/files"
	"ebm/models/graph"
	"ebm/models/inception"
	"ebm/models/tensor"
	"ebm/models/weights"
	"ebm/runtime"
)

// The published weights: the name that pytorch-fid's release gives to the
// file, which ends in the first digits of its SHA-256.
const (
	PublishedWeights = "pt_inception-2015-12-05-6726825d.pth"
	publishedHash    = "6726825d"
	// InceptionVariable names the file of weights in the environment.
	InceptionVariable = "EBM_INCEPTION"
)

// ErrNoInception says that there are no Inception weights, and what to do.
var ErrNoInception = errors.New("no weights of the FID Inception network")

// FindInception returns the file of Inception weights: path, or what the
// environment's EBM_INCEPTION names, or the file under its published name in
// the user cache. The error wraps [ErrNoInception] when there is none.
func FindInception(path string) (string, error) {
	if path != "" {
		return path, nil
	}
	if path = os.Getenv(InceptionVariable); path != "" {
		return path, nil
	}
	cached := "the user cache"
	if dir, err := os.UserCacheDir(); err == nil {
		cached = filepath.Join(dir, "ebm", "inception", PublishedWeights)
		if _, err := os.Stat(cached); err == nil {
			return cached, nil
		}
	}
	return "", fmt.Errorf("%w: they are the file %s of pytorch-fid's releases on GitHub (mseitzer/pytorch-fid; its SHA-256 begins with "+
		"%s), which this program does not fetch. Give it as --inception FILE, name it in %s, or put it at %s; or take any ONNX file as the "+
		"feature network with --features-onnx FILE",
		ErrNoInception, PublishedWeights, publishedHash, InceptionVariable, cached)
}

// InceptionFile reads weights of the FID Inception network from a file. A recipe
// takes the features of another layer than the last; the zero Recipe none.
func InceptionFile(path string, c inception.Convention, r Recipe) (*Network, error) {
	hash, _, err := files.Hash(path)
	if err != nil {
		return nil, fmt.Errorf("weights of the Inception network: %w", err)
	}
	set, err := weights.Load(path)
	if err != nil {
		return nil, fmt.Errorf("weights of the Inception network: %w", err)
	}
	n := &Network{Identity: Identity{Kind: Inception, Recipe: r.Name}, File: path, FileHash: hash}
	if !strings.HasPrefix(hash, publishedHash) {
		n.Warnings = []string{fmt.Sprintf("the SHA-256 of the weights' file begins with %s and that of the published one with %s: unless this "+
			"is a conversion of it, the numbers do not compare with published ones", hash[:8], publishedHash)}
	}
	n.open = func(rt *runtime.Runtime, channels, height, width int) (*Extractor, error) {
		e, err := NewInception(rt, InceptionOptions{Weights: set, Convention: c, Recipe: r, Channels: channels, Height: height, Width: width})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return e, nil
	}
	return n, nil
}

// InceptionOptions are the settings of [NewInception].
type InceptionOptions struct {
	Weights    *weights.Set         // of the FID Inception network, as weights.Load reads them
	Convention inception.Convention // "" means inception.PyTorchFID
	Recipe     Recipe               // of a layer, which has no logits; the zero Recipe is the last
	Channels   int                  // 1, which the network sees as grey, or 3
	Height     int                  // 0 and 0 for pictures of mixed sizes
	Width      int
	Batch      int // pictures at once on each thread; 0 means 8
}

// NewInception loads the FID Inception network into the runtime. Its logits
// are those without bias. The caller closes it.
func NewInception(rt *runtime.Runtime, o InceptionOptions) (*Extractor, error) {
	if o.Convention == "" {
		o.Convention = inception.PyTorchFID
	}
	if o.Weights == nil {
		return nil, errors.New("weights of the Inception network: none, want those of FID")
	}
	e, err := newExtractor(rt, []int{o.Channels, o.Height, o.Width}, o.Batch)
	if err != nil {
		return nil, err
	}
	g, err := o.graph()
	if err != nil {
		return nil, err
	}
	if o.mixed() {
		e.ways = newWays(rt, o.way)
	}
	e.input, e.output = "x", outputs{features: "pool3", logits: "logits"}
	e.maker = Maker{
		Network: Identity{Kind: Inception, Recipe: o.Recipe.Name}, Weights: o.Weights.Hash(), Preprocess: string(o.Convention),
		Features: inception.Features,
	}
	if o.Recipe.Layer != "" {
		e.output.logits, e.maker.Features = "", 0
	}
	e.session, err = load(rt, g)
	return e, err
}

// mixed reports whether pictures have no common size.
func (o InceptionOptions) mixed() bool { return o.Height == 0 && o.Width == 0 }

// preprocess adds the way from pictures x of uint8 [N C height width] to what the network takes.
func (o InceptionOptions) preprocess(g *graph.Graph, height, width int) (*graph.Node, error) {
	x := graph.Cast(g.Input("x", tensor.Uint8, graph.Batch(o.Channels, height, width)), tensor.Float32)
	if o.Channels == 1 {
		x = graph.Concat(1, x, x, x)
	}
	return inception.Preprocess(x, o.Convention)
}

// way returns that for pictures of one of several sizes.
func (o InceptionOptions) way(height, width int) (*graph.Graph, error) {
	g := graph.New("pictures")
	y, err := o.preprocess(g, height, width)
	if err != nil {
		return nil, err
	}
	g.Output("y", y)
	return g, nil
}

// graph returns the way from pictures x of uint8, or where those are of mixed sizes from what the
// network takes, to pool3 and logits.
func (o InceptionOptions) graph() (*graph.Graph, error) {
	g := graph.New("inception")
	var y *graph.Node
	if o.mixed() {
		y = g.Input("x", tensor.Float32, graph.Batch(3, inception.Size, inception.Size))
	} else {
		var err error
		if y, err = o.preprocess(g, o.Height, o.Width); err != nil {
			return nil, err
		}
	}
	out, err := inception.Build(y, o.Weights)
	if err != nil {
		return nil, err
	}
	switch layer := out.Layers[o.Recipe.Layer]; {
	case o.Recipe.Layer == "":
		g.Output("pool3", out.Pool3)
		g.Output("logits", out.UnbiasedLogits)
	case layer == nil:
		return nil, fmt.Errorf("layer %q of the Inception network, want one of %v", o.Recipe.Layer, inception.Layers())
	default:
		g.Output("pool3", layer)
	}
	return g, nil
}
