package inspect

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"ebm/export"
	"ebm/models/graph"
)

// Unchanged is the name of the stage before the first pass.
const Unchanged = "nothing"

// Stage is a graph as it is after a pass of package export.
type Stage struct {
	After string `json:"after"` // the pass's name, or Unchanged
	Nodes int    `json:"nodes"`
	Graph string `json:"graph"` // a line for each node
}

// StageNames returns the names of all stages, in order.
func StageNames() []string {
	names := []string{Unchanged}
	for _, p := range export.Passes() {
		names = append(names, p.Name)
	}
	return names
}

// Stages returns g before the passes and after each of them, or after one alone
// unless after is "". Every stage is verified.
func Stages(g *graph.Graph, after string) ([]Stage, error) {
	if after != "" && !slices.Contains(StageNames(), after) {
		return nil, fmt.Errorf("no pass is called %q, want one of %s", after, strings.Join(StageNames(), ", "))
	}
	var stages []Stage
	see := func(p export.Pass, g *graph.Graph) error {
		if after == "" || after == p.Name {
			stages = append(stages, Stage{p.Name, len(g.Nodes()), g.String()})
		}
		return nil
	}
	if err := see(export.Pass{Name: Unchanged}, g); err != nil {
		return nil, err
	}
	_, err := export.Optimise(g, export.Passes(), see)
	return stages, err
}

// WriteStages writes stages as text, each under a line with its pass and the
// number of its nodes.
func WriteStages(w io.Writer, stages []Stage) error {
	for _, s := range stages {
		if _, err := fmt.Fprintf(w, "after %s: %d nodes\n%s\n", s.After, s.Nodes, s.Graph); err != nil {
			return err
		}
	}
	return nil
}
