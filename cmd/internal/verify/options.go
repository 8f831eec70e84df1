package verify

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"ebm/mdsm"
	"ebm/models/graph"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/progress"
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
	// WithoutInterpreter leaves out whatever needs the float64 interpreter, which
	// takes minutes for large networks. Something else to compare with must be
	// given then.
	WithoutInterpreter bool
	// Model is the path of a score model (x → energy, score) to certify in place
	// of a fresh export of the network and the weights.
	Model string
	// Reference holds golden tensors to compare with too. Where it has the
	// training loss, the training step is checked on its pictures, with its σ₀.
	Reference *Reference
	// OtherRuntimes runs the score model in the runtimes that a Python has too,
	// and compares with them. Python names its program: a path, or a name that is
	// looked for, "python3" by default.
	OtherRuntimes bool
	Python        string
	// ScoreTolerance is that of the score in float32. The default is 1e-6, or
	// 2⁻²⁴·√n where that is larger, with n the number of terms of the network's
	// longest sum: what rounding makes of sums whose terms have random signs. On a device,
	// whose exponentials are less exact, it is 1e-5 or more. At other precisions it is eight
	// times the rounding of a factor, 2⁻¹¹ for tf32 and fp16 and 2⁻⁸ for bf16.
	ScoreTolerance float64
	// Tolerance is that of energy and training step in float32, ten times the
	// score's by default, and the score's at other precisions.
	Tolerance float64
	// ReferenceTolerance is that of everything against the reference and of the
	// score model against other runtimes, default 1e-5.
	ReferenceTolerance float64
	// DifferenceTolerance is that of the score against differences, default
	// 1e-6; LossTolerance is that of the training gradient, default 1e-5.
	DifferenceTolerance, LossTolerance float64

	Seed     uint64
	Program  string   // this program's name and version, for the certificate
	Files    []File   // that were used, for the certificate
	Notes    []string // for the certificate
	Progress progress.Progress
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
	if o.Reference != nil && o.Reference.Sigma0 > 0 {
		o.Objective.Sigma0 = o.Reference.Sigma0
	}
	fill(&o.Objective.Sigma0, 0.1)
	if o.Objective.Weighting == "" {
		o.Objective.Weighting = mdsm.InverseVariance
	}
	fill(&o.ReferenceTolerance, 1e-5)
	fill(&o.DifferenceTolerance, 1e-6)
	fill(&o.LossTolerance, 1e-5)
	return o
}

// withTolerances fills in the defaults that depend on what computes and on the network,
// whose energy takes the given nodes.
func (o Options) withTolerances(on runtime.Info, energy []*graph.Node) Options {
	if o.ScoreTolerance == 0 {
		least := 1e-6
		if on.Provider != runtime.CPU {
			least = 1e-5
		}
		o.ScoreTolerance = math.Max(least, math.Sqrt(longestSum(energy))/(1<<24))
		if r := rounding(on.Precision); r > 0 {
			o.ScoreTolerance = 8 * r
		}
	}
	if o.Tolerance == 0 {
		o.Tolerance = o.ScoreTolerance
		if rounding(on.Precision) == 0 {
			o.Tolerance *= 10
		}
	}
	return o
}

// rounding is the largest relative error of a factor that is rounded to a precision, 0 for
// FP32, which rounds no factor.
func rounding(p runtime.Precision) float64 {
	return map[runtime.Precision]float64{runtime.TF32: 0x1p-11, runtime.FP16: 0x1p-11, runtime.BF16: 0x1p-8}[p]
}

func (o Options) validate(shape []int) error {
	for _, s := range o.Sigmas {
		if !(s >= 0) {
			return fmt.Errorf("noise level %g, want a number from 0", s)
		}
	}
	if o.Each < 0 || o.Directions < 0 || !(o.Step >= 0) {
		return fmt.Errorf("%d pictures for each noise level, %d directions, step %g, want numbers from 0", o.Each, o.Directions, o.Step)
	}
	if err := o.Objective.Weighting.Validate(); err != nil {
		return err
	}
	if p := o.Pictures; p != nil {
		got := p.Shape()
		if len(got) == 0 || got[0] == 0 || !slices.Equal(got[1:], shape) || !p.DType().IsFloat() {
			return fmt.Errorf("pictures %v, want floating-point [M %v] with one or more", p, shape)
		}
	}
	if r := o.Reference; r != nil && !slices.Equal(r.X.Shape()[1:], shape) {
		return fmt.Errorf("reference %s: x is %v, the model takes %v", r.File.Name, r.X, withBatch(shape))
	}
	if o.WithoutInterpreter && o.Reference == nil && !o.OtherRuntimes {
		return errors.New("without the interpreter, want a reference or other runtimes to compare with")
	}
	return nil
}

// withBatch writes the shape of a batch, such as [N 3 32 32].
func withBatch(shape []int) string {
	return "[N " + strings.TrimPrefix(fmt.Sprint(shape), "[")
}

// hasLoss reports whether there is a reference of the training loss.
func (o Options) hasLoss() bool { return o.Reference != nil && o.Reference.Loss != nil }
