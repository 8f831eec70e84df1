package main

import (
	"cmp"
	"context"
	"io"
	"math"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm"
	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/internal/picture"
	"ebm/models/rng"
	"ebm/models/tensor"
)

type denoiseFlags struct {
	energyFlags
	pictureFlags
	out    string
	noise  float64
	sigma  float64
	probes int
	seed   uint64
	asJSON bool
}

func (f *denoiseFlags) add(fs *pflag.FlagSet) {
	f.energyFlags.add(fs)
	f.pictureFlags.add(fs, "pictures")
	f.addCount(fs, 0)
	fs.StringVar(&f.out, "out", "", "folder of the denoised pictures, made if it is not there")
	fs.Float64Var(&f.noise, "noise", 0, "first add Gaussian noise of this standard deviation, in units of x (pixels from 0 to 1)")
	fs.Float64Var(&f.sigma, "sigma", 0, "standard deviation of the noise that the pictures have, for the risk (default that of --noise, "+
		"else what each jump measures)")
	fs.IntVar(&f.probes, "probes", 0, "random vectors for the risk: Stein's estimate of the remaining error, which needs no clean picture; "+
		"0 for none")
	fs.Uint64Var(&f.seed, "seed", 0, "seed of the added noise")
	fs.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
}

func newDenoise(a *app) *cobra.Command {
	var f denoiseFlags
	cmd := &cobra.Command{
		Use:   "denoise --run REF --images X --out DIR",
		Short: "Take the noise off pictures in one jump, x − σ₀² ∇E(x)",
		Long: `denoise makes one denoising jump (eq. 9 of the paper), which takes away
Gaussian noise of any level the model was trained on. Pictures of another size
are resized. It writes png/ (the denoised pictures), denoised.npy (float32
[N C H W]) and comparison.png: above what came in, below what came out.

It says the noise level that each jump measures, ‖x − D(x)‖/√d, a little low for weak
noise. With --probes it also says the error that is left, as it is estimated without the
clean picture, beside the true one where --noise made the pictures noisy.`,
		Example: `  ebm denoise --run mnist16 --images digits/ --noise 0.5 --out denoised
  ebm denoise --run mnist16 --images mnist:test --count 64 --noise 0.5 --out denoised`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.run == "" || f.images == "" || f.out == "" {
				return usagef("want --run REF, --images X and --out DIR")
			}
			if f.noise < 0 || math.IsNaN(f.noise) || math.IsInf(f.noise, 0) {
				return usagef("--noise %g, want a standard deviation from 0", f.noise)
			}
			if err := atLeast(least{"count", float64(f.count), 0}, least{"sigma", f.sigma, 0}, least{"probes", float64(f.probes), 0}); err != nil {
				return err
			}
			return f.denoise(cmd.Context(), a)
		},
	}
	f.add(cmd.Flags())
	return cmd
}

func (f *denoiseFlags) denoise(ctx context.Context, a *app) error {
	m, err := f.loadJumping(a)
	if err != nil {
		return err
	}
	files, err := m.Files()
	if err != nil {
		return err
	}
	sampler, err := a.sampler(ctx, m, files)
	if err != nil {
		return err
	}
	defer sampler.Close()
	clean, err := f.pictures(ctx, a, sampler.Shape())
	if err != nil {
		return err
	}
	noisy := addNoise(clean, f.noise, f.seed)
	denoised, energy, err := sampler.Denoise(ctx, noisy)
	if err != nil {
		return err
	}
	if err := f.write(noisy, denoised); err != nil {
		return err
	}
	levels := ebm.Level(noisy, denoised)
	risks, err := f.risks(ctx, a, m, noisy, denoised, levels)
	if err != nil {
		return err
	}
	before, after := rms(noisy, clean), rms(denoised, clean)
	left := math.Sqrt(max(mean(risks), 0))
	if f.asJSON {
		result := map[string]any{"path": f.out, "count": clean.Shape()[0], "noise": f.noise, "level": levels}
		if energy != nil {
			result["energy"] = energy.Float64s()
		}
		if f.noise > 0 {
			result["rms_before"], result["rms_after"] = before, after
		}
		if risks != nil {
			result["risk"], result["rms_estimated"] = risks, left
		}
		return a.printJSON(result)
	}
	a.printf("%s\t%d pictures\tnoise of %.4f measured", f.out, clean.Shape()[0], mean(levels))
	if f.noise > 0 {
		a.printf("\trms error %.4f with noise, %.4f denoised", before, after)
	}
	if risks != nil {
		a.printf("\t%.4f estimated", left)
	}
	a.printf("\n")
	return nil
}

// risks estimates the errors that are left, nil where that is not asked for.
func (f *denoiseFlags) risks(ctx context.Context, a *app, m *ebm.Model, noisy, denoised *tensor.Tensor,
	levels []float64) ([]float64, error) {
	if f.probes == 0 {
		return nil, nil
	}
	engine, err := a.engine(ctx, m)
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	sigma := levels
	if known := cmp.Or(f.sigma, f.noise); known > 0 {
		sigma = slices.Repeat([]float64{known}, len(levels))
	}
	return engine.Risk(ctx, noisy, denoised, sigma, f.probes, f.seed)
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x / float64(len(v))
	}
	return sum
}

// write leaves the denoised pictures, and the noisy ones beside them.
func (f *denoiseFlags) write(noisy, denoised *tensor.Tensor) error {
	release, err := atomicfile.Fill(f.out, "write", "ebm denoise")
	if err != nil {
		return err
	}
	defer release()
	err = atomicfile.Dir(filepath.Join(f.out, "png"), func(tmp string) error {
		return picture.WriteFolder(tmp, 0, denoised)
	})
	if err != nil {
		return err
	}
	err = atomicfile.WriteSealed(filepath.Join(f.out, "denoised.npy"), func(w io.Writer) error { return npz.WriteNpy(w, denoised) })
	if err != nil {
		return err
	}
	n := min(noisy.Shape()[0], 16)
	return atomicfile.Write(filepath.Join(f.out, "comparison.png"), func(w io.Writer) error {
		return picture.Grid{Columns: n, Padding: 1, Scale: 4, Background: 96}.WritePNG(w, tensor.Concat(noisy.Rows(0, n), denoised.Rows(0, n)))
	})
}

func addNoise(x *tensor.Tensor, sigma float64, seed uint64) *tensor.Tensor {
	if sigma == 0 {
		return x
	}
	noisy := x.Clone()
	values := tensor.Data[float32](noisy)
	each := x.Len() / x.Shape()[0]
	n := make([]float32, each)
	for i := range x.Shape()[0] {
		rng.New(seed).Normal(n, rng.Probe, uint64(i), 0)
		for j, v := range n {
			values[i*each+j] += float32(sigma) * v
		}
	}
	return noisy
}

// rms returns the root of the mean squared difference.
func rms(a, b *tensor.Tensor) float64 {
	var sum float64
	x, y := a.Float64s(), b.Float64s()
	for i := range x {
		sum += (x[i] - y[i]) * (x[i] - y[i])
	}
	return math.Sqrt(sum / float64(len(x)))
}
