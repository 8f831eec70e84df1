package inspect

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"ebm/models/graph"
	"ebm/models/tensor"
)

func TestStages(t *testing.T) {
	g := graph.New("f")
	x := g.Input("x", tensor.Float32, graph.Dims(2))
	g.Output("y", graph.Add(graph.Neg(graph.Neg(x)), graph.Broadcast(g.Scalar(tensor.Float32, 0), x.Shape())))
	stages, err := Stages(g, "")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range stages {
		names = append(names, s.After)
		if s.Nodes != strings.Count(s.Graph, "\n%") {
			t.Errorf("after %s: %d nodes, but the text has %d lines of them", s.After, s.Nodes, strings.Count(s.Graph, "\n%"))
		}
	}
	if !slices.Equal(names, StageNames()) || stages[0].Graph != g.String() {
		t.Errorf("stages %q, want %q", names, StageNames())
	}
	last := stages[len(stages)-1]
	if last.Nodes != 1 {
		t.Errorf("−(−x) + 0 has %d nodes in the end, want x alone:\n%s", last.Nodes, last.Graph)
	}
	one, err := Stages(g, "simplify")
	var b bytes.Buffer
	if err != nil || len(one) != 1 || WriteStages(&b, one) != nil || !strings.HasPrefix(b.String(), "after simplify: ") {
		t.Errorf("%+v (%v), want the stage after simplify alone", one, err)
	}
	if _, err := Stages(g, "nowhere"); err == nil || !strings.Contains(err.Error(), "fold constants") {
		t.Errorf("error %v, want one that lists the passes", err)
	}
}
