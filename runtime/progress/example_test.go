package progress_test

import (
	"fmt"

	"ebm/runtime/progress"
)

// lines shows stages as lines on standard output.
type lines struct{}

func (lines) Stage(name string, total int64, unit string) progress.Stage {
	return &line{name: name, total: total, unit: unit}
}

type line struct {
	name, unit, note string
	done, total      int64
}

func (l *line) Skip(n int64)     { l.done += n }
func (l *line) Add(n int64)      { l.done += n }
func (l *line) Set(n int64)      { l.done = n }
func (l *line) Note(text string) { l.note = text }
func (l *line) Done()            { fmt.Printf("%s: %d of %d %s, %s\n", l.name, l.done, l.total, l.unit, l.note) }

func work(p progress.Progress) {
	stage := progress.Begin(p, "features", 3, "pictures")
	defer stage.Done()
	for range 3 {
		stage.Add(1)
	}
	stage.Note("all of one size")
}

// Example has work tell its progress to a program's own type, and to nobody.
func Example() {
	work(lines{})
	work(nil)
	// Output:
	// features: 3 of 3 pictures, all of one size
}
