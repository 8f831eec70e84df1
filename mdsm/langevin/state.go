package langevin

import (
	"slices"

	"ebm/mdsm/samples"
	"ebm/models/tensor"
)

// arrays returns the state of a group after so many steps, from which its chains
// go on to the same bits: x of all places, and the record of the watched ones.
func (c *chain) arrays(done int) map[string]*tensor.Tensor {
	a := map[string]*tensor.Tensor{"position": c.position(done), "x": c.x}
	if c.memory != nil {
		a["memory"] = c.memory
	}
	c.ladderArrays(a)
	if c.seen == nil {
		return a
	}
	if n := len(c.seen.energy); n > 0 {
		a["energy"] = tensor.Of(slices.Concat(c.seen.energy...), n, c.seen.n)
	}
	var x, clean []*tensor.Tensor
	var accepted []float32 // of all snapshots, −1 where it is not known
	for _, s := range c.seen.snapshots {
		x, clean = append(x, s.x), append(clean, s.clean)
		if s.accepted == nil {
			accepted = append(accepted, slices.Repeat([]float32{-1}, c.seen.n)...)
		}
		accepted = append(accepted, s.accepted...)
	}
	if len(x) > 0 {
		a["snapshots"], a["denoised"] = tensor.Concat(x...), tensor.Concat(clean...)
		a["acceptance"] = tensor.Of(accepted, len(x), c.seen.n)
	}
	return a
}

// position says which chains a state has, after how many steps, and what is seen
// of them.
func (c *chain) position(done int) *tensor.Tensor {
	list := []int64{int64(done), int64(c.lo), int64(c.hi), 0}
	if c.seen != nil {
		list[3] = int64(c.seen.n)
		for _, at := range c.Watch.Snapshots {
			list = append(list, int64(at))
		}
	}
	return tensor.Of(list, len(list))
}

// resume goes on with a state, if there is one of these chains, and returns the
// steps that are done.
func (c *chain) resume(state samples.State) (done int, err error) {
	a, err := state.Read()
	if a == nil || err != nil {
		return 0, err
	}
	position := a["position"]
	if position == nil || position.DType() != tensor.Int64 || position.Len() < 4 {
		state.Reject(state.Path + " does not hold a state of chains")
		return 0, nil
	}
	done = int(tensor.Data[int64](position)[0])
	if !slices.Equal(tensor.Data[int64](position), tensor.Data[int64](c.position(done))) {
		return 0, nil // other places are wanted, or watched
	}
	if done < 0 || done > len(c.updates) || !alike(a["x"], c.x.Shape()...) || c.memory != nil &&
		!alike(a["memory"], c.x.Shape()...) || !c.recall(a, done) || !c.recallLadder(a) {
		state.Reject(state.Path + " does not hold a state of these chains")
		return 0, nil
	}
	if c.x = a["x"]; c.Tempering != nil {
		c.x = c.ladder[c.Tempering.rung(done)]
	}
	if c.memory != nil {
		c.memory = a["memory"]
	}
	return done, nil
}

// recall takes over what was seen in so many steps, and reports whether it fits.
func (c *chain) recall(a map[string]*tensor.Tensor, done int) bool {
	if c.seen == nil {
		return true
	}
	seen := &seen{n: c.seen.n, swaps: c.newSwaps()}
	if e := a["energy"]; e != nil {
		if !alike(e, done, seen.n) {
			return false
		}
		seen.energy = slices.Collect(slices.Chunk(tensor.Data[float32](e), seen.n))
	}
	if x, clean := a["snapshots"], a["denoised"]; x != nil {
		taken := x.Shape()[0] / seen.n
		shape := append([]int{taken * seen.n}, c.plan.shape...)
		if taken > len(c.Watch.Snapshots) || !alike(x, shape...) || !alike(clean, shape...) || !alike(a["acceptance"], taken, seen.n) {
			return false
		}
		for i := range taken {
			s := snapshot{x: x.Rows(i*seen.n, (i+1)*seen.n), clean: clean.Rows(i*seen.n, (i+1)*seen.n)}
			if s.accepted = tensor.Data[float32](a["acceptance"].Rows(i, i+1)); s.accepted[0] < 0 {
				s.accepted = nil
			}
			seen.snapshots = append(seen.snapshots, s)
		}
	}
	// Every snapshot before the last step is there; the one after it is taken next.
	for i, at := range c.Watch.Snapshots {
		if at < done && i >= len(seen.snapshots) {
			return false
		}
	}
	c.seen = seen
	return true
}

// alike reports whether a tensor is there, float32 and of this shape.
func alike(t *tensor.Tensor, shape ...int) bool {
	return t != nil && t.DType() == tensor.Float32 && slices.Equal(t.Shape(), shape)
}
