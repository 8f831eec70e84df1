package export_test

import (
	"testing"

	"ebm/export"
	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// With ELU and its slope as a node each, energies, scores and the gradients of training, which have
// second derivatives of ELU, are those of the interpreter.
func TestEluNode(t *testing.T) {
	rt := testkit.Open(t, 1)
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 8, Size: 8}
	weights := energy.Init(n, rng.New(2))
	objective := mdsm.Objective{Sigma0: 0.5, Weighting: mdsm.InverseVariance}
	for _, g := range []*graph.Graph{mdsm.ScoreGraph(n, weights), mdsm.GradientGraph(n, objective, 1)} {
		in := make(map[string]*tensor.Tensor)
		for i, node := range g.Inputs() {
			shape, err := node.Shape().Bind(map[string]int{"N": 3})
			if err != nil {
				t.Fatal(err)
			}
			v := tensor.New(tensor.Float32, shape...)
			rng.New(5).Normal(tensor.Data[float32](v), rng.Init, uint64(i), 0)
			in[node.InputName()] = v
			if w := weights[node.InputName()]; w != nil {
				in[node.InputName()] = w
			} else if node.InputName() == "sigma" {
				in["sigma"] = tensor.Of([]float32{0.5, 1, 2}, 3)
			}
		}
		m := model(t, g, export.Options{Elu: true})
		if ops := operators(m.Graph, map[string]int{}); ops["Elu"] == 0 || ops["HardSigmoid"] == 0 || ops["Exp"] > 0 {
			t.Errorf("%s: operators %v, want Elu and HardSigmoid without Exp", g.Name(), ops)
		}
		got, err := session(t, rt, m).Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := session(t, rt, model(t, g, export.Options{})).Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range testkit.Interpret(t, g, in) {
			// A sum to one number, of terms that cancel, has lost more in either form.
			if e := testkit.Apart(got[name], want); !(e <= max(1e-6, 2*testkit.Apart(plain[name], want))) {
				t.Errorf("%s: %s differs by %g of its largest value", g.Name(), name, e)
			}
		}
	}
}
