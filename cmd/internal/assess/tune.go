package assess

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"ebm/evaluate"
	"ebm/evaluate/features"
	"ebm/evaluate/probe"
	"ebm/mdsm/langevin"
	"ebm/mdsm/samples"
	"ebm/models/rng"
	"ebm/runtime"
	"ebm/runtime/progress"
)

// TuneOptions say how a sampler of few evaluations is searched for.
type TuneOptions struct {
	Run        string // the folder of a run, a shipped model, or an ONNX file
	Checkpoint string // of the run, as CheckpointOf takes it
	Place      string // of the weights in a file of several networks
	DataName   string // what it was trained on, where the run does not say that
	DataDir    string // folder of the data set's files, "" where they find themselves
	Dir        string // of the samples: a folder for each recipe below it
	Budget     int    // evaluations of a sample at most
	Recipes    int    // that are drawn at first
	Count      int    // samples of those that stay to the end
	Reference  int    // training pictures that samples are compared with, at most a half of them
	Seed       uint64
	Features   Features
	Progress   progress.Progress
	Log        func(line string)
}

// Trial is a recipe with the distance of its samples.
type Trial struct {
	Recipe   langevin.Recipe `json:"recipe"`
	Samples  int             `json:"samples"`
	Distance float64         `json:"frechet_distance"` // in squared units of the features
	genes    []float32       // that it was made of
}

// Tuning is the result of a search.
type Tuning struct {
	Best      Trial          `json:"best"`
	Trials    []Trial        `json:"trials"` // by falling samples and rising distance
	Features  features.Maker `json:"features"`
	Reference int            `json:"reference"` // training pictures
	Levels    []DenoiserAt   `json:"levels"`    // of held-out pictures where there are any
	Seed      uint64         `json:"seed"`
}

// DenoiserAt says how good a model's denoiser is at a noise level, see probe.Level.
type DenoiserAt struct {
	Sigma    float64 `json:"sigma"`
	Left     float64 `json:"noise_left"`
	Slope    float64 `json:"slope"`
	Measured float64 `json:"measured_level"`
}

// Tune searches for the recipe of a budget whose samples have the least Fréchet distance
// to some of the training pictures, at most a half, by successive halving: recipes drawn at random get
// a quarter of the samples; the best sixth of them, and children of theirs with some
// settings drawn anew, a half; and the best two of these all. All have the same seed, so
// that noise is shared, and samples go to disk as they come: a search that was stopped
// goes on where it was, and gives the same result.
func Tune(ctx context.Context, rt *runtime.Runtime, o TuneOptions) (*Tuning, error) {
	a := &assessment{rt: rt, Options: Options{
		Run: o.Run, Checkpoint: o.Checkpoint, Place: o.Place, DataName: o.DataName, DataDir: o.DataDir, Dir: o.Dir,
		Features: o.Features, Progress: o.Progress, Log: o.Log,
	}}
	defer a.close()
	if err := a.load(ctx); err != nil {
		return nil, err
	}
	by, err := a.selectionFeatures(ctx)
	if err != nil {
		return nil, err
	}
	if by != a.classifier {
		defer by.Close()
	}
	t := tuner{TuneOptions: o, assessment: a, by: by, result: Tuning{Features: by.Maker(), Seed: o.Seed}}
	half := probe.Choose(a.training, min((a.training.Len()+1)/2, o.Reference), o.Seed)
	t.result.Reference = len(half.Index)
	if t.reference, err = probe.Statistics(ctx, by, half.Pixels(), o.Progress); err != nil {
		return nil, err
	}
	t.result.Features.Features = len(t.reference.Mean)
	if err := t.search(ctx); err != nil {
		return nil, err
	}
	return &t.result, t.levels(ctx)
}

// tuner is a search in progress.
type tuner struct {
	TuneOptions
	*assessment
	by        *features.Extractor
	reference *evaluate.Statistics
	result    Tuning
}

func (t *tuner) search(ctx context.Context) error {
	var first, second []Trial
	for i := range max(t.TuneOptions.Recipes, 1) {
		first = append(first, t.drawn(i))
	}
	first, err := t.round(ctx, first, max(t.TuneOptions.Count/4, 2))
	if err != nil {
		return err
	}
	keep := (len(first) + 5) / 6
	for i, parent := range first[:keep] {
		second = append(second, parent, t.child(parent, i))
	}
	if second, err = t.round(ctx, second, max(t.TuneOptions.Count/2, 2)); err != nil {
		return err
	}
	last, err := t.round(ctx, second[:min(2, len(second))], t.TuneOptions.Count)
	if err != nil {
		return err
	}
	t.result.Best = last[0]
	for _, list := range [][]Trial{last, second, first} {
		for _, one := range list {
			same := func(had Trial) bool { return name(had.Recipe) == name(one.Recipe) }
			if !slices.ContainsFunc(t.result.Trials, same) {
				t.result.Trials = append(t.result.Trials, one)
			}
		}
	}
	return nil
}

// round draws samples of trials and returns those of finite samples, the best first.
func (t *tuner) round(ctx context.Context, list []Trial, count int) ([]Trial, error) {
	stage := progress.Begin(t.TuneOptions.Progress, fmt.Sprintf("recipes, %d samples each", count), int64(len(list)), "recipes")
	defer stage.Done()
	var good []Trial
	for _, one := range list {
		d, err := t.measure(ctx, one.Recipe, count)
		var diverged *langevin.DivergedError
		if errors.As(err, &diverged) {
			t.TuneOptions.Log(fmt.Sprintf("%s is left out: %v", text(one.Recipe), err))
			stage.Add(1)
			continue
		}
		if err != nil {
			return nil, err
		}
		one.Distance, one.Samples = d, count
		good = append(good, one)
		stage.Note(fmt.Sprintf("%.4g by %s", d, text(one.Recipe)))
		stage.Add(1)
	}
	if len(good) == 0 {
		return nil, errors.New("the samples of every recipe leave the finite numbers: the model cannot be sampled in so few evaluations")
	}
	slices.SortStableFunc(good, func(a, b Trial) int { return cmp.Compare(a.Distance, b.Distance) })
	return good, nil
}

// measure returns the distance of so many samples of a recipe.
func (t *tuner) measure(ctx context.Context, r langevin.Recipe, count int) (float64, error) {
	set := langevin.Default(count)
	var err error
	if set.Updates, err = r.Updates(t.meta.SigmaMax, t.meta.Sigma0); err != nil {
		return 0, err
	}
	set.Start, set.Seed = r.Start(t.meta.SigmaMax), t.TuneOptions.Seed
	folder := samples.Folder{Dir: filepath.Join(t.TuneOptions.Dir, name(r)), Crop: t.crop(), Log: t.TuneOptions.Log}
	x, err := draw(ctx, t.rt, t.files, set, folder, nil)
	if err != nil {
		return 0, err
	}
	statistics, err := probe.Statistics(ctx, t.by, x, nil)
	if err != nil {
		return 0, err
	}
	d, err := evaluate.Frechet(ctx, statistics, t.reference)
	return d.Distance, err
}

// text writes a recipe for people and for names.
func text(r langevin.Recipe) string {
	b, err := json.Marshal(r)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// name returns the name of a recipe's folder.
func name(r langevin.Recipe) string { return fmt.Sprintf("%.12x", sha256.Sum256([]byte(text(r)))) }

// The genes of a recipe are numbers from 0 to 1, one for each of its settings.
const genes = 11

// drawn returns the i-th recipe of the search; the first is the one that is taken where
// none has been searched for.
func (t *tuner) drawn(i int) Trial {
	u := make([]float32, genes)
	rng.New(t.TuneOptions.Seed).Uniform(u, rng.Probe, uint64(i), 0)
	one := Trial{genes: u, Recipe: t.recipe(u)}
	if fast, err := langevin.Fast(t.Budget); i == 0 && err == nil {
		one.Recipe = fast
	}
	return one
}

// child returns a recipe with some settings of a parent drawn anew.
func (t *tuner) child(parent Trial, i int) Trial {
	const share = 0.3
	u := make([]float32, 2*genes)
	rng.New(t.TuneOptions.Seed).Uniform(u, rng.Probe, uint64(i), 1)
	list := slices.Clone(parent.genes)
	for k := range list {
		if u[genes+k] < share {
			list[k] = u[k]
		}
	}
	return Trial{genes: list, Recipe: t.recipe(list)}
}

// recipe makes a recipe of the budget out of genes.
func (t *tuner) recipe(u []float32) langevin.Recipe {
	between := func(v float32, low, high float64) float64 {
		return math.Round(100*(low+float64(v)*(high-low))) / 100
	}
	// Half of the searches are for ancestral steps, whose noise forgives errors of the score.
	methods := []langevin.Method{
		langevin.Ancestral, langevin.Ancestral, langevin.Ancestral, langevin.Ancestral, langevin.DDIM, langevin.Heun,
		langevin.EDM, langevin.Adaptive,
	}
	r := langevin.Recipe{Method: methods[int(u[0]*float32(len(methods)))], End: between(u[1], 1.5, 5), StepSize: between(u[2], 0.6, 1.4)}
	if u[3] > 0.25 {
		velocity := between((u[3]-0.25)/0.75, 0, 0.8)
		r.Velocity = &velocity
	}
	if u[4] > 0.75 {
		r.Rho = 7
	}
	if u[5] > 0.6 {
		r.From = between((u[5]-0.6)/0.4, t.meta.SigmaMax/2, t.meta.SigmaMax)
		r.Refresh = min(4, t.Budget/8) // lower levels remember where chains begin
	}
	if u[6] > 0.85 {
		r.Corrector = 1
	}
	if r.Method == langevin.EDM {
		r.Churn = between(u[7], 0.02, 0.41)
	}
	if r.Method == langevin.Adaptive {
		r.Beta = between(u[8], 0.3, 0.9)
	}
	steps := t.Budget - 1 - r.Refresh
	r.Cool, r.Freeze = int(between(u[9], 0.1, 0.5)*float64(steps)), int(between(u[10], 0.05, 0.25)*float64(steps))
	r.Levels = 1
	one := r.Evaluations() - 1 - r.Refresh - r.Cool - r.Freeze // of a level
	r.Levels = max((steps-r.Cool-r.Freeze)/one, 1)
	r.Cool = max(steps-r.Freeze-r.Levels*one, 0) // what is left of a level
	return r
}

// levels measures the denoiser at the noise levels of the training.
func (t *tuner) levels(ctx context.Context) error {
	sigmas, err := t.meta.Levels(9)
	if err != nil {
		return err
	}
	set := t.heldOut
	if set == nil {
		set = t.training
	}
	list, err := t.model.Levels(ctx, probe.Choose(set, 256, t.TuneOptions.Seed), sigmas, t.TuneOptions.Progress)
	for _, l := range list {
		t.result.Levels = append(t.result.Levels, DenoiserAt{l.Sigma, l.Left, l.Slope, l.Measured})
	}
	return err
}
