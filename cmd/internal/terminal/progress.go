package terminal

import (
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"ebm/runtime/progress"
)

const (
	barWidth     = 28 // columns of a bar
	leastWidth   = 10 // with fewer columns left than this, no bar is drawn
	redrawEvery  = 150 * time.Millisecond
	firstLine    = 2 * time.Second
	leastDone    = 10 // units that tell how long a stage takes
	leastBetween = 10 * time.Second
	mostBetween  = 5 * time.Minute
)

// Progress shows the stages of a program. Its methods and those of its
// stages may be called from several goroutines, and on nil, which shows
// nothing.
type Progress struct {
	out    io.Writer
	now    func() time.Time
	bars   *mpb.Progress // nil where plain lines are written
	redraw chan any      // one value, one redraw of the bars
	gone   chan any      // closed when the bars are, or cannot be drawn any more

	mu     sync.Mutex // guards writes of plain lines, and open
	open   []*stage
	closed bool
	quiet  bool
}

// New returns a Progress that writes to w, usually standard error: bars when
// w is a terminal, plain lines when it is not, nothing when quiet is set.
// Close must be called at the end.
func New(w io.Writer, quiet bool) *Progress {
	p := &Progress{out: w, now: time.Now, quiet: quiet}
	if !quiet && isTerminal(w) {
		p.startBars()
	}
	return p
}

// startBars has the bars redrawn at our word, and not only at the library's,
// so that a line that was written is on the terminal when Close returns.
func (p *Progress) startBars() {
	p.redraw = make(chan any)
	p.gone = make(chan any)
	p.bars = mpb.New(mpb.WithOutput(p.out), mpb.PopCompletedMode(),
		mpb.WithManualRefresh(p.redraw), mpb.WithShutdownNotifier(p.gone))
	go func() {
		ticker := time.NewTicker(redrawEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				p.redrawNow()
			case <-p.gone:
				return
			}
		}
	}()
}

// redrawNow returns when the redraw has been asked for, and any asked for
// before it has begun.
func (p *Progress) redrawNow() {
	select {
	case p.redraw <- nil:
	case <-p.gone:
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// Stage begins a stage of the given number of units, 0 when that is not
// known. The unit is that of the rate, such as "it" for it/s; with "B" the
// numbers are bytes. Stages may follow one another or run side by side.
func (p *Progress) Stage(name string, total int64, unit string) progress.Stage {
	if p == nil || p.quiet {
		return progress.Silent{}
	}
	s := &stage{
		progress: p, name: name, unit: unit,
		meter: meter{total: max(total, 0)},
		next:  p.now().Add(firstLine),
	}
	s.meter.begin(p.now())
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return progress.Silent{}
	}
	p.open = append(p.open, s)
	if p.bars != nil {
		s.bar = p.addBar(s)
	}
	return s
}

func (p *Progress) addBar(s *stage) *mpb.Bar {
	style := mpb.BarStyle().Build()
	filler := func(w io.Writer, stat decor.Statistics) error {
		current, total, ended := s.position()
		stat.AvailableWidth -= len(gap)
		if total == 0 || ended || stat.AvailableWidth < leastWidth {
			return nil
		}
		stat.Current, stat.Total = current, total
		if err := style.Fill(w, stat); err != nil {
			return err
		}
		_, err := io.WriteString(w, gap)
		return err
	}
	bar, err := p.bars.Add(0, mpb.BarFillerFunc(filler),
		mpb.BarWidth(barWidth),
		mpb.BarFillerTrim(),
		mpb.PrependDecorators(decor.Name(s.name+gap)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return s.barText() })),
	)
	if err != nil {
		return nil // closed meanwhile
	}
	return bar
}

// Write prints whole lines, such as a warning, above the bars. It writes
// even when quiet.
func (p *Progress) Write(b []byte) (int, error) {
	if p == nil {
		return len(b), nil
	}
	if p.bars != nil {
		if n, err := p.bars.Write(b); err == nil {
			p.redrawNow()
			return n, nil
		}
		// The bars are gone: below them is the place.
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

// Close ends the stages that are still open, wherever they are, and returns
// when everything is written. It may be called more than once.
func (p *Progress) Close() {
	if p == nil {
		return
	}
	p.mu.Lock()
	open, closed := slices.Clone(p.open), p.closed
	p.closed = true
	p.mu.Unlock()
	for _, s := range open {
		s.Done()
	}
	if p.bars != nil && !closed {
		p.bars.Wait()
	}
}

// line writes a plain line.
func (p *Progress) line(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// A standard error that is gone is no reason to stop the work.
	_, _ = io.WriteString(p.out, text+"\n")
}

func (p *Progress) remove(s *stage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = slices.DeleteFunc(p.open, func(o *stage) bool { return o == s })
}
