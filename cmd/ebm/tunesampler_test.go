package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm/langevin"
)

// TestTuneSampler searches for a tiny model: the same search finds the same, searches
// of two budgets share a file, and --recipe takes what was found.
func TestTuneSampler(t *testing.T) {
	testkit.Long(t)
	run, dir := tinyWeights(t), t.TempDir()
	testkit.Mkdir(t, dir, "a")
	testkit.Mkdir(t, dir, "b")
	search := func(file, budget string) (table string) {
		return mustRun(t, "tune-sampler", "-q", "--run", run, "--data-name", "mnist", "--budget", budget, "--reference", "200", "--recipes", "4",
			"--count", "24", "--out", filepath.Join(dir, file))
	}
	table := search("a/found.json", "8")
	for _, want := range []string{"Fréchet", "slope", "found.json"} {
		if !strings.Contains(table, want) {
			t.Errorf("it prints %s, want %s", table, want)
		}
	}
	if again := search("b/found.json", "8"); strings.ReplaceAll(again, "/b/", "/a/") != table {
		t.Errorf("again it prints %s, before %s", again, table)
	}
	testkit.SameFiles(t, filepath.Join(dir, "b"), filepath.Join(dir, "a"), "found.json")
	search("a/found.json", "5")
	var found langevin.Tuned
	if err := json.Unmarshal(testkit.Read(t, dir, "a", "found.json"), &found); err != nil {
		t.Fatal(err)
	}
	if len(found.Recipes) != 2 || found.Recipes[0].Evaluations > 5 || found.Recipes[1].Evaluations > 8 || !(found.Recipes[0].Frechet > 0) {
		t.Errorf("two searches have found %+v", found)
	}
	mustRun(t, "sample", "-q", "--run", run, "--count", "4", "--recipe", filepath.Join(dir, "a", "found.json"), "--out",
		filepath.Join(dir, "samples"))
}
