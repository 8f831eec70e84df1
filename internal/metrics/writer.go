package metrics

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"time"
)

// Names in the folder of a run.
const (
	LinesFile    = "metrics.jsonl"
	EventsFolder = "tensorboard"
)

// Writer appends to the metrics of a run. It is not safe for concurrent use.
type Writer struct {
	lines  *lines
	events *events
	now    func() time.Time
}

// Create begins the metrics of a new run in dir, which must exist. Metrics
// of an earlier run there are dropped.
func Create(dir string) (*Writer, error) { return open(dir, -1, time.Now) }

// Resume continues the metrics in dir of a run that goes on after step, the
// step of its checkpoint. Afterwards they are as if the run had stopped
// there: later lines are cut off, and so is what a crash left incomplete; in
// TensorBoard later steps are hidden. A damaged line before others that are
// to be kept is an error, and the file is left alone.
func Resume(dir string, step int64) (*Writer, error) {
	if step < 0 {
		return nil, fmt.Errorf("%s: cannot resume metrics after step %d", dir, step)
	}
	return open(dir, step, time.Now)
}

func open(dir string, after int64, now func() time.Time) (*Writer, error) {
	l, err := openLines(filepath.Join(dir, LinesFile), after)
	if err != nil {
		return nil, err
	}
	e, err := createEvents(filepath.Join(dir, EventsFolder), after+1, now())
	if err != nil {
		return nil, errors.Join(err, l.file.Close())
	}
	return &Writer{lines: l, events: e, now: now}, nil
}

// Add appends what was measured at step, which must not be below that of
// the last call. The names "step" and "time" are taken.
func (w *Writer) Add(step int64, values map[string]float64) error {
	r := Record{Step: step, Time: w.now(), Values: values}
	if err := w.lines.add(r); err != nil {
		return err
	}
	return w.events.add(scalarsEvent(r))
}

// AddImage adds a picture to the event file under the given tag.
func (w *Writer) AddImage(step int64, tag string, img image.Image) error {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return fmt.Errorf("image %q of step %d: %w", tag, step, err)
	}
	size := img.Bounds().Size()
	_, grey := img.(*image.Gray)
	return w.events.add(imageEvent(w.now(), step, tag, b.Bytes(), size.X, size.Y, grey))
}

// Sync returns when everything added so far is on the disk. A run calls it
// before it completes a checkpoint, so that Resume finds the lines of every
// step up to the checkpoint's.
// The files must still be where they were opened: what is written into a
// folder that was removed is lost.
func (w *Writer) Sync() error {
	for _, f := range []*os.File{w.lines.file, w.events.file} {
		mine, err := f.Stat()
		if err != nil {
			return err
		}
		if there, err := os.Stat(f.Name()); err != nil || !os.SameFile(mine, there) {
			return fmt.Errorf("%s was removed while it was being written", f.Name())
		}
	}
	return w.flush()
}

func (w *Writer) flush() error { return errors.Join(w.lines.file.Sync(), w.events.file.Sync()) }

// Close syncs and closes the files.
func (w *Writer) Close() error {
	return errors.Join(w.flush(), w.lines.file.Close(), w.events.file.Close())
}
