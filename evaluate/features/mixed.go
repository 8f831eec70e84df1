package features

import (
	"context"
	"errors"
	"fmt"

	"ebm/models/graph"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/parallel"
	"ebm/runtime/progress"
)

// ways bring pictures of several sizes to what a network takes, those of a size by a session of
// their own, of which the small ones of the sizes at hand are kept.
type ways struct {
	rt       *runtime.Runtime
	graph    func(height, width int) (*graph.Graph, error) // from uint8 x [N C H W] to y
	sessions map[[2]int]*runtime.Session
}

// mostWays is the number of sizes whose sessions are kept.
const mostWays = 256

func newWays(rt *runtime.Runtime, graph func(height, width int) (*graph.Graph, error)) *ways {
	return &ways{rt: rt, graph: graph, sessions: map[[2]int]*runtime.Session{}}
}

// prepare loads what pictures of some sizes need.
func (w *ways) prepare(sizes map[[2]int]bool) error {
	for size, s := range w.sessions {
		if len(w.sessions) > mostWays && !sizes[size] {
			delete(w.sessions, size)
			if err := s.Close(); err != nil {
				return err
			}
		}
	}
	for size := range sizes {
		if w.sessions[size] != nil {
			continue
		}
		g, err := w.graph(size[0], size[1])
		if err != nil {
			return err
		}
		if w.sessions[size], err = load(w.rt, g); err != nil {
			return err
		}
	}
	return nil
}

func (w *ways) close() (err error) {
	if w == nil {
		return nil
	}
	for _, s := range w.sessions {
		err = errors.Join(err, s.Close())
	}
	return err
}

// FeaturesOfEach is Features for an extractor of pictures of mixed sizes, each uint8 [1 C H W]. It is
// not for several goroutines.
func (e *Extractor) FeaturesOfEach(ctx context.Context, pictures []*tensor.Tensor, stage progress.Stage) (Set, error) {
	if e.ways == nil || len(pictures) == 0 {
		return Set{}, fmt.Errorf("%d pictures of mixed sizes, want one or more and an extractor for them", len(pictures))
	}
	sizes := map[[2]int]bool{}
	for i, p := range pictures {
		if p.DType() != tensor.Uint8 || p.Rank() != 4 || p.Shape()[0] != 1 || p.Shape()[1] != e.layout.Shape[0] {
			return Set{}, fmt.Errorf("picture %d is %v, want uint8[1 %d H W]", i, p, e.layout.Shape[0])
		}
		sizes[sizeOf(p)] = true
	}
	if err := e.ways.prepare(sizes); err != nil {
		return Set{}, err
	}
	n := len(pictures)
	return e.inBatches(ctx, n, stage, func(ctx context.Context, first, end int) (Set, error) {
		batch := make([]*tensor.Tensor, end-first)
		for i, p := range pictures[first:end] {
			out, err := e.ways.sessions[sizeOf(p)].Run(ctx, map[string]*tensor.Tensor{"x": p})
			if err != nil {
				return Set{}, err
			}
			batch[i] = out["y"]
		}
		return e.infer(ctx, tensor.Concat(batch...), end-first)
	})
}

func sizeOf(picture *tensor.Tensor) [2]int { return [2]int{picture.Shape()[2], picture.Shape()[3]} }

// inBatches computes the features of n pictures, batch after batch, several at once.
func (e *Extractor) inBatches(ctx context.Context, n int, stage progress.Stage,
	run func(ctx context.Context, first, end int) (Set, error)) (Set, error) {
	if stage == nil {
		stage = progress.Silent{}
	}
	size := e.layout.Size
	var batches []Set
	work := func(ctx context.Context, i int) (Set, error) {
		first, end := i*size, min((i+1)*size, n)
		set, err := run(ctx, first, end)
		if err != nil {
			return Set{}, fmt.Errorf("features of pictures %d to %d: %w", first, end-1, err)
		}
		return set, nil
	}
	deliver := func(i int, set Set) error {
		batches = append(batches, set)
		stage.Add(int64(set.Features.Shape()[0]))
		return nil
	}
	if err := parallel.Ordered(ctx, e.layout.Workers, (n+size-1)/size, work, deliver); err != nil {
		return Set{}, err
	}
	return joined(batches), nil
}
