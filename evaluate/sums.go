package evaluate

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"gonum.org/v1/gonum/mat"

	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/models/tensor"
)

// SumRows is the number of samples of a leaf of Sums: those of a part begin at a
// multiple of it.
const SumRows = blockRows

// Sums are the mean and scatter of samples that several processes have parts of. They are
// nodes of a binary tree over blocks of [SumRows] samples, whose shape follows from the
// samples' places alone: parts that are joined in any order have the same bits as sums
// that one process made. A part of n blocks has about log₂ n nodes, each 8·d·(d+1) bytes.
type Sums struct {
	d     int
	next  int // index of the sample that is added next
	block []float64
	nodes []sumNode // by place, no two of which could be one
}

// sumNode is the sum of the samples of 2^level blocks, from block place·2^level on; the
// last may have fewer samples.
type sumNode struct {
	level, place int
	Accumulator
}

// first returns the index of the node's first sample, and size how many it has room for.
func (n sumNode) first() int { return n.place * n.size() }
func (n sumNode) size() int  { return blockRows << n.level }

// NewSums begins with no samples of d features, of which the first that is added has an
// index that is a multiple of SumRows.
func NewSums(d, first int) (*Sums, error) {
	if _, err := NewAccumulator(d); err != nil {
		return nil, err
	}
	if first < 0 || first%SumRows != 0 {
		return nil, fmt.Errorf("sums from sample %d on, want a multiple of %d", first, SumRows)
	}
	return &Sums{d: d, next: first}, nil
}

// Add adds features [n, d] of the next samples. Only the last samples of all may leave a
// block without being full.
func (s *Sums) Add(features *tensor.Tensor) error {
	n, d, err := checkFeatures("features", features)
	if err != nil {
		return err
	}
	if d != s.d {
		return fmt.Errorf("samples have %d features, those before had %d", d, s.d)
	}
	for i := range n {
		s.block = append(s.block, make([]float64, d)...)
		copyRow(s.block[len(s.block)-d:], features, i)
		if s.next++; s.next%SumRows == 0 {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush makes a leaf of the block.
func (s *Sums) flush() error {
	n := len(s.block) / s.d
	if n == 0 {
		return nil
	}
	a, err := NewAccumulator(s.d)
	if err != nil {
		return err
	}
	a.block = append(a.block, s.block...)
	if err := a.flush(); err != nil {
		return err
	}
	a.block, s.block = nil, nil
	s.nodes = append(s.nodes, sumNode{place: (s.next - n) / SumRows, Accumulator: *a})
	return s.tidy()
}

// Merge adds the samples of other sums, which have none of these.
func (s *Sums) Merge(other *Sums) error {
	if s.d != other.d {
		return fmt.Errorf("samples have %d features, those before had %d", other.d, s.d)
	}
	if err := s.flush(); err != nil {
		return err
	}
	if err := other.flush(); err != nil {
		return err
	}
	for _, n := range other.nodes {
		n.Accumulator = *n.clone()
		s.nodes = append(s.nodes, n)
	}
	s.next = max(s.next, other.next)
	return s.tidy()
}

// tidy puts the nodes in order and joins pairs that are full and have one parent.
func (s *Sums) tidy() error {
	slices.SortFunc(s.nodes, func(a, b sumNode) int { return cmp.Compare(a.first(), b.first()) })
	for i := 1; i < len(s.nodes); i++ {
		a, b := s.nodes[i-1], s.nodes[i]
		if a.first()+a.size() > b.first() {
			return fmt.Errorf("samples %d to %d are in two parts, want each in one", b.first(), min(a.first()+a.size(), b.first()+b.size())-1)
		}
		if a.level != b.level || a.place%2 != 0 || b.place != a.place+1 || a.n != a.size() || b.n != b.size() {
			continue
		}
		a.combine(b.n, b.mean, b.scatter)
		s.nodes[i-1] = sumNode{level: a.level + 1, place: a.place / 2, Accumulator: a.Accumulator}
		s.nodes = slices.Delete(s.nodes, i, i+1)
		i = max(i-2, 0)
	}
	return nil
}

// Statistics returns the mean and covariance of all samples from the first on. A part that
// is missing is an error.
func (s *Sums) Statistics() (*Statistics, error) {
	if err := s.flush(); err != nil {
		return nil, err
	}
	at := 0
	for _, n := range s.nodes {
		if n.first() != at {
			return nil, fmt.Errorf("samples %d to %d are missing", at, n.first()-1)
		}
		at += n.n
	}
	if len(s.nodes) == 0 {
		return nil, fmt.Errorf("statistics of 0 samples, want 2 at least: one sample has no covariance")
	}
	// From the right, as a parent would.
	sum := s.nodes[len(s.nodes)-1].clone()
	for _, n := range slices.Backward(s.nodes[:len(s.nodes)-1]) {
		left := n.clone()
		left.combine(sum.n, sum.mean, sum.scatter)
		sum = left
	}
	return sum.Statistics()
}

// Write writes the sums as an .npz file: first, level and count [K] (int64), mean [K d]
// and scatter [K d d], with more arrays beside them.
func (s *Sums) Write(path string, more map[string]*tensor.Tensor) error {
	if err := s.flush(); err != nil {
		return err
	}
	var first, level, count []int64
	var mean, scatter []float64
	for _, n := range s.nodes {
		first, level, count = append(first, int64(n.first())), append(level, int64(n.level)), append(count, int64(n.n))
		mean, scatter = append(mean, n.mean...), append(scatter, n.scatter.RawMatrix().Data...)
	}
	k := len(first)
	arrays := map[string]*tensor.Tensor{"first": tensor.Of(first, k), "level": tensor.Of(level, k), "count": tensor.Of(count, k),
		"mean": tensor.Of(mean, k, s.d), "scatter": tensor.Of(scatter, k, s.d, s.d)}
	for name, t := range more {
		arrays[name] = t
	}
	return atomicfile.Write(path, func(w io.Writer) error { return npz.Write(w, arrays, npz.Store) })
}

// ReadSums reads what Write wrote.
func ReadSums(path string) (*Sums, map[string]*tensor.Tensor, error) {
	arrays, err := npz.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	s, err := sumsOf(arrays)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, arrays, nil
}

func sumsOf(a map[string]*tensor.Tensor) (*Sums, error) {
	mean := a["mean"]
	if mean == nil || mean.Rank() != 2 || mean.DType() != tensor.Float64 || mean.Len() == 0 {
		return nil, fmt.Errorf("mean is %v, want sums of parts: float64 [K d]", mean)
	}
	k, d := mean.Shape()[0], mean.Shape()[1]
	for name, shape := range map[string][]int{"first": {k}, "level": {k}, "count": {k}, "scatter": {k, d, d}} {
		want := tensor.Int64
		if name == "scatter" {
			want = tensor.Float64
		}
		if t := a[name]; t == nil || t.DType() != want || !slices.Equal(t.Shape(), shape) {
			return nil, fmt.Errorf("%s is %v, want %v%v", name, t, want, shape)
		}
	}
	s, err := NewSums(d, 0)
	if err != nil {
		return nil, err
	}
	for i := range k {
		n := sumNode{level: int(tensor.Data[int64](a["level"])[i])}
		first, count := int(tensor.Data[int64](a["first"])[i]), int(tensor.Data[int64](a["count"])[i])
		if n.level < 0 || n.level > 40 || first < 0 || first%n.size() != 0 || count < 1 || count > n.size() {
			return nil, fmt.Errorf("node %d has %d samples from %d on at level %d, want a node of the tree", i, count, first, n.level)
		}
		n.place = first / n.size()
		n.Accumulator = Accumulator{d: d, n: count, mean: slices.Clone(tensor.Data[float64](mean)[i*d : (i+1)*d]),
			scatter: mat.NewDense(d, d, slices.Clone(tensor.Data[float64](a["scatter"])[i*d*d:(i+1)*d*d]))}
		s.nodes, s.next = append(s.nodes, n), max(s.next, first+count)
	}
	return s, s.tidy()
}
