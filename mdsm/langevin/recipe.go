package langevin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"ebm/internal/files"
	"ebm/mdsm"
)

// Method names a way from noise level to noise level, see package mdsm.
type Method string

// The methods.
const (
	Ancestral Method = "ancestral"
	DDIM      Method = "ddim"
	Heun      Method = "heun"
	EDM       Method = "edm"
	Adaptive  Method = "adaptive"
)

// Methods returns all methods.
func Methods() []Method { return []Method{Ancestral, DDIM, Heun, EDM, Adaptive} }

// Recipe is a sampler of few evaluations: a method leads from a large noise level to
// a small one, and a short annealed chain may follow, as the last part of the paper's.
// The denoising jump ends it.
type Recipe struct {
	Method Method `json:"sampler"`
	// From is the noise level that chains begin with, in units of x, or 0 for the
	// largest of the training; End is the level to which the method leads, in units of σ₀.
	From float64 `json:"from,omitempty"`
	End  float64 `json:"end"`
	// Refresh is the number of steps at From, see mdsm.Refresh, before the method begins.
	Refresh int     `json:"refresh,omitempty"`
	Levels  int     `json:"levels"`        // steps of the method
	Rho     float64 `json:"rho,omitempty"` // spacing of the levels, see mdsm.FallingLevels
	Churn   float64 `json:"churn,omitempty"`
	Beta    float64 `json:"beta,omitempty"`

	// Corrector is the number of Langevin steps after each of the method's, at the
	// temperature of its level.
	Corrector int `json:"corrector,omitempty"`
	// Cool and Freeze are the Langevin steps in which the temperature falls from that of
	// End to 1 geometrically, and from 1 to 0 linearly.
	Cool   int `json:"cool,omitempty"`
	Freeze int `json:"freeze,omitempty"`
	// StepSize is ε of all Langevin steps in units of σ₀. Where Velocity is not nil, those
	// of Cool and Freeze are underdamped and keep that share of their velocity.
	StepSize float64  `json:"step_size,omitempty"`
	Velocity *float64 `json:"velocity,omitempty"`
}

// NewRecipe returns the method alone, in so many steps down to σ₀.
func NewRecipe(m Method, levels int) Recipe {
	return Recipe{Method: m, End: 1, Levels: levels, StepSize: 1, Beta: 0.5, Churn: 0.1}
}

// Fast returns a recipe of so many evaluations, 70 say, that stands for the paper's
// 2,701 where no search has found a better one, see ParseTuned: some steps that forget the
// start, which is not the data's mean, down to level 3σ₀, where the paper's chain is at
// temperature 9, and an annealed chain of ε = σ₀ from there.
func Fast(evaluations int) (Recipe, error) {
	r := Recipe{Method: Ancestral, Refresh: evaluations / 12, End: 3, Cool: evaluations * 2 / 7, Freeze: evaluations / 7, StepSize: 1}
	if r.Levels = evaluations - 1 - r.Refresh - r.Cool - r.Freeze; r.Levels < 1 {
		return r, fmt.Errorf("%d evaluations, want 2 or more", evaluations)
	}
	return r, nil
}

// Validate reports the first field that cannot be.
func (r Recipe) Validate() error {
	if !slices.Contains(Methods(), r.Method) {
		return fmt.Errorf("sampler %q, want one of %s", r.Method, MethodNames())
	}
	for _, f := range []struct {
		name      string
		value     float64
		low, high float64
	}{
		{"first noise level", r.From, 0, math.MaxFloat32}, {"rho", r.Rho, 0, 100}, {"churn", r.Churn, 0, math.Sqrt2 - 1},
		{"beta", r.Beta, 0, 1}, {"step size", r.StepSize, 0, 1.999},
		{"refresh", float64(r.Refresh), 0, 1 << 20}, {"levels", float64(r.Levels), 1, 1 << 20},
		{"corrector", float64(r.Corrector), 0, 1 << 20}, {"cool", float64(r.Cool), 0, 1 << 20},
		{"freeze", float64(r.Freeze), 0, 1 << 20},
	} {
		if !(f.value >= f.low && f.value <= f.high) {
			return fmt.Errorf("%s %g, want a number from %g to %g", f.name, f.value, f.low, f.high)
		}
	}
	switch {
	case !(r.End >= 1) || math.IsInf(r.End, 0):
		return fmt.Errorf("last noise level %g, want a number from 1, in units of σ₀", r.End)
	case r.Corrector+r.Cool+r.Freeze > 0 && r.StepSize == 0:
		return fmt.Errorf("step size 0, want a positive number for Langevin steps")
	case r.Method == Adaptive && r.Beta == 0:
		return fmt.Errorf("beta 0, want a positive number for %s", Adaptive)
	case r.Velocity != nil && !(*r.Velocity >= 0 && *r.Velocity < 1):
		return fmt.Errorf("velocity %g, want the share from 0 to below 1 that a step keeps", *r.Velocity)
	}
	return nil
}

// MethodNames returns the names of all methods for people.
func MethodNames() string {
	var names []string
	for _, m := range Methods() {
		names = append(names, string(m))
	}
	return strings.Join(names, ", ")
}

// Evaluations returns the number of evaluations of a sample, with the jump.
func (r Recipe) Evaluations() int {
	each := 1
	if r.Method == Heun || r.Method == EDM {
		each = 2
	}
	return r.Refresh + r.Levels*(each+r.Corrector) + r.Cool + r.Freeze + 1
}

// Start returns where chains of a model begin that was trained with noise levels up
// to sigmaMax.
func (r Recipe) Start(sigmaMax float64) Start {
	if r.From > 0 {
		sigmaMax = r.From
	}
	return Start{Mean: 0.5, Sigma: sigmaMax}
}

// Fits says whether a model of σ₀ that was trained with noise levels up to sigmaMax has
// levels for the recipe to fall through. Energies of points mostly have none: their
// chains are annealed.
func (r Recipe) Fits(sigmaMax, sigma0 float64) bool { return r.Start(sigmaMax).Sigma > r.End*sigma0 }

// Updates returns the updates before the jump for a model of σ₀ that was trained with
// noise levels up to sigmaMax.
func (r Recipe) Updates(sigmaMax, sigma0 float64) ([]mdsm.Update, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if !(sigma0 > 0) {
		return nil, fmt.Errorf("sigma0 %g, want a positive noise level", sigma0)
	}
	if !r.Fits(sigmaMax, sigma0) {
		return nil, fmt.Errorf("noise levels up to %g, want some above %g, where few steps end (an annealed chain needs none)",
			r.Start(sigmaMax).Sigma, float32(r.End*sigma0))
	}
	levels, err := mdsm.FallingLevels(r.Start(sigmaMax).Sigma, r.End*sigma0, r.Rho, r.Levels)
	if err != nil {
		return nil, err
	}
	list := slices.Repeat([]mdsm.Update{mdsm.Refresh(levels[0], sigma0)}, r.Refresh)
	list = append(list, r.predict(levels, sigma0)...)
	for i, t := range r.temperatures() {
		u := mdsm.Update{StepSize: r.StepSize * sigma0, Temperature: t}
		if r.Velocity != nil {
			u = mdsm.Underdamped(u.StepSize, t, *r.Velocity)
			u.Level = sigma0 * math.Sqrt(t)
			if i == 0 { // what a method has kept is no velocity
				u.Memory, u.KeepMemory = 0, 0
			}
		}
		list = append(list, u)
	}
	return list, nil
}

// predict returns the updates of the method over falling levels, and those of the
// corrector.
func (r Recipe) predict(levels []float64, sigma0 float64) (list []mdsm.Update) {
	for i, b := range levels[1:] {
		a := levels[i]
		switch r.Method {
		case Ancestral:
			list = append(list, mdsm.Ancestral(a, b, sigma0))
		case DDIM:
			list = append(list, mdsm.DDIM(a, b, sigma0))
		case Heun:
			list = append(list, mdsm.Heun(a, b, sigma0)...)
		case EDM:
			raised := a
			if i > 0 {
				raised = a * (1 + r.Churn)
				list[len(list)-1] = list[len(list)-1].Raise(a, raised)
			}
			list = append(list, mdsm.Heun(raised, b, sigma0)...)
		case Adaptive:
			list = append(list, mdsm.Adaptive(a, min((1-b/a)/r.Beta, 1), r.Beta, levels[len(levels)-1], sigma0))
		}
		t := b * b / (sigma0 * sigma0)
		for range r.Corrector {
			list = append(list, mdsm.Update{StepSize: r.StepSize * sigma0, Temperature: t, Level: b})
		}
	}
	return list
}

// temperatures returns those of Cool and Freeze.
func (r Recipe) temperatures() []float64 {
	var list []float64
	for k := range r.Cool {
		list = append(list, math.Pow(r.End*r.End, 1-fraction(k, r.Cool)))
	}
	for k := range r.Freeze {
		list = append(list, 1-float64(k+1)/float64(r.Freeze))
	}
	return list
}

// Tuned are the recipes that searches have found for a model, by rising numbers of
// evaluations.
type Tuned struct {
	Recipes []TunedRecipe `json:"recipes"`
}

// TunedRecipe is a recipe and how good its samples were in the search.
type TunedRecipe struct {
	Recipe
	Evaluations int     `json:"evaluations"`
	Frechet     float64 `json:"frechet_distance"`
	Samples     int     `json:"samples"`
	Features    string  `json:"features,omitempty"` // of the distance
	Found       string  `json:"found,omitempty"`    // by which search
}

// ParseTuned reads the file of a search.
func ParseTuned(data []byte) (Tuned, error) {
	var t Tuned
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil {
		return t, fmt.Errorf("not the result of a search for a sampler: %w", err)
	}
	for _, r := range t.Recipes {
		if err := r.Validate(); err != nil {
			return t, err
		}
	}
	return t, nil
}

// ReadTuned reads the file of a search. The error wraps fs.ErrNotExist where there is none.
func ReadTuned(path string) (Tuned, error) { return files.Parse(path, ParseTuned) }

// With returns the recipes with one in place of any of as many evaluations.
func (t Tuned) With(r TunedRecipe) Tuned {
	r.Evaluations = r.Recipe.Evaluations()
	list := slices.DeleteFunc(slices.Clone(t.Recipes), func(had TunedRecipe) bool { return had.Recipe.Evaluations() == r.Evaluations })
	list = append(list, r)
	slices.SortFunc(list, func(a, b TunedRecipe) int { return cmp.Compare(a.Evaluations, b.Evaluations) })
	return Tuned{list}
}

// Within returns the recipe of most evaluations that are no more than a budget; ok is
// false where there is none.
func (t Tuned) Within(budget int) (r Recipe, ok bool) {
	most := 0
	for _, one := range t.Recipes {
		if n := one.Recipe.Evaluations(); n <= budget && n > most {
			r, most = one.Recipe, n
		}
	}
	return r, most > 0
}
