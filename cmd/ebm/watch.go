package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"ebm/cmd/internal/watch"
)

func newWatch(a *app) *cobra.Command {
	var o watch.Options
	var open, once, asJSON bool
	cmd := &cobra.Command{
		Use:   "watch DIR",
		Short: "Show the runs below a folder on a page, while they go on",
		Long: `watch prints the address of a page on this machine that shows the runs below DIR:
progress, loss, held-out loss, speed and time left, sweeps, folders of samples as they fill,
parts of jobs (--part) with what all of them have done together and the time left,
and for each run, or several beside each other, all metrics, the newest grids and
the settings that differ. It reads only, and answers this machine only. It ends with
Ctrl+C.

With --once or --json it prints what the page's list has, and ends.`,
		Example: `  ebm watch runs
  ebm watch runs --address 127.0.0.1:8080 --open
  ebm watch runs --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Dir = args[0]
			if cmd.Flags().Changed("address") {
				if err := watch.CheckAddress(o.Address); err != nil {
					return usagef("--%w", err)
				}
			}
			if once || asJSON {
				if open || o.Address != "" {
					return usagef("--open and --address are for the page, want them without --once and --json")
				}
				return listRuns(a, o, asJSON)
			}
			o.Ready = func(url string) {
				a.printf("%s\n", url)
				if open {
					if err := watch.Browse(url); err != nil {
						a.log(err.Error())
					}
				}
			}
			return watch.Serve(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Address, "address", "", "where the page is: a loopback address and a port (default a free port of 127.0.0.1)")
	cmd.Flags().BoolVar(&open, "open", false, "open the page in the browser")
	cmd.Flags().BoolVar(&once, "once", false, "print the runs and folders of samples once, as a table, in place of a page")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print them once, as JSON")
	return cmd
}

// listRuns prints what the list of the page has.
func listRuns(a *app, o watch.Options, asJSON bool) error {
	found, err := watch.Scan(o.Dir, time.Now())
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(found)
	}
	if len(found.Runs)+len(found.Sweeps)+len(found.Drawings)+len(found.Shared) == 0 {
		return errors.New("no runs, samples or parts of jobs below " + o.Dir)
	}
	var b strings.Builder
	if len(found.Runs) > 0 {
		b.WriteString("run\tdata\tstep\tof\tloss\theld out\tsteps/s\tstate\n")
	}
	for _, r := range found.Runs {
		fmt.Fprintf(&b, "%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", r.ID, r.Data, r.Step, r.Steps, numberCell(r.Loss), numberCell(r.HeldOut),
			numberCell(r.Speed), r.State())
	}
	if len(found.Sweeps) > 0 {
		b.WriteString("sweep\tdone\tof\tbest\theld out\n")
	}
	for _, s := range found.Sweeps {
		fmt.Fprintf(&b, "%s\t%d\t%d\t%s\t%s\n", s.ID, s.Done, s.Count, cmp.Or(s.Problem, s.Best), numberCell(s.HeldOut))
	}
	if len(found.Drawings) > 0 {
		b.WriteString("samples\tdone\tof\ta second\tleft\n")
	}
	for _, j := range found.Jobs {
		fmt.Fprintf(&b, "together: %s\t%d\t%d\t\t\n", strings.Join(j.Parts, ", "), j.Done, j.Count)
	}
	for _, d := range found.Drawings {
		fmt.Fprintf(&b, "%s\t%d\t%d\t%s\t%s\n", d.ID, d.Done, d.Count, numberCell(d.Rate), timeCell(d.Left))
	}
	if len(found.Shared) > 0 {
		b.WriteString("parts of\tcommand\tfinished\tof\trunning\tstopped\tdone\tof\tunit\t%\ta second\tleft\n")
	}
	for _, s := range found.Shared {
		fmt.Fprintf(&b, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%.0f\t%s\t%s\n", s.ID, s.Command, s.Finished, s.Parts, s.Running, s.Stopped, s.Done,
			s.Total, s.Unit, 100*s.Share, numberCell(s.Rate), timeCell(s.Left))
	}
	for _, s := range found.Shared {
		for _, line := range s.Lines() {
			fmt.Fprintf(&b, "%s: %s\n", s.ID, line)
		}
	}
	// Names of folders may hold what a terminal obeys.
	a.table(strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, b.String()))
	return nil
}

// numberCell is a number in a table, "" where it is not known.
func numberCell(v *float64) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf("%.4g", *v)
}

// timeCell is a time in a table, "" where it is not known.
func timeCell(seconds *float64) string {
	if seconds == nil {
		return ""
	}
	return time.Duration(*seconds * float64(time.Second)).Round(time.Second).String()
}
