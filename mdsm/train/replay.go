package train

import (
	"ebm/internal/memory"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// replay is the buffer of persistent chains (Du and Mordatch, 2019): the ends of chains
// of updates before, of which the newest take the places of the oldest.
type replay struct {
	source  rng.Source
	buffer  *tensor.Tensor // [places …]
	ends    *tensor.Tensor // [N …] of the last update
	restart float64        // share of the chains that begin afresh
}

// newReplay makes room for a buffer, and keeps it between steps.
func (m Matching) newReplay(p *Problem, source rng.Source, c ChainSettings) (*replay, error) {
	size := append([]int{c.Replay}, m.Network.InputShape()...)
	var need memory.Estimate
	need.Add(append([]int{4}, size...)...)
	if excess := need.Excess(); excess != "" {
		return nil, &SettingError{"chains.replay", c.Replay, "less: " + excess}
	}
	r := &replay{source, tensor.New(tensor.Float32, size...), like(p.Batch["x"]), c.Restart}
	p.Kept = map[string]*tensor.Tensor{"replay": r.buffer}
	p.Returned = map[string]*tensor.Tensor{"chain_end": r.ends}
	return r, nil
}

// store puts away where the chains of the update before step t ended.
func (r *replay) store(t int) {
	batch, places := r.ends.Shape()[0], r.buffer.Shape()[0]
	if t == 1 {
		return
	}
	eachRow(r.ends, func(i int, row []float32) {
		at := ((t-2)*batch + i) % places
		copy(tensor.Data[float32](r.buffer)[at*len(row):], row)
	})
}

// begin sets where chain i of step t begins to a place of the buffer, and reports whether
// it did: some begin afresh, and all of the first step.
func (r *replay) begin(row []float32, i, t int) bool {
	filled := min((t-1)*r.ends.Shape()[0], r.buffer.Shape()[0])
	var words [2]uint32
	r.source.Uint32s(words[:], rng.Replay, uint64(i), uint32(t))
	if filled == 0 || float64(words[0])/(1<<32) < r.restart {
		return false
	}
	at := int(uint64(words[1]) * uint64(filled) >> 32)
	copy(row, tensor.Data[float32](r.buffer)[at*len(row):])
	return true
}
