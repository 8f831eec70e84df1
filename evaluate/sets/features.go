package sets

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ebm/evaluate"
	"ebm/evaluate/features"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/progress"
)

// Block is the number of pictures that are read, hashed and kept at once.
const Block = 128

// side holds what the metrics take from one source.
type side struct {
	source     *Source
	maker      *features.Maker
	features   *tensor.Tensor // nil unless they are kept
	logits     *tensor.Tensor
	classes    *tensor.Tensor // a classifier's logits of each channel
	statistics *evaluate.Statistics
	warnings   []string
	seconds    float64 // that computing features took
	computed   int     // pictures that were not in the cache
}

// needs say what the metrics take.
type needs struct{ statistics, features, logits, classes bool }

// extraction computes features.
type extraction struct {
	rt       *runtime.Runtime
	network  *features.Network // nil without one
	cache    *features.Cache
	share    samples.Share
	sums     string  // the file of a part's sums, "" for none
	other    *Source // one side that says what made it, which pictures must agree with; nil without
	progress progress.Progress
	log      func(string)

	multiplier *evaluate.Multiplier // nil without a runtime
}

// side computes what the metrics need of a source, which may be nothing.
func (x extraction) side(ctx context.Context, what string, s *Source, n needs) (*side, error) {
	out := &side{source: s, maker: s.maker}
	if n == (needs{}) {
		return out, nil
	}
	if !x.share.Part.Whole() || x.sums != "" {
		n = needs{logits: true, classes: true} // features stay in the cache, or in the sums
	}
	switch s.Kind {
	case Statistics:
		out.statistics = s.statistics
		if s.maker == nil {
			out.warnings = append(out.warnings, s.Name+": the file does not say which network and preprocessing made its statistics: make sure "+
				"that they are those of the other side")
		}
		return out, nil
	case Features:
		out.features, out.logits = s.features.Features, s.features.Logits
		if !n.statistics {
			return out, nil
		}
		var err error
		if out.statistics, err = x.multiplier.StatisticsOf(out.features); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		return out, nil
	}
	if s.Count < 2 {
		return nil, fmt.Errorf("%s: pictures: %d, want 2 or more: metrics compare distributions", s.Name, s.Count)
	}
	if err := x.pictures(ctx, what, out, n); err != nil {
		return nil, err
	}
	return out, nil
}

// pictures goes through the pictures of a source block by block.
func (x extraction) pictures(ctx context.Context, what string, out *side, n needs) error {
	s := out.source
	if x.network == nil {
		return fmt.Errorf("%s: pictures need a feature network", s.Name)
	}
	extractor, err := x.network.Open(x.rt, s.Channels, s.Height, s.Width)
	if err != nil {
		return err
	}
	defer extractor.Close()
	maker := extractor.Maker()
	if x.other != nil {
		if err := maker.Compares(s.Name, *x.other.maker, x.other.Name); err != nil {
			return err
		}
	}
	stage := progress.Begin(x.progress, what+" features", x.work(s), pictureUnit)
	defer stage.Done()
	keep := collector{needs: n, count: s.Count, multiplier: x.multiplier}
	var same sameness
	var missing []int // blocks
	begin, end := x.blocks(s)
	var sums *evaluate.Sums
	for first := 0; first < s.Count; first += Block {
		if err := ctx.Err(); err != nil {
			return err
		}
		pictures, err := s.read(ctx, first, min(Block, s.Count-first))
		if err != nil {
			return err
		}
		for _, p := range pictures {
			same.look(p)
		}
		if b := first / Block; b < begin || b >= end {
			continue
		}
		started := time.Now()
		set, computed, err := x.block(ctx, extractor, pictures, stage)
		if err != nil {
			return fmt.Errorf("%s: from picture %d on: %w", s.Name, first, err)
		}
		if computed {
			out.seconds += time.Since(started).Seconds()
			out.computed += set.Features.Shape()[0]
		}
		if set.Features == nil {
			missing = append(missing, first/Block)
			continue
		}
		if x.sums != "" {
			if sums == nil {
				if sums, err = evaluate.NewSums(set.Features.Shape()[1], first); err != nil {
					return err
				}
			}
			if err := sums.Add(set.Features); err != nil {
				return fmt.Errorf("%s: from picture %d on: %w", s.Name, first, err)
			}
			maker.Features = set.Features.Shape()[1]
			continue
		}
		if err := keep.add(set); err != nil {
			return fmt.Errorf("%s: from picture %d on: %w", s.Name, first, err)
		}
	}
	if s.end != nil {
		if err := s.end(); err != nil {
			return err
		}
	}
	if x.sums != "" {
		if sums == nil {
			return fmt.Errorf("part %v of %d pictures has none, want one part for every %d at most", x.share.Part, s.Count, evaluate.SumRows)
		}
		return sums.Write(x.sums, map[string]*tensor.Tensor{makerArray: text(maker)})
	}
	err = samples.Missing(x.cache.String(), "pictures' features of "+s.Name, missing, Block, s.Count)
	if err != nil || !x.share.Part.Whole() {
		return err
	}
	maker.Features = keep.d
	out.maker = &maker
	out.warnings = append(out.warnings, same.warnings(s)...)
	return keep.finish(out)
}

// blocks returns which blocks of a source the share has; of sums, those of whole leaves.
func (x extraction) blocks(s *Source) (begin, end int) {
	if x.sums == "" {
		return x.share.Part.Range((s.Count + Block - 1) / Block)
	}
	const leaf = evaluate.SumRows / Block
	begin, end = x.share.Part.Range((s.Count + evaluate.SumRows - 1) / evaluate.SumRows)
	return leaf * begin, leaf * end
}

// pictureUnit is the unit of work.
const pictureUnit = "pictures"

// work returns how many of a source's pictures the share has.
func (x extraction) work(s *Source) int64 {
	begin, end := x.blocks(s)
	return int64(min(end*Block, s.Count) - min(begin*Block, s.Count))
}

// block returns the features of a block; none where they are to be joined and missing.
func (x extraction) block(ctx context.Context, e *features.Extractor, pictures []*tensor.Tensor,
	stage progress.Stage) (set features.Set, computed bool, err error) {
	if x.share.Join {
		set, _ = x.cache.Kept(e, pictures, stage, x.log)
		return set, false, nil
	}
	return x.cache.Features(ctx, e, pictures, stage, x.log)
}

// collector takes from blocks what the metrics need.
type collector struct {
	needs
	count            int
	d, k             int // columns of features and logits
	features, logits []float32
	modes            []*tensor.Tensor // a classifier's logits of each channel
	sum              *evaluate.Accumulator
	multiplier       *evaluate.Multiplier
}

func (c *collector) add(set features.Set) (err error) {
	d := set.Features.Shape()[1]
	if c.d == 0 {
		c.d = d
		if c.needs.features {
			c.features = make([]float32, 0, c.count*d)
		}
	}
	if c.needs.features {
		c.features = append(c.features, tensor.Data[float32](set.Features)...)
	} else if c.statistics {
		if c.sum == nil {
			if c.sum, err = evaluate.NewAccumulator(d); err != nil {
				return err
			}
			c.sum.Multiplier = c.multiplier
		}
		if err := c.sum.Add(set.Features); err != nil {
			return err
		}
	}
	if c.needs.logits && set.Logits != nil {
		c.k = set.Logits.Shape()[1]
		c.logits = append(c.logits, tensor.Data[float32](set.Logits)...)
	}
	if c.needs.classes && set.Classes != nil {
		c.modes = append(c.modes, set.Classes)
	}
	return nil
}

func (c *collector) finish(out *side) (err error) {
	if c.features != nil {
		out.features = tensor.Of(c.features, c.count, c.d)
	}
	if c.logits != nil {
		out.logits = tensor.Of(c.logits, c.count, c.k)
	}
	if c.modes != nil {
		out.classes = tensor.Concat(c.modes...)
	}
	switch {
	case c.sum != nil:
		out.statistics, err = c.sum.Statistics()
	case c.statistics:
		out.statistics, err = c.multiplier.StatisticsOf(out.features)
	}
	return err
}

// sameness finds pictures that carry no information.
type sameness struct {
	first []uint8
	seen  int
	equal int // to the first
	plain int // of one colour
}

func (s *sameness) look(pictures *tensor.Tensor) {
	shape := pictures.Shape()
	each, plane := tensor.Volume(shape[1:]), shape[2]*shape[3]
	all := tensor.Data[uint8](pictures)
	for i := range shape[0] {
		p := all[i*each : (i+1)*each]
		if s.first == nil {
			s.first = slices.Clone(p)
		}
		s.seen++
		if slices.Equal(p, s.first) {
			s.equal++
		}
		if plane > 1 && isPlain(p, plane) {
			s.plain++
		}
	}
}

// isPlain reports whether every channel has one value.
func isPlain(p []uint8, plane int) bool {
	for c := 0; c < len(p); c += plane {
		for _, v := range p[c : c+plane] {
			if v != p[c] {
				return false
			}
		}
	}
	return true
}

func (s *sameness) warnings(from *Source) (list []string) {
	if s.equal == s.seen {
		list = append(list, fmt.Sprintf("%s: all %d pictures are the same", from.Name, s.seen))
	}
	if s.plain > 0 {
		list = append(list, fmt.Sprintf("%s: %d of %d pictures have a single colour", from.Name, s.plain, s.seen))
	}
	return list
}
