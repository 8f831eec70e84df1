package bench

import (
	"encoding/json"
	"math"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
)

// TestCountsAreThoseOfPyTorch holds the counts of graphs as they are written
// to those of PyTorch's flop counter on the same functions. PyTorch's training
// step has one product of the head, a hundred-thousandth of all, that ours
// does not need.
func TestCountsAreThoseOfPyTorch(t *testing.T) {
	b := testkit.Read(t, "testdata/flops.json")
	var cases []struct {
		Net                        string
		Channels, Dim, Size, Batch int
		Energy, Score, Train       float64
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("there are no cases")
	}
	for _, c := range cases {
		n := energy.ResNet{Net: c.Net, Channels: c.Channels, Dim: c.Dim, Size: c.Size}
		w := energy.Init(n, rng.New(1))
		s, err := Settings(n, c.Batch)
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			g               *graph.Graph
			want, tolerance float64
		}{
			{mdsm.EnergyGraph(n, w), c.Energy, 0},
			{mdsm.ScoreGraph(n, w), c.Score, 0},
			{mdsm.TrainGraph(n, s.Denoising(), s.Adam()), c.Train, 1e-4},
		} {
			got, err := test.g.FLOPs(map[string]int{"N": c.Batch})
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(got-test.want) > test.tolerance*test.want {
				t.Errorf("%v, %s of %d pictures: %g operations, PyTorch counts %g", n, test.g.Name(), c.Batch, got, test.want)
			}
		}
	}
}
