package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
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

// tally counts models by how far they came; fixed are those imported with
// inputs as constants.
type tally struct {
	models, imported, fixed, correct, smooth, differentiable int
}

func report(w *bufio.Writer, dir string, names []string, directions int, verbose bool) error {
	kinds, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%-20s %8s %10s %8s %10s %12s %16s\n", "tests", "models", "imported", "(fixed)", "correct", "with grad", "grad correct")
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
			if verbose && r.problem != "" {
				fmt.Fprintf(w, "%s: %s\n", name, r.problem)
				w.Flush()
			}
		}
		all.print(w, kind.Name())
		if functions.models > 0 {
			functions.print(w, kind.Name()+", expanded")
		}
	}
	return nil
}

func (t *tally) add(r result) {
	t.models++
	for _, step := range []struct {
		reached bool
		count   *int
	}{{r.imported, &t.imported}, {r.imported && r.fixed, &t.fixed}, {r.correct, &t.correct}, {r.smooth, &t.smooth},
		{r.differentiable, &t.differentiable}} {
		if step.reached {
			*step.count++
		}
	}
}

func (t *tally) print(w *bufio.Writer, name string) {
	if t.models > 0 {
		fmt.Fprintf(w, "%-20s %8d %10d %8d %10d %12d %16d\n", name, t.models, t.imported, t.fixed, t.correct, t.smooth, t.differentiable)
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
