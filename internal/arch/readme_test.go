package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestReadmeExamples holds the Go blocks of the README to the bodies of
// functions that are tested.
func TestReadmeExamples(t *testing.T) {
	tested := exampleBodies(t, "../../example_test.go")
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read(t, "../../README.md"), -1)
	if len(blocks) == 0 {
		t.Error("the README has no Go example")
	}
	for _, b := range blocks {
		if !slices.Contains(tested, strings.TrimSpace(b[1])) {
			t.Errorf("a block of the README is not the body of an Example in example_test.go:\n%s", b[1])
		}
	}
}

// exampleBodies returns the bodies of a file's Examples, without the comment
// that holds the output.
func exampleBodies(t *testing.T, path string) []string {
	text := read(t, path)
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var bodies []string
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || !strings.HasPrefix(fn.Name.Name, "Example") {
			continue
		}
		body := text[fset.Position(fn.Body.Lbrace).Offset+1 : fset.Position(fn.Body.Rbrace).Offset]
		body, _, _ = strings.Cut(body, "\t// Output:")
		bodies = append(bodies, strings.TrimSpace(strings.ReplaceAll(body, "\n\t", "\n")))
	}
	return bodies
}

// TestLinks follows the relative links of the documents.
func TestLinks(t *testing.T) {
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(documents, "../../README.md") {
		text := regexp.MustCompile("(?s)```.*?```").ReplaceAllString(read(t, path), "")
		for _, m := range regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`).FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", path, m[1])
			}
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
