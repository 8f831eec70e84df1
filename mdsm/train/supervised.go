package train

import (
	"fmt"
	"slices"

	"ebm/export/onnximport"
	"ebm/mdsm"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// batch returns tensors for a batch of so many examples, by the names of a step's
// inputs: those of the data, the target, and dropout's seed.
func (f Function) batch(step *graph.Graph, n int) (map[string]*tensor.Tensor, error) {
	data := f.Data()
	tensors := make(map[string]*tensor.Tensor)
	var symbol graph.Dim
	for _, in := range step.Inputs() {
		name := in.InputName()
		if _, ok := data[name]; !ok && name != TargetInput {
			continue
		}
		shape := make([]int, in.Rank())
		for i, d := range in.Shape() {
			k, fixed := d.Constant()
			switch {
			case fixed && i == 0 && name != onnximport.SeedInput && k != n:
				return nil, fmt.Errorf("input %q is %v, want a batch of any size, or --batch %d", name, in.Type(), k)
			case !fixed && (i > 0 && d != symbol || symbol != (graph.Dim{}) && d != symbol):
				return nil, fmt.Errorf("input %q is %v, want a number for its size %v (--size %v=NUMBER)", name, in.Type(), d, d)
			case !fixed:
				symbol, k = d, n
			}
			shape[i] = k
		}
		tensors[name] = tensor.New(in.DType(), shape...)
	}
	return tensors, nil
}

// filler returns what fills a batch for a step.
func (s Supervised) filler(batch map[string]*tensor.Tensor) func(t int) {
	source := rng.New(s.Seed)
	order, index := newOrder(source, s.Data.Len()), make([]int, s.Batch)
	return func(t int) {
		for i := range index {
			index[i] = order.at(uint64(t-1)*uint64(s.Batch) + uint64(i))
		}
		s.Data.Fill(batch, index)
		if seed := batch[onnximport.SeedInput]; seed != nil {
			tensor.Data[int64](seed)[0] = int64(source.Uint64(rng.TrainNoise, 0, uint32(t)) >> 33)
		}
		if s.Flip {
			for name, x := range batch {
				if name != TargetInput && x.Rank() == 4 && x.DType() == tensor.Float32 {
					mirror(x, func(i int) bool { return source.Uint64(rng.Flip, uint64(i), uint32(t))&1 == 1 })
				}
			}
		}
	}
}

// shards returns into how many parts a batch is cut: only where each example's part
// of the loss has the same weight, and nothing of a step looks at the batch as a whole.
func (s Supervised) shards(batch map[string]*tensor.Tensor) int {
	whole := len(s.Function.States) > 0 || s.Loss.Weights != nil || len(s.Loss.Ignore) > 0 || s.Loss.Name == CrossEntropy &&
		s.Function.rank(s.Loss) > 2
	_, accumulates := s.Optimiser.(mdsm.Accumulated)
	for _, t := range batch {
		whole = whole || t.Shape()[0] != s.Batch // such as dropout's seed
	}
	if whole || accumulates {
		return 1
	}
	n := max(s.Shards, 1)
	for s.Batch%n != 0 {
		n--
	}
	return n
}

// rank is that of the output that a loss is of.
func (f Function) rank(l Loss) int { return f.Graph.Outputs()[f.output(l)].Node.Rank() }

// sharded returns the step cut at its gradients.
func (s Supervised) sharded(n int) (*Shards, error) {
	cut := &Shards{Count: n}
	return cut, graph.Catch(func() {
		cut.Gradient = gradientStep(s.Function, s.Loss, n)
		shapes := make(map[string][]int)
		for _, in := range s.Function.Graph.Inputs() {
			if slices.Contains(s.Function.Parameters, in.InputName()) {
				shapes[in.InputName()], _ = in.Shape().Static()
			}
		}
		cut.Update = mdsm.UpdateOf(s.Function.Parameters, shapes, s.Optimiser, n)
		cut.Summed = mdsm.UpdateOf(s.Function.Parameters, shapes, s.Optimiser, 1)
	})
}

// Like returns tensors for a batch of so many examples of a function and its
// target, by name, as Examples fill them.
func (f Function) Like(l Loss, n int) (map[string]*tensor.Tensor, error) {
	g, err := Measure(f, l)
	if err != nil {
		return nil, err
	}
	like, err := f.batch(g, n)
	delete(like, onnximport.SeedInput)
	return like, err
}

// Split returns the numbers of n examples in two parts, in order: those to train on,
// and a share of them, drawn by a seed, that is held out.
func Split(n int, share float64, seed uint64) (trained, held []int) {
	out := make([]bool, n)
	for _, i := range rng.New(seed).Permutation(n, rng.Shuffle, rng.MaxSamples-1)[:int(share*float64(n))] {
		out[i] = true
	}
	for i := range n {
		if out[i] {
			held = append(held, i)
		} else {
			trained = append(trained, i)
		}
	}
	return trained, held
}
