package arch

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// source is what the rules look at in one Go file that is no test.
type source struct {
	path      string
	generated bool
	imports   []string
	dots      []string // imports by dot
	inits     int      // functions called init
}

// module is the name in go.mod, and what its packages' import paths begin
// with.
const module = "ebm"

// folder returns the folder of one of the module's packages, "." for the
// root; ok is false for other modules' packages.
func folder(importPath string) (dir string, ok bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// load parses every Go file in fsys that is part of a package and returns
// them by folder. Build constraints are not applied, so the files of every
// system are seen; files that are never built are left out.
func load(fsys fs.FS) (map[string][]source, error) {
	packages := make(map[string][]source)
	err := fs.WalkDir(fsys, ".", func(name string, e fs.DirEntry, err error) error {
		switch base := e.Name(); {
		case err != nil:
			return err
		case e.IsDir() && name != "." && (base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_'):
			return fs.SkipDir
		case e.IsDir() || !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		s, ok, err := parse(name, text)
		if err != nil || !ok {
			return err
		}
		packages[path.Dir(name)] = append(packages[path.Dir(name)], s)
		return nil
	})
	return packages, err
}

func parse(name string, text []byte) (s source, ok bool, err error) {
	f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil || ignored(f) {
		return source{}, false, err
	}
	s = source{path: name, generated: ast.IsGenerated(f)}
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return source{}, false, fmt.Errorf("%s: import %s: %w", name, spec.Path.Value, err)
		}
		s.imports = append(s.imports, p)
		if spec.Name != nil && spec.Name.Name == "." {
			s.dots = append(s.dots, p)
		}
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			s.inits++
		}
	}
	return s, true, nil
}

// ignored reports whether a file says that it is a program of its own, run by
// name.
func ignored(f *ast.File) bool {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if c.Pos() > f.Package || !constraint.IsGoBuild(c.Text) {
				continue
			}
			if x, err := constraint.Parse(c.Text); err == nil && x.String() == "ignore" {
				return true
			}
		}
	}
	return false
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// layer is the place of a package: the floor of its top folder, and its layer
// inside that folder.
type layer struct{ floor, inside int }

func (l layer) String() string { return fmt.Sprintf("%d.%d", l.floor, l.inside) }

// below reports whether a package of layer m may import one of layer l.
func (l layer) below(m layer) bool {
	return l.floor < m.floor || l.floor == m.floor && l.inside < m.inside
}

// floors are the top folders, lowest first; "." is the root package.
var floors = []string{"internal", "models", "runtime", "export", "mdsm", "evaluate", ".", "cmd"}

// floorOf returns the floor of a folder, -1 for one that stands on none.
func floorOf(dir string) int {
	top, _, _ := strings.Cut(dir, "/")
	return slices.Index(floors, top)
}

// crossing is the one package that a lower floor may import: the array type,
// which formats read and write.
const crossing = "models/tensor"

// forTests is the package of helpers that tests share: it imports anything,
// and no file but a test imports it.
const forTests = "internal/testkit"

// layerTable reads the table under the heading Floors of the document: rows
// with a layer, its folders as code, and what they are for.
func layerTable(document string) (map[string]layer, error) {
	_, section, ok := strings.Cut(document, "\n## Floors\n")
	if !ok {
		return nil, fmt.Errorf("no heading Floors")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	layers := make(map[string]layer)
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		var at layer
		if n, _ := fmt.Sscanf(strings.TrimSpace(cells[1]), "%d.%d", &at.floor, &at.inside); n != 2 {
			continue // the head of the table
		}
		for _, m := range codeSpan.FindAllStringSubmatch(cells[2], -1) {
			dir := m[1]
			if dir == module {
				dir = "."
			}
			if _, twice := layers[dir]; twice {
				return nil, fmt.Errorf("%s is in two rows", m[1])
			}
			if f := floorOf(dir); f != at.floor {
				return nil, fmt.Errorf("%s is on floor %d, but the table says %v", m[1], f, at)
			}
			layers[dir] = at
		}
	}
	if len(layers) == 0 {
		return nil, fmt.Errorf("no table of layers under the heading Floors")
	}
	return layers, nil
}

// rule says that what begins with a path may be imported by some folders
// alone.
type rule struct {
	path    string
	only    []string
	because string
}

var rules = []rule{
	{"github.com/yalue/onnxruntime_go", []string{"runtime"}, "one package alone knows ONNX Runtime"},
	{"unsafe", []string{"runtime", "runtime/mpi"}, "memory is safe but where C begins"},
	{"C", []string{"runtime", "runtime/mpi"}, "memory is safe but where C begins"},
	{"plugin", nil, "nothing is loaded but ONNX Runtime"},
	{"github.com/owulveryck/onnx-go", []string{"export/onnximport"}, "one package alone decodes with it"},
	{"gonum.org/v1", []string{"evaluate", "models/gradcheck", "export/onnximport", "mdsm/restore"},
		"models compute in ONNX Runtime; statistics, singular values, difference formulas and onnx-go's graphs are the exceptions"},
	{"github.com/spf13", []string{"cmd/ebm"}, "flags belong to the program"},
	{"math/rand", []string{"models/gradcheck"}, "random numbers are models/rng's, which a seed and a place determine"},
	{"net", []string{"cmd/internal/watch"}, "nothing talks to a network by itself; one page listens on this machine"},
	{"os/exec", []string{"runtime", "internal/modcache", "cmd/internal/verify", "cmd/internal/watch"},
		"only finding libraries, asking other runtimes, and opening a browser starts programs"},
}

// check returns what is against the layers and the rules, a line each.
func check(packages map[string][]source, layers map[string]layer) []string {
	var problems []string
	complain := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	for dir := range layers {
		if packages[dir] == nil {
			complain("%s: the table has a package that does not exist", dir)
		}
	}
	for dir, files := range packages {
		at, ok := layers[dir]
		if !ok {
			complain("%s: the package is not in the table of docs/architecture.md", dir)
			continue
		}
		for _, f := range files {
			for _, p := range f.imports {
				if dir == forTests {
					continue
				}
				other, ours := folder(p)
				if to, known := layers[other]; ours && known && !to.below(at) && !(at.floor == 0 && other == crossing) {
					complain("%s: %s of layer %v imports %s of layer %v, want one below", f.path, dir, at, other, to)
				}
				if ours && other == forTests {
					complain("%s: imports %s, which is for tests alone", f.path, other)
				}
				for _, r := range rules {
					if (p == r.path || strings.HasPrefix(p, r.path+"/")) && !slices.Contains(r.only, dir) && !f.generated {
						complain("%s: imports %s, but %s", f.path, p, r.because)
					}
				}
			}
			for _, p := range f.dots {
				complain("%s: imports %s by dot", f.path, p)
			}
			if f.inits > 0 && !f.generated {
				complain("%s: has an init function; work is done when it is asked for", f.path)
			}
		}
	}
	slices.Sort(problems)
	return problems
}
