package measure

import (
	"context"
	"fmt"
	"math"
	"slices"

	"ebm/evaluate"
	"ebm/internal/progress"
	"ebm/models/tensor"
)

// Neighbourhood is what lies nearest to each sample in a set of pictures.
type Neighbourhood struct {
	Maker evaluate.FeatureMaker // of the space in which it is nearest
	evaluate.Neighbours
	Copies int // samples whose nearest picture is equal to them in this space
}

// Neighbourhood finds the k pictures of a set that lie nearest to each sample,
// both uint8 [n C H W] of one shape, in the space of features.
func NeighbourhoodOf(ctx context.Context, f Features, samples, set *tensor.Tensor, k int, show *progress.Progress) (Neighbourhood, error) {
	if samples.Rank() != 4 || set.Rank() != 4 || !slices.Equal(samples.Shape()[1:], set.Shape()[1:]) {
		return Neighbourhood{}, fmt.Errorf("samples are %v and the pictures %v, wanted one shape", samples, set)
	}
	stage := show.Stage("features", int64(samples.Shape()[0]+set.Shape()[0]), "pictures")
	queries, err := gather(ctx, f, samples, stage)
	if err != nil {
		return Neighbourhood{}, err
	}
	of, err := gather(ctx, f, set, stage)
	if err != nil {
		return Neighbourhood{}, err
	}
	stage.Done()
	n := Neighbourhood{Maker: f.Maker()}
	if n.Neighbours, err = evaluate.Nearest(ctx, queries, of, k, show); err != nil {
		return Neighbourhood{}, err
	}
	for _, d := range n.Distance {
		if d[0] == 0 {
			n.Copies++
		}
	}
	return n, nil
}

// First returns the neighbourhood of the first n samples.
func (n Neighbourhood) First(count int) Neighbourhood {
	count = min(count, len(n.Index))
	n.Index, n.Distance = n.Index[:count], n.Distance[:count]
	return n
}

// Median returns the median distance of a sample to its nearest picture, of
// two middle ones the smaller.
func (n Neighbourhood) Median() float64 {
	var first []float64
	for _, d := range n.Distance {
		first = append(first, d[0])
	}
	slices.Sort(first)
	if len(first) == 0 {
		return math.NaN()
	}
	return first[(len(first)-1)/2]
}

// Rows returns pictures for a grid of k+1 columns: each sample, then its
// neighbours, nearest first.
func (n Neighbourhood) Rows(samples, set *tensor.Tensor) *tensor.Tensor {
	shape := samples.Shape()
	size := tensor.Volume(shape[1:])
	var values []uint8
	for i, row := range n.Index {
		values = append(values, tensor.Data[uint8](samples)[i*size:(i+1)*size]...)
		for _, at := range row {
			values = append(values, tensor.Data[uint8](set)[at*size:(at+1)*size]...)
		}
	}
	return tensor.Of(values, append([]int{len(values) / size}, shape[1:]...)...)
}
