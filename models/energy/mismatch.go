package energy

import (
	"fmt"
	"slices"
	"strings"
)

// MismatchError lists how weights differ from what a network wants.
type MismatchError struct{ Problems []string }

// Error returns the list, a line each, shortened when it is longer than that
// of any network.
func (e *MismatchError) Error() string {
	const most = 200
	lines := e.Problems
	if len(lines) > most {
		lines = append(slices.Clone(lines[:most]), fmt.Sprintf("and %d more", len(e.Problems)-most))
	}
	return "weights do not fit the network:\n  " + strings.Join(lines, "\n  ")
}
