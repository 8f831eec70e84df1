package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm"
	"ebm/cmd/internal/verify"
	"ebm/internal/atomicfile"
	"ebm/mdsm/dataset"
	"ebm/runtime"
)

// verifyFlags are the flags of verify.
type verifyFlags struct {
	model                modelFlags
	images               string
	onnx, reference      string
	runtimes             bool
	python               string
	noTrain, noInterpret bool
	each                 int
	seed                 uint64
	tolerance            float64
	out                  string
	asJSON               bool
}

func (f *verifyFlags) add(fs *pflag.FlagSet) {
	f.model.add(fs)
	fs.StringVar(&f.onnx, "onnx", "", "certify this score.onnx, in place of a fresh export of the model or without one")
	fs.StringVar(&f.reference, "reference", "", "golden tensors of another program (.npz: x, energy, score, …) to compare with")
	fs.BoolVar(&f.runtimes, "runtimes", false, "also run the score in the ONNX runtimes of a Python, and compare with them")
	fs.StringVar(&f.python, "python", "", "with --runtimes, the Python program (default: what EBM_PYTHON names, else python3)")
	fs.StringVar(&f.images, "images", "", "pictures to check on, as for denoise (default: uniform noise)")
	fs.BoolVar(&f.noTrain, "without-training", false, "leave out the training step")
	fs.BoolVar(&f.noInterpret, "without-interpreter", false,
		"leave out the float64 interpreter and finite differences, which take minutes for large networks")
	fs.IntVar(&f.each, "each", 1, "pictures for each noise level")
	fs.Uint64Var(&f.seed, "seed", 0, "seed of pictures, noise and directions")
	fs.Float64Var(&f.tolerance, "tolerance", 0, "largest score error that passes, relative to the largest score (default 1e-6, or what "+
		"float32 sums of the network's length allow; 1e-5 on a device, and for --reference and --runtimes)")
	fs.StringVar(&f.out, "out", "", "also write the certificate to this file, as JSON")
	fs.BoolVar(&f.asJSON, "json", false, "print the certificate as JSON")
}

func newVerify(a *app) *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify (--run REF | --weights FILE | --onnx FILE)",
		Short: "Check the exported gradient against differences, the float64 interpreter and other programs",
		Long: `verify exports a model's score and training step, runs them in ONNX Runtime in
float32, and compares them with the float64 interpreter, and that with central
differences of the energy; with --reference also with what another program says
of the same energy, and with --runtimes with the ONNX runtimes of a Python. The
certificate names versions and hashes. The exit status is 1 when a check fails.

Of an --onnx file alone, energy and score are checked, and the interpreter runs
what the file holds. docs/cross-checking.md shows how to make golden tensors.`,
		Example: `  ebm verify --run mnist16 --out certificate.json
  ebm verify --weights checkpoint.pth --reference reference.npz
  ebm verify --run critic.onnx --input pixels --energy logits --energy-of logits
  ebm verify --onnx score.onnx --runtimes --python .venv/bin/python`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.rounding = true // a test of the models, where no device is
			return f.verify(cmd.Context(), a)
		},
	}
	f.add(cmd.Flags())
	a.addPrecision(cmd.Flags())
	return cmd
}

func (f *verifyFlags) verify(ctx context.Context, a *app) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	c, err := f.certify(ctx, a, o)
	if err != nil {
		return err
	}
	if f.out != "" {
		if err := atomicfile.Write(f.out, c.WriteJSON); err != nil {
			return err
		}
	}
	a.endProgress()
	write := c.WriteText
	if f.asJSON {
		write = c.WriteJSON
	}
	if err := write(a.stdout); err != nil {
		return err
	}
	if !c.Passed() {
		return errors.New("a check failed")
	}
	return nil
}

// options returns what the flags say but for the model and its pictures.
func (f *verifyFlags) options() (verify.Options, error) {
	if f.each < 1 || !(f.tolerance >= 0) {
		return verify.Options{}, usagef("--each %d --tolerance %g, want one picture or more and no negative error", f.each, f.tolerance)
	}
	if f.noInterpret && f.reference == "" && !f.runtimes {
		return verify.Options{}, usagef("--without-interpreter leaves nothing to compare with, want --reference FILE or --runtimes too")
	}
	if f.python != "" && !f.runtimes {
		return verify.Options{}, usagef("--python is for --runtimes, which is not given")
	}
	o := verify.Options{
		Each: f.each, Seed: f.seed, ScoreTolerance: f.tolerance, ReferenceTolerance: f.tolerance, Model: f.onnx,
		WithoutTraining: f.noTrain, WithoutInterpreter: f.noInterpret, OtherRuntimes: f.runtimes, Python: f.python,
	}
	if o.Python == "" {
		o.Python = os.Getenv("EBM_PYTHON")
	}
	var err error
	if f.reference != "" {
		o.Reference, err = verify.ReadReference(f.reference)
	}
	return o, err
}

// certify certifies the model, or the ONNX file alone.
func (f *verifyFlags) certify(ctx context.Context, a *app, o verify.Options) (verify.Certificate, error) {
	if p := runtime.Precision(a.precision); f.onnx != "" && p.Half() {
		return verify.Certificate{}, usagef("--precision %s with --onnx, want fp32 or tf32: a file keeps its own", p)
	}
	if f.onnx != "" && f.model.run == "" && f.model.weights == "" {
		if f.images != "" {
			return verify.Certificate{}, usagef("--images needs a model, --run REF or --weights FILE")
		}
		rt, err := a.runtime(ctx)
		if err != nil {
			return verify.Certificate{}, err
		}
		o.Program, o.Progress = "ebm "+version(), a.progress()
		return verify.Model(ctx, rt, f.onnx, o)
	}
	f.model.any = true
	m, err := f.model.load(a)
	if err != nil {
		return verify.Certificate{}, err
	}
	if f.images != "" {
		if o.Pictures, err = dataset.Pictures(ctx, f.images, m.Network.InputShape()); err != nil {
			return verify.Certificate{}, err
		}
	}
	if f.model.weights != "" {
		file, err := verify.HashFile("file of weights", f.model.weights)
		if err != nil {
			return verify.Certificate{}, err
		}
		o.Files = append(o.Files, file)
	}
	return certify(ctx, a, m, o)
}

// certify certifies a model with what the flags say of the runtime.
func certify(ctx context.Context, a *app, m *ebm.Model, o verify.Options) (verify.Certificate, error) {
	rt, err := a.runtime(ctx)
	if err != nil {
		return verify.Certificate{}, err
	}
	o.Objective = m.Objective()
	if len(m.Network.Parameters()) == 0 {
		o.WithoutTraining = true
		o.Notes = append(o.Notes, "the weights are constants of the file, and the training step was not checked")
	}
	o.Program = "ebm " + version()
	o.Progress = a.progress()
	if n := len(m.Unused); n > 0 {
		o.Notes = append(o.Notes, fmt.Sprintf("%d parameters that the network does not use were left out, %s among them", n, m.Unused[0]))
	}
	c, err := verify.Score(ctx, rt, m.Network, m.Weights, o)
	if err != nil {
		return c, fmt.Errorf("%s: %w", m.Name, err)
	}
	return c, nil
}
