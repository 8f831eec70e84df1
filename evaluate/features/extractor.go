package features

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ebm/export"
	"ebm/models/graph"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/parallel"
	"ebm/runtime/progress"
)

// Extractor computes features of pictures of one size, through ONNX Runtime
// where there is a network. Several goroutines may use it at once.
type Extractor struct {
	maker   Maker
	layout  parallel.Layout  // Size pictures at once on each of Workers threads
	fixed   bool             // the network takes batches of one size alone
	prepare *runtime.Session // turns pictures x into the input of session, y; nil when session takes x
	ways    *ways            // the same for pictures of mixed sizes, nil for those of one
	session *runtime.Session // nil for pixels, which have no network
	input   string
	output  outputs
}

// outputs are the names of a network's outputs, "" for those that it lacks.
type outputs struct{ features, logits, classes string }

// NewPixels returns the extractor of [Pixels], for pictures of any size.
func NewPixels() *Extractor {
	return &Extractor{maker: Maker{Network: Identity{Kind: Pixels}}}
}

// newExtractor lays the batches of pictures [C H W] out. A batch of 0 is the
// default of 8: larger ones are no faster, and their feature maps leave the
// caches.
//
// Pictures of height and width 0 are of mixed sizes.
func newExtractor(rt *runtime.Runtime, picture []int, batch int) (*Extractor, error) {
	mixed := picture[1] == 0 && picture[2] == 0
	if c := picture[0]; c != 1 && c != 3 || !mixed && min(picture[1], picture[2]) < 1 || max(picture[1], picture[2]) > 1<<14 || batch < 0 {
		return nil, fmt.Errorf("an extractor for batches of %d pictures %v, want 1 or 3 channels and positive sizes", batch, picture)
	}
	if batch == 0 {
		batch = 8
	}
	return &Extractor{layout: parallel.NewLayout(rt.Info(), picture, batch, 0)}, nil
}

// load loads a graph with a thread for each batch that is computed at once.
func load(rt *runtime.Runtime, g *graph.Graph) (*runtime.Session, error) {
	onnx, err := export.Bytes(g, export.Options{})
	if err != nil {
		return nil, err
	}
	s, err := rt.Load(onnx, runtime.SessionOptions{Threads: parallel.Threads(rt.Info())})
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", g.Name(), err)
	}
	return s, nil
}

// Maker returns what makes the features.
func (e *Extractor) Maker() Maker { return e.maker }

// Features returns the features of pictures, uint8 [n C H W]. Pictures of
// another size or type, and none at all, are errors, as are features that are
// not finite. stage, which may be nil, counts pictures.
func (e *Extractor) Features(ctx context.Context, pictures *tensor.Tensor, stage progress.Stage) (Set, error) {
	if e.ways != nil || pictures == nil || pictures.DType() != tensor.Uint8 || pictures.Rank() != 4 ||
		e.session != nil && !slices.Equal(pictures.Shape()[1:], e.layout.Shape) {
		want := "C H W"
		if e.session != nil {
			want = fmt.Sprint(e.layout.Shape)
			want = want[1 : len(want)-1]
		}
		return Set{}, fmt.Errorf("pictures are %v, want uint8[n %s]", pictures, want)
	}
	if stage == nil {
		stage = progress.Silent{}
	}
	n := pictures.Shape()[0]
	if n == 0 {
		return Set{}, errors.New("no pictures to compute features of, want 1 or more")
	}
	if e.session == nil {
		stage.Add(int64(n))
		return Set{Features: pixels(pictures)}, nil
	}
	return e.inBatches(ctx, n, stage, func(ctx context.Context, first, end int) (Set, error) {
		return e.run(ctx, pictures.Rows(first, end))
	})
}

// pixels returns the values of pictures from 0 to 1, a row for each.
func pixels(pictures *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(tensor.Float32, pictures.Shape()[0], tensor.Volume(pictures.Shape()[1:]))
	for i, v := range tensor.Data[uint8](pictures) {
		tensor.Data[float32](out)[i] = float32(v) / 255
	}
	return out
}

// run computes the features of a batch of pictures, or of fewer.
func (e *Extractor) run(ctx context.Context, x *tensor.Tensor) (Set, error) {
	count := x.Shape()[0]
	if e.prepare != nil {
		out, err := e.prepare.Run(ctx, map[string]*tensor.Tensor{"x": x})
		if err != nil {
			return Set{}, err
		}
		x = out["y"]
	}
	return e.infer(ctx, x, count)
}

// infer computes the features of the first count of what the network takes, adding rows where its
// batch is fixed.
func (e *Extractor) infer(ctx context.Context, x *tensor.Tensor, count int) (Set, error) {
	if rows := x.Shape()[0]; e.fixed && rows < e.layout.Size {
		x = tensor.Concat(x, tensor.New(x.DType(), append([]int{e.layout.Size - rows}, x.Shape()[1:]...)...))
	}
	rows := x.Shape()[0]
	out, err := e.session.Run(ctx, map[string]*tensor.Tensor{e.input: x})
	if err != nil {
		return Set{}, err
	}
	var set Set
	if set.Features, err = rowsOf(out[e.output.features], "features", rows, count, e.maker.Features); err != nil {
		return set, err
	}
	if e.output.logits != "" {
		set.Logits, err = rowsOf(out[e.output.logits], "logits", rows, count, 0)
	}
	if e.output.classes != "" {
		set.Classes = out[e.output.classes].Rows(0, count)
	}
	return set, err
}

// rowsOf returns the first count rows of an output as float32 [count, d],
// without axes of length 1 after the second, as means over pixels leave them. A
// d of 0 is any.
func rowsOf(out *tensor.Tensor, what string, rows, count, d int) (*tensor.Tensor, error) {
	if out == nil || !out.DType().IsFloat() || out.Rank() < 2 || out.Shape()[0] != rows ||
		out.Len() != rows*out.Shape()[1] || d > 0 && out.Shape()[1] != d {
		return nil, fmt.Errorf("the network's %s are %v for %d pictures, want floats with one row of numbers a picture", what, out, rows)
	}
	d = out.Shape()[1]
	values := tensor.Data[float32](out.AsFloat32())[:count*d]
	if i := parallel.NotFinite(values); i >= 0 {
		return nil, fmt.Errorf("%s: number %d of picture %d is %g, want a finite number", what, i%d, i/d, values[i])
	}
	return tensor.Of(values, count, d), nil
}

// joined returns batches as one set.
func joined(batches []Set) Set {
	join := func(of func(Set) *tensor.Tensor) *tensor.Tensor {
		if of(batches[0]) == nil {
			return nil
		}
		all := make([]*tensor.Tensor, len(batches))
		for i, b := range batches {
			all[i] = of(b)
		}
		return tensor.Concat(all...)
	}
	return Set{
		Features: join(func(s Set) *tensor.Tensor { return s.Features }),
		Logits:   join(func(s Set) *tensor.Tensor { return s.Logits }),
		Classes:  join(func(s Set) *tensor.Tensor { return s.Classes }),
	}
}

// Close frees the network.
func (e *Extractor) Close() error {
	var errs []error
	for _, s := range []*runtime.Session{e.prepare, e.session} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(append(errs, e.ways.close())...)
}
