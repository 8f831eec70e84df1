package evaluate

import (
	"context"
	"fmt"
	"math"

	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// cmmdSigma is the width of CMMD's kernel, and cmmdScale what it is multiplied with.
const (
	cmmdSigma = 10
	cmmdScale = 1000
)

// CMMD returns the squared maximum mean discrepancy of features [n d] of length 1 with the kernel
// exp(−|x−y|²/(2·10²)), with the diagonal (so not negative, and biased upward by about 1/n), times 1000
// (Jayasumana et al. 2024, whose features are CLIP's). Features are brought to length 1.
func CMMD(ctx context.Context, generated, real *tensor.Tensor, multiplier *Multiplier, show progress.Progress) (float64, error) {
	ng, nr, d, err := checkPair(generated, real)
	if err != nil {
		return 0, err
	}
	if same(generated, real) {
		return 0, ctx.Err()
	}
	count := func(n int) int64 { return int64((n + tile - 1) / tile) }
	g, r := count(ng), count(nr)
	stage := progress.Begin(show, "mean discrepancy", g*(g+1)/2+r*(r+1)/2+g*r, "tiles")
	defer stage.Done()
	// |x−y|² is 2−2·cos, and the kernel less 1 keeps the digits of what is near 1.
	mean := func(x, y *tensor.Tensor, nx, ny int, within bool) (float64, error) {
		sum := 0.0
		err := eachTile(ctx, x, y, nx, ny, d, within, multiplier, stage, func(i, j int, cosines []float64) {
			part := 0.0
			for _, c := range cosines {
				part += math.Expm1((c - 1) / (cmmdSigma * cmmdSigma))
			}
			if within && i < j {
				part *= 2
			}
			sum += part
		})
		return sum / (float64(nx) * float64(ny)), err
	}
	xx, err := mean(generated, generated, ng, ng, true)
	if err != nil {
		return 0, err
	}
	yy, err := mean(real, real, nr, nr, true)
	if err != nil {
		return 0, err
	}
	xy, err := mean(generated, real, ng, nr, false)
	if err != nil {
		return 0, err
	}
	return cmmdScale * (xx + yy - 2*xy), nil
}

// eachTile visits the cosines of all pairs of rows of x and y, a tile at a time, row after row; of a set
// with itself, those of which the second is not before the first. Rows without a direction have cosines of 0.
func eachTile(ctx context.Context, x, y *tensor.Tensor, nx, ny, d int, within bool, multiplier *Multiplier, stage progress.Stage,
	visit func(i, j int, cosines []float64)) error {
	a, b := picked{x, identity(nx)}, picked{y, identity(ny)}
	for i := 0; i < nx; i += tile {
		left := a.tile(i, d)
		normalise(left)
		first := 0
		if within {
			first = i
		}
		for j := first; j < ny; j += tile {
			right := b.tile(j, d)
			normalise(right)
			products, err := multiplier.times(ctx, left, right)
			if err != nil {
				return err
			}
			visit(i, j, products.RawMatrix().Data)
			stage.Add(1)
		}
	}
	return nil
}

// MemorizationResult says how near generated samples are to real ones by angle.
type MemorizationResult struct {
	// Distance is the mean over generated samples of 1−|cos| to the nearest real one (Bai et al. 2021), and
	// Reverse that over real samples to the nearest generated one, which torchmetrics takes.
	Distance, Reverse float64
}

// memorizationLimit is the distance from which on samples count as not memorized.
const memorizationLimit = 0.1

// Penalty is what a Fréchet distance is multiplied with for MiFID: 1/Distance below a limit of 0.1, and 1 above.
func (m MemorizationResult) Penalty() float64 {
	if m.Distance >= memorizationLimit {
		return 1
	}
	return 1 / (m.Distance + 1e-14)
}

// Memorization measures the angles between features [n d]. Samples of zeros are left out.
func Memorization(ctx context.Context, generated, real *tensor.Tensor, multiplier *Multiplier,
	show progress.Progress) (MemorizationResult, error) {
	ng, nr, d, err := checkPair(generated, real)
	if err != nil {
		return MemorizationResult{}, err
	}
	count := func(n int) int64 { return int64((n + tile - 1) / tile) }
	stage := progress.Begin(show, "nearest by angle", count(ng)*count(nr), "tiles")
	defer stage.Done()
	// The largest |cos| of each sample; a sample of zeros has none above 0.
	ofGenerated, ofReal := make([]float64, ng), make([]float64, nr)
	err = eachTile(ctx, generated, real, ng, nr, d, false, multiplier, stage, func(i, j int, cosines []float64) {
		width := min(tile, nr-j)
		for k, c := range cosines {
			c = math.Abs(c)
			row, column := i+k/width, j+k%width
			ofGenerated[row], ofReal[column] = max(ofGenerated[row], c), max(ofReal[column], c)
		}
	})
	if err != nil {
		return MemorizationResult{}, err
	}
	mean := func(nearest []float64) float64 {
		sum, n := 0.0, 0
		for _, c := range nearest {
			if c > 0 {
				sum, n = sum+1-c, n+1
			}
		}
		return sum / float64(n)
	}
	out := MemorizationResult{Distance: mean(ofGenerated), Reverse: mean(ofReal)}
	if math.IsNaN(out.Distance + out.Reverse) {
		return MemorizationResult{}, fmt.Errorf("features of all %d generated or all %d real samples are 0, want some that are not", ng, nr)
	}
	return out, nil
}
