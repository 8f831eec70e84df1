package main

import (
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"ebm/cmd/internal/assess"
	"ebm/internal/atomicfile"
)

func newCompare(a *app) *cobra.Command {
	var page string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "compare RUN...",
		Short: "A table over runs: settings that differ, steps, loss and every metric",
		Long: `compare puts runs side by side: the settings in which they differ, their
training step and loss, and the metrics that ebm evaluate wrote into their
reports. Numbers of other features, other reference pictures or another number
of samples do not compare: such rows are marked, and no run is the best in
them. A RUN is the folder of a run, or of an evaluation (evaluate --out).`,
		Example: `  ebm compare runs/a runs/b
  ebm compare runs/* --html comparison.html`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("want RUN..., the folders of runs")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return compareRuns(a, args, page, asJSON) },
	}
	cmd.Flags().StringVar(&page, "html", "", "also write the table as a page that a browser shows")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the table as JSON")
	return cmd
}

func compareRuns(a *app, dirs []string, page string, asJSON bool) error {
	var runs []assess.Run
	for _, dir := range dirs {
		r, err := assess.ReadRun(dir)
		if err != nil {
			return err
		}
		r.Name = filepath.Clean(dir)
		runs = append(runs, r)
	}
	c := assess.Compare(runs)
	if page != "" {
		d := c.Document()
		d.Created = time.Now()
		if err := atomicfile.Write(page, func(w io.Writer) error { return d.WriteHTML(w) }); err != nil {
			return err
		}
	}
	if asJSON {
		return a.printJSON(c)
	}
	a.endProgress()
	return c.WriteText(a.stdout)
}
