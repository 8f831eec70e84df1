package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"ebm/cmd/internal/assess"
)

func newDemo(a *app) *cobra.Command {
	var o assess.DemoOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "The main job on real MNIST: train, export, verify, sample, report",
		Long: `demo trains the shipped MNIST model a little further, exports it as ONNX, checks
the exported gradient against finite differences, draws samples by annealed
Langevin dynamics, and as many in 70 evaluations each, has a classifier read both,
and writes a report that a browser shows. What it needs, it
fetches through the Go module proxy: ONNX Runtime's library and MNIST.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return demo(cmd.Context(), a, o, asJSON) },
	}
	cmd.Flags().StringVar(&o.Dir, "out", "", "the run's folder (default the first free one of runs/demo, runs/demo-2, …)")
	cmd.Flags().IntVar(&o.Steps, "steps", 300, "training steps at most")
	cmd.Flags().DurationVar(&o.Budget, "budget", 75*time.Second, "training time at most")
	cmd.Flags().IntVar(&o.Count, "count", 32, "samples to draw by each of the two samplers")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print where everything is, and how good, as JSON")
	return cmd
}

func demo(ctx context.Context, a *app, o assess.DemoOptions, asJSON bool) error {
	if err := atLeast(least{"steps", float64(o.Steps), 1}, least{"count", float64(o.Count), 1}); err != nil {
		return err
	}
	if o.Budget <= 0 {
		return usagef("--budget %v, want a positive time", o.Budget)
	}
	var err error
	if o.Dir, err = freeFolder(o.Dir, filepath.Join("runs", "demo")); err != nil {
		return err
	}
	o.Program, o.Progress, o.Log = "ebm "+version(), a.progress(), a.log
	r, err := assess.Demo(ctx, a.runtime, o)
	if err != nil {
		return err
	}
	if r.Page, err = writePage(ctx, a, o.Dir); err != nil {
		return err
	}
	if asJSON {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else {
		a.printf("samples   %s\nmodel     %s\nreport    %s\n", r.Samples, r.Model, r.Report)
		if r.Page != "" {
			a.printf("page      %s\n", r.Page)
		}
		for _, c := range r.Certificate.Checks {
			a.printf("checked   %s: error %.2g of the largest magnitude, want at most %.0g\n", c.Name, c.Worst(), c.Tolerance)
		}
		a.printf("digits    %d of %d, and the classifier is sure of %.0f %% of the samples\n", r.Covered, r.Modes, 100*r.Confident)
		for _, s := range r.Samplers {
			distance := ""
			if s.Frechet != nil {
				distance = fmt.Sprintf(", Fréchet distance %.0f", *s.Frechet)
			}
			a.printf("%-9s %d evaluations a sample: %.1f s, %d of %d digits, sure of %.0f %%%s\n", s.Sampler, s.Evaluations, s.Seconds, s.Covered,
				r.Modes, 100*s.Confident, distance)
		}
		a.printf("took      %.0fs\n", r.Seconds)
	}
	if !r.Passed {
		return errors.New("a check failed, see the report")
	}
	return nil
}

// freeFolder returns the folder asked for, which must not exist yet, or the
// first of stem, stem-2, … that does not.
func freeFolder(asked, stem string) (string, error) {
	free := func(path string) bool {
		_, err := os.Stat(path)
		return errors.Is(err, os.ErrNotExist)
	}
	if asked != "" {
		if !free(asked) {
			return "", fmt.Errorf("%s exists, want a new folder for --out", asked)
		}
		return asked, nil
	}
	path := stem
	for i := 2; !free(path); i++ {
		path = fmt.Sprintf("%s-%d", stem, i)
	}
	return path, nil
}
