package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm"
	"ebm/cmd/internal/inspect"
	"ebm/export/onnximport"
	"ebm/models/graph"
)

func newInspect(a *app) *cobra.Command {
	var asJSON, asGraph, verify bool
	var kind, after string
	var place placeFlags
	cmd := &cobra.Command{
		Use:   "inspect FILE|REF",
		Short: "Say what an ONNX model, a file of weights, a run or a checkpoint is",
		Long: `inspect describes, in words or as JSON:

  an ONNX model      producer, opset, inputs and outputs, operators, weights,
                     metadata, and whether external data are there
  a file of weights  (safetensors, PyTorch, NumPy, a pickle; a hub's folder) every
                     tensor with its range, the number of parameters, the network
                     they are of, and what stands beside it
  a run's folder     settings, steps made, last metrics, checkpoints
  a checkpoint       weights and the optimiser's state
  a shipped model    as a file of weights

With --graph it prints the graph of a model (of an ONNX file, or of a KIND of a
run, file of weights or shipped model), a line for each node, before and after
each of the passes that an exported graph goes through. docs/debugging.md shows
how to find a wrong gradient or a slow graph with it.

Nothing in a file is executed or sent to ONNX Runtime.`,
		Example: `  ebm inspect runs/mnist
  ebm inspect runs/mnist/model/score.onnx
  ebm inspect weights.pth --json
  ebm inspect --graph mnist16 --kind score --after "drop dead code"`,
		Args: exactArgs(1, "a file, a folder or the name of a shipped model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if asGraph {
				return printGraph(a, place.in(args[0]), kind, after, asJSON)
			}
			if after != "" || cmd.Flags().Changed("kind") {
				return usagef("--after and --kind belong to --graph")
			}
			if verify {
				return verifyFolder(cmd.Context(), a, args[0], asJSON)
			}
			d, err := inspect.Describe(cmd.Context(), args[0], strings.TrimPrefix(place.in(""), "#"))
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(d)
			}
			var b bytes.Buffer
			if err := d.WriteText(&b); err != nil {
				return err
			}
			a.printf("%s", b.String())
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	cmd.Flags().BoolVar(&verify, "verify", false, "read every file of a folder and check it by its hash, checksum or form")
	place.add(cmd.Flags())
	group(cmd.Flags(), "The graph", func(fs *pflag.FlagSet) {
		fs.BoolVar(&asGraph, "graph", false, "print the graph after each pass instead")
		fs.StringVar(&kind, "kind", string(ebm.ScoreKind), "of a model with weights: energy, score, hvp, train, sampler or denoise")
		fs.StringVar(&after, "after", "", "print it after this pass alone: "+strings.Join(inspect.StageNames(), ", "))
	})
	return cmd
}

// verifyFolder prints what is known of each file of a folder; damage is an error.
func verifyFolder(ctx context.Context, a *app, dir string, asJSON bool) error {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return usagef("--verify %s, want a folder", dir)
	}
	list, err := inspect.Verify(ctx, dir)
	if err != nil {
		return err
	}
	if asJSON {
		err = a.printJSON(list)
	}
	damaged := 0
	var b strings.Builder
	for _, c := range list {
		outcome, by := "good", c.By
		switch {
		case c.Damage != "":
			damaged++
			outcome, by = "damaged", c.Damage
		case by == "":
			outcome = "read"
		}
		fmt.Fprintf(&b, "%s\t%s\t%s\n", outcome, c.Path, by)
	}
	if !asJSON {
		a.table(b.String())
	}
	if err == nil && damaged > 0 {
		err = fmt.Errorf("%s: %d of %d files are damaged", dir, damaged, len(list))
	}
	return err
}

// printGraph prints the graph of a model at its stages.
func printGraph(a *app, ref, kind, after string, asJSON bool) error {
	k, err := ebm.ParseKind(kind)
	if err != nil {
		return usageError{err}
	}
	if after != "" && !slices.Contains(inspect.StageNames(), after) {
		return usagef("--after %s, want one of %s", after, strings.Join(inspect.StageNames(), ", "))
	}
	var g *graph.Graph
	if strings.EqualFold(filepath.Ext(ref), ".onnx") {
		m, err := onnximport.Read(ref, onnximport.Options{})
		if err != nil {
			return err
		}
		g = m.Graph
	} else {
		m, err := a.load(ref)
		if err != nil {
			return err
		}
		if g, err = m.Graph(k); err != nil {
			return err
		}
	}
	stages, err := inspect.Stages(g, after)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(stages)
	}
	a.endProgress()
	return inspect.WriteStages(a.stdout, stages)
}
