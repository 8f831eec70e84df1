package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm/cmd/internal/reproduce"
	"ebm/mdsm/dataset"
)

type reproduceFlags struct {
	scale     string
	out       string
	model     string
	data      map[string]string
	inception string
	seed      uint64
	yes       bool
	budget    time.Duration
	asJSON    bool
}

func (f *reproduceFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.scale, "scale", string(reproduce.Small),
		"work: smoke (a minute; numbers mean nothing), small (within an hour of two cores) or paper (days of a GPU)")
	fs.StringVar(&f.out, "out", "", "folder of the results (default reproduction/SCALE)")
	fs.StringVar(&f.model, "run", "", "a model in place of all that are trained or shipped: a run's folder, one of its checkpoints, a file "+
		"of weights or a shipped model")
	fs.StringToStringVar(&f.data, "data", nil, "folders of data sets that do not find themselves, as NAME=DIR, such as cifar10=DIR,svhn=DIR")
	fs.StringVar(&f.inception, "inception", "", "weights of the FID Inception network, for FID and Inception score (see evaluate)")
	fs.Uint64Var(&f.seed, "seed", 0, "seed of samples, noise and choices; trainings have their presets' own")
	fs.DurationVar(&f.budget, "budget", 0, "objectives: how long each trains on digits, such as 30m (default 1m at the scale small, 30m at "+
		"paper)")
	fs.BoolVar(&f.yes, "yes", false, "begin the paper's scale, whose cost is said otherwise and nothing done")
	fs.BoolVar(&f.asJSON, "json", false, "print the results as JSON")
}

func newReproduce(a *app) *cobra.Command {
	var f reproduceFlags
	cmd := &cobra.Command{
		Use:   "reproduce [ITEM…|all]",
		Short: "Repeat the paper's experiments, each with its number beside the paper's",
		Long: `reproduce makes or takes the models that an experiment of the paper needs,
measures what the paper measures, and writes for each item

  ITEM/result.json    the paper's value, ours, scale, settings, what differs
  ITEM/*.png          its pictures
  ITEM/report.html    its pictures, charts and tables
  report.html         all items, with summary.md and summary.json

A reproduction that was stopped goes on with the same command: finished items
are not made again, and trainings and samples go on where they were.

Without an item it lists them:

` + itemHelp(),
		Example: `  ebm reproduce all --scale small --out reproduction
  ebm reproduce inpainting noise --run runs/mnist --out reproduction`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return f.list(a)
			}
			return f.reproduce(cmd.Context(), a, args)
		},
	}
	f.add(cmd.Flags())
	return cmd
}

// itemHelp lists the items, a line each.
func itemHelp() string {
	var b strings.Builder
	for _, i := range reproduce.Items() {
		fmt.Fprintf(&b, "  %-13s %s (%s)\n", i.Name, i.About, i.Paper)
	}
	return b.String()
}

// list prints the items.
func (f *reproduceFlags) list(a *app) error {
	if f.asJSON {
		type row struct {
			Item  string `json:"item"`
			Paper string `json:"paper"`
			About string `json:"about"`
			Needs string `json:"needs"`
		}
		var rows []row
		for _, i := range reproduce.Items() {
			rows = append(rows, row{i.Name, i.Paper, i.About, i.Needs})
		}
		return a.printJSON(rows)
	}
	a.printf("item\tin the paper\tshows\tneeds at the paper's scale\n")
	for _, i := range reproduce.Items() {
		a.printf("%s\t%s\t%s\t%s\n", i.Name, i.Paper, i.About, i.Needs)
	}
	return nil
}

func (f *reproduceFlags) reproduce(ctx context.Context, a *app, names []string) error {
	scale, err := reproduce.ParseScale(f.scale)
	if err != nil {
		return usageError{err}
	}
	items, err := findItems(names)
	if err != nil {
		return usageError{err}
	}
	for name := range f.data {
		if !slices.Contains(dataset.Names(), name) {
			return usagef("--data %s, want one of %s", name, strings.Join(dataset.Names(), ", "))
		}
	}
	if f.budget < 0 {
		return usagef("--budget %v, want a time such as 30m", f.budget)
	}
	if f.out == "" {
		f.out = filepath.Join("reproduction", string(scale))
	}
	o := reproduce.Options{Dir: f.out, Scale: scale, Model: f.model, Data: f.data, Inception: f.inception, Seed: f.seed, Log: a.log,
		Budget: f.budget, Clock: processTime}
	rt, err := a.runtime(ctx)
	if err != nil {
		return err
	}
	if scale == reproduce.Paper {
		a.log("the paper's scale: counting its operations and measuring this machine")
		cost, err := reproduce.Estimate(ctx, rt, items, o)
		if err != nil {
			return err
		}
		f.printCost(a, cost)
		if !f.yes {
			return usagef("nothing was begun: say --yes to begin the paper's scale")
		}
	}
	o.Progress = a.progress()
	results, err := reproduce.Run(ctx, rt, items, o)
	if err != nil {
		return err
	}
	if f.asJSON {
		return a.printJSON(results)
	}
	printResults(a, results)
	a.printf("report\t%s\n", filepath.Join(f.out, "report.html"))
	return nil
}

// findItems returns the items of names, each once, in the table's order.
func findItems(names []string) ([]reproduce.Item, error) {
	wanted := make(map[string]bool)
	for _, name := range names {
		items, err := reproduce.Find(name)
		if err != nil {
			return nil, err
		}
		for _, i := range items {
			wanted[i.Name] = true
		}
	}
	return slices.DeleteFunc(reproduce.Items(), func(i reproduce.Item) bool { return !wanted[i.Name] }), nil
}

func (f *reproduceFlags) printCost(a *app, c reproduce.Cost) {
	line := func(format string, args ...any) { a.log(fmt.Sprintf(format, args...)) }
	hours := func(flops float64) float64 { return flops / c.Speed / 3600 }
	for _, t := range c.Trainings {
		line("training %s (preset %s, %d updates): %.3g operations, %.0f hours", t.Run, t.Preset, t.Updates, t.FLOPs, hours(t.FLOPs))
	}
	line("samples and chains: %.3g operations, %.0f hours", c.Sampling, hours(c.Sampling))
	line("in all %.3g operations: about %.0f hours (%.1f days) at the %.3g operations a second of an update measured here", c.FLOPs,
		c.Hours, c.Hours/24, c.Speed)
}

func printResults(a *app, results []reproduce.Result) {
	a.printf("item\tquantity\tpaper\tours\n")
	for _, r := range results {
		for _, row := range r.Rows {
			paper, ours := "-", "-"
			if row.Paper != nil {
				paper = fmt.Sprint(row.Paper)
			}
			if !math.IsNaN(row.Ours) {
				ours = strings.TrimSpace(fmt.Sprintf("%.4g %s", row.Ours, row.Unit))
			}
			a.printf("%s\t%s\t%s\t%s\n", r.Item, row.Name, paper, ours)
		}
	}
	differs := make(map[string]bool)
	for _, r := range results {
		for _, d := range r.Differs {
			differs[d] = true
		}
	}
	for _, d := range slices.Sorted(maps.Keys(differs)) {
		a.log("not as in the paper: " + d)
	}
}
