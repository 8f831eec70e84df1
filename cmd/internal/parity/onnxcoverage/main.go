package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	verbose := flag.Bool("v", false, "a line for each model that falls short")
	directions := flag.Int("directions", 40, "random directions along which gradients are compared, 0 for none")
	flag.Parse()
	if flag.NArg() < 1 {
		fmt.Fprintln(os.Stderr, "usage: onnxcoverage [-v] [-directions N] DIR [NAME…]")
		os.Exit(2)
	}
	w := bufio.NewWriter(os.Stdout)
	err := report(w, flag.Arg(0), flag.Args()[1:], *directions, *verbose)
	w.Flush()
	if err != nil {
		fmt.Fprintln(os.Stderr, "onnxcoverage:", err)
		os.Exit(1)
	}
}

func report(w *bufio.Writer, dir string, names []string, directions int, verbose bool) error {
	kinds, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%-20s", "tests")
	for _, column := range strings.Fields(header) {
		fmt.Fprintf(w, " %9s", column)
	}
	fmt.Fprintln(w)
	reasons := make(refusals)
	for _, kind := range kinds {
		cases, err := filepath.Glob(filepath.Join(dir, kind.Name(), "*", "model.onnx"))
		if err != nil {
			return err
		}
		var all, functions tally
		for _, path := range cases {
			name := filepath.Base(filepath.Dir(path))
			if len(names) > 0 && !slices.Contains(names, name) {
				continue
			}
			// A test that is there twice, once with its operator written out as
			// simpler ones, counts on its own.
			sum := &all
			if strings.Contains(name, "_expanded") {
				sum = &functions
			}
			r := examine(filepath.Dir(path), directions)
			sum.add(r)
			reasons.add(r)
			if verbose && r.problem != "" {
				fmt.Fprintf(w, "%s: %s: %s\n", name, r.operator, r.problem)
				w.Flush()
			}
		}
		all.print(w, kind.Name())
		functions.print(w, kind.Name()+", expanded")
	}
	fmt.Fprintln(w, "\nWhat is in the way of correct outputs with every input left as one, or of the gradient, by operator:")
	reasons.print(w)
	return nil
}

// header names the columns of a tally: the models; those imported with every input
// left as one, and of these those with the expected outputs; the same of models that
// want some inputs as constants; and those that have a gradient, and one that agrees.
const header = "models imported correct +fixed correct gradient agrees"

// tally counts models by how far they came.
type tally [7]int

func (t *tally) add(r result) {
	for i, reached := range []bool{true, r.imported, r.correct, r.importedFixed, r.correctFixed, r.smooth, r.differentiable} {
		if reached {
			t[i]++
		}
	}
}

func (t *tally) print(w io.Writer, name string) {
	if t[0] == 0 {
		return
	}
	fmt.Fprintf(w, "%-20s", name)
	for _, n := range t {
		fmt.Fprintf(w, " %9d", n)
	}
	fmt.Fprintln(w)
}

// refusals counts models by the operator and the reason that stand in their way.
type refusals map[[2]string]int

// particulars are names and numbers within a reason.
var particulars = regexp.MustCompile(`"[^"]*"|\[[^\]]*\]|[-+]?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?`)

func (f refusals) add(r result) {
	if r.problem != "" {
		f[[2]string{r.operator, particulars.ReplaceAllString(r.problem, "…")}]++
	}
}

func (f refusals) print(w io.Writer) {
	keys := slices.SortedFunc(maps.Keys(f), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(f[b], f[a]), cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	for _, k := range keys {
		fmt.Fprintf(w, "%5d  %-28s %s\n", f[k], k[0], k[1])
	}
}

// tolerances of a test, from its own file where there is one.
type tolerances struct{ Rtol, Atol float64 }

func readTolerances(dir string) tolerances {
	t := tolerances{Rtol: 1e-3, Atol: 1e-5}
	if b, err := os.ReadFile(filepath.Join(dir, "tolerances.json")); err == nil {
		_ = json.Unmarshal(b, &t)
		t.Atol = max(t.Atol, 1e-6)
	}
	return t
}
