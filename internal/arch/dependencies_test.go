package arch

import (
	"regexp"
	"strings"
	"testing"
)

// TestDependencies holds the table of docs/dependencies.md to what go.mod
// requires directly.
func TestDependencies(t *testing.T) {
	required := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) (v\S+)$`).FindAllStringSubmatch(read(t, "../../go.mod"), -1) {
		required[m[1]] = m[2]
	}
	if len(required) == 0 {
		t.Fatal("go.mod requires nothing, want its direct requirements on lines of their own")
	}
	section, _, _ := strings.Cut(read(t, "../../docs/dependencies.md"), "\n## Not taken")
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (v\\S+) \\| ([^|]+) \\| ([^|]+) \\| ([^|]+) \\|$")
	for _, m := range row.FindAllStringSubmatch(section, -1) {
		if required[m[1]] != m[2] {
			t.Errorf("docs/dependencies.md has %s %s, want %q as in go.mod", m[1], m[2], required[m[1]])
		}
		delete(required, m[1])
	}
	for module, version := range required {
		t.Errorf("docs/dependencies.md has no row of %s %s: what it is for, and why this one", module, version)
	}
}
