package ebm_test

import (
	"archive/tar"
	"bytes"
	"compress/bzip2"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ebm"
	"ebm/internal/testkit"
	"ebm/models/graph"
	"ebm/models/tensor"
)

var update = flag.Bool("update", false, "write the table of layouts into the document")

// manifest is what testdata/make_layouts.py says of its layouts.
type manifest struct {
	Shape    []int
	X        []float32
	Energies map[string][]float64
	Layouts  []struct {
		Program, Writes, Want, Path string
		Refused                     bool
	}
}

// unpackLayouts writes the files of layouts.tar.bz2 to a folder.
func unpackLayouts(t *testing.T) (dir string, m manifest) {
	t.Helper()
	dir = t.TempDir()
	for files := tar.NewReader(bzip2.NewReader(bytes.NewReader(testkit.Read(t, "testdata", "layouts.tar.bz2")))); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, content, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir, m
}

// TestLayouts loads one network from files of many programs, compares its
// energies with PyTorch's, and holds the table in docs/cross-checking.md.
func TestLayouts(t *testing.T) {
	dir, m := unpackLayouts(t)
	x := tensor.Of(m.X, m.Shape...)
	var table strings.Builder
	table.WriteString("| program | what it writes | taken | said |\n| --- | --- | --- | --- |\n")
	for _, l := range m.Layouts {
		said := ""
		model, err := ebm.LoadWith(filepath.Join(dir, l.Path), ebm.LoadOptions{Log: func(line string) { said = line }})
		if l.Refused {
			if err == nil || !strings.Contains(err.Error(), l.Want) || !strings.Contains(err.Error(), l.Path) {
				t.Errorf("%s, %s: error %v, want one with %q", l.Program, l.Writes, err, l.Want)
			}
			fmt.Fprintf(&table, "| %s | %s | refused | %s |\n", l.Program, l.Writes, l.Want)
			continue
		}
		if err != nil {
			t.Errorf("%s, %s: %v", l.Program, l.Writes, err)
			continue
		}
		want := tensor.Of(m.Energies[l.Want], m.Shape[0])
		if d := testkit.Apart(energies(t, model, x), want); d > 1e-6 {
			t.Errorf("%s, %s: the energy is off by %.2g", l.Program, l.Writes, d)
		}
		for other, e := range m.Energies {
			if d := testkit.Apart(want, tensor.Of(e, m.Shape[0])); other != l.Want && d < 1e-4 {
				t.Fatalf("the energies of %s and %s do not differ", other, l.Want)
			}
		}
		_, said, _ = strings.Cut(said, l.Path+": ")
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", l.Program, l.Writes, l.Want, said)
	}
	const path, begin, end = "docs/cross-checking.md", "<!-- layouts -->\n", "<!-- end of layouts -->"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no %q and %q", path, begin, end)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+table.String()+end+after), 0o666); err != nil {
			t.Fatal(err)
		}
	} else if old != table.String() {
		t.Errorf("the table in %s is not that of the layouts; go test -run Layouts . -update writes it", path)
	}
}

// energies evaluates a model in float64.
func energies(t *testing.T, m *ebm.Model, x *tensor.Tensor) *tensor.Tensor {
	t.Helper()
	g := graph.New("energy")
	node := g.Input("x", tensor.Float32, graph.Dims(x.Shape()...))
	g.Output("energy", m.Network.Energy(node, m.Weights.Constants(g, m.Network, tensor.Float32)))
	return testkit.Interpret(t, g, testkit.Values{"x": x})["energy"]
}
