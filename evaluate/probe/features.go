package probe

import (
	"context"
	"fmt"

	"ebm/evaluate"
	"ebm/mdsm/dataset"
	"ebm/models/tensor"
	"ebm/models/zoo"
	"ebm/runtime"
	"ebm/runtime/progress"
)

// Features turn pictures into vectors in which distances mean something.
// Numbers compare only between equal makers. The networks of package evaluate
// are Features.
type Features interface {
	// Maker says what makes them.
	Maker() evaluate.FeatureMaker
	// Features returns the features of pictures, uint8 [n C H W], and says how
	// many are done.
	Features(ctx context.Context, pictures *tensor.Tensor, done func(pictures int)) (evaluate.FeatureSet, error)
}

// Pixels are the values of the pictures themselves, from 0 to 1.
type Pixels struct{}

// Maker implements [Features].
func (Pixels) Maker() evaluate.FeatureMaker { return evaluate.FeatureMaker{Network: "pixels"} }

// Features implements [Features].
func (Pixels) Features(_ context.Context, pictures *tensor.Tensor, done func(int)) (evaluate.FeatureSet, error) {
	if pictures.DType() != tensor.Uint8 || pictures.Rank() != 4 {
		return evaluate.FeatureSet{}, fmt.Errorf("pictures are %v, want uint8[n C H W]", pictures)
	}
	n := pictures.Shape()[0]
	out := tensor.New(tensor.Float32, n, tensor.Volume(pictures.Shape()[1:]))
	for i, v := range tensor.Data[uint8](pictures) {
		tensor.Data[float32](out)[i] = float32(v) / 255
	}
	done(n)
	return evaluate.FeatureSet{Features: out}, nil
}

// Classes are the features of the project's classifier of digits or clothes.
type Classes struct {
	network *evaluate.Classifier
	maker   evaluate.FeatureMaker
}

// OpenClasses loads the shipped classifier of a data set for pictures
// [channels size size]. The caller closes it.
func OpenClasses(rt *runtime.Runtime, name string, channels, size int) (*Classes, error) {
	set, err := zoo.OpenClassifier(name)
	if err != nil {
		return nil, err
	}
	network, err := evaluate.NewClassifier(rt, evaluate.ClassifierOptions{Weights: set, Channels: channels, Size: size})
	if err != nil {
		return nil, err
	}
	maker := evaluate.FeatureMaker{Network: name + "-classifier", Weights: set.Hash()}
	if last, ok := set.Get("fc2.weight"); ok && last.Rank() == 2 {
		maker.Features = channels * last.Shape()[1]
	}
	return &Classes{network, maker}, nil
}

// Maker implements [Features].
func (c *Classes) Maker() evaluate.FeatureMaker { return c.maker }

// Features implements [Features]. It has no logits: those of a classifier of
// digits make no Inception score.
func (c *Classes) Features(ctx context.Context, pictures *tensor.Tensor, done func(int)) (evaluate.FeatureSet, error) {
	out, err := c.network.Features(ctx, pictures)
	if err != nil {
		return evaluate.FeatureSet{}, err
	}
	done(pictures.Shape()[0])
	return evaluate.FeatureSet{Features: out.Features}, nil
}

// Modes counts the classes of pictures, uint8 [n C H W].
func (c *Classes) Modes(ctx context.Context, pictures *tensor.Tensor) (evaluate.ModeResult, error) {
	out, err := c.network.Features(ctx, pictures)
	if err != nil {
		return evaluate.ModeResult{}, err
	}
	return evaluate.ModeCoverage(out.Logits, evaluate.ModeOptions{})
}

// Close frees the network.
func (c *Classes) Close() error { return c.network.Close() }

// All returns the pictures of a set as uint8 [n C H W], which are its own.
func All(set *dataset.Set) *tensor.Tensor {
	return tensor.Of(set.Pixels, set.Len(), set.Channels, set.Height, set.Width)
}

// block is the number of pictures whose features are computed at once.
const block = 512

// each calls visit with the features of pictures, block by block.
func each(ctx context.Context, f Features, pictures *tensor.Tensor, stage progress.Stage, visit func(features *tensor.Tensor) error) error {
	for first := 0; first < pictures.Shape()[0]; first += block {
		if err := ctx.Err(); err != nil {
			return err
		}
		set, err := f.Features(ctx, pictures.Rows(first, min(first+block, pictures.Shape()[0])), func(n int) { stage.Add(int64(n)) })
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
func Statistics(ctx context.Context, f Features, pictures *tensor.Tensor, show progress.Progress) (*evaluate.Statistics, error) {
	stage := progress.Begin(show, "statistics", int64(pictures.Shape()[0]), "pictures")
	defer stage.Done()
	var sum *evaluate.Accumulator
	err := each(ctx, f, pictures, stage, func(features *tensor.Tensor) (err error) {
		if sum == nil {
			if sum, err = evaluate.NewAccumulator(features.Shape()[1]); err != nil {
				return err
			}
		}
		return sum.Add(features)
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
func gather(ctx context.Context, f Features, pictures *tensor.Tensor, stage progress.Stage) (*tensor.Tensor, error) {
	var values []float32
	d := 0
	err := each(ctx, f, pictures, stage, func(features *tensor.Tensor) error {
		if values == nil {
			d = features.Shape()[1]
			values = make([]float32, 0, pictures.Shape()[0]*d)
		}
		values = append(values, tensor.Data[float32](features)...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return tensor.Of(values, pictures.Shape()[0], d), nil
}
