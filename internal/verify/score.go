package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	goruntime "runtime"
	"slices"
	"strconv"

	"ebm/export"
	"ebm/internal/interp"
	"ebm/internal/progress"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
	"ebm/models/weights"
	"ebm/runtime"
)

// The names of what is compared.
const (
	inRuntime     = "exported file in ONNX Runtime, float32"
	inInterpreter = "derivative by the interpreter, float64"
	differences   = "central differences, float64"
)

// Options say how a certificate is made. The zero value is right for pictures
// in [0, 1].
type Options struct {
	// Pictures [M …] to use in place of uniform noise; they are taken in turn.
	Pictures *tensor.Tensor
	// Sigmas are the noise levels; default 0.1, 0.3, 1 and 3.
	Sigmas []float64
	// Each is the number of pictures for each noise level; default 1.
	Each int
	// Directions is the number of random directions for each picture, and for
	// the weights, along which differences are taken. The default depends on
	// the cost of an energy: 1 to 8, or all axes of small pictures.
	Directions int
	// Step of the differences, in the units of x and of the weights; the
	// default is 1e-6 to 1e-3, as rounding asks for.
	Step float64
	// Objective is the training loss; the default is the paper's, σ₀ = 0.1.
	Objective mdsm.Objective
	// WithoutTraining leaves out the checks of the training step.
	WithoutTraining bool
	// Model is a score model's file (x → energy, score) to certify in place of
	// a fresh export of the network and the weights.
	Model []byte
	// ScoreTolerance is that of the score in float32. The default is 1e-6, or
	// 2⁻²⁴·√n where that is larger, with n the number of terms of the network's
	// longest sum: what rounding makes of sums whose terms have random signs.
	ScoreTolerance float64
	// Tolerance is that of energy and training step in float32, ten times the
	// score's by default.
	Tolerance float64
	// DifferenceTolerance is that of the score against differences, default
	// 1e-6; LossTolerance is that of the training gradient, default 1e-5.
	DifferenceTolerance, LossTolerance float64

	Seed     uint64
	Program  string // this program's name and version, for the certificate
	Progress *progress.Progress
}

func (o Options) withDefaults() Options {
	fill := func(v *float64, def float64) {
		if *v == 0 {
			*v = def
		}
	}
	if len(o.Sigmas) == 0 {
		o.Sigmas = []float64{0.1, 0.3, 1, 3}
	}
	if o.Each == 0 {
		o.Each = 1
	}
	fill(&o.Objective.Sigma0, 0.1)
	if o.Objective.Weighting == "" {
		o.Objective.Weighting = mdsm.InverseVariance
	}
	fill(&o.DifferenceTolerance, 1e-6)
	fill(&o.LossTolerance, 1e-5)
	return o
}

// withTolerances fills in the defaults that depend on the network.
func (o Options) withTolerances(energy *graph.Graph) Options {
	if o.ScoreTolerance == 0 {
		o.ScoreTolerance = math.Max(1e-6, math.Sqrt(longestSum(energy))/(1<<24))
	}
	if o.Tolerance == 0 {
		o.Tolerance = 10 * o.ScoreTolerance
	}
	return o
}

func (o Options) validate(net energy.Network) error {
	for _, s := range o.Sigmas {
		if !(s >= 0) {
			return fmt.Errorf("noise level %g: a number from 0 is wanted", s)
		}
	}
	if o.Each < 0 || o.Directions < 0 || !(o.Step >= 0) {
		return fmt.Errorf("%d pictures for each noise level, %d directions, step %g: numbers from 0 are wanted", o.Each, o.Directions, o.Step)
	}
	if err := o.Objective.Weighting.Validate(); err != nil {
		return err
	}
	if p := o.Pictures; p != nil {
		shape := p.Shape()
		if len(shape) == 0 || shape[0] == 0 || !slices.Equal(shape[1:], net.InputShape()) || !p.DType().IsFloat() {
			return fmt.Errorf("pictures %v: floating-point [M %v] with one or more are wanted", p, net.InputShape())
		}
	}
	return nil
}

// Score certifies the energy, the score and the training gradient of a
// network with weights. A check that does not pass is no error: the
// certificate says so. The error is one of the settings, of ONNX Runtime, or
// ctx's.
func Score(ctx context.Context, rt *runtime.Runtime, net energy.Network, w energy.Weights, o Options) (Certificate, error) {
	o = o.withDefaults()
	if err := o.validate(net); err != nil {
		return Certificate{}, err
	}
	if err := w.Check(net); err != nil {
		return Certificate{}, err
	}
	hash, err := weightHash(w)
	if err != nil {
		return Certificate{}, err
	}
	s := &session{net: net, weights: w, rt: rt, batch: newBatch(net, o)}
	if err := graph.Catch(func() { s.energy, s.score = mdsm.EnergyModel(net, w), mdsm.ScoreModel(net, w) }); err != nil {
		return Certificate{}, err
	}
	if o.Model == nil {
		if o.Model, err = export.Bytes(s.score, export.Options{}); err != nil {
			return Certificate{}, err
		}
	}
	s.options = o.withTolerances(s.energy)
	sum := sha256.Sum256(o.Model)
	info := rt.Info()
	s.Certificate = Certificate{
		Subject: describe(net), Weights: hash, Model: hex.EncodeToString(sum[:]), Inputs: s.describeInputs(), Seed: o.Seed, Program: o.Program,
		Runtime: fmt.Sprintf("ONNX Runtime %s, %s", info.Version, info.Provider),
		System:  fmt.Sprintf("%s/%s, %s", goruntime.GOOS, goruntime.GOARCH, goruntime.Version()),
	}
	steps := []func(context.Context) error{s.checkScore, s.checkDifferences}
	if !o.WithoutTraining {
		steps = append(steps, s.checkTraining, s.checkLossDifferences)
	}
	stage := o.Progress.Stage("verify", int64(len(steps)), "check")
	defer stage.Done()
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return s.Certificate, err
		}
		if err := step(ctx); err != nil {
			return s.Certificate, fmt.Errorf("verify %s: %w", s.Subject, err)
		}
		stage.Add(1)
	}
	return s.Certificate, nil
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
	net     energy.Network
	weights energy.Weights
	energy  *graph.Graph // x → energy
	score   *graph.Graph // x → energy, score
	rt      *runtime.Runtime
	options Options
	batch   batch
	exact   map[string]*tensor.Tensor // energy and score by the interpreter
}

// checkScore compares energy and score in ONNX Runtime with the interpreter's.
func (s *session) checkScore(ctx context.Context) error {
	in := map[string]*tensor.Tensor{"x": s.batch.noisy}
	got, err := s.run(ctx, s.options.Model, in)
	if err != nil {
		return err
	}
	if s.exact, err = interp.Run(s.score, in); err != nil {
		return err
	}
	for _, name := range []string{"energy", "score"} {
		if got[name] == nil {
			return fmt.Errorf("the model has no output %q, wanted energy and score", name)
		}
	}
	s.add(newCheck("energy", inRuntime, "energy by the interpreter, float64", s.options.Tolerance, []Comparison{
		compare("energy", got["energy"].Float64s(), s.exact["energy"].Float64s()),
	}))
	s.add(newCheck("score", inRuntime, inInterpreter, s.options.ScoreTolerance, s.byLevel("score", got["score"], s.exact["score"])))
	return nil
}

// byLevel compares the pictures of each noise level.
func (s *session) byLevel(name string, subject, reference *tensor.Tensor) []Comparison {
	var list []Comparison
	each := s.options.Each * tensor.Volume(s.net.InputShape())
	a, b := subject.Float64s(), reference.Float64s()
	for i, sigma := range s.options.Sigmas {
		if (i+1)*each > len(a) || (i+1)*each > len(b) {
			return []Comparison{compare(name, a, b)}
		}
		list = append(list, compare(name+" at σ = "+strconv.FormatFloat(sigma, 'g', 3, 64), a[i*each:(i+1)*each], b[i*each:(i+1)*each]))
	}
	return list
}

func (s *session) add(c Check) { s.Checks = append(s.Checks, c) }

func (s *session) run(ctx context.Context, model []byte, in map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	loaded, err := s.rt.Load(model, runtime.SessionOptions{})
	if err != nil {
		return nil, err
	}
	defer loaded.Close()
	return loaded.Run(ctx, in)
}
