package ebm_test

import (
	"path/filepath"
	"testing"

	"ebm"
	"ebm/internal/testkit"
	"ebm/models/zoo"
)

// TestRecipes: the shipped samplers are of models that there are and keep to their
// budgets, a run's own file goes before, and where nothing was found there is a recipe too.
func TestRecipes(t *testing.T) {
	for _, name := range zoo.Names() {
		m, err := ebm.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, budget := range []int{5, 30, 70, 200} {
			r, err := m.Recipe(budget)
			if err != nil || r.Evaluations() > budget {
				t.Errorf("%s within %d: %+v of %d, error %v", name, budget, r, r.Evaluations(), err)
			}
			if _, err := m.Chain(r); err != nil {
				t.Error(err)
			}
		}
		if _, err := m.Recipe(1); err == nil {
			t.Errorf("%s within 1: no error", name)
		}
	}
	run := testkit.Copy(t, filepath.Join("cmd", "ebm", "testdata", "formats", "run"))
	m, err := ebm.Load(run)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Write(t, filepath.Join(run, ebm.SamplerFile), []byte(`{"recipes": [{"sampler": "heun", "levels": 7, "end": 1}]}`))
	if r, err := m.Recipe(20); err != nil || r.Levels != 7 {
		t.Errorf("a run's own: %+v, error %v", r, err)
	}
	testkit.Write(t, filepath.Join(run, ebm.SamplerFile), []byte(`{"recipes": [{"sampler": "heun"}]}`))
	_, err = m.Recipe(20)
	testkit.WantError(t, "a damaged file", err, ebm.SamplerFile, "levels 0")
}
