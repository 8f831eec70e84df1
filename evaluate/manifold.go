package evaluate

import (
	"context"
	"fmt"
	"math"

	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// ManifoldOptions are the settings of [Manifold]. The zero value has those of
// the papers.
type ManifoldOptions struct {
	Neighbours        int               // of precision and recall; 0 means 3
	DensityNeighbours int               // of density and coverage; 0 means 5
	Multiplier        *Multiplier       // nil computes products in Go
	Progress          progress.Progress // nil shows nothing
}

// ManifoldResult says how two sets overlap. A ball of a set has a sample at
// its centre and reaches to the k-th nearest of the others.
type ManifoldResult struct {
	Precision float64 // share of generated samples in a ball of real ones, border included
	Recall    float64 // share of real samples in a ball of generated ones, border included
	Density   float64 // mean number of real balls around a generated sample over k, border left out; may exceed 1
	Coverage  float64 // share of real balls with a generated sample in them, border left out
	// Errors are the standard errors of these means over the samples of one
	// side, with the neighbourhoods as they are.
	Errors   struct{ Precision, Recall, Density, Coverage float64 }
	Warnings []string
}

// tile is the number of samples a side whose distances are computed at once.
const tile = 512

// Manifold returns improved precision and recall, and density and coverage,
// of features [n, d]. Sets with no more samples than neighbours are an error.
// It takes (ng+nr)² products of d numbers and little memory beside the features.
func Manifold(ctx context.Context, generated, real *tensor.Tensor, o ManifoldOptions) (ManifoldResult, error) {
	ng, nr, d, err := checkPair(generated, real)
	if err != nil {
		return ManifoldResult{}, err
	}
	if o.Neighbours == 0 {
		o.Neighbours = 3
	}
	if o.DensityNeighbours == 0 {
		o.DensityNeighbours = 5
	}
	if o.Neighbours < 0 || o.DensityNeighbours < 0 {
		return ManifoldResult{}, fmt.Errorf("%d and %d neighbours, want 1 or more", o.Neighbours, o.DensityNeighbours)
	}
	if most := max(o.Neighbours, o.DensityNeighbours); min(ng, nr) <= most {
		return ManifoldResult{}, fmt.Errorf("%d generated and %d real samples for %d neighbours, want more samples than neighbours", ng, nr, most)
	}
	tiles := func(n int) int64 { return int64((n + tile - 1) / tile) }
	a, b := tiles(ng), tiles(nr)
	stage := progress.Begin(o.Progress, "neighbours", a*(a+1)/2+b*(b+1)/2+a*b, "tiles")
	defer stage.Done()

	origin := originOf(real, nr, d)
	g, r := newPoints(generated, ng, origin), newPoints(real, nr, origin)
	real1, real2, err := radii(ctx, o.Multiplier, r, o.Neighbours, o.DensityNeighbours, stage)
	if err != nil {
		return ManifoldResult{}, err
	}
	generated1, _, err := radii(ctx, o.Multiplier, g, o.Neighbours, o.Neighbours, stage)
	if err != nil {
		return ManifoldResult{}, err
	}
	count := overlap{precise: make([]float64, ng), inside: make([]float64, ng), recalled: make([]float64, nr), covered: make([]float64, nr)}
	err = eachProduct(ctx, o.Multiplier, g, r, false, stage, func(first, other, wide int, products []float32) {
		for at, product := range products {
			i, j := first+at/wide, other+at%wide
			b := bounds(&g, i, &r, j, product)
			if count.precise[i] == 0 && b.compare(real1[j]) <= 0 {
				count.precise[i] = 1
			}
			if count.recalled[j] == 0 && b.compare(generated1[i]) <= 0 {
				count.recalled[j] = 1
			}
			if b.compare(real2[j]) < 0 {
				count.inside[i] += 1 / float64(o.DensityNeighbours)
				count.covered[j] = 1
			}
		}
	})
	if err != nil {
		return ManifoldResult{}, err
	}
	var out ManifoldResult
	out.Precision, out.Errors.Precision = meanAndError(count.precise)
	out.Recall, out.Errors.Recall = meanAndError(count.recalled)
	out.Density, out.Errors.Density = meanAndError(count.inside)
	out.Coverage, out.Errors.Coverage = meanAndError(count.covered)
	if n := min(ng, nr); n < fewSamples {
		out.Warnings = append(out.Warnings, fmt.Sprintf("%d samples: wide neighbourhoods bias precision and recall upward, want %d samples or "+
			"more a side", n, fewSamples))
	}
	if ng != nr {
		out.Warnings = append(out.Warnings, fmt.Sprintf("%d generated and %d real samples: recall and coverage compare only between equal "+
			"numbers", ng, nr))
	}
	return out, nil
}

// overlap holds 1 for samples that are in a ball, 0 for others, and inside the
// number of balls around a sample over k.
type overlap struct {
	precise, inside   []float64 // of generated samples
	recalled, covered []float64 // of real ones
}

// meanAndError returns the mean and its standard error.
func meanAndError(v []float64) (mean, deviation float64) {
	mean, deviation = meanAndDeviation(v)
	return mean, deviation / math.Sqrt(float64(len(v)))
}
