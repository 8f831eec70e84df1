package train

import (
	"fmt"
	"maps"
	"math"
	"time"
)

// every reports whether t is a multiple of n; nothing is one of 0.
func every(t, n int) bool { return n > 0 && t%n == 0 }

// note is what the progress display says beside the steps.
func note(loss float64, deadline time.Time) string {
	text := fmt.Sprintf("loss %.4g", loss)
	if !deadline.IsZero() {
		text += fmt.Sprintf(", stops within %v", max(time.Until(deadline), 0).Round(time.Second))
	}
	return text
}

// window gathers what happened since the last line of metrics.
type window struct {
	n, norms   int // of updates, and of those whose gradient was finite
	loss, norm float64
	seconds    float64
}

func (w *window) add(loss, norm float64, d time.Duration) {
	w.n++
	w.loss += loss
	if finite(norm) {
		w.norms++
		w.norm += norm
	}
	w.seconds += d.Seconds()
}

func (w *window) mean() float64 { return w.loss / float64(w.n) }

// values returns the window's line of metrics, and what a hook logged with it.
func (w *window) values(learningRate float64, logged map[string]float64) map[string]float64 {
	n := float64(w.n)
	line := map[string]float64{
		"loss": w.loss / n, "grad_norm": w.norm / float64(max(w.norms, 1)), "learning_rate": learningRate, "steps_per_second": n / w.seconds,
	}
	maps.Copy(line, logged)
	return line
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
