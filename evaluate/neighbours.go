package evaluate

import (
	"cmp"
	"context"
	"fmt"
	"math"
	goruntime "runtime"
	"slices"

	"ebm/models/tensor"
	"ebm/runtime/parallel"
	"ebm/runtime/progress"
)

// Neighbours are the samples of a set that lie nearest to each of some
// queries, the nearest first. Of samples at the same distance the one with the
// smaller index comes first.
type Neighbours struct {
	Index    [][]int     // [queries][k] into the set
	Distance [][]float64 // [queries][k], Euclidean, in units of the features
}

// Nearest returns the k nearest samples of a set [n, d] to each query [q, d],
// both in pixels or in features of one network. It is an error unless
// 1 ≤ k ≤ n. Beside its operands it takes memory for two tiles of 512 samples
// in each thread; the result does not depend on the number of threads.
func Nearest(ctx context.Context, queries, set *tensor.Tensor, k int, p progress.Progress) (Neighbours, error) {
	nq, d, err := checkFeatures("queries", queries)
	if err != nil {
		return Neighbours{}, err
	}
	ns, ds, err := checkFeatures("set", set)
	if err != nil {
		return Neighbours{}, err
	}
	if d != ds {
		return Neighbours{}, fmt.Errorf("queries have %d values and the set's samples %d, want equal numbers", d, ds)
	}
	if k < 1 || k > ns {
		return Neighbours{}, fmt.Errorf("%d nearest of %d samples, want 1 or more and no more than there are", k, ns)
	}
	tiles := (nq + tile - 1) / tile
	stage := progress.Begin(p, "nearest neighbours", int64(tiles)*int64((ns+tile-1)/tile), "tiles")
	defer stage.Done()

	origin := originOf(set, ns, d)
	x, y := newPoints(queries, nq, origin), newPoints(set, ns, origin)
	out := Neighbours{make([][]int, nq), make([][]float64, nq)}
	find := func(ctx context.Context, t int) (struct{}, error) {
		return struct{}{}, out.fill(ctx, x, y, t*tile, k, stage)
	}
	found := func(int, struct{}) error { return nil }
	if err := parallel.Ordered(ctx, goruntime.GOMAXPROCS(0), tiles, find, found); err != nil {
		return Neighbours{}, err
	}
	return out, nil
}

// candidate is a sample of the set with its squared distance, by exact.
type candidate struct {
	square float64
	index  int
}

func (c candidate) compare(o candidate) int {
	return cmp.Or(cmp.Compare(c.square, o.square), c.index-o.index)
}

// fill finds the neighbours of the queries from first on, at most a tile.
func (out Neighbours) fill(ctx context.Context, x, y points, first, k int, stage progress.Stage) error {
	rows := x.rows(first)
	m := rows.Shape()[0]
	nearest := make([][]candidate, m) // in order, at most k
	for other := 0; other < y.n; other += tile {
		columns := y.rows(other)
		products, err := (*Multiplier)(nil).times32(ctx, rows, columns)
		if err != nil {
			return err
		}
		wide := columns.Shape()[0]
		for i := range m {
			row := nearest[i]
			for j, product := range products[i*wide : (i+1)*wide] {
				if b := bounds(&x, first+i, &y, other+j, product); len(row) == k && b.fast-b.off > row[k-1].square {
					continue
				}
				c := candidate{exact(x, first+i, y, other+j), other + j}
				at, _ := slices.BinarySearchFunc(row, c, candidate.compare)
				row = slices.Insert(row, at, c)
				row = row[:min(len(row), k)]
			}
			nearest[i] = row
		}
		stage.Add(1)
	}
	for i, row := range nearest {
		for _, c := range row {
			out.Index[first+i] = append(out.Index[first+i], c.index)
			out.Distance[first+i] = append(out.Distance[first+i], math.Sqrt(c.square))
		}
	}
	return nil
}
