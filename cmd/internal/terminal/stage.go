package terminal

import (
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
)

// stage is a progress.Stage on a line of its own.
type stage struct {
	progress *Progress
	bar      *mpb.Bar
	name     string
	unit     string

	mu    sync.Mutex // never held while a method of bar is called, which waits for drawing
	meter meter
	note  string
	next  time.Time // when the next plain line is due
	told  bool      // how long it takes was considered
	ended bool
}

// Skip says that n further units were done before the stage began, as when a run is
// resumed: they are shown and left out of the rate.
func (s *stage) Skip(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meter.skip(n)
}

// Add says that n more units are done.
func (s *stage) Add(n int64) {
	s.update(func() { s.meter.set(s.progress.now(), s.meter.current+n) })
}

// Set says that n units are done in all.
func (s *stage) Set(n int64) {
	s.update(func() { s.meter.set(s.progress.now(), n) })
}

// Note sets the text that ends the line, such as "loss 43.1".
func (s *stage) Note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note = text
}

// Done ends the stage, which may be short of its total.
func (s *stage) Done() {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	s.meter.end(s.progress.now())
	text := s.plainText()
	s.mu.Unlock()

	s.progress.remove(s)
	if s.bar == nil {
		s.progress.line(text)
		return
	}
	s.bar.Abort(false)
	// The first redraw shows the line as ended, the second leaves it above
	// the bars for good, and the third is there to have that begun.
	for range 3 {
		s.progress.redrawNow()
	}
}

func (s *stage) update(change func()) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	change()
	text, estimate := "", s.estimate()
	if now := s.progress.now(); s.bar == nil && !now.Before(s.next) {
		text = s.plainText()
		// One line for each twentieth of the time so far keeps the log of a
		// long run short.
		s.next = now.Add(min(max(now.Sub(s.meter.start)/20, leastBetween), mostBetween))
	}
	s.mu.Unlock()
	if estimate != "" {
		s.progress.Write([]byte(estimate))
	}
	if text != "" {
		s.progress.line(text)
	}
}

// estimate says once how long the stage takes, as soon as the first steps tell
// it and if it is more than a minute; it is "" otherwise.
func (s *stage) estimate() string {
	took, done := s.progress.now().Sub(s.meter.start), s.meter.current-s.meter.skipped
	if s.told || took < firstLine || done < leastDone || s.meter.total <= s.meter.current {
		return ""
	}
	s.told = true
	if all := took.Seconds() / float64(done) * float64(s.meter.total-s.meter.skipped); all > 60 && all < 1e9 {
		return s.name + " takes about " + short(time.Duration(all*float64(time.Second))) + "\n"
	}
	return ""
}

// position returns the units done, their total (0 when unknown) and whether
// the stage has ended.
func (s *stage) position() (current, total int64, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meter.current, s.meter.total, s.ended
}

func (s *stage) barText() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text()
}

func (s *stage) plainText() string { return s.name + gap + s.text() }

// text is the line without the name: position, rate, time, note.
func (s *stage) text() string {
	text := s.meter.describe(s.progress.now(), s.unit)
	if s.note != "" {
		text += gap + s.note
	}
	return text
}
