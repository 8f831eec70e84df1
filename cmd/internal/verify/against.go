package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ebm/models/energy"
	"ebm/models/tensor"
)

// checkReference compares energy and score of the reference's pictures, in
// ONNX Runtime and by the interpreter, with the reference's.
func (s *session) checkReference(ctx context.Context) error {
	r := s.options.Reference
	here, err := s.run(ctx, r.X)
	if err != nil {
		return err
	}
	s.compareReference("reference", s.in(inRuntime), here)
	if s.graph == nil {
		return nil
	}
	exact, err := s.interpret(ctx, r.X)
	if err != nil {
		return err
	}
	s.compareReference("reference in float64", "energy and derivative by the interpreter, float64", exact)
	return nil
}

func (s *session) compareReference(name, subject string, got values) {
	r := s.options.Reference
	var list []Comparison
	for _, output := range s.outputs {
		want := map[string]*tensor.Tensor{"energy": r.Energy, "score": r.Score}[output]
		list = append(list, compare(output, got[output], want.Float64s()))
	}
	s.add(newCheck(name, subject, s.golden(), s.options.ReferenceTolerance, list))
}

func (s *session) golden() string { return "golden tensors, " + s.options.Reference.String() }

// checkReferenceLoss compares the training loss and its gradient, by the
// exported training step and by the interpreter, with the reference's.
func (s *session) checkReferenceLoss(ctx context.Context) error {
	if err := s.trainHere(ctx); err != nil {
		return err
	}
	s.compareLoss("", s.in(stepInRuntime), s.trained)
	if s.loss != nil {
		s.compareLoss(" in float64", "loss and derivative by the interpreter, float64", s.loss)
	}
	var lacking []string
	for _, p := range s.net.Parameters() {
		if _, ok := s.options.Reference.Gradients.Get(p.Name); !ok {
			lacking = append(lacking, p.Name)
		}
	}
	if len(lacking) > 0 {
		s.Notes = append(s.Notes, "the reference has no gradient of "+strings.Join(lacking, ", "))
	}
	return nil
}

func (s *session) compareLoss(where, subject string, got *lossValues) {
	r := s.options.Reference
	want := make(values)
	for parameter, t := range r.Gradients.All() {
		want[parameter] = t.Float64s()
	}
	s.add(newCheck("reference's loss"+where, subject, s.golden(), s.options.ReferenceTolerance, []Comparison{
		compare("loss", []float64{got.loss}, r.Loss.Float64s()),
	}))
	s.add(newCheck("reference's gradient"+where, subject, s.golden(), s.options.ReferenceTolerance, s.byParameter(got.gradients, want)))
}

// checkGradients holds the reference's gradients against the network's
// parameters. Those of parameters that the paper's code keeps unused are left
// out.
func (o *Options) checkGradients(net energy.Network) error {
	if !o.hasLoss() {
		return nil
	}
	shapes := make(map[string][]int)
	for _, p := range net.Parameters() {
		shapes[p.Name] = p.Shape
	}
	gradients := make(energy.Weights)
	for name, t := range o.Reference.Gradients.All() {
		gradients[name] = t
	}
	var problems []string
	for name, t := range energy.DropUnused(gradients) {
		switch shape, known := shapes[name]; {
		case !known:
			problems = append(problems, fmt.Sprintf("unexpected %s%s %v", gradientPrefix, name, t.Shape()))
		case !slices.Equal(shape, t.Shape()):
			problems = append(problems, fmt.Sprintf("%s%s has shape %v, want %v", gradientPrefix, name, t.Shape(), shape))
		}
	}
	if len(problems) == 0 {
		return nil
	}
	slices.Sort(problems)
	return fmt.Errorf("reference %s: %w", o.Reference.File.Name, &energy.MismatchError{Problems: problems})
}
