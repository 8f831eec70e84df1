package samples

import (
	"context"
	"path/filepath"
	"time"

	"ebm/internal/atomicfile"
	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// Files and folders beside those of a Process.
const (
	ArchiveFile   = "samples.npz"
	Float32File   = "samples_float32.npy"
	GridFile      = "grid.png"
	AnimationFile = "process.gif"
	PicturesDir   = "png"
	shardsDir     = "shards"
)

// Folder says where and how Write leaves samples.
type Folder struct {
	Dir     string // made if it is not there; one process at a time writes to it, which holds its lock
	Share          // of a part no lock is taken: shards are published by what they hold, whoever makes them
	Crop    int    // keep the middle Crop × Crop pixels; 0 keeps all
	Float32 bool   // also write samples_float32.npy
	// Mean and Deviation of the columns of points [N D], which were taken away from the
	// data and divided by: samples are written in the units of these. None leaves them
	// as they are.
	Mean, Deviation []float64

	Grid      int  // number of samples in grid.png; 0 for no grid
	Animation bool // draw process.gif from the snapshots that Settings.Watch asks for
	PNG       bool // write every sample as a picture of its own

	// Describe goes into samples.json beside the settings.
	Describe map[string]string
	// Log, when not nil, gets a line for what a person should know, such as a
	// damaged shard.
	Log func(line string)

	// A shard is closed when it holds this much. The zero values mean two
	// seconds and 4 MB.
	ShardTime  time.Duration
	ShardBytes int
	// StateTime is how often the chains of a group in progress are kept; 0 is 15
	// seconds.
	StateTime time.Duration
}

// Written says what Write did.
type Written struct {
	Count  int // samples in the folder
	Made   int // samples that were drawn now
	Reused int // samples that were there
	Path   string
}

// Watch says which samples are recorded along the way.
type Watch struct {
	Chains    int   // the first so many; 0 records nothing
	Snapshots []int // after how many steps x is kept, ascending; 0 is the start
}

// Job is a set of samples that is computed in groups: sample i in group
// i/Record.Group.
type Job struct {
	// Record says what the samples follow from, and which they are. Write enters
	// Shape, Float32 and Describe.
	Record Record
	Shape  []int // of one sample: pictures [C H W] with one channel or three, or points [D]
	Watch  Watch
	Steps  int  // of a chain, as many as a trace has temperatures
	Chains bool // whether batches have arrays of their chains

	// Stage begins the progress of some groups, beside which so many samples are
	// done already.
	Stage func(groups []int, done int) progress.Stage
	// Run computes groups and delivers their wanted samples in order. It keeps the
	// chains of groups in progress in states, and goes on with those that are there.
	Run func(ctx context.Context, groups []int, stage progress.Stage, states States, deliver func(Batch) error) error
}

// Batch is a group's wanted samples.
type Batch struct {
	First   int            // index of the first
	X       *tensor.Tensor // [n C H W], float32
	Process *Process       // of the first chains of the job, or nil
	// Chains are arrays with a row for each chain of the group, which chains.npz
	// joins.
	Chains map[string]*tensor.Tensor
}

func (j *Job) end() int { return j.Record.First + j.Record.Count }

// groupsOf lists the groups of the samples from first to before end.
func (j *Job) groupsOf(first, end int) []int {
	var list []int
	for g := first / j.Record.Group; g*j.Record.Group < end; g++ {
		list = append(list, g)
	}
	return list
}

// span returns the part of a group between two samples, as places in it.
func (j *Job) span(group, first, end int) (lo, hi int) {
	return Span(j.Record.Group, group, first, end)
}

// Span returns the part of a group of so many samples between two of them, as
// places in it.
func Span(size, group, first, end int) (lo, hi int) {
	lo = min(max(first-group*size, 0), size)
	return lo, max(min(end-group*size, size), lo)
}

// Write computes the samples of a job into the folder. Finished samples go to
// disk every few seconds, and so do the chains of groups in progress. When Write
// is called again after it was interrupted, or the process killed, it computes
// only what is missing, and the files are the same, byte for byte. A folder that
// is complete stays as it is but for pictures and traces that are missing. One
// that has fewer samples of the same settings, from the same first one, grows. One
// of other settings is a *MismatchError. With a part of the groups, Write leaves their
// shards and returns ErrPart with what it did, but nil where the folder is complete;
// parts do not grow a finished folder.
func (f Folder) Write(ctx context.Context, j Job, show progress.Progress) (Written, error) {
	if !f.Share.Part.Whole() {
		if err := atomicfile.MkdirAll(f.Dir); err != nil {
			return Written{}, err
		}
	} else {
		release, err := atomicfile.Fill(f.Dir, "sample", "ebm sample")
		if err != nil {
			return Written{}, err
		}
		defer release()
	}
	w, err := f.open(&j)
	if err != nil {
		return Written{}, err
	}
	done, err := w.complete(ctx)
	if err != nil {
		return Written{}, err
	}
	if done && !f.Share.Part.Whole() {
		return Written{Count: j.Record.Count, Reused: j.Record.Count, Path: filepath.Join(f.Dir, ArchiveFile)}, nil
	}
	if !done || w.tracing {
		if err := w.fill(ctx, done); err != nil {
			if !f.Share.Part.Whole() && ctx.Err() == nil && atomicfile.Exists(filepath.Join(f.Dir, ArchiveFile)) {
				return Written{Count: j.Record.Count, Reused: j.Record.Count, Path: filepath.Join(f.Dir, ArchiveFile)}, nil // joined meanwhile
			}
			return Written{}, err
		}
	}
	if !f.Share.Part.Whole() {
		return Written{Count: w.made + w.had, Made: w.made, Reused: w.had, Path: w.shardsDir()}, ErrPart
	}
	if !done {
		if err := w.assemble(ctx); err != nil {
			return Written{}, err
		}
		w.warn()
	}
	if err := atomicfile.Remove(w.shardsDir()); err != nil {
		return Written{}, err
	}
	if w.points() {
		f.Grid, f.Animation, f.PNG = 0, false, false
	}
	if err := f.draw(ctx, j.Record.First, show); err != nil {
		return Written{}, err
	}
	return Written{Count: j.Record.Count, Made: w.made, Reused: j.Record.Count - w.made, Path: filepath.Join(f.Dir, ArchiveFile)}, nil
}
