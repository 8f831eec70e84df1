package evaluate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ebm/export"
	"ebm/models/classifier"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
	"ebm/models/weights"
	"ebm/models/zoo"
	"ebm/runtime"
	"ebm/runtime/progress"
)

// ClassifierFrechetKey is what results call the Fréchet distance in a
// classifier's features. It is not FID, whose features are those of the
// Inception network, and compares with no number but its own kind.
const ClassifierFrechetKey = "classifier_frechet"

// ClassifierFrechetName returns its name for people, by the data set of the
// classifier.
func ClassifierFrechetName(data string) string {
	return "Fréchet distance in features of the project's classifier of " + data
}

// DefaultClassifier is the data set whose shipped classifier is used when no
// other weights are given.
const DefaultClassifier = "mnist"

// ClassifierOptions say which pictures a [Classifier] takes.
type ClassifierOptions struct {
	Weights  *weights.Set // nil means the shipped ones of DefaultClassifier
	Channels int          // 1, or 3 where each channel is a digit of its own
	Size     int          // height and width of the pictures: 14, 16, 28 or 32
	Batch    int          // pictures at once; 0 means 128
	Progress progress.Progress
}

// Classifier computes features and classes of digits through ONNX Runtime.
type Classifier struct {
	options ClassifierOptions
	network classifier.Network
	session *runtime.Session
}

// ClassifierFeatures are what the classifier says of n pictures of C channels.
type ClassifierFeatures struct {
	Features *tensor.Tensor // float32 [n, C·features], for [Frechet] and the others
	Logits   *tensor.Tensor // float32 [n, C, classes], for [ModeCoverage]
}

// NewClassifier loads the network into the runtime. The caller closes it.
func NewClassifier(rt *runtime.Runtime, o ClassifierOptions) (*Classifier, error) {
	if o.Batch == 0 {
		o.Batch = 128
	}
	if o.Batch < 0 {
		return nil, fmt.Errorf("a classifier for batches of %d pictures, want 1 at least", o.Batch)
	}
	if o.Weights == nil {
		shipped, err := zoo.OpenClassifier(DefaultClassifier)
		if err != nil {
			return nil, err
		}
		o.Weights = shipped
	}
	values := make(energy.Weights)
	for name, t := range o.Weights.All() {
		values[name] = t
	}
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
	session, err := rt.Load(onnx, runtime.SessionOptions{})
	if err != nil {
		return nil, fmt.Errorf("load the classifier: %w", err)
	}
	return &Classifier{o, network, session}, nil
}

// graph is the way from pictures x of uint8 to features and logits.
func (o ClassifierOptions) graph(n classifier.Network, values energy.Weights) (*graph.Graph, error) {
	if o.Channels != 1 && o.Channels != 3 || o.Size < 1 {
		return nil, fmt.Errorf("a classifier of pictures [%d %d %d], want 1 or 3 channels and a size of 14, 16, 28 or 32", o.Channels, o.Size, o.Size)
	}
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

// Features returns features and logits of pictures, uint8 [n C Size Size].
// Pictures of another size or type, and none at all, are errors.
func (c *Classifier) Features(ctx context.Context, pictures *tensor.Tensor) (ClassifierFeatures, error) {
	o := c.options
	want := []int{o.Channels, o.Size, o.Size}
	if pictures == nil || pictures.DType() != tensor.Uint8 || pictures.Rank() != 4 || !slices.Equal(pictures.Shape()[1:], want) {
		return ClassifierFeatures{}, fmt.Errorf("pictures are %v, want uint8[n %d %d %d]", pictures, want[0], want[1], want[2])
	}
	n := pictures.Shape()[0]
	if n == 0 {
		return ClassifierFeatures{}, errors.New("no pictures to classify")
	}
	stage := progress.Begin(o.Progress, "classify", int64(n), "pictures")
	defer stage.Done()
	d, k := o.Channels*c.network.Features, c.network.Classes
	features := make([]float32, 0, n*d)
	logits := make([]float32, 0, n*o.Channels*k)
	for first := 0; first < n; first += o.Batch {
		count := min(o.Batch, n-first)
		batch := pictures.Rows(first, first+count)
		out, err := c.session.Run(ctx, map[string]*tensor.Tensor{"x": batch})
		if err != nil {
			return ClassifierFeatures{}, fmt.Errorf("classify pictures %d to %d: %w", first, first+count-1, err)
		}
		features = append(features, tensor.Data[float32](out["features"])...)
		logits = append(logits, tensor.Data[float32](out["logits"])...)
		stage.Add(int64(count))
	}
	return ClassifierFeatures{tensor.Of(features, n, d), tensor.Of(logits, n, o.Channels, k)}, nil
}

// Close frees the network.
func (c *Classifier) Close() error { return c.session.Close() }
