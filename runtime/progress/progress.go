// Package progress is how long work says how far it is, to whatever shows it.
//
// A function that takes long has a [Progress] among its options and begins a
// [Stage] with [Begin]; a program that wants to see it implements the two
// interfaces. Command ebm draws bars in a terminal; a nil Progress shows
// nothing.
package progress

// Progress shows the stages of work. Stages may follow one another or run side
// by side, so implementations are called from several goroutines.
type Progress interface {
	// Stage begins a stage of total units, 0 when that is not known. The unit
	// is that of the rate, such as "pictures"; with "B" the numbers are bytes.
	Stage(name string, total int64, unit string) Stage
}

// Stage is one part of the work, with units that are done one after the other.
// Its methods may be called from several goroutines.
type Stage interface {
	// Skip says that n further units were done before the stage began, as when a
	// run is resumed: they are no part of the rate.
	Skip(n int64)
	// Add says that n more units are done.
	Add(n int64)
	// Set says that n units are done in all.
	Set(n int64)
	// Note sets a text to be shown beside the units, such as "loss 43.1".
	Note(text string)
	// Done ends the stage, which may be short of its total. Later calls of any
	// method do nothing.
	Done()
}

// Begin begins a stage of p, or one that shows nothing where p is nil.
func Begin(p Progress, name string, total int64, unit string) Stage {
	if p == nil {
		return Silent{}
	}
	return p.Stage(name, total, unit)
}

// Expect tells p, where it has a method Expect for that, how many units of a kind the
// stages that follow have together.
func Expect(p Progress, total int64, unit string) {
	if e, ok := p.(interface {
		Expect(total int64, unit string)
	}); ok {
		e.Expect(total, unit)
	}
}

// Silent is a Stage that shows nothing.
type Silent struct{}

func (Silent) Skip(int64)  {}
func (Silent) Add(int64)   {}
func (Silent) Set(int64)   {}
func (Silent) Note(string) {}
func (Silent) Done()       {}
