package arch

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"
)

// longest is where lines end. What is data of a test, in raw strings and bytes, may
// be longer.
const longest = 140

func TestLinesEnd(t *testing.T) {
	list, err := exec.Command("git", "-C", "../..", "ls-files", "*.go").Output()
	if err != nil {
		t.Skip("no git, or no checkout")
	}
	for _, path := range strings.Fields(string(list)) {
		if strings.HasSuffix(path, ".pb.go") {
			continue
		}
		data, err := os.ReadFile("../../" + path)
		if err != nil {
			continue // removed, not yet committed
		}
		for i, line := range strings.Split(string(data), "\n") {
			raw := strings.HasSuffix(path, "_test.go") && strings.ContainsAny(line, "`\\{\"")
			if n := utf8.RuneCountInString(line); n > longest && !raw {
				t.Errorf("%s:%d has %d characters, want at most %d", path, i+1, n, longest)
			}
		}
	}
}
