package evaluate

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

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
	tiles := func(a, b int) int64 { return int64((a+tile-1)/tile) * int64((b+tile-1)/tile) }
	stage := progress.Begin(o.Progress, "neighbours", tiles(nr, nr)+tiles(ng, ng)+tiles(ng, nr), "tiles")
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
	err = eachDistance(ctx, o.Multiplier, g, r, stage, func(i, j int, near func(limit float64) int) {
		if count.precise[i] == 0 && near(real1[j]) <= 0 {
			count.precise[i] = 1
		}
		if count.recalled[j] == 0 && near(generated1[i]) <= 0 {
			count.recalled[j] = 1
		}
		if near(real2[j]) < 0 {
			count.inside[i] += 1 / float64(o.DensityNeighbours)
			count.covered[j] = 1
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

// points are features relative to an origin amid them, which keeps the
// rounding of |x|² + |y|² − 2x·y small.
type points struct {
	features *tensor.Tensor
	n        int
	origin   []float64
	squares  []float64 // |x|²
}

func originOf(features *tensor.Tensor, n, d int) []float64 {
	origin, row := make([]float64, d), make([]float64, d)
	for i := range n {
		copyRow(row, features, i)
		for j, v := range row {
			origin[j] += v / float64(n)
		}
	}
	return origin
}

func newPoints(features *tensor.Tensor, n int, origin []float64) points {
	p := points{features, n, origin, make([]float64, n)}
	row := make([]float64, len(origin))
	for i := range n {
		p.row(row, i)
		for _, v := range row {
			p.squares[i] += v * v
		}
	}
	return p
}

func (p points) row(dst []float64, i int) {
	copyRow(dst, p.features, i)
	for j, v := range p.origin {
		dst[j] -= v
	}
}

// rows returns the points from first on, at most a tile of them.
func (p points) rows(first int) *mat.Dense {
	n := min(tile, p.n-first)
	m := mat.NewDense(n, len(p.origin), nil)
	for i := range n {
		p.row(m.RawRowView(i), first+i)
	}
	return m
}

// exact is the squared distance of two rows summed directly. It is the same
// both ways round and whatever the tiles are, so that ties are ties.
func exact(x, y []float64) float64 {
	sum := 0.0
	for j, v := range x {
		sum += (v - y[j]) * (v - y[j])
	}
	return sum
}

// eachDistance visits all pairs of x and y. near compares the squared distance
// with a limit that exact gave: −1 for less, 0 for equal, 1 for more. The fast
// distances decide it where their rounding cannot matter.
func eachDistance(ctx context.Context, multiplier *Multiplier, x, y points, stage progress.Stage,
	visit func(i, j int, near func(limit float64) int)) error {
	for first := 0; first < x.n; first += tile {
		rows := x.rows(first)
		for other := 0; other < y.n; other += tile {
			columns := y.rows(other)
			products, err := multiplier.times(ctx, rows, columns)
			if err != nil {
				return err
			}
			m, n := products.Dims()
			for i := range m {
				for j := range n {
					size := x.squares[first+i] + y.squares[other+j]
					fast := size - 2*products.At(i, j)
					visit(first+i, other+j, func(limit float64) int {
						if v := fast - limit; math.Abs(v) > rounding*size {
							return sign(v)
						}
						return sign(exact(rows.RawRowView(i), columns.RawRowView(j)) - limit)
					})
				}
			}
			stage.Add(1)
		}
	}
	return nil
}

// rounding bounds the error of a fast distance relative to |x|² + |y|²: the
// sums are of some thousand products with a rounding of 10⁻¹⁶ each.
const rounding = 1e-11

func sign(v float64) int {
	switch {
	case v < 0:
		return -1
	case v > 0:
		return 1
	default:
		return 0
	}
}

// radii returns the squared distances, by exact, of every point to its k-th
// and l-th nearest among the others.
func radii(ctx context.Context, multiplier *Multiplier, p points, k, l int, stage progress.Stage) (kth, lth []float64, err error) {
	most := max(k, l)
	kth, lth = make([]float64, p.n), make([]float64, p.n)
	for first := 0; first < p.n; first += tile {
		rows := p.rows(first)
		m, _ := rows.Dims()
		nearest := make([][]float64, m) // squared distances in order, at most most of them
		for other := 0; other < p.n; other += tile {
			columns := p.rows(other)
			products, err := multiplier.times(ctx, rows, columns)
			if err != nil {
				return nil, nil, err
			}
			for i := range m {
				for j, product := range products.RawRowView(i) {
					if first+i == other+j {
						continue
					}
					size := p.squares[first+i] + p.squares[other+j]
					if full := len(nearest[i]) == most; full && size-2*product-rounding*size > nearest[i][most-1] {
						continue
					}
					nearest[i] = insert(nearest[i], exact(rows.RawRowView(i), columns.RawRowView(j)), most)
				}
			}
			stage.Add(1)
		}
		for i := range m {
			kth[first+i], lth[first+i] = nearest[i][k-1], nearest[i][l-1]
		}
	}
	return kth, lth, nil
}

// insert puts v into ordered numbers of which the least most are kept.
func insert(ordered []float64, v float64, most int) []float64 {
	at, _ := slices.BinarySearch(ordered, v)
	ordered = slices.Insert(ordered, at, v)
	return ordered[:min(len(ordered), most)]
}
