package verify

import (
	"context"

	"ebm/export"
	"ebm/internal/interp"
	"ebm/mdsm"
	"ebm/models/autodiff"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// checkTraining runs the exported training step, the file that training runs,
// and compares loss, gradient norm and gradient with the interpreter's. Its
// first moments start at zero, so that afterwards they are 1−β₁ of the
// gradient that Adam saw.
func (s *session) checkTraining(ctx context.Context) error {
	adam := mdsm.PaperAdam()
	var step *graph.Graph
	if err := graph.Catch(func() { step = mdsm.TrainStep(s.net, s.options.Objective, adam) }); err != nil {
		return err
	}
	model, err := export.Bytes(step, export.Options{})
	if err != nil {
		return err
	}
	in := s.lossInputs()
	in["learning_rate"] = tensor.Of([]float32{1e-3}, 1)
	in["step"] = tensor.Of([]int64{1}, 1)
	for _, p := range s.net.Parameters() {
		in[p.Name] = s.weights[p.Name].AsFloat32()
		for _, suffix := range adam.StateSuffixes() {
			in[p.Name+suffix] = tensor.New(tensor.Float32, p.Shape...)
		}
	}
	got, err := s.run(ctx, model, in)
	if err != nil {
		return err
	}
	want, err := interp.Run(step, in)
	if err != nil {
		return err
	}
	const file = "exported training step in ONNX Runtime, float32"
	var values, gradients []Comparison
	for _, name := range []string{"loss", "grad_norm"} {
		values = append(values, compare(name, got[name].Float64s(), want[name].Float64s()))
	}
	for _, p := range s.net.Parameters() {
		name := p.Name + ".m.next"
		gradient := func(m *tensor.Tensor) []float64 {
			g := append([]float64(nil), m.Float64s()...)
			for i := range g {
				g[i] /= 1 - adam.Beta1
			}
			return g
		}
		gradients = append(gradients, compare("∂loss/∂"+p.Name, gradient(got[name]), gradient(want[name])))
	}
	s.add(newCheck("training loss", file, "the same by the interpreter, float64", s.options.Tolerance, values))
	s.add(newCheck("training gradient", file, inInterpreter, s.options.Tolerance, together(gradients)))
	return nil
}

// lossInputs returns two pictures, of the first and the last noise level, as
// inputs of a loss graph, with the weights. A noise level of zero, at which the
// loss is not defined, is taken as σ₀.
func (s *session) lossInputs() map[string]*tensor.Tensor {
	last := s.batch.sigma.Len() - 1
	sigma := rows(s.batch.sigma, 0, last)
	for i, v := range tensor.Data[float32](sigma) {
		if v == 0 {
			tensor.Data[float32](sigma)[i] = float32(s.options.Objective.Sigma0)
		}
	}
	in := map[string]*tensor.Tensor{"x": rows(s.batch.clean, 0, last), "noise": rows(s.batch.noise, 0, last), "sigma": sigma}
	for _, p := range s.net.Parameters() {
		in[p.Name] = s.weights[p.Name]
	}
	return in
}

// rows returns some rows of a float32 tensor.
func rows(t *tensor.Tensor, index ...int) *tensor.Tensor {
	each := t.Len() / t.Shape()[0]
	out := tensor.New(tensor.Float32, append([]int{len(index)}, t.Shape()[1:]...)...)
	for i, k := range index {
		copy(tensor.Data[float32](out)[i*each:], tensor.Data[float32](t)[k*each:(k+1)*each])
	}
	return out
}

// lossGraph returns the derivatives grad/P of the loss of eq. (7) by every
// parameter P as a function of x, noise, sigma and the parameters, and the
// part of the loss that depends on the parameters,
//
//	part = (1/N) Σᵢ l(σᵢ) (2(xᵢ−x̃ᵢ)·gᵢ + ‖gᵢ‖²),  g = σ₀²∇E(x̃)
//
// which is the loss less (1/N) Σᵢ l(σᵢ) ‖xᵢ−x̃ᵢ‖².
func lossGraph(net energy.Network, o mdsm.Objective) (*graph.Graph, error) {
	g := graph.New("loss")
	err := graph.Catch(func() {
		x := g.Input("x", tensor.Float32, graph.Batch(net.InputShape()...))
		noise := g.Input("noise", x.DType(), x.Shape())
		sigma := g.Input("sigma", x.DType(), x.Shape()[:1])
		params := energy.Inputs(g, net, x.DType())
		e := func(x *graph.Node) *graph.Node { return net.Energy(x, params) }

		loss := mdsm.Loss(e, x, noise, sigma, o.Sigma0, o.Weighting)
		noisy := mdsm.Perturb(x, noise, sigma)
		score, _ := mdsm.Score(e, noisy)
		slope := graph.Scale(score, -o.Sigma0*o.Sigma0)
		terms := graph.Mul(slope, graph.Add(graph.Scale(graph.Sub(x, noisy), 2), slope))
		sums := graph.ReduceSum(graph.Flatten(terms), 1)
		one := graph.Like(sigma, 1)
		g.Output("part", graph.Div(graph.ReduceSum(graph.Mul(o.Weighting.Of(sigma), sums)), graph.ReduceSum(one)))
		xs := make([]*graph.Node, 0, len(params))
		for _, p := range net.Parameters() {
			xs = append(xs, params[p.Name])
		}
		for i, d := range autodiff.Gradient(loss, xs...) {
			g.Output("grad/"+net.Parameters()[i].Name, d)
		}
	})
	return g, err
}
