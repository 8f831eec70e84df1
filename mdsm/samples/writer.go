package samples

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ebm/internal/atomicfile"
	"ebm/internal/picture"
	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// writer fills a folder.
type writer struct {
	Folder
	*Job
	row    []int // of a sample in the archive: [H W C], or [D]
	shards []shard
	made   int
	had    int // of the part, in shards that there were
	values int // of pictures that were made
	far    int // of these, further than 0.1 outside of [0, 1]

	lo, hi  int              // groups of the share: from lo to before hi
	missing []gap            // samples to draw
	open    []*tensor.Tensor // batches [n H W C] that are finished and in no shard yet
	first   int              // index of their first sample
	rows    int              // number of their samples
	states  States           // of groups in progress
	ended   []int            // groups whose states are of no more use when the open shard is closed
	opened  time.Time

	tracing bool             // whether a trace is missing
	traces  map[int]*Process // what there is of it, by group
}

func (f Folder) open(j *Job) (*writer, error) {
	row, err := f.rowOf(j.Shape)
	if err != nil {
		return nil, err
	}
	f.Log = progress.Lines(f.Log)
	if f.ShardTime == 0 {
		f.ShardTime = 2 * time.Second
	}
	if f.ShardBytes == 0 {
		f.ShardBytes = 4 << 20
	}
	if f.StateTime == 0 {
		f.StateTime = 15 * time.Second
	}
	w := &writer{Folder: f, Job: j, row: row}
	w.states = States{dir: w.shardsDir(), every: f.StateTime, log: f.Log}
	if f.Join {
		// What is joined may have been computed elsewhere.
		if had, err := ReadRecord(f.Dir); err != nil {
			return nil, err
		} else if j.Record.Group != had.Group || j.Record.Engine != had.Engine {
			j.Record.Group, j.Record.Engine = had.Group, had.Engine
		}
	}
	if err := w.record().claim(f.Dir, f.Share.Part.Whole()); err != nil {
		return nil, err
	}
	if f.Share.Part.Whole() {
		if err := atomicfile.Clean(w.shardsDir()); err != nil {
			return nil, err
		}
	}
	all := j.groupsOf(j.Record.First, j.end())
	w.lo, w.hi = f.Share.Part.Range(len(all))
	w.lo, w.hi = w.lo+all[0], w.hi+all[0]
	t, err := readTrace(f.Dir)
	w.tracing = j.Watch.Chains > 0 && (err != nil || !t.fits(j, j.Record.First, j.Watch.Chains))
	return w, nil
}

// rowOf is the shape of a sample in the archive.
func (f Folder) rowOf(shape []int) ([]int, error) {
	if len(shape) == 1 {
		return shape, nil
	}
	if len(shape) != 3 || shape[0] != 1 && shape[0] != 3 {
		return nil, fmt.Errorf("samples of shape %v, want pictures with 1 or 3 channels, height and width, or points", shape)
	}
	if f.Crop < 0 || f.Crop > min(shape[1], shape[2]) {
		return nil, fmt.Errorf("crop to %d×%d: the pictures are %d×%d", f.Crop, f.Crop, shape[1], shape[2])
	}
	if f.Crop > 0 {
		return []int{f.Crop, f.Crop, shape[0]}, nil
	}
	return []int{shape[1], shape[2], shape[0]}, nil
}

// points reports whether samples are points, which are float32 in the archive too.
func (w *writer) points() bool { return len(w.row) == 1 }

// record completes that of the job.
func (w *writer) record() Record {
	r := w.Record
	r.Shape, r.Float32, r.Describe = strings.ReplaceAll(strings.Trim(fmt.Sprint(w.row), "[]"), " ", "x"), w.Float32, w.Describe
	return r
}

func (w *writer) shardsDir() string { return filepath.Join(w.Dir, shardsDir) }

// dtype is the element type of the shards.
func (w *writer) dtype() tensor.DType {
	if w.Float32 || w.points() {
		return tensor.Float32
	}
	return tensor.Uint8
}

// fill draws what no shard has, or only the missing traces when all samples
// are there.
func (w *writer) fill(ctx context.Context, done bool) (err error) {
	if err := atomicfile.MkdirAll(w.shardsDir()); err != nil {
		return err
	}
	if !done {
		if w.shards, err = findShards(w.shardsDir(), w.Record.First, w.end(), w.dtype(), w.row, w.Log); err != nil {
			return err
		}
		first, end := max(w.lo*w.Record.Group, w.Record.First), max(min(w.hi*w.Record.Group, w.end()), w.Record.First)
		w.missing = gaps(within(w.shards, first, end), first, max(first, end))
		w.had = max(end-first, 0)
		for _, g := range w.missing {
			w.had -= g.end - g.first
		}
	}
	w.findTraces()
	if w.Join {
		return w.joinable(done)
	}
	reused, all := w.had, w.had
	if done {
		reused, all = w.Record.Count, w.Record.Count
	}
	for _, g := range w.missing {
		all += g.end - g.first
	}
	groups := w.wanted(done)
	stage := w.Stage(groups, reused)
	defer stage.Done()
	err = w.Run(ctx, groups, stage, w.states, func(b Batch) error {
		if err := w.take(b); err != nil {
			return err
		}
		stage.Note(fmt.Sprintf("%d/%d samples", reused+w.made, all))
		return nil
	})
	// What is finished is kept, also when the run was stopped.
	if err := errors.Join(err, w.flush()); err != nil {
		return err
	}
	if !w.Part.Whole() {
		return nil
	}
	return w.joinTraces()
}

// joinable reports what is missing of a folder that is to be joined, and joins the
// traces.
func (w *writer) joinable(done bool) error {
	if groups := w.wanted(done); len(groups) > 0 {
		e := &MissingError{Dir: w.Dir, What: "samples", Count: w.Record.Count}
		for _, g := range groups {
			lo, hi := w.span(g, w.Record.First, w.end())
			e.Ranges = ranges(e.Ranges, g*w.Record.Group+lo, g*w.Record.Group+hi)
		}
		return e
	}
	return w.joinTraces()
}

// wanted lists the groups to compute.
func (w *writer) wanted(done bool) []int {
	groups := slices.DeleteFunc(w.watched(), func(g int) bool { return w.traces[g] != nil })
	for _, g := range w.missing {
		groups = append(groups, w.groupsOf(g.first, g.end)...)
	}
	if w.Chains && !done {
		for _, g := range w.groupsOf(w.Record.First, w.end()) {
			if !atomicfile.Exists(w.chainsPart(g)) {
				groups = append(groups, g)
			}
		}
	}
	groups = slices.DeleteFunc(groups, func(g int) bool { return g < w.lo || g >= w.hi })
	slices.Sort(groups)
	return slices.Compact(groups)
}

// take records a batch and puts its missing samples into the open shard.
func (w *writer) take(b Batch) error {
	if err := errors.Join(w.keepTrace(b), w.keepChains(b)); err != nil {
		return err
	}
	w.ended = append(w.ended, b.First/w.Record.Group)
	end := b.First + b.X.Shape()[0]
	for _, g := range w.missing {
		lo, hi := max(b.First, g.first), min(end, g.end)
		if lo >= hi {
			continue
		}
		if err := w.append(lo, b.X.Rows(lo-b.First, hi-b.First)); err != nil {
			return err
		}
	}
	return nil
}

// append adds finished samples, [n C H W] from index first, to the open shard.
func (w *writer) append(first int, x *tensor.Tensor) error {
	if w.rows > 0 && first != w.first+w.rows {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if w.rows == 0 {
		w.first, w.opened = first, time.Now()
	}
	x, err := w.convert(x)
	if err != nil {
		return err
	}
	w.open = append(w.open, x)
	w.rows += x.Shape()[0]
	w.made += x.Shape()[0]
	if time.Since(w.opened) >= w.ShardTime || w.rows*tensor.Volume(w.row)*w.dtype().Size() >= w.ShardBytes {
		return w.flush()
	}
	return nil
}

// convert returns pictures [n C H W], or points, as a shard has them.
func (w *writer) convert(x *tensor.Tensor) (*tensor.Tensor, error) {
	if w.points() {
		return InUnits(x, w.Mean, w.Deviation), nil
	}
	x, err := w.crop(x)
	if err != nil {
		return nil, err
	}
	w.notice(x)
	if !w.Float32 {
		if x, err = picture.Bytes(x); err != nil {
			return nil, err
		}
	}
	return picture.NHWC(x)
}

// InUnits returns points [N D] of a model in the units of its data, whose columns have these
// means and deviations; nil for points that were not standardised.
func InUnits(x *tensor.Tensor, mean, deviation []float64) *tensor.Tensor {
	if mean == nil {
		return x
	}
	x = x.Clone()
	for i, v := range tensor.Data[float32](x) {
		column := i % len(mean)
		tensor.Data[float32](x)[i] = float32(float64(v)*deviation[column] + mean[column])
	}
	return x
}

// notice counts values that pictures cannot show.
func (w *writer) notice(x *tensor.Tensor) {
	w.values += x.Len()
	for _, v := range tensor.Data[float32](x) {
		if v < -0.1 || v > 1.1 {
			w.far++
		}
	}
}

// warn says that pictures show less than there is, where that is more than a
// hundredth of the values.
func (w *writer) warn() {
	if w.far*100 > w.values && w.Log != nil {
		w.Log(fmt.Sprintf("%s: %.2g%% of the values lie outside of [0, 1] and are clipped in pictures", w.Dir,
			100*float64(w.far)/float64(w.values)))
	}
}

func (f Folder) crop(x *tensor.Tensor) (*tensor.Tensor, error) {
	if f.Crop == 0 {
		return x, nil
	}
	return picture.Crop(x, f.Crop, f.Crop)
}

// flush closes the open shard.
func (w *writer) flush() error {
	if w.rows == 0 {
		return nil
	}
	s, err := writeShard(w.shardsDir(), w.first, tensor.Concat(w.open...))
	if err != nil {
		return err
	}
	w.shards = append(w.shards, s)
	w.open, w.rows = nil, 0
	for _, g := range w.ended {
		if err := w.states.Of(g).Remove(true); err != nil {
			return err
		}
	}
	w.ended = nil
	return nil
}
