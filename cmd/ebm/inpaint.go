package main

import (
	"context"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm"
	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/internal/picture"
	"ebm/mdsm/langevin"
	"ebm/mdsm/mcmc"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
)

type inpaintFlags struct {
	energyFlags
	pictureFlags
	scheduleFlags
	fewStepFlags
	partFlags
	mask        string
	temperature float64
	completions int
	out         string
	rows        int
	asJSON      bool
}

func (f *inpaintFlags) add(fs *pflag.FlagSet) {
	f.energyFlags.add(fs)
	f.pictureFlags.add(fs, "pictures")
	f.addCount(fs, 8)
	fs.StringVar(&f.mask, "mask", "", "what is hidden: left, right, top, bottom, centre, or a PNG file of the pictures' size whose pixels "+
		"that are not black are hidden")
	fs.IntVar(&f.completions, "completions", 4, "completions of each picture")
	fs.StringVar(&f.out, "out", "", "folder of the results, made if it is not there")
	fs.Uint64Var(&f.seed, "seed", 0, "seed; completion k of picture i is the same whatever the batch")
	fs.IntVar(&f.batch, "batch", 0, "completions computed at once (default: as many as the threads take)")
	fs.IntVar(&f.rows, "rows", 16, "pictures in inpaint.png")
	fs.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	f.partFlags.add(fs, "folder (--out)")
	fs.StringVar(&f.sampler, "sampler", string(mcmc.Langevin), "langevin, or of few evaluations "+langevin.MethodNames())
	group(fs, "The chains", func(fs *pflag.FlagSet) {
		f.addSchedule(fs)
		fs.Float64Var(&f.temperature, "temperature", 0,
			"lowest temperature; 1 draws of what the energy says of the hidden pixels, where the paper's 0 draws what is likeliest near it")
	})
	group(fs, "Few evaluations", f.fewStepFlags.add)
}

func newInpaint(a *app) *cobra.Command {
	var f inpaintFlags
	cmd := &cobra.Command{
		Use:   "inpaint --run REF --images X --mask M --out DIR",
		Short: "Fill in hidden parts of pictures, several times each",
		Long: `inpaint hides a part of each picture and lets chains fill it in: annealed
Langevin dynamics and one denoising jump that move the hidden pixels alone,
while the given ones have noise of σ₀√T at temperature T (section 4 of the
paper); or, with --fast or --sampler, a sampler of few evaluations, where they have
noise of the level of its steps. It is the short form of restore --task inpaint, whose
samples these are with the same sampler and seed. It writes

  inpaint.png       a row for each picture: it, what is given, its completions
  completions.npy   float32 [pictures·completions C H W], a picture's one after another
  png/              the same as files
  inpaint.json      how far each completion is from what was hidden (root mean
                    square over hidden values, pixels from 0 to 1)

One that differs from the truth is not wrong. The error of the mean of many
completions is the one that a better model makes smaller. The paper's schedule ends
at temperature 0, and its completions have only 0.2 to 0.6 of the variance that known
densities leave to what is hidden: with --temperature 1 --raw they have all of it.`,
		Example: `  ebm inpaint --run mnist16 --images mnist:test --mask bottom --out inpainted
  ebm inpaint --run runs/cifar --images photos/ --mask mask.png --completions 8 --out inpainted`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.run == "" || f.images == "" || f.mask == "" || f.out == "" {
				return usagef("want --run REF, --images X, --mask M and --out DIR")
			}
			if err := atLeast(least{"count", float64(f.count), 0}, least{"completions", float64(f.completions), 1},
				least{"rows", float64(f.rows), 1}); err != nil {
				return err
			}
			if err := f.fewStepFlags.check(); err != nil {
				return err
			}
			if !(f.temperature >= 0 && f.temperature <= f.hot) || f.temperature > 0 && f.isFew() {
				return usagef("--temperature %g, want a number from 0 to that of --hot, with --sampler langevin", f.temperature)
			}
			return f.inpaint(cmd.Context(), a, cmd)
		},
	}
	f.add(cmd.Flags())
	a.addPrecision(cmd.Flags())
	return cmd
}

// inpainted is what is printed and kept.
type inpainted struct {
	Path        string            `json:"path"`
	Model       string            `json:"model"`
	Images      string            `json:"images"`
	Mask        string            `json:"mask"`
	Completions int               `json:"completions"`
	Seed        uint64            `json:"seed"`
	Schedule    langevin.Schedule `json:"schedule"`
	StepSize    float64           `json:"step_size"`
	Temperature float64           `json:"temperature"`      // the lowest
	Recipe      *langevin.Recipe  `json:"recipe,omitempty"` // in place of the schedule
	Sigma0      float64           `json:"sigma0"`
	// Means over all pictures.
	RMSE       float64           `json:"rmse"`
	RMSEOfMean float64           `json:"rmse_of_mean"`
	Pictures   []langevin.Errors `json:"pictures"`
}

func (f *inpaintFlags) inpaint(ctx context.Context, a *app, cmd *cobra.Command) error {
	share, err := f.share(a)
	if err != nil {
		return err
	}
	set, err := f.settings(1)
	if err != nil {
		return err
	}
	m, err := f.loadJumping(a)
	if err != nil {
		return err
	}
	recipe, err := f.apply(&set, m)
	if err != nil {
		return err
	}
	if f.temperature > 0 {
		if set.Updates, err = set.Schedule.Above(f.temperature, set.StepSize); err != nil {
			return err
		}
	}
	shape := m.Shape()
	pictures, err := f.pictures(ctx, a, shape)
	if err != nil {
		return err
	}
	hidden, err := langevin.ReadMask(f.mask, shape, m.Pad)
	if err != nil {
		return err
	}
	set.Fill = &langevin.Fill{Pictures: pictures, Hidden: hidden, Completions: f.completions}
	filled, release, err := a.fill(ctx, m, set, share, f.out, cmd)
	if err != nil {
		return a.finishedPart(err, share, f.out, f.asJSON)
	}
	defer release()
	r := inpainted{
		Path: f.out, Model: f.run, Images: f.images, Mask: f.mask, Completions: f.completions, Seed: f.seed,
		Schedule: set.Schedule, StepSize: f.stepSize, Temperature: f.temperature, Recipe: recipe, Sigma0: m.Sigma0,
	}
	if r.Pictures, err = set.Fill.Errors(filled); err != nil {
		return err
	}
	for _, e := range r.Pictures {
		for _, v := range e.RMSE {
			r.RMSE += v / float64(set.Fill.Count())
		}
		r.RMSEOfMean += e.Mean / float64(len(r.Pictures))
	}
	if err := f.write(r, set.Fill, filled, m.Pad); err != nil {
		return err
	}
	return a.answer(f.asJSON, r, "%s\t%d pictures, %d completions each\trms error %.4f, of their mean %.4f\n",
		filepath.Join(f.out, "inpaint.png"), len(r.Pictures), f.completions, r.RMSE, r.RMSEOfMean)
}

// fill runs the chains that fill in the settings' pictures, and keeps what is finished below
// out, which is the process's until release.
func (a *app) fill(ctx context.Context, m *ebm.Model, set langevin.Settings, share samples.Share, out string, cmd *cobra.Command) (
	filled *tensor.Tensor, release func(), err error) {
	set.Count = set.Fill.Count()
	files, err := langevin.NewFillFiles(m.Network, m.Weights, m.Sigma0)
	if err != nil {
		return nil, nil, err
	}
	sampler, err := a.sampler(ctx, m, files)
	if err != nil {
		return nil, nil, err
	}
	defer sampler.Close()
	key, err := sampler.FillKey(set)
	if err != nil {
		return nil, nil, err
	}
	if release, err = a.shared(cmd, share, out, key); err != nil {
		return nil, nil, err
	}
	filled, err = sampler.AllIn(ctx, set, samples.Results{Dir: filepath.Join(out, "chains"), Share: share, Log: a.log})
	if err != nil {
		release()
	}
	return filled, release, err
}

// write leaves the results, without the padding of the model's pictures.
func (f *inpaintFlags) write(r inpainted, fill *langevin.Fill, filled *tensor.Tensor, pad int) error {
	const grey = 0.5
	parts := []*tensor.Tensor{fill.Pictures, fill.Masked(grey), filled}
	for i, x := range parts {
		var err error
		if parts[i], err = picture.Crop(x, x.Shape()[2]-2*pad, x.Shape()[3]-2*pad); err != nil {
			return err
		}
	}
	pictures, masked, completions := parts[0], parts[1], parts[2]
	err := atomicfile.Dir(filepath.Join(f.out, "png"), func(tmp string) error { return picture.WriteFolder(tmp, 0, completions) })
	if err != nil {
		return err
	}
	err = atomicfile.WriteSealed(filepath.Join(f.out, "completions.npy"), func(w io.Writer) error { return npz.WriteNpy(w, completions) })
	if err != nil {
		return err
	}
	var rows []*tensor.Tensor
	for i := range min(f.rows, pictures.Shape()[0]) {
		rows = append(rows, pictures.Rows(i, i+1), masked.Rows(i, i+1), completions.Rows(i*fill.Completions, (i+1)*fill.Completions))
	}
	side := max(pictures.Shape()[2], pictures.Shape()[3])
	grid := picture.Grid{Columns: 2 + fill.Completions, Padding: 1, Scale: min(max(64/side, 1), 8), Background: 96, Apart: 2}
	err = atomicfile.Write(filepath.Join(f.out, "inpaint.png"), func(w io.Writer) error { return grid.WritePNG(w, tensor.Concat(rows...)) })
	if err != nil {
		return err
	}
	return writeJSON(filepath.Join(f.out, "inpaint.json"), r)
}
