package export

import (
	bin "encoding/binary"
	"math"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
	"ebm/models/rng"
)

// A word is a whole number of 64 bits: one value, or, where there are no such integers, its
// lower and its upper 32 bits.
type word []string

// words emits the words of Squares, two for each pair: [N …] for one step, [K N …]
// otherwise. The second half of each row is that of the counters from 2^19.
func (c *counting) words(key uint64) string {
	counters := c.counters()
	k := c.key(key)
	y := c.times(counters, k)
	z := c.plus(y, k)
	x := y
	for _, w := range []word{y, z, y} {
		x = c.exchange(c.plus(c.times(x, x), w))
	}
	x = c.plus(c.times(x, x), z)
	if c.halves {
		return x[1]
	}
	return c.do("Div", x[0], c.wide)
}

// counters emits those of the samples, steps and places of words.
func (c *counting) counters() word {
	var places []uint64
	for lane := range uint64(2) {
		for j := range uint64(c.pairs()) {
			places = append(places, lane<<(rng.SquaresWordBits-1)|j)
		}
	}
	ofSample, ofStep := rng.SquaresCounter(1, 0, 0), rng.SquaresCounter(0, 1, 0)
	step := func(op string, by uint64) string {
		s := c.do(op, c.cast(c.steps), c.unsigned(by))
		if !c.single {
			s = c.one("Unsqueeze", []string{s, c.ints(1)})
		}
		return s
	}
	row := func(s string) string { return c.one("Unsqueeze", []string{s, c.ints(-1)}) }
	sample := func(by uint64) string { return c.do("Mul", c.cast(SamplesInput), c.unsigned(by)) }
	if c.halves {
		low := c.do("Add", row(step("Mul", ofStep)), c.unsigned(places...))
		return word{low, row(c.do("Add", sample(ofSample>>32), step("Div", 1<<32/ofStep)))}
	}
	s := sample(ofSample)
	r := row(c.do("Add", s, step("Mul", ofStep)))
	counters := word{c.do("Add", r, c.unsigned(places...))}
	c.wide = c.unsigned(1 << 32)
	return counters
}

// key emits the key, the model's input where there is none.
func (c *counting) key(key uint64) word {
	switch {
	case key == 0 && c.halves:
		parts := word{c.prefix + "key_low", c.prefix + "key_high"}
		c.split(c.cast(KeyInput), parts)
		return parts
	case key == 0:
		return word{c.cast(KeyInput)}
	case c.halves:
		return word{c.unsigned(key & math.MaxUint32), c.unsigned(key >> 32)}
	}
	return word{c.unsigned(key)}
}

// times emits a·b. Of halves it has limbs of 16 bits, whose sums below stay within 32.
func (c *counting) times(a, b word) word {
	low := c.do("Mul", a[0], b[0])
	if !c.halves {
		return word{low}
	}
	a0, a1 := c.limbs(a[0])
	b0, b1 := c.limbs(b[0])
	m0, m1 := c.limbs(c.do("Add", c.do("Mul", a0, b1), c.upper(c.do("Mul", a0, b0))))
	high := c.do("Add", c.do("Mul", a1, b1), m1)
	high = c.do("Add", high, c.upper(c.do("Add", c.do("Mul", b0, a1), m0)))
	high = c.do("Add", high, c.do("Mul", a[0], b[1]))
	return word{low, c.do("Add", high, c.do("Mul", b[0], a[1]))}
}

// limbs emits the lower and the upper 16 bits of 32.
func (c *counting) limbs(x string) (low, high string) {
	return c.upper(c.do("Mul", x, c.unsigned(1<<16))), c.upper(x)
}

func (c *counting) upper(x string) string { return c.do("Div", x, c.unsigned(1<<16)) }

// plus emits a + b.
func (c *counting) plus(a, b word) word {
	low := c.do("Add", a[0], b[0])
	if !c.halves {
		return word{low}
	}
	carry := c.cast(c.do("Less", low, b[0]))
	return word{low, c.do("Add", c.do("Add", a[1], b[1]), carry)}
}

// exchange emits x with its halves exchanged. ONNX has no rotation that CUDA computes: the
// bits of a quotient and a product do not meet.
func (c *counting) exchange(x word) word {
	if c.halves {
		return word{x[1], x[0]}
	}
	return word{c.do("Add", c.do("Div", x[0], c.wide), c.do("Mul", x[0], c.wide))}
}

// do emits an operation of unsigned numbers, each once.
func (c *counting) do(op, a, b string) string {
	of := op + " " + a + " " + b
	if c.done[of] == "" {
		c.done[of] = c.one(op, []string{a, b})
	}
	return c.done[of]
}

// cast emits a value as unsigned numbers.
func (c *counting) cast(name string) string {
	return c.one("Cast", []string{name}, intAttr("to", int(c.integer())))
}

func (c *counting) integer() onnxpb.TensorProto_DataType {
	if c.halves {
		return onnxpb.TensorProto_UINT32
	}
	return onnxpb.TensorProto_UINT64
}

// unsigned is a constant, each once.
func (c *counting) unsigned(v ...uint64) string {
	t := &onnxpb.TensorProto{DataType: proto.Int32(int32(c.integer())), Dims: []int64{int64(len(v))}}
	for _, n := range v {
		if c.halves {
			t.RawData = bin.LittleEndian.AppendUint32(t.RawData, uint32(n))
		} else {
			t.RawData = bin.LittleEndian.AppendUint64(t.RawData, n)
		}
	}
	of := string(t.RawData)
	if c.done[of] == "" {
		c.done[of] = c.constant(t)
	}
	return c.done[of]
}
