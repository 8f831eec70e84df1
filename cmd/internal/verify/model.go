package verify

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"ebm/export/onnximport"
	"ebm/runtime"
)

// Model certifies energy and score of an ONNX file alone, with the weights in
// it: x [N …] → energy [N], score of x's shape, or one of the two. The
// interpreter runs what onnximport makes of the file; where it cannot, a note
// says why, and a reference or other runtimes are wanted.
func Model(ctx context.Context, rt *runtime.Runtime, path string, o Options) (Certificate, error) {
	o = o.withDefaults()
	o.Model = path
	s := &session{rt: rt}
	s.Subject = "ONNX file " + filepath.Base(path)
	if err := s.readSignature(path, o.Reference); err != nil {
		return Certificate{}, fmt.Errorf("verify %s: %w", path, err)
	}
	if err := o.validate(s.shape); err != nil {
		return Certificate{}, err
	}
	s.Notes = append(s.Notes, "the weights are those in the file, whatever it says of itself, and the training step was not checked")
	if len(s.outputs) == 1 {
		s.Notes = append(s.Notes, fmt.Sprintf("the file computes only the %s", s.outputs[0]))
	}
	if !o.WithoutInterpreter {
		m, err := onnximport.Read(path, onnximport.Options{})
		switch {
		case err == nil:
			s.graph = m.Graph
		case o.Reference == nil && !o.OtherRuntimes:
			return Certificate{}, fmt.Errorf("verify %w, want and without the interpreter, a reference or other runtimes to compare with", err)
		default:
			s.Notes = append(s.Notes, fmt.Sprintf("the float64 interpreter was left out, as the file cannot be read as a graph: %v", err))
		}
	}
	if s.graph != nil {
		o = o.withTolerances(rt.Info(), needed(s.graph, s.outputs...))
	}
	s.options = o
	return s.certify(ctx)
}

// readSignature finds which of energy and score the file computes, and the
// shape of one x. Dimensions that the file leaves open are the reference's.
func (s *session) readSignature(path string, r *Reference) error {
	model, err := s.rt.LoadFile(path, runtime.SessionOptions{Optimization: runtime.OptimizeNone})
	if err != nil {
		return err
	}
	defer model.Close()
	x, err := inputOf(model)
	if err != nil {
		return err
	}
	for i, d := range x.Shape[1:] {
		if d < 0 && r != nil && i+1 < r.X.Rank() {
			d = r.X.Shape()[i+1]
		}
		if d < 1 {
			return fmt.Errorf("the file's x is %v: all but its batch must be fixed, or given by a reference", x)
		}
		s.shape = append(s.shape, d)
	}
	for _, v := range model.Outputs() {
		if v.Name == "energy" || v.Name == "score" {
			s.outputs = append(s.outputs, v.Name)
		}
	}
	if len(s.outputs) == 0 {
		return errors.New("the file has neither an output energy nor an output score")
	}
	return nil
}
