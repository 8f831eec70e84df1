package train

import (
	"context"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"sync"

	"ebm/export/session"
	"ebm/models/tensor"
	"ebm/runtime"
)

// Ranks are processes that make one run together (package runtime/mpi has them): each
// computes the gradients of some of a batch's shards, and all make the same update. How
// many ranks there are changes no bit, and a run may go on with another number.
type Ranks interface {
	Rank() int // of this process, from 0
	Size() int
	// Sum adds up a vector over the ranks in their order, see mpi.World.Sum.
	Sum(ctx context.Context, total []float32, add func(lo, hi int)) error
}

// writes reports whether the process is the one that writes the run's files.
func (l Loop) writes() bool { return leads(l.Ranks) }

// leads reports whether the process is rank 0, or alone.
func leads(r Ranks) bool { return r == nil || r.Rank() == 0 }

// checkRanks refuses more ranks, or devices in all, than shards.
func checkRanks(r Ranks, devices int, s *Shards) error {
	shards, what, n := 1, "devices", devices
	if s != nil {
		shards = s.Count
	}
	if r != nil && r.Size() > 1 {
		if what, n = "ranks", r.Size(); devices > 1 {
			what, n = "devices of all ranks", n*devices
		}
	}
	if n > shards {
		return fmt.Errorf("%d %s, want %d at most: the batch has %d shards (--shards), which are a setting of the run", n, what,
			shards, shards)
	}
	return nil
}

// alone is one process without others. It adds with a number of threads.
type alone struct{ threads int }

func (alone) Rank() int { return 0 }
func (alone) Size() int { return 1 }

func (a alone) Sum(ctx context.Context, total []float32, add func(lo, hi int)) error {
	each := (len(total) + a.threads - 1) / a.threads
	var wait sync.WaitGroup
	for lo := 0; lo < len(total); lo += each {
		wait.Go(func() { add(lo, min(lo+each, len(total))) })
	}
	wait.Wait()
	return ctx.Err()
}

// agree reports ranks that do not begin at the same step of the same run.
func (s *state) agree(ctx context.Context) error {
	if s.Ranks == nil {
		return nil
	}
	const each = 4
	sum := crc32.NewIEEE()
	for _, key := range slices.Sorted(maps.Keys(s.Describe)) {
		fmt.Fprintln(sum, key, s.Describe[key])
	}
	fmt.Fprintln(sum, s.Order, s.Steps, s.LearningRate, s.Shards != nil)
	mine := []float32{float32(s.step % (1 << 20)), float32(s.step >> 20), float32(sum.Sum32() & 0xffff), float32(sum.Sum32() >> 16)}
	own := make([]float32, each*s.Ranks.Size())
	copy(own[each*s.Ranks.Rank():], mine)
	all := make([]float32, len(own))
	if err := s.Ranks.Sum(ctx, all, addTo(all, [][]float32{own}, s.Ranks.Rank() == 0)); err != nil {
		return err
	}
	for r := range s.Ranks.Size() {
		if at := all[each*r : each*(r+1)]; !slices.Equal(at, all[:each]) {
			return fmt.Errorf("rank %d begins after step %g, rank 0 after step %g, or with other settings, want one folder and one set of "+
				"flags for all", r, at[0]+at[1]*(1<<20), all[0]+all[1]*(1<<20))
		}
	}
	return nil
}

// addTo returns what adds vectors, one after another, to a part of total; first sets it to
// the first of them.
func addTo(total []float32, vectors [][]float32, first bool) func(lo, hi int) {
	return func(lo, hi int) {
		sum := total[lo:hi]
		for i, v := range vectors {
			if part := v[lo:hi]; i == 0 && first {
				copy(sum, part)
			} else {
				for j, x := range part {
					sum[j] += x
				}
			}
		}
	}
}

// ranked computes the gradients of a rank's shards, on its devices in turn, adds them up
// with those of the others, and makes the update, on each device the same. While it adds,
// it fills the next batch.
type ranked struct {
	sharded
	state   *state
	ranks   Ranks
	updates []bound // of each device
	// vectors are, of each shard, all gradients in order, what all shards return, and the
	// losses of all.
	vectors [][]float32
	total   []float32
	// returned are views of the total.
	returned map[string]*tensor.Tensor
}

func newRanked(rt *runtime.Runtime, s *state) (_ *ranked, err error) {
	n, ranks, threads := s.Shards.Count, s.Ranks, max(rt.Info().Threads, 1)
	if ranks == nil {
		ranks = alone{threads}
	}
	begin, end := ranks.Rank()*n/ranks.Size(), (ranks.Rank()+1)*n/ranks.Size()
	mine := end - begin
	u := &ranked{state: s, ranks: ranks, sharded: sharded{abreast: min(mine, abreast(rt)), loss: s.loss}}
	defer func() {
		if err != nil {
			u.close()
		}
	}()
	length := n
	for _, name := range s.Order {
		length += s.values[0][name].Len()
	}
	for _, t := range s.Returned {
		length += t.Len()
	}
	u.total = make([]float32, length)
	parts := s.parts(n)
	loaded, err := load(rt, s.Shards.Gradient, parts[0], max(threads/mine, 1))
	if err != nil {
		return nil, err
	}
	for i := begin; i < end; i++ {
		vector := make([]float32, length)
		u.vectors = append(u.vectors, vector)
		grads, returned := s.views(vector)
		mine := rowsOf(returned, n)[i]
		b := bound{session: loaded}
		err := b.bind(s.held[(i-begin)%len(s.held)], func(from int) (in, out map[string]*tensor.Tensor) {
			in, out = maps.Clone(parts[i]), maps.Clone(mine)
			out["loss"] = tensor.Of(vector[length-n+i:length-n+i+1], 1)
			for _, name := range s.Order {
				in[name], out[name+".grad"] = s.values[from][name], grads[name]
			}
			return in, out
		})
		u.gradients = append(u.gradients, b)
		if err != nil {
			return nil, err
		}
	}
	if loaded, err = session.Load(rt, s.Shards.Summed, nil, runtime.SessionOptions{Replay: true}); err != nil {
		return nil, err
	}
	sum, returned := s.views(u.total)
	u.returned = returned
	for k, h := range s.held {
		b := bound{session: loaded}
		err := b.bind(h, func(from int) (in, out map[string]*tensor.Tensor) {
			in, out = s.updated(from)
			for name, t := range sum {
				in[name+".grad/0"] = t
			}
			if k > 0 { // all say the same
				out["grad_norm"] = tensor.New(tensor.Float32, 1)
			}
			return in, out
		})
		u.updates = append(u.updates, b)
		if err != nil {
			return nil, err
		}
	}
	return u, nil
}

// views returns tensors of all parameters' shapes, and of those that an update returns,
// that lie one after another in a vector.
func (s *state) views(vector []float32) (params, returned map[string]*tensor.Tensor) {
	at := 0
	take := func(names []string, of map[string]*tensor.Tensor) map[string]*tensor.Tensor {
		list := make(map[string]*tensor.Tensor)
		for _, name := range names {
			n := of[name].Len()
			list[name] = tensor.Of(vector[at:at+n:at+n], of[name].Shape()...)
			at += n
		}
		return list
	}
	params = take(s.Order, s.values[0])
	return params, take(slices.Sorted(maps.Keys(s.Returned)), s.Returned)
}

func (u *ranked) update(ctx context.Context, from int) error {
	if err := u.compute(ctx, from); err != nil {
		return err
	}
	filled := make(chan struct{})
	go func() { // the batch is free
		defer close(filled)
		u.state.fillAhead()
	}()
	err := u.ranks.Sum(ctx, u.total, addTo(u.total, u.vectors, u.ranks.Rank() == 0))
	<-filled
	if err != nil {
		return err
	}
	var sum float64
	n := u.state.Shards.Count
	for _, l := range u.total[len(u.total)-n:] {
		sum += float64(l)
	}
	tensor.Data[float32](u.loss)[0] = float32(sum / float64(n))
	for name, t := range u.returned {
		u.state.Returned[name].CopyFrom(t)
	}
	return runAll(ctx, u.updates, from, len(u.updates))
}

func (u *ranked) close() {
	u.sharded.close()
	for i := range u.updates {
		u.updates[i].close()
	}
}
