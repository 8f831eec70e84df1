package evaluate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"ebm/export"
	"ebm/models/graph"
	"ebm/models/inception"
	"ebm/models/tensor"
	"ebm/models/weights"
	"ebm/runtime"
)

// FeatureSet is what a feature network says of n pictures.
type FeatureSet struct {
	Features *tensor.Tensor // float32 [n, d], for everything but the Inception score
	Logits   *tensor.Tensor // float32 [n, classes], for [InceptionScore]; nil when the network has none
}

// FeatureMaker says what made features. Two sets of features compare only when
// it is equal for both.
type FeatureMaker struct {
	Network    string `json:"network"`              // "fid-inception", "onnx" or another kind
	Weights    string `json:"weights_sha256"`       // of the network's parameters, or of its file
	Preprocess string `json:"preprocess,omitempty"` // how pictures are resized: an inception.Convention
	Range      string `json:"range,omitempty"`      // values that the network sees, of an ONNX file
	Input      string `json:"input,omitempty"`      // channels and size that an ONNX file sees
	Output     string `json:"output,omitempty"`     // which output of an ONNX file the features are
	Logits     string `json:"logits,omitempty"`     // and which the logits
	Features   int    `json:"features"`             // in number
}

// ExtractorOptions say which pictures an [Extractor] of Inception features
// takes and how.
type ExtractorOptions struct {
	Weights    *weights.Set         // of the FID Inception network, as weights.Load reads them
	Convention inception.Convention // "" means inception.PyTorchFID
	Channels   int                  // 1, which the network sees as grey, or 3
	Height     int
	Width      int
	Batch      int // pictures at once on each thread; 0 means 8
}

// Extractor computes features of pictures of one size through ONNX Runtime. It
// may be used by several goroutines at once.
type Extractor struct {
	maker    FeatureMaker
	picture  []int // C, H, W
	batch    int
	fixed    bool             // the network takes batches of one size alone
	workers  int              // batches that are computed side by side
	prepare  *runtime.Session // pictures x to the input of session, y; nil when session takes x
	session  *runtime.Session
	input    string
	features string
	logits   string // "" without logits
}

// NewExtractor loads the FID Inception network into the runtime. Its logits
// are those without bias. The caller closes it.
func NewExtractor(rt *runtime.Runtime, o ExtractorOptions) (*Extractor, error) {
	if o.Convention == "" {
		o.Convention = inception.PyTorchFID
	}
	picture := []int{o.Channels, o.Height, o.Width}
	if err := checkPicture(picture, o.Batch); err != nil {
		return nil, err
	}
	if o.Weights == nil {
		return nil, errors.New("an extractor without weights")
	}
	g, err := o.graph()
	if err != nil {
		return nil, err
	}
	onnx, err := export.Bytes(g, export.Options{})
	if err != nil {
		return nil, err
	}
	e := &Extractor{
		maker:   FeatureMaker{Network: "fid-inception", Weights: o.Weights.Hash(), Preprocess: string(o.Convention), Features: inception.Features},
		picture: picture, batch: batchOr(o.Batch), input: "x", features: "pool3", logits: "logits",
	}
	var options runtime.SessionOptions
	e.workers, options = sideBySide(rt)
	if e.session, err = rt.Load(onnx, options); err != nil {
		return nil, fmt.Errorf("load the Inception network: %w", err)
	}
	return e, nil
}

func checkPicture(picture []int, batch int) error {
	if c := picture[0]; c != 1 && c != 3 || min(picture[1], picture[2]) < 1 || max(picture[1], picture[2]) > 1<<14 || batch < 0 {
		return fmt.Errorf("an extractor for batches of %d pictures %v, want 1 or 3 channels and positive sizes", batch, picture)
	}
	return nil
}

// batchOr returns batch or the default. Larger batches are no faster, and
// their feature maps leave the caches.
func batchOr(batch int) int {
	if batch == 0 {
		return 8
	}
	return batch
}

// sideBySide says how many batches to compute at once and how: on the CPU one
// for each thread, which do not wait for each other as the threads of one
// operator do.
func sideBySide(rt *runtime.Runtime) (workers int, o runtime.SessionOptions) {
	if info := rt.Info(); info.Provider == runtime.CPU {
		return info.Threads, runtime.SessionOptions{Threads: 1}
	}
	return 1, runtime.SessionOptions{}
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

// Maker says what makes the features.
func (e *Extractor) Maker() FeatureMaker { return e.maker }

// Features returns the features of pictures, uint8 [n C H W]. Pictures of
// another size or type, and none at all, are errors, as are features that are
// not finite. done, when not nil, is told of every batch that is finished, by
// one goroutine at a time.
func (e *Extractor) Features(ctx context.Context, pictures *tensor.Tensor, done func(pictures int)) (FeatureSet, error) {
	if pictures == nil || pictures.DType() != tensor.Uint8 || pictures.Rank() != 4 || !slices.Equal(pictures.Shape()[1:], e.picture) {
		return FeatureSet{}, fmt.Errorf("pictures are %v, want uint8[n %d %d %d]", pictures, e.picture[0], e.picture[1], e.picture[2])
	}
	n := pictures.Shape()[0]
	if n == 0 {
		return FeatureSet{}, errors.New("no pictures to compute features of")
	}
	batches := (n + e.batch - 1) / e.batch
	parts := make([]FeatureSet, batches)
	var (
		workers sync.WaitGroup
		mu      sync.Mutex
		next    int
		failure error
	)
	take := func() int {
		mu.Lock()
		defer mu.Unlock()
		if failure != nil || next == batches {
			return -1
		}
		next++
		return next - 1
	}
	for range min(e.workers, batches) {
		workers.Go(func() {
			for i := take(); i >= 0; i = take() {
				first, end := i*e.batch, min((i+1)*e.batch, n)
				part, err := e.run(ctx, pictures, first, end)
				mu.Lock()
				if err != nil && failure == nil {
					failure = fmt.Errorf("features of pictures %d to %d: %w", first, end-1, err)
				}
				if parts[i] = part; err == nil && done != nil {
					done(end - first)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	if failure != nil {
		return FeatureSet{}, failure
	}
	return joinFeatures(parts), nil
}

// run computes the features of pictures from first to end, at most a batch.
func (e *Extractor) run(ctx context.Context, pictures *tensor.Tensor, first, end int) (FeatureSet, error) {
	count, size := end-first, tensor.Volume(e.picture)
	bytes := tensor.Data[uint8](pictures)[first*size : end*size]
	rows := count
	if e.fixed && count < e.batch {
		rows = e.batch
		bytes = append(slices.Clone(bytes), make([]uint8, (rows-count)*size)...)
	}
	x := tensor.Of(bytes, append([]int{rows}, e.picture...)...)
	if e.prepare != nil {
		out, err := e.prepare.Run(ctx, map[string]*tensor.Tensor{"x": x})
		if err != nil {
			return FeatureSet{}, err
		}
		x = out["y"]
	}
	out, err := e.session.Run(ctx, map[string]*tensor.Tensor{e.input: x})
	if err != nil {
		return FeatureSet{}, err
	}
	var set FeatureSet
	if set.Features, err = rowsOf(out[e.features], "features", rows, count, e.maker.Features); err != nil || e.logits == "" {
		return set, err
	}
	set.Logits, err = rowsOf(out[e.logits], "logits", rows, count, 0)
	return set, err
}

// rowsOf returns the first count of rows of an output as float32 [count, d].
// Axes of length 1 after the second, as means over pixels leave them, are
// dropped. A d of 0 is any.
func rowsOf(out *tensor.Tensor, what string, rows, count, d int) (*tensor.Tensor, error) {
	if out == nil || !out.DType().IsFloat() || out.Rank() < 2 || out.Shape()[0] != rows || out.Len() != rows*out.Shape()[1] || d > 0 && out.Shape()[1] != d {
		return nil, fmt.Errorf("the network's %s are %v for %d pictures, want floats with one row of numbers a picture", what, out, rows)
	}
	d = out.Shape()[1]
	values := tensor.Data[float32](out.AsFloat32())[:count*d]
	if i := firstNotFinite(values); i >= 0 {
		return nil, fmt.Errorf("%s: number %d of picture %d is not finite", what, i%d, i/d)
	}
	return tensor.Of(values, count, d), nil
}

// joinFeatures puts batches into one set.
func joinFeatures(parts []FeatureSet) FeatureSet {
	join := func(of func(FeatureSet) *tensor.Tensor) *tensor.Tensor {
		if of(parts[0]) == nil {
			return nil
		}
		all := make([]*tensor.Tensor, len(parts))
		for i, p := range parts {
			all[i] = of(p)
		}
		return tensor.Concat(all...)
	}
	return FeatureSet{
		Features: join(func(s FeatureSet) *tensor.Tensor { return s.Features }),
		Logits:   join(func(s FeatureSet) *tensor.Tensor { return s.Logits }),
	}
}

// Close frees the network.
func (e *Extractor) Close() error {
	if e.prepare != nil {
		return errors.Join(e.prepare.Close(), e.session.Close())
	}
	return e.session.Close()
}
