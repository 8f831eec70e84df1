package terminal

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is a time that moves only when told to.
type clock struct{ at time.Time }

func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }

func fixed(w io.Writer) (*Progress, *clock) {
	c := &clock{time.Unix(1e9, 0)}
	p := New(w, false)
	p.now = func() time.Time { return c.at }
	return p, c
}

func TestPlainLines(t *testing.T) {
	var b bytes.Buffer
	p, c := fixed(&b)
	s := p.Stage("train", 1500, "it")
	for i := range 1200 {
		c.pass(100 * time.Millisecond)
		s.Note(fmt.Sprintf("loss %.1f", 100-float64(i)/100))
		s.Add(1)
	}
	s.Done()
	s.Done()
	s.Add(1)
	p.Close()
	var want strings.Builder
	want.WriteString("train takes about 2m30s\n")
	// 2 s after the start, then every 10 s, and at the end.
	for n := 20; n < 1200; n += 100 {
		left := short(time.Duration(1500-n) * 100 * time.Millisecond)
		fmt.Fprintf(&want, "train  %d/1500  10 it/s  %s left  loss %.1f\n", n, left, 100-float64(n-1)/100)
	}
	want.WriteString("train  1200/1500  10 it/s  in 2m0s  loss 88.0\n")
	if b.String() != want.String() {
		t.Errorf("got\n%swant\n%s", b.String(), want.String())
	}
}

func TestPlainLinesOfALongStageAreFew(t *testing.T) {
	var b bytes.Buffer
	p, c := fixed(&b)
	s := p.Stage("train", 0, "it")
	for range 10 * 3600 {
		c.pass(time.Second)
		s.Add(1)
	}
	s.Done()
	if n := strings.Count(b.String(), "\n"); n < 100 || n > 250 {
		t.Errorf("%d lines in ten hours, want 100 to 250", n)
	}
}

func TestQuietAndNilWriteNothing(t *testing.T) {
	var b bytes.Buffer
	for _, p := range []*Progress{New(&b, true), nil} {
		s := p.Stage("train", 10, "it")
		s.Skip(1)
		s.Add(2)
		s.Set(5)
		s.Note("note")
		s.Done()
		p.Close()
	}
	if b.Len() > 0 {
		t.Errorf("wrote %q", b.String())
	}
	fmt.Fprintln(New(&b, true), "warning")
	if b.String() != "warning\n" {
		t.Errorf("a warning became %q", b.String())
	}
}

func TestCloseEndsOpenStages(t *testing.T) {
	var b bytes.Buffer
	p, c := fixed(&b)
	s := p.Stage("sample", 64, "img")
	c.pass(time.Second)
	s.Set(16)
	c.pass(time.Second)
	p.Close()
	p.Close()
	s.Add(1)
	p.Stage("late", 1, "it").Add(1)
	if want := "sample  16/64  8 img/s  in 2.0s\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestAFileGetsPlainLines(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if isTerminal(f) {
		t.Error("a file counts as a terminal")
	}
}

// lockedBuffer may be read while the bars are drawn to it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func withBars(w io.Writer) *Progress {
	p := New(w, false)
	p.startBars()
	return p
}

func TestBars(t *testing.T) {
	var b lockedBuffer
	p := withBars(&b)
	s := p.Stage("train", 1500, "it")
	s.Skip(700)
	s.Set(750)
	s.Note("loss 43.1")
	for range 3 { // the third begins when the second is drawn
		p.redrawNow()
	}
	fmt.Fprintln(p, "a line waits for a drawing that has begun")
	running := b.String()
	if !strings.Contains(running, "train  [=") || !strings.Contains(running, "]  750/1500  ") ||
		!strings.Contains(running, " left  loss 43.1\n") {
		t.Errorf("while running: %q", running)
	}
	s.Done()
	fmt.Fprintln(p, "warning between the stages")
	other := p.Stage("sample", 0, "img")
	other.Add(1)
	fmt.Fprintln(p, "warning within a stage")
	p.Close()
	fmt.Fprintln(p, "after the end")

	// The last time each is drawn, in this order.
	got, last := b.String(), -1
	for _, text := range []string{"train  750/1500  ", "warning between", "warning within", "sample  1  ", "after the end"} {
		at := strings.LastIndex(got, text)
		if at <= last {
			t.Fatalf("%q is missing or too early in\n%s", text, got)
		}
		last = at
	}
	if strings.Contains(got, "\x1b[?25l") {
		t.Error("the cursor was hidden")
	}
}

// brokenTerminal fails from the second write on, as one that was closed.
type brokenTerminal struct{ writes int }

func (b *brokenTerminal) Write(p []byte) (int, error) {
	if b.writes++; b.writes > 1 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func TestATerminalThatIsClosedStopsNothing(t *testing.T) {
	p := withBars(&brokenTerminal{})
	for range 3 {
		s := p.Stage("train", 10, "it")
		for range 5 {
			s.Add(1)
			p.redrawNow()
		}
		s.Done()
	}
	p.Close()
}

func TestRateIsThatOfTheLastHalfMinute(t *testing.T) {
	start := time.Unix(1e9, 0)
	m := meter{total: 10000}
	m.begin(start)
	m.skip(400)
	m.skip(600)
	now := start
	for i := int64(1); i <= 100; i++ { // 1 a second
		now = now.Add(time.Second)
		m.set(now, 1000+i)
	}
	for i := int64(1); i <= 600; i++ { // then 10 a second
		now = now.Add(100 * time.Millisecond)
		m.set(now, 1100+i)
	}
	if got := m.rate(now); got < 9.9 || got > 10.1 {
		t.Errorf("rate %v, want 10", got)
	}
	if len(m.recent) > 40 {
		t.Errorf("%d points are kept", len(m.recent))
	}
	// Nothing more happens: the rate sinks.
	if got := m.rate(now.Add(time.Minute)); got > 5 {
		t.Errorf("rate %v a minute later", got)
	}
	m.end(now)
	if got, want := m.rate(now), 700.0/160; got != want {
		t.Errorf("mean rate %v, want %v", got, want)
	}
}

func TestWords(t *testing.T) {
	for want, got := range map[string]string{
		"0s": short(0), "0.4s": short(400 * time.Millisecond), "45s": short(45 * time.Second), "1m20s": short(80 * time.Second),
		"2h5m": short(125 * time.Minute), "3d4h": short(76 * time.Hour),
		"12.3 it/s": speed(12.34, "it"), "123 it/s": speed(123.4, "it"), "2.50 s/it": speed(0.4, "it"), "2m10s/it": speed(1.0/130, "it"),
		"1.50 MB/s": speed(1.5e6, "B"), "999 B": amount(999, "B"), "20 GB": amount(20e9, "B"), "2.50 TB": amount(2.5e12, "B"),
		"1200": amount(1200, "it"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
