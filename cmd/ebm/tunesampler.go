package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"ebm"
	"ebm/cmd/internal/assess"
	"ebm/internal/atomicfile"
	"ebm/mdsm/langevin"
)

// tuneFlags are the flags of tune-sampler.
type tuneFlags struct {
	assess.TuneOptions
	which  checkpointFlags
	out    string
	asJSON bool
}

func newTuneSampler(a *app) *cobra.Command {
	var f tuneFlags
	cmd := &cobra.Command{
		Use:   "tune-sampler --run REF --budget N",
		Short: "Search for the best sampler of few evaluations for a model",
		Long: `tune-sampler searches for the settings of a sampler whose samples, of --budget
evaluations of the score each, have the least Fréchet distance to a half of the
training pictures: the method, the noise levels, the Langevin steps after them and
their step size. Recipes are drawn at random, the best get more samples and children;
the same command finds the same. What it finds is kept in --out, by default
sampler.json in the run's folder, from where ebm sample --fast takes it; searches of
several budgets share the file. Samples are kept beside it, so that a search that was
stopped goes on.

It also prints how good the model's denoiser is at each noise level, which is what
limits such samplers: the share of the squared noise that a jump leaves, the slope of
the truth on the jump (1 for the best denoiser), and the measured level over the true one.`,
		Example: `  ebm tune-sampler --run runs/mnist --budget 70
  ebm tune-sampler --run mnist16 --budget 30 --out sampler.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.tune(cmd.Context(), a) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.Run, "run", "", "the model: a run's folder, a shipped model, a file of weights or an ONNX file")
	f.which.add(fs)
	fs.StringVar(&f.out, "out", "", "the file of what is found (default RUN/sampler.json for a run)")
	fs.IntVar(&f.Budget, "budget", 70, "evaluations of the score for a sample at most")
	fs.IntVar(&f.Recipes, "recipes", 24, "recipes that are drawn at first")
	fs.IntVar(&f.Count, "count", 1024, "samples of the recipes that stay to the end; others get a half or a quarter")
	fs.IntVar(&f.Reference, "reference", 10000, "training pictures that samples are compared with, at most a half of them")
	fs.Uint64Var(&f.Seed, "seed", 1000, "seed of the recipes and of the samples")
	fs.StringVar(&f.DataName, "data-name", "", "the data set it was trained on, where that is not known")
	fs.StringVar(&f.DataDir, "data", "", "folder of the data set's files, if it is not found by itself")
	fs.StringVar(&f.Features.Inception, "inception", "",
		"weights of the FID Inception network for the distance (default: those that are found, or the shipped classifier, or pixels)")
	fs.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	return cmd
}

func (f *tuneFlags) tune(ctx context.Context, a *app) error {
	if f.Run == "" {
		return usagef("want --run REF, the model to search for")
	}
	if err := atLeast(least{"budget", float64(f.Budget), 4}, least{"recipes", float64(f.Recipes), 1}, least{"count", float64(f.Count), 8},
		least{"reference", float64(f.Reference), 2}); err != nil {
		return err
	}
	if f.out == "" {
		folder := assess.RunFolder(f.Run)
		if folder == "" {
			return usagef("%s is not the folder of a run, want --out FILE for what is found", f.Run)
		}
		f.out = filepath.Join(folder, ebm.SamplerFile)
	}
	had, err := langevin.ReadTuned(f.out) // what searches before have found
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	rt, err := a.runtime(ctx)
	if err != nil {
		return err
	}
	f.Checkpoint, f.Place = f.which.checkpoint, f.which.in("")
	f.Dir = fmt.Sprintf("%s.search-%d", f.out, f.Budget)
	f.Progress, f.Log = a.progress(), a.log
	t, err := assess.Tune(ctx, rt, f.TuneOptions)
	if err != nil {
		return err
	}
	found := had.With(langevin.TunedRecipe{
		Recipe: t.Best.Recipe, Frechet: t.Best.Distance, Samples: t.Best.Samples, Features: t.Features.Network.Label(),
		Found: fmt.Sprintf("ebm tune-sampler --budget %d --recipes %d --count %d --seed %d", f.Budget, f.Recipes, f.Count, f.Seed),
	})
	if err := atomicfile.WriteJSON(f.out, found); err != nil {
		return err
	}
	if f.asJSON {
		return a.printJSON(t)
	}
	return f.print(a, t)
}

func (f *tuneFlags) print(a *app, t *assess.Tuning) error {
	a.endProgress()
	a.printf("%-8s %-8s %-11s recipe\n", "samples", "Fréchet", "evaluations")
	for _, one := range t.Trials {
		text, err := json.Marshal(one.Recipe)
		if err != nil {
			return err
		}
		a.printf("%-8d %-8.4g %-11d %s\n", one.Samples, one.Distance, one.Recipe.Evaluations(), text)
	}
	a.printf("\n%-8s %-10s %-7s measured level\n", "level", "noise left", "slope")
	for _, l := range t.Levels {
		a.printf("%-8.3g %-10.3g %-7.4f %.4f\n", l.Sigma, l.Left, l.Slope, l.Measured)
	}
	a.printf("\n%s\tby ebm sample --fast --evaluations %d\n", f.out, t.Best.Recipe.Evaluations())
	return nil
}
