package main

import (
	"errors"
	"strings"
	"testing"
)

// full is a disk without space.
type full struct{}

var errFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, errFull }

// A result that was not written is a failure, whatever prints it.
func TestResultsThatWereNotWrittenAreFailures(t *testing.T) {
	for _, line := range []string{
		"models", "models mnist16", "models --json", "version", "--version", "--help", "sample --help", "help train", "completion bash",
		"runtime info", "reproduce",
		"inspect testdata/formats/run", "inspect --graph testdata/formats/run", "compare testdata/formats/run", "__complete sample --run m",
	} {
		var errs strings.Builder
		if code := run(t.Context(), append(strings.Fields(line), "-q"), full{}, &errs); code != 1 ||
			!strings.Contains(errs.String(), errFull.Error()) {
			t.Errorf("ebm %s to a full disk: exit status %d, %q, want 1 and why", line, code, errs.String())
		}
	}
}
