package probe

import (
	"context"
	"fmt"

	"ebm/evaluate"
	"ebm/evaluate/features"
	"ebm/mdsm/dataset"
	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// All returns the pictures of a set as uint8 [n C H W], which are its own.
func All(set *dataset.Set) *tensor.Tensor {
	return tensor.Of(set.Pixels, set.Len(), set.Channels, set.Height, set.Width)
}

// block is the number of pictures whose features are computed at once.
const block = 512

// each calls visit with the features of pictures, block by block.
func each(ctx context.Context, e *features.Extractor, pictures *tensor.Tensor, stage progress.Stage,
	visit func(rows *tensor.Tensor) error) error {
	for first := 0; first < pictures.Shape()[0]; first += block {
		if err := ctx.Err(); err != nil {
			return err
		}
		set, err := e.Features(ctx, pictures.Rows(first, min(first+block, pictures.Shape()[0])), stage)
		if err != nil {
			return err
		}
		if err := visit(set.Features); err != nil {
			return err
		}
	}
	return nil
}

// Statistics returns the mean and covariance of the features of pictures,
// uint8 [n C H W]. It holds the features of a few hundred pictures at a time.
func Statistics(ctx context.Context, e *features.Extractor, pictures *tensor.Tensor, show progress.Progress) (*evaluate.Statistics, error) {
	stage := progress.Begin(show, "statistics", int64(pictures.Shape()[0]), "pictures")
	defer stage.Done()
	var sum *evaluate.Accumulator
	err := each(ctx, e, pictures, stage, func(rows *tensor.Tensor) (err error) {
		if sum == nil {
			if sum, err = evaluate.NewAccumulator(rows.Shape()[1]); err != nil {
				return err
			}
		}
		return sum.Add(rows)
	})
	if err != nil {
		return nil, err
	}
	if sum == nil {
		return nil, fmt.Errorf("statistics of %v: there are no pictures", pictures)
	}
	return sum.Statistics()
}

// gather returns the features [n d] of pictures, uint8 [n C H W].
func gather(ctx context.Context, e *features.Extractor, pictures *tensor.Tensor, stage progress.Stage) (*tensor.Tensor, error) {
	var values []float32
	d := 0
	err := each(ctx, e, pictures, stage, func(rows *tensor.Tensor) error {
		if values == nil {
			d = rows.Shape()[1]
			values = make([]float32, 0, pictures.Shape()[0]*d)
		}
		values = append(values, tensor.Data[float32](rows)...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return tensor.Of(values, pictures.Shape()[0], d), nil
}
