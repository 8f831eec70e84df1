package probe

import (
	"context"
	"fmt"
	"slices"

	"ebm/evaluate"
	"ebm/evaluate/features"
	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// Space is a set of pictures in the space of some features, to look for
// neighbours in.
type Space struct {
	features *features.Extractor
	pictures *tensor.Tensor // uint8 [n C H W]
	values   *tensor.Tensor // [n d]
}

// NewSpace computes the features of pictures, uint8 [n C H W].
func NewSpace(ctx context.Context, e *features.Extractor, pictures *tensor.Tensor, show progress.Progress) (*Space, error) {
	if pictures.DType() != tensor.Uint8 || pictures.Rank() != 4 || pictures.Len() == 0 {
		return nil, fmt.Errorf("pictures are %v, want uint8[n C H W], one at least", pictures)
	}
	stage := progress.Begin(show, "features", int64(pictures.Shape()[0]), "pictures")
	defer stage.Done()
	values, err := gather(ctx, e, pictures, stage)
	if err != nil {
		return nil, err
	}
	return &Space{e, pictures, values}, nil
}

// Neighbourhood holds the pictures that lie nearest to each of some samples.
type Neighbourhood struct {
	evaluate.Neighbours
	Copies  int // samples whose nearest picture is equal to them in this space
	samples *tensor.Tensor
	set     *tensor.Tensor
}

// Around finds the k pictures that lie nearest to each sample, uint8
// [n C H W] of the pictures' shape.
func (s *Space) Around(ctx context.Context, samples *tensor.Tensor, k int, show progress.Progress) (Neighbourhood, error) {
	if samples.DType() != tensor.Uint8 || samples.Rank() != 4 || !slices.Equal(samples.Shape()[1:], s.pictures.Shape()[1:]) {
		return Neighbourhood{}, fmt.Errorf("samples are %v and the pictures %v, want one shape", samples, s.pictures)
	}
	queries, err := gather(ctx, s.features, samples, progress.Silent{})
	if err != nil {
		return Neighbourhood{}, err
	}
	n := Neighbourhood{samples: samples, set: s.pictures}
	if n.Neighbours, err = evaluate.Nearest(ctx, queries, s.values, k, show); err != nil {
		return Neighbourhood{}, err
	}
	for _, d := range n.Distance {
		if d[0] == 0 {
			n.Copies++
		}
	}
	return n, nil
}

// Median returns the median distance of a sample to its nearest picture, of
// two middle ones the smaller.
func (n Neighbourhood) Median() float64 {
	var first []float64
	for _, d := range n.Distance {
		first = append(first, d[0])
	}
	return median(first)
}

// Rows returns pictures for a grid of k+1 columns: each of the first samples,
// then its neighbours, nearest first.
func (n Neighbourhood) Rows(samples int) *tensor.Tensor {
	shape := n.samples.Shape()
	size := tensor.Volume(shape[1:])
	var values []uint8
	for i, row := range n.Index[:min(samples, len(n.Index))] {
		values = append(values, tensor.Data[uint8](n.samples)[i*size:(i+1)*size]...)
		for _, at := range row {
			values = append(values, tensor.Data[uint8](n.set)[at*size:(at+1)*size]...)
		}
	}
	return tensor.Of(values, append([]int{len(values) / size}, shape[1:]...)...)
}
