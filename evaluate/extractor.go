package evaluate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ebm/export"
	"ebm/internal/progress"
	"ebm/models/graph"
	"ebm/models/inception"
	"ebm/models/tensor"
	"ebm/models/weights"
	"ebm/runtime"
)

// ExtractorOptions say which pictures an [Extractor] takes and how.
type ExtractorOptions struct {
	Weights    *weights.Set         // of the FID Inception network, as weights.Load reads them
	Convention inception.Convention // "" means inception.PyTorchFID
	Channels   int                  // 1, which the network sees as grey, or 3
	Height     int
	Width      int
	Batch      int                // pictures at once; 0 means 32
	Progress   *progress.Progress // nil shows nothing
}

// Extractor computes Inception features of pictures of one size through ONNX
// Runtime.
type Extractor struct {
	options ExtractorOptions
	session *runtime.Session
}

// InceptionFeatures are what the network says of n pictures.
type InceptionFeatures struct {
	Pool3  *tensor.Tensor // float32 [n, 2048], for everything but the Inception score
	Logits *tensor.Tensor // float32 [n, 1008] without bias, for [InceptionScore]
}

// NewExtractor loads the network into the runtime. The caller closes it.
func NewExtractor(rt *runtime.Runtime, o ExtractorOptions) (*Extractor, error) {
	if o.Convention == "" {
		o.Convention = inception.PyTorchFID
	}
	if o.Batch == 0 {
		o.Batch = 32
	}
	if o.Weights == nil || o.Channels != 1 && o.Channels != 3 || min(o.Height, o.Width, o.Batch) < 1 || max(o.Height, o.Width) > 1<<14 {
		return nil, fmt.Errorf("an extractor for batches of %d pictures [%d %d %d], wanted weights, 1 or 3 channels and positive sizes", o.Batch, o.Channels, o.Height, o.Width)
	}
	g, err := o.graph()
	if err != nil {
		return nil, err
	}
	onnx, err := export.Bytes(g, export.Options{})
	if err != nil {
		return nil, err
	}
	session, err := rt.Load(onnx, runtime.SessionOptions{})
	if err != nil {
		return nil, fmt.Errorf("load the Inception network: %w", err)
	}
	return &Extractor{o, session}, nil
}

// graph is the way from pictures x of uint8 to pool3 and logits.
func (o ExtractorOptions) graph() (*graph.Graph, error) {
	g := graph.New("inception")
	x := graph.Cast(g.Input("x", tensor.Uint8, graph.Batch(o.Channels, o.Height, o.Width)), tensor.Float32)
	if o.Channels == 1 {
		x = graph.Concat(1, x, x, x)
	}
	y, err := inception.Preprocess(x, o.Convention)
	if err != nil {
		return nil, err
	}
	out, err := inception.Build(y, o.Weights)
	if err != nil {
		return nil, err
	}
	g.Output("pool3", out.Pool3)
	g.Output("logits", out.UnbiasedLogits)
	return g, nil
}

// Features returns the features of pictures, uint8 [n C H W]. Pictures of
// another size or type, and none at all, are errors.
func (e *Extractor) Features(ctx context.Context, pictures *tensor.Tensor) (InceptionFeatures, error) {
	o := e.options
	want := []int{o.Channels, o.Height, o.Width}
	if pictures == nil || pictures.DType() != tensor.Uint8 || pictures.Rank() != 4 || !slices.Equal(pictures.Shape()[1:], want) {
		return InceptionFeatures{}, fmt.Errorf("pictures are %v, wanted uint8[n %d %d %d]", pictures, want[0], want[1], want[2])
	}
	n, size := pictures.Shape()[0], tensor.Volume(want)
	if n == 0 {
		return InceptionFeatures{}, errors.New("no pictures to compute features of")
	}
	stage := o.Progress.Stage("features", int64(n), "pictures")
	defer stage.Done()
	pool3 := make([]float32, 0, n*inception.Features)
	logits := make([]float32, 0, n*inception.Classes)
	for first := 0; first < n; first += o.Batch {
		count := min(o.Batch, n-first)
		batch := tensor.Of(tensor.Data[uint8](pictures)[first*size:(first+count)*size], count, o.Channels, o.Height, o.Width)
		out, err := e.session.Run(ctx, map[string]*tensor.Tensor{"x": batch})
		if err != nil {
			return InceptionFeatures{}, fmt.Errorf("features of pictures %d to %d: %w", first, first+count-1, err)
		}
		pool3 = append(pool3, tensor.Data[float32](out["pool3"])...)
		logits = append(logits, tensor.Data[float32](out["logits"])...)
		stage.Add(int64(count))
	}
	return InceptionFeatures{
		Pool3: tensor.Of(pool3, n, inception.Features), Logits: tensor.Of(logits, n, inception.Classes),
	}, nil
}

// Close frees the network.
func (e *Extractor) Close() error { return e.session.Close() }
