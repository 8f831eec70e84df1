package evaluate

import (
	"context"
	"math"
	"slices"

	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// points are features relative to an origin amid them, which keeps the
// rounding of |x|² + |y|² − 2x·y small.
type points struct {
	features *tensor.Tensor
	n, d     int
	origin   []float64
	squares  []float64 // |x|²
	scale    float64   // a power of two by which float32 holds the largest
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
	p := points{features: features, n: n, d: len(origin), origin: origin, squares: make([]float64, n), scale: 1}
	row := make([]float64, p.d)
	for i := range n {
		p.row(row, i)
		p.squares[i] = dot(row, row)
	}
	if largest := slices.Max(append(p.squares[:n:n], 0)); largest > 0 {
		_, exponent := math.Frexp(math.Sqrt(largest))
		p.scale = math.Ldexp(1, -exponent)
	}
	return p
}

func (p points) row(dst []float64, i int) {
	copyRow(dst, p.features, i)
	for j, v := range p.origin {
		dst[j] -= v
	}
}

// rows returns the points from first on, at most a tile of them, times scale.
func (p points) rows(first int) *tensor.Tensor {
	n := min(tile, p.n-first)
	out, row := tensor.New(tensor.Float32, n, p.d), make([]float64, p.d)
	data := tensor.Data[float32](out)
	for i := range n {
		p.row(row, first+i)
		for j, v := range row {
			data[i*p.d+j] = float32(v * p.scale)
		}
	}
	return out
}

// exact is the squared distance of two points summed directly. It is the same
// both ways round and whatever the tiles are, so that ties are ties.
func exact(p points, i int, q points, j int) float64 {
	sum := 0.0
	if x, ok := p.features.Raw().([]float32); ok {
		if y, ok := q.features.Raw().([]float32); ok {
			x, y = x[i*p.d:][:p.d], y[j*p.d:][:p.d]
			for k, v := range x {
				off := float64(v) - float64(y[k])
				sum += off * off
			}
			return sum
		}
	}
	x, y := make([]float64, p.d), make([]float64, p.d)
	copyRow(x, p.features, i)
	copyRow(y, q.features, j)
	for k, v := range x {
		sum += (v - y[k]) * (v - y[k])
	}
	return sum
}

// eachProduct visits the products of all pairs of points, in float32, a tile at a time, row after row and wide in
// each; of a set with itself, those tiles whose second points are not before the first.
func eachProduct(ctx context.Context, multiplier *Multiplier, x, y points, within bool, stage progress.Stage,
	visit func(first, other, wide int, products []float32)) error {
	for first := 0; first < x.n; first += tile {
		rows := x.rows(first)
		other := 0
		if within {
			other = first
		}
		for ; other < y.n; other += tile {
			columns := rows
			if !within || other > first {
				columns = y.rows(other)
			}
			products, err := multiplier.times32(ctx, rows, columns)
			if err != nil {
				return err
			}
			visit(first, other, columns.Shape()[0], products)
			stage.Add(1)
		}
	}
	return nil
}

// bounded is a squared distance that is known up to the rounding of a product in float32.
type bounded struct {
	p, q      *points
	i, j      int
	fast, off float64
}

// bounds returns the squared distance of two points by their product. The sum of d products in float32 is off by
// at most (d+2)·2⁻²⁴ times |x|·|y|, whatever its order, with the rounding of the points themselves.
func bounds(p *points, i int, q *points, j int, product float32) bounded {
	size := p.squares[i] + q.squares[j]
	return bounded{p, q, i, j, size - 2*float64(product)/(p.scale*q.scale), roundingOf(p.d) * size}
}

func roundingOf(d int) float64 { return float64(d+8) / (1 << 24) }

// compare compares with a limit that exact gave: −1 for less, 0 for equal, 1 for more. The fast
// distance decides it where its rounding cannot matter.
func (b bounded) compare(limit float64) int {
	v := b.fast - limit
	if math.Abs(v) <= b.off {
		v = exact(*b.p, b.i, *b.q, b.j) - limit
	}
	switch {
	case v < 0:
		return -1
	case v > 0:
		return 1
	default:
		return 0
	}
}

// neighbour is a point near another.
type neighbour struct {
	distance float64 // squared, by a product in float32
	index    int
}

// spare is how many more neighbours are kept than are wanted, of which some may be nearer than they seem.
const spare = 8

// radii returns the squared distances, by exact, of every point to its k-th
// and l-th nearest among the others.
func radii(ctx context.Context, multiplier *Multiplier, p points, k, l int, stage progress.Stage) (kth, lth []float64, err error) {
	most := max(k, l)
	nearest := make([][]neighbour, p.n)
	farthest := make([]float64, p.n) // of those that are kept
	for i := range nearest {
		nearest[i], farthest[i] = make([]neighbour, 0, most+spare+1), math.Inf(1)
	}
	add := func(i, j int, distance float64) {
		at, _ := slices.BinarySearchFunc(nearest[i], distance, func(n neighbour, d float64) int { return int(math.Copysign(1, n.distance-d)) })
		list := slices.Insert(nearest[i], at, neighbour{distance, j})
		if nearest[i] = list[:min(len(list), most+spare)]; len(nearest[i]) == most+spare {
			farthest[i] = nearest[i][most+spare-1].distance
		}
	}
	twice := 2 / (p.scale * p.scale)
	err = eachProduct(ctx, multiplier, p, p, true, stage, func(first, other, wide int, products []float32) {
		for at, product := range products {
			i, j := first+at/wide, other+at%wide
			if i >= j {
				continue
			}
			distance := p.squares[i] + p.squares[j] - twice*float64(product)
			if distance < farthest[i] {
				add(i, j, distance)
			}
			if distance < farthest[j] {
				add(j, i, distance)
			}
		}
	})
	if err != nil {
		return nil, nil, err
	}
	kth, lth = make([]float64, p.n), make([]float64, p.n)
	largest := slices.Max(p.squares)
	inHalves(p.n, func(from, to int) {
		for i := from; i < to; i++ {
			distances := p.exactOf(i, nearest[i], most, roundingOf(p.d)*(p.squares[i]+largest))
			kth[i], lth[i] = distances[k-1], distances[l-1]
		}
	})
	return kth, lth, nil
}

// exactOf returns the squared distances of point i to its most nearest, in order, among those that seem the nearest, or
// among all where others may be as near.
func (p points) exactOf(i int, seeming []neighbour, most int, off float64) []float64 {
	var distances []float64
	for _, n := range seeming {
		distances = append(distances, exact(p, i, p, n.index))
	}
	slices.Sort(distances)
	if len(seeming) < p.n-1 && distances[most-1] >= seeming[len(seeming)-1].distance-off {
		distances = distances[:0]
		for j := range p.n {
			if j != i {
				distances = append(distances, exact(p, i, p, j))
			}
		}
		slices.Sort(distances)
	}
	return distances
}
