package train

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Interval is how many steps lie between checkpoints: 0 makes none but that of the last
// step, and Auto makes them as far apart as Young's formula says.
type Interval int

// Auto makes a checkpoint after the first step, and further ones as far apart in time as
// [Young] says of what the checkpoints before took. When they are made changes no weight.
const Auto Interval = math.MinInt

// DefaultMTBF is the mean time between failures that Auto takes: a day, which is a usual
// limit of a job's time on shared machines and the longest that preemptible ones are lent.
const DefaultMTBF = 24 * time.Hour

// Young returns the time between checkpoints, √(2·cost·mtbf), at which a run loses least to
// making them and to what failures take back, where one is much shorter than the mean time
// between failures (Young 1974, A first order approximation to the optimum checkpoint
// interval).
func Young(cost, mtbf time.Duration) time.Duration {
	return time.Duration(math.Sqrt(2 * float64(cost) * float64(mtbf)))
}

// autoText is Auto in files and flags.
const autoText = "auto"

// ParseInterval reads a number of steps, or auto.
func ParseInterval(text string) (Interval, error) {
	if text == autoText {
		return Auto, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%q, want %s", text, intervals)
	}
	return Interval(n), nil
}

const intervals = "a number of steps from 0, or " + autoText

// String returns the interval as ParseInterval reads it.
func (i Interval) String() string {
	if i == Auto {
		return autoText
	}
	return strconv.Itoa(int(i))
}

// MarshalTOML writes a number, or "auto".
func (i Interval) MarshalTOML() ([]byte, error) {
	if i == Auto {
		return []byte(strconv.Quote(autoText)), nil
	}
	return []byte(i.String()), nil
}

// UnmarshalTOML reads a number, or "auto".
func (i *Interval) UnmarshalTOML(v any) error {
	if n, ok := v.(int64); ok {
		*i = Interval(n)
		return nil
	}
	if text, ok := v.(string); ok && text == autoText {
		*i = Auto
		return nil
	}
	return fmt.Errorf("%v between checkpoints, want %s", v, intervals)
}

// pace says when checkpoints are due.
type pace struct {
	made int           // checkpoints of this process
	took time.Duration // all of these
	last time.Time     // when the newest was finished
}

// due reports whether a checkpoint is made after step t, at a time.
func (p pace) due(t int, l Loop, now time.Time) bool {
	if l.CheckpointEvery != Auto {
		return every(t, int(l.CheckpointEvery))
	}
	return p.made == 0 || now.Sub(p.last) >= p.between(l)
}

// between returns the time between checkpoints.
func (p pace) between(l Loop) time.Duration {
	mtbf := l.MTBF
	if mtbf == 0 {
		mtbf = DefaultMTBF
	}
	return Young(p.took/time.Duration(p.made), mtbf)
}

// add takes in a checkpoint, and says what follows from the first.
func (p *pace) add(l Loop, begun, ended time.Time) {
	p.made, p.took, p.last = p.made+1, p.took+ended.Sub(begun), ended
	if l.CheckpointEvery != Auto || p.made > 1 || l.Log == nil {
		return
	}
	line := fmt.Sprintf("a checkpoint takes %v: one is made every %v", p.took.Round(time.Millisecond), p.between(l).Round(time.Second/10))
	if l.KeepCheckpoints == 0 {
		line += ", and all are kept"
	}
	l.Log(line)
}
