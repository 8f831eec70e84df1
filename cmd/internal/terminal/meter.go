package terminal

import (
	"fmt"
	"time"
)

// window is the time over which the rate is taken, and spacing the least
// time between the points that are kept of it.
const (
	window  = 30 * time.Second
	spacing = time.Second
)

// gap stands between the parts of a line.
const gap = "  "

// meter counts units over time.
type meter struct {
	total    int64 // 0 when unknown
	current  int64
	start    time.Time
	skipped  int64
	recent   []point // oldest first; at least one
	finished time.Time
}

type point struct {
	at      time.Time
	current int64
}

func (m *meter) begin(now time.Time) {
	m.start, m.recent = now, []point{{at: now}}
}

// skip takes in units that are no part of the rate.
func (m *meter) skip(n int64) {
	m.skipped += n
	m.current += n
	for i := range m.recent {
		m.recent[i].current += n
	}
}

func (m *meter) set(now time.Time, current int64) {
	m.current = current
	if now.Sub(m.recent[len(m.recent)-1].at) >= spacing {
		m.recent = append(m.recent, point{now, current})
	}
	// The first point is kept until the second is as old as the window.
	for len(m.recent) > 1 && now.Sub(m.recent[1].at) >= window {
		m.recent = m.recent[1:]
	}
}

func (m *meter) end(now time.Time) { m.finished = now }

// rate returns the units per second at now: over the window while the stage
// runs, over all of it when it has ended.
func (m *meter) rate(now time.Time) float64 {
	from := m.recent[0]
	if !m.finished.IsZero() {
		from, now = point{m.start, m.skipped}, m.finished
	}
	seconds := now.Sub(from.at).Seconds()
	if seconds <= 0 {
		return 0
	}
	return max(0, float64(m.current-from.current)/seconds)
}

// describe puts the meter in words, such as "320/1500  12.3 it/s  1m36s left".
func (m *meter) describe(now time.Time, unit string) string {
	text := amount(m.current, unit)
	if m.total > 0 {
		text += "/" + amount(m.total, unit)
	}
	rate := m.rate(now)
	if rate > 0 {
		text += gap + speed(rate, unit)
	}
	switch {
	case !m.finished.IsZero():
		text += "  in " + short(m.finished.Sub(m.start))
	case rate > 0 && m.total > m.current:
		left := float64(m.total-m.current) / rate
		if left < 100*365*24*3600 {
			text += gap + short(time.Duration(left*float64(time.Second))) + " left"
		}
	}
	return text
}

func amount(n int64, unit string) string {
	if unit == "B" {
		return bytesText(float64(n))
	}
	return fmt.Sprint(n)
}

// speed writes a rate with three digits, as time per unit when it is below
// one unit a second.
func speed(rate float64, unit string) string {
	switch {
	case unit == "B":
		return bytesText(rate) + "/s"
	case rate >= 1:
		return threeDigits(rate) + " " + unit + "/s"
	case rate > 1.0/120:
		return threeDigits(1/rate) + " s/" + unit
	default:
		return short(time.Duration(float64(time.Second)/rate)) + "/" + unit
	}
}

func bytesText(n float64) string {
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if n < 1000 {
			return threeDigits(n) + " " + unit
		}
		n /= 1000
	}
	return threeDigits(n) + " TB"
}

func threeDigits(v float64) string {
	switch {
	case v >= 99.95 || v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 9.995:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// short writes a duration in its two largest units: 45s, 1m20s, 2h5m, 3d4h.
func short(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case d < 10*time.Second && d > 0:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%ds", s/60, s%60)
	case s < 24*3600:
		return fmt.Sprintf("%dh%dm", s/3600, s/60%60)
	default:
		return fmt.Sprintf("%dd%dh", s/86400, s/3600%24)
	}
}
