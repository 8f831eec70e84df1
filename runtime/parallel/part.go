package parallel

import (
	"fmt"
	"strconv"
	"strings"
)

// Part says which of a job's groups a process computes, where several processes
// share one: part Index of Count, from 1. The zero Part is all of them.
type Part struct{ Index, Count int }

// ParsePart reads a part I/N, such as 2/4.
func ParsePart(text string) (Part, error) {
	index, count, cut := strings.Cut(text, "/")
	i, err := strconv.Atoi(index)
	n, wrong := strconv.Atoi(count)
	if p := (Part{i, n}); cut && err == nil && wrong == nil && n >= 1 && i >= 1 && i <= n {
		return p, nil
	}
	return Part{}, fmt.Errorf("%q, want a part I/N with I from 1 to N, such as 2/4", text)
}

// String returns the part as ParsePart reads it.
func (p Part) String() string { return fmt.Sprintf("%d/%d", p.Index, p.Count) }

// Whole reports whether the part is everything.
func (p Part) Whole() bool { return p.Count <= 1 }

// Range returns which of n groups the part has: from first to before end. The parts
// follow each other, and their sizes differ by one at most; of fewer groups than
// parts the last parts have none.
func (p Part) Range(n int) (first, end int) {
	if p.Whole() {
		return 0, n
	}
	size, more := n/p.Count, n%p.Count
	first = (p.Index-1)*size + min(p.Index-1, more)
	end = first + size
	if p.Index <= more {
		end++
	}
	return first, end
}
