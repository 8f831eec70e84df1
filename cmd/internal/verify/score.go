package verify

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"ebm/export"
	forms "ebm/export/session"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
	"ebm/models/weights"
	"ebm/runtime"
	"ebm/runtime/progress"
)

// The names of what is compared.
const (
	inRuntime     = "exported file in ONNX Runtime"
	inInterpreter = "derivative by the interpreter, float64"
	differences   = "central differences, float64"
)

// Score certifies the energy, the score and the training gradient of a
// network with weights. A check that does not pass is no error: the
// certificate says so. The error is one of the settings, of ONNX Runtime, or
// ctx's.
func Score(ctx context.Context, rt *runtime.Runtime, net energy.Network, w energy.Weights, o Options) (Certificate, error) {
	o = o.withDefaults()
	if err := o.validate(net.InputShape()); err != nil {
		return Certificate{}, err
	}
	if err := w.Check(net); err != nil {
		return Certificate{}, err
	}
	if err := o.checkGradients(net); err != nil {
		return Certificate{}, err
	}
	s := &session{net: net, weights: w, shape: net.InputShape(), rt: rt, outputs: []string{"energy", "score"}}
	if err := graph.Catch(func() { s.graph = mdsm.ScoreGraph(net, w) }); err != nil {
		return Certificate{}, err
	}
	var err error
	if s.Weights, err = weightHash(w); err != nil {
		return Certificate{}, err
	}
	s.Subject = describe(net)
	s.options = o.withTolerances(rt.Info(), needed(s.graph, "energy"))
	return s.certify(ctx)
}

func describe(net energy.Network) string {
	if s, ok := net.(fmt.Stringer); ok {
		return s.String()
	}
	return fmt.Sprintf("%T %+v", net, net)
}

func weightHash(w energy.Weights) (string, error) {
	set := new(weights.Set)
	for _, name := range slices.Sorted(maps.Keys(w)) {
		if err := set.Add(name, w[name]); err != nil {
			return "", err
		}
	}
	return set.Hash(), nil
}

// session is a certificate in the making.
type session struct {
	Certificate
	shape   []int // of one x
	outputs []string
	graph   *graph.Graph // x → outputs; nil when the interpreter cannot be used
	rt      *runtime.Runtime
	model   *runtime.Session // of the score model
	path    string           // of its file
	folder  string           // where it was exported to, if it was
	fixed   int              // its batch, 0 where it is free
	options Options
	stage   progress.Stage
	batch   batch

	// Of a network with weights; nil when the subject is a file alone.
	net     energy.Network
	weights energy.Weights

	exact   values      // energy and score of the batch by the interpreter
	trained *lossValues // by the training step in ONNX Runtime
	loss    *lossValues // by the interpreter
}

// values are the elements of outputs by name.
type values map[string][]float64

// step is a part of the work and its cost in the interpreter, in
// multiplications.
type step struct {
	run  func(context.Context) error
	cost float64
}

// unit is the number of multiplications that progress counts as one.
const unit = 1e6

// certify runs the comparisons. Subject, options, shape and graph are there.
func (s *session) certify(ctx context.Context) (Certificate, error) {
	o := s.options
	s.batch = newBatch(s.shape, o)
	s.Seed, s.Program, s.Files = o.Seed, o.Program, slices.Clone(o.Files)
	s.Notes = append(slices.Clone(o.Notes), s.Notes...)
	s.System = runtime.Machine()
	if o.WithoutInterpreter {
		s.graph = nil
		s.Notes = append(s.Notes, "the float64 interpreter was left out as asked for, and with it finite differences: "+
			"what is stated is how far programs are from each other, in float32")
	}
	if err := s.nameRuntime(); err != nil {
		return s.Certificate, err
	}
	defer s.close()
	if err := s.open(); err != nil {
		return s.Certificate, fmt.Errorf("verify %s: %w", s.Subject, err)
	}
	s.Inputs = s.describeInputs()

	steps, err := s.steps()
	if err != nil {
		return s.Certificate, fmt.Errorf("verify %s: %w", s.Subject, err)
	}
	total := int64(0)
	for _, p := range steps {
		total += p.units()
	}
	what := "Mmul"
	if s.graph == nil {
		what = "check"
	}
	s.stage = progress.Begin(o.Progress, "verify", total, what)
	defer s.stage.Done()
	done := int64(0)
	for _, p := range steps {
		if err := ctx.Err(); err != nil {
			return s.Certificate, err
		}
		if err := p.run(ctx); err != nil {
			return s.Certificate, fmt.Errorf("verify %s: %w", s.Subject, err)
		}
		done += p.units()
		s.stage.Set(done)
	}
	return s.Certificate, nil
}

func (p step) units() int64 { return max(int64(p.cost/unit), 1) }

// steps lists the comparisons that the options ask for.
func (s *session) steps() ([]step, error) {
	var list []step
	exact := s.graph != nil
	cost := func(pictures int) float64 {
		if !exact {
			return 0
		}
		return float64(pictures) * multiplications(needed(s.graph, s.outputs...))
	}
	if exact {
		list = append(list, step{s.checkScore, cost(s.batch.noisy.Shape()[0])})
	}
	if exact && len(s.outputs) == 2 {
		list = append(list, step{s.checkDifferences, s.differencesCost()})
	}
	if s.options.Reference != nil {
		list = append(list, step{s.checkReference, cost(s.options.Reference.Pictures())})
	}
	if s.options.OtherRuntimes {
		list = append(list, step{s.checkOthers, cost(s.batch.noisy.Shape()[0])}) // they are slow too
	}
	if s.net == nil || s.options.WithoutTraining {
		if s.options.hasLoss() {
			s.Notes = append(s.Notes, "the reference's training loss and its gradient were not compared")
		}
		return list, nil
	}
	if exact {
		training, err := s.trainingSteps()
		return append(list, training...), err
	}
	if s.options.hasLoss() {
		list = append(list, step{run: s.checkReferenceLoss})
	}
	return list, nil
}

// nameRuntime enters ONNX Runtime, its version and the hash of its library.
func (s *session) nameRuntime() error {
	info := s.rt.Info()
	s.Runtime = fmt.Sprintf("ONNX Runtime %s, %s", info.Version, info.Provider)
	s.Precision = info.Precision
	if info.Precision.Half() && info.Provider == runtime.CPU {
		s.Notes = append(s.Notes, fmt.Sprintf("the CPU computes in float32 and rounds factors and results of products to %s, as a device "+
			"would have them", info.Precision))
	}
	library, err := HashFile("ONNX Runtime", info.Library)
	s.Files = append(s.Files, library)
	return err
}

// open loads the score model, exporting it where none was given.
func (s *session) open() (err error) {
	if s.path = s.options.Model; s.path == "" {
		if err := s.exportModel(); err != nil {
			return err
		}
	}
	if err := s.nameModel(); err != nil {
		return err
	}
	if s.model, err = s.rt.LoadFile(s.path, runtime.SessionOptions{}); err != nil {
		return err
	}
	return s.checkModel()
}

// exportModel writes the score model to a folder of its own.
func (s *session) exportModel() (err error) {
	var g *graph.Graph
	if err := graph.Catch(func() { g = mdsm.ScoreGraph(s.net, s.weights) }); err != nil {
		return err
	}
	if s.folder, err = os.MkdirTemp("", "ebm-verify-"); err != nil {
		return err
	}
	s.path = filepath.Join(s.folder, "score.onnx")
	return export.WriteFile(s.path, g, export.Options{Arithmetic: forms.FormFor(s.rt).Arithmetic})
}

// close frees what open has made.
func (s *session) close() {
	if s.model != nil {
		s.model.Close()
	}
	if s.folder != "" {
		os.RemoveAll(s.folder)
	}
}

// nameModel enters the hashes of the score model, a file of weights beside it
// included.
func (s *session) nameModel() error {
	model, err := HashFile("model", s.path)
	if err != nil {
		return err
	}
	s.Model = model.SHA256
	if s.options.Model != "" {
		s.Files = append(s.Files, model)
	}
	if _, err := os.Stat(s.path + ".data"); err != nil {
		return nil
	}
	data, err := HashFile("model's weights", s.path+".data")
	s.Files = append(s.Files, data)
	return err
}

// checkModel holds the model's inputs and outputs against what is wanted of
// it.
func (s *session) checkModel() error {
	x, err := inputOf(s.model)
	if err != nil {
		return err
	}
	s.fixed = max(x.Shape[0], 0)
	if f, ok := s.net.(interface{ SumsBatch() bool }); ok && f.SumsBatch() {
		s.fixed = 1 // the energy of a single x
	}
	for i, d := range s.shape {
		if len(x.Shape) != len(s.shape)+1 || x.Shape[i+1] >= 0 && x.Shape[i+1] != d {
			return fmt.Errorf("the model's x is %v, want float32%s", x, withBatch(s.shape))
		}
	}
	for _, name := range s.outputs {
		if !slices.ContainsFunc(s.model.Outputs(), func(v runtime.ValueInfo) bool { return v.Name == name }) {
			return fmt.Errorf("the model has no output %q, want energy and score", name)
		}
	}
	return nil
}

// inputOf returns the model's one input, x.
func inputOf(model *runtime.Session) (runtime.ValueInfo, error) {
	in := model.Inputs()
	if len(in) != 1 || in[0].Name != "x" || in[0].DType != tensor.Float32 || len(in[0].Shape) < 2 {
		return runtime.ValueInfo{}, fmt.Errorf("the model takes %v, want one input x of float32[N …]", in)
	}
	return in[0], nil
}

// checkScore compares energy and score in ONNX Runtime with the interpreter's.
func (s *session) checkScore(ctx context.Context) error {
	var err error
	if s.exact, err = s.interpret(ctx, s.batch.noisy); err != nil {
		return err
	}
	here, err := s.run(ctx, s.batch.noisy)
	if err != nil {
		return err
	}
	for _, name := range s.outputs {
		if name == "energy" {
			s.add(newCheck("energy", s.in(inRuntime), "energy by the interpreter, float64", s.options.Tolerance, []Comparison{
				compare("energy", here["energy"], s.exact["energy"]),
			}))
		} else {
			list := s.byLevel("score", here["score"], s.exact["score"])
			if s.options.Model != "" {
				// The score of others' energies may be next to nothing at some levels.
				list = together(list)
			}
			s.add(newCheck("score", s.in(inRuntime), inInterpreter, s.options.ScoreTolerance, list))
		}
	}
	return nil
}

// byLevel compares the pictures of each noise level.
func (s *session) byLevel(name string, subject, reference []float64) []Comparison {
	var list []Comparison
	each := s.options.Each * tensor.Volume(s.shape)
	for i, sigma := range s.options.Sigmas {
		if (i+1)*each > len(subject) || (i+1)*each > len(reference) {
			return []Comparison{compare(name, subject, reference)}
		}
		list = append(list, compare(name+" at σ = "+strconv.FormatFloat(sigma, 'g', 3, 64), subject[i*each:(i+1)*each],
			reference[i*each:(i+1)*each]))
	}
	return list
}

// in says what a program computes with.
func (s *session) in(program string) string {
	if p := s.rt.Info().Precision; rounding(p) > 0 {
		return program + ", products in " + string(p)
	}
	return program + ", float32"
}

func (s *session) add(c Check) { s.Checks = append(s.Checks, c) }
