package verify

import (
	"context"
	"maps"
	"math"
	"slices"

	"ebm/export"
	forms "ebm/export/session"
	"ebm/mdsm"
	"ebm/models/autodiff"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
	"ebm/runtime"
)

const (
	stepInRuntime     = "exported training step in ONNX Runtime"
	lossInInterpreter = "the same by the interpreter, float64"
)

// lossValues are a training loss and its derivatives by parameters.
type lossValues struct {
	loss      float64
	part      float64 // of the loss, see lossGraph; by the interpreter alone
	norm      float64 // of the gradient
	gradients values  // ∂loss/∂P by parameter
}

// norm returns the norm of a gradient.
func norm(gradients values) float64 {
	square := 0.0
	for _, name := range slices.Sorted(maps.Keys(gradients)) { // sums depend on the order
		for _, d := range gradients[name] {
			square += d * d
		}
	}
	return math.Sqrt(square)
}

// trainingSteps are the checks of the training step and of the gradient that
// they compare it with.
func (s *session) trainingSteps() ([]step, error) {
	loss, err := lossGraph(s.net, s.options.Objective)
	if err != nil {
		return nil, err
	}
	pictures := float64(s.lossPictures())
	list := []step{{
		run:  func(ctx context.Context) error { return s.checkTraining(ctx, loss) },
		cost: pictures * multiplications(loss.Nodes()),
	}}
	if s.options.hasLoss() {
		list = append(list, step{run: s.checkReferenceLoss})
	}
	each := pictures * multiplications(needed(loss, "part"))
	directions := s.lossDirections(each)
	return append(list, step{
		run:  func(ctx context.Context) error { return s.checkLossDifferences(ctx, loss, directions, each) },
		cost: evaluations * float64(directions) * each,
	}), nil
}

// checkTraining runs the exported training step, the file that training runs,
// and compares loss, gradient norm and gradient with the interpreter's.
func (s *session) checkTraining(ctx context.Context, loss *graph.Graph) error {
	if err := s.trainHere(ctx); err != nil {
		return err
	}
	var err error
	if s.loss, err = s.interpretLoss(ctx, loss); err != nil {
		return err
	}
	here := s.trained
	s.add(newCheck("training loss", s.in(stepInRuntime), lossInInterpreter, s.options.Tolerance, []Comparison{
		compare("loss", []float64{here.loss}, []float64{s.loss.loss}),
	}))
	gradients := s.byParameter(here.gradients, s.loss.gradients)
	s.add(newCheck("training gradient", s.in(stepInRuntime), inInterpreter, s.options.Tolerance, gradients))
	s.add(newCheck("norm of the training gradient", s.in(stepInRuntime), lossInInterpreter, s.normTolerance(), []Comparison{
		compare("grad_norm·σ₀⁴", []float64{here.norm}, []float64{s.loss.norm}),
	}))
	return nil
}

// byParameter compares the gradients of all parameters that the reference has.
func (s *session) byParameter(subject, reference values) []Comparison {
	var list []Comparison
	for _, p := range s.net.Parameters() {
		if want, ok := reference[p.Name]; ok {
			list = append(list, compare("∂loss/∂"+p.Name, subject[p.Name], want))
		}
	}
	return together(list)
}

// sigma04 is σ₀⁴, over which the loss that Adam lowers is divided.
func (s *session) sigma04() float64 {
	square := s.options.Objective.Sigma0 * s.options.Objective.Sigma0
	return square * square
}

// normTolerance is that of the gradient's norm, whose float32 sum of n squares may be
// off by 2⁻²⁴·√n, with n the elements of the largest parameter.
func (s *session) normTolerance() float64 {
	n := 0
	for _, p := range s.net.Parameters() {
		n = max(n, tensor.Volume(p.Shape))
	}
	return math.Max(s.options.Tolerance, math.Sqrt(float64(n))/(1<<24))
}

// trainHere runs the exported training step in ONNX Runtime, once. Its first
// moments start at zero, so that afterwards they are 1−β₁ of the gradient that
// Adam saw, which is that of loss/σ₀⁴.
func (s *session) trainHere(ctx context.Context) error {
	if s.trained != nil {
		return nil
	}
	adam, arithmetic := mdsm.PaperAdam(), forms.FormFor(s.rt).Arithmetic
	criterion, optimiser := mdsm.Criterion(s.options.Objective), mdsm.Optimiser(adam)
	if arithmetic.DType == tensor.Float16 {
		criterion, optimiser = mdsm.Float16(criterion, optimiser, s.lossPictures())
	}
	var step *graph.Graph
	if err := graph.Catch(func() { step = mdsm.TrainGraph(s.net, criterion, optimiser) }); err != nil {
		return err
	}
	file, err := export.Bytes(step, export.Options{Arithmetic: arithmetic})
	if err != nil {
		return err
	}
	in := s.lossInputs()
	in["learning_rate"] = tensor.Of([]float32{1e-3}, 1)
	in["step"] = tensor.Of([]int64{1}, 1)
	for _, p := range s.net.Parameters() {
		for _, suffix := range adam.StateSuffixes() {
			in[p.Name+suffix] = tensor.New(tensor.Float32, p.Shape...)
		}
	}
	model, err := s.rt.Load(file, runtime.SessionOptions{})
	if err != nil {
		return err
	}
	defer model.Close()
	out, err := model.Run(ctx, in)
	if err != nil {
		return err
	}
	l := &lossValues{loss: out["loss"].Float64s()[0], norm: out["grad_norm"].Float64s()[0] * s.sigma04(), gradients: make(values)}
	for _, p := range s.net.Parameters() {
		gradient := out[p.Name+".m.next"].Float64s()
		for i := range gradient {
			gradient[i] *= s.sigma04() / (1 - adam.Beta1)
		}
		l.gradients[p.Name] = gradient
	}
	s.trained = l
	return nil
}

// interpretLoss computes the loss and its derivatives in float64.
func (s *session) interpretLoss(ctx context.Context, loss *graph.Graph) (*lossValues, error) {
	names := []string{"loss", "part"}
	for _, p := range s.net.Parameters() {
		names = append(names, gradientPrefix+p.Name)
	}
	out, err := eval(ctx, loss, s.lossInputs(), nodes(loss, names)...)
	if err != nil {
		return nil, err
	}
	l := &lossValues{loss: out[0].Float64s()[0], part: out[1].Float64s()[0], gradients: make(values)}
	for i, p := range s.net.Parameters() {
		l.gradients[p.Name] = tensor.Data[float64](out[i+2])
	}
	l.norm = norm(l.gradients)
	return l, nil
}

// lossPictures returns the number of pictures of the training step.
func (s *session) lossPictures() int {
	if s.options.hasLoss() {
		return s.options.Reference.Pictures()
	}
	return 2
}

// lossInputs returns the reference's pictures, or two of the batch's, of the
// first and the last noise level, as inputs of a loss graph, with the weights.
// A noise level of zero, at which the loss is not defined, is taken as σ₀.
func (s *session) lossInputs() map[string]*tensor.Tensor {
	in := make(map[string]*tensor.Tensor)
	if r := s.options.Reference; s.options.hasLoss() {
		in["x"], in["noise"], in["sigma"] = r.X, r.Noise, r.Sigma
	} else {
		last := s.batch.sigma.Len() - 1
		sigma := rows(s.batch.sigma, 0, last)
		for i, v := range tensor.Data[float32](sigma) {
			if v == 0 {
				tensor.Data[float32](sigma)[i] = float32(s.options.Objective.Sigma0)
			}
		}
		in["x"], in["noise"], in["sigma"] = rows(s.batch.clean, 0, last), rows(s.batch.noise, 0, last), sigma
	}
	for _, p := range s.net.Parameters() {
		in[p.Name] = s.weights[p.Name].AsFloat32() // as the exported files have them
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

// lossGraph returns the loss of eq. (7) and its derivatives grad/P by every
// parameter P as functions of x, noise, sigma and the parameters, and the part
// of the loss that depends on the parameters,
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
		g.Output("loss", graph.Reshape(loss, graph.Dims(1)))
		xs := make([]*graph.Node, 0, len(params))
		for _, p := range net.Parameters() {
			xs = append(xs, params[p.Name])
		}
		for i, d := range autodiff.Gradient(loss, xs...) {
			g.Output(gradientPrefix+net.Parameters()[i].Name, d)
		}
	})
	return g, err
}
