package features

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"ebm/evaluate"
	"ebm/export"
	"ebm/models/classifier"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
	"ebm/models/weights"
	"ebm/models/zoo"
	"ebm/runtime"
)

// DefaultClassifier is the data set whose shipped classifier is used when no
// other weights are given.
const DefaultClassifier = "mnist"

// ShippedClassifier returns the shipped classifier of a data set. Its Fréchet
// distance is not FID and compares with no number but its own kind, and it has
// no logits for an Inception score.
func ShippedClassifier(data string) (*Network, error) {
	set, err := zoo.OpenClassifier(data)
	if err != nil {
		return nil, err
	}
	return &Network{
		Identity: Identity{Kind: Classifier, Data: data},
		open: func(rt *runtime.Runtime, channels, height, width int) (*Extractor, error) {
			if height == 0 {
				return nil, fmt.Errorf("the classifier of %s: pictures of mixed sizes, want one size", data)
			}
			if height != width {
				return nil, fmt.Errorf("the classifier of %s: pictures of %d×%d, want square ones", data, height, width)
			}
			return NewClassifier(rt, ClassifierOptions{Weights: set, Data: data, Channels: channels, Size: height})
		},
	}, nil
}

// ClassifierFor returns the data set whose shipped classifier knows the pictures
// of a data set: its own, and for stacked digits, a digit in each channel, that
// of the digits.
func ClassifierFor(data string) string {
	if data == "stacked-mnist" {
		return "mnist"
	}
	return data
}

// Recognises reports whether the shipped classifier of a data set takes its
// pictures, of a height and width of size.
func Recognises(data string, size int) bool {
	return slices.Contains(zoo.Classifiers(), data) && slices.Contains(classifier.Sides(), size)
}

// ClassifierOptions are the settings of [NewClassifier].
type ClassifierOptions struct {
	Weights  *weights.Set
	Data     string // the data set whose classes it knows
	Channels int    // 1, or 3 where each channel is a digit of its own
	Size     int    // height and width of the pictures, one of classifier.Sides
	Batch    int    // pictures at once; 0 means 128
}

// NewClassifier loads the project's classifier of digits or clothes into the
// runtime. Features are those of all channels one after the other. The caller
// closes it.
func NewClassifier(rt *runtime.Runtime, o ClassifierOptions) (*Extractor, error) {
	if o.Batch == 0 {
		o.Batch = 128
	}
	e, err := newExtractor(rt, []int{o.Channels, o.Size, o.Size}, o.Batch)
	if err != nil {
		return nil, err
	}
	values := energy.Weights(maps.Collect(o.Weights.All()))
	network, err := classifier.Recognise(values)
	if err != nil {
		return nil, err
	}
	g, err := o.graph(network, values)
	if err != nil {
		return nil, err
	}
	onnx, err := export.Bytes(g, export.Options{})
	if err != nil {
		return nil, err
	}
	// The network is so small that all threads on one batch are as fast.
	e.layout.Workers = 1
	if e.session, err = rt.Load(onnx, runtime.SessionOptions{}); err != nil {
		return nil, fmt.Errorf("load the classifier: %w", err)
	}
	e.input, e.output = "x", outputs{features: "features", classes: "logits"}
	e.maker = Maker{Network: Identity{Kind: Classifier, Data: o.Data}, Weights: o.Weights.Hash(), Features: o.Channels * network.Features}
	return e, nil
}

// graph returns the way from pictures x of uint8 to features and logits.
func (o ClassifierOptions) graph(n classifier.Network, values energy.Weights) (*graph.Graph, error) {
	g := graph.New("classifier")
	x := g.Input("x", tensor.Uint8, graph.Batch(o.Channels, o.Size, o.Size))
	y, err := classifier.Preprocess(graph.Cast(x, tensor.Float32))
	if err != nil {
		return nil, err
	}
	err = graph.Catch(func() {
		out := n.Build(y, values.Constants(g, n, tensor.Float32))
		pictures := x.Shape()[0]
		g.Output("features", graph.Reshape(out.Features, graph.Shape{pictures, graph.Const(o.Channels * n.Features)}))
		g.Output("logits", graph.Reshape(out.Logits, graph.Shape{pictures, graph.Const(o.Channels), graph.Const(n.Classes)}))
	})
	return g, err
}

// Modes counts the classes of pictures, uint8 [n C H W], by a classifier.
func (e *Extractor) Modes(ctx context.Context, pictures *tensor.Tensor) (evaluate.ModeResult, error) {
	if e.output.classes == "" {
		return evaluate.ModeResult{}, fmt.Errorf("modes: %v has no classes, want a classifier", e.maker.Network)
	}
	out, err := e.Features(ctx, pictures, nil)
	if err != nil {
		return evaluate.ModeResult{}, err
	}
	return evaluate.ModeCoverage(out.Classes, evaluate.ModeOptions{})
}
