package progress

import (
	"sync"
	"testing"
)

// TestLines: under the race detector a log that is written to without turns
// fails, and lines are lost without it too.
func TestLines(t *testing.T) {
	Lines(nil)("goes nowhere")
	var lines []string
	log := Lines(func(line string) { lines = append(lines, line) })
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				log("a line")
			}
		})
	}
	all.Wait()
	if len(lines) != 4000 {
		t.Errorf("%d lines arrived, want 4000", len(lines))
	}
}
