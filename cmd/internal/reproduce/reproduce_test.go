package reproduce

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ebm/cmd/internal/assess"
	"ebm/cmd/internal/report"
	"ebm/evaluate/features"
	"ebm/evaluate/probe"
	"ebm/internal/testkit"
	"ebm/mdsm/dataset"
	"ebm/mdsm/train"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// All items run at the smoke scale, leave what they promise, and are not made
// twice.
func TestSmoke(t *testing.T) {
	testkit.Long(t)
	rt, dir := testkit.Open(t, 2), t.TempDir()
	o := Options{Dir: dir, Scale: Smoke}
	results, err := Run(t.Context(), rt, Items(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != len(Items()) {
		t.Fatalf("%d results of %d items", len(results), len(Items()))
	}
	for i, r := range results {
		item := Items()[i]
		if r.Item != item.Name || r.Scale != Smoke || len(r.Rows) == 0 || len(r.Settings) == 0 || len(r.Differs) == 0 || r.Seconds <= 0 ||
			len(r.Models) == 0 && len(item.presets) > 0 {
			t.Errorf("%s: the result does not say how it came about: %+v", item.Name, r)
		}
		if !slices.ContainsFunc(r.Rows, func(row Row) bool { return row.Paper != nil && row.Source != "" }) {
			t.Errorf("%s: no value of the paper", r.Item)
		}
		if !slices.ContainsFunc(r.Rows, func(row Row) bool { return !math.IsNaN(row.Ours) }) {
			t.Errorf("%s: no value of ours", r.Item)
		}
		for _, row := range r.Rows {
			if row.Same {
				t.Errorf("%s: %q is said to compare with the paper's, at a scale where nothing does", r.Item, row.Name)
			}
		}
		for _, name := range append([]string{resultFile, report.HTMLFile, report.JSONFile}, r.Files...) {
			if info, err := os.Stat(filepath.Join(dir, r.Item, name)); err != nil || info.Size() == 0 {
				t.Errorf("%s: %s: %v", r.Item, name, err)
			}
		}
	}
	summary := testkit.Read(t, dir, SummaryFile)
	for _, want := range []string{"| scores |", "| 31.7 | – |", "6.79", "no Inception weights"} {
		if !strings.Contains(string(summary), want) {
			t.Errorf("the summary has no %q", want)
		}
	}
	if os.Getenv("EBM_INCEPTION") != "" {
		t.Log("with Inception weights")
	}

	// The second time everything is there; what is gone is made again.
	if err := os.RemoveAll(filepath.Join(dir, "noise")); err != nil {
		t.Fatal(err)
	}
	began := time.Now().UTC().Truncate(time.Second)
	again, err := Run(t.Context(), rt, Items(), o)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range again {
		if made := !r.Ended.Before(began) && r.Ended != results[i].Ended; made && r.Item != "noise" {
			t.Errorf("%s was made again", r.Item)
		}
		if r.Key != results[i].Key || len(r.Rows) != len(results[i].Rows) {
			t.Errorf("%s: another result the second time", r.Item)
		}
	}
	// Random numbers are counters: the item that was made again has equal values.
	for i, row := range again[3].Rows {
		if row.Ours != results[3].Rows[i].Ours {
			t.Errorf("%s: %q was %g and is %g", again[3].Item, row.Name, results[3].Rows[i].Ours, row.Ours)
		}
	}
}

// A training that was stopped goes on, and one of other settings is not taken
// for it.
func TestTrainingsGoOn(t *testing.T) {
	testkit.Long(t)
	s := &study{Options: Options{Dir: t.TempDir(), Scale: Smoke, Log: func(string) {}}, rt: testkit.Open(t, 2), n: Smoke.numbers(),
		models: map[string]*subject{}, sets: map[setKey]*dataset.Set{}}
	defer s.close()
	set, err := Smoke.settings("mnist")
	if err != nil {
		t.Fatal(err)
	}
	set.Steps = 2
	half, err := s.trained(t.Context(), "run", set)
	if err != nil {
		t.Fatal(err)
	}
	hash := half.Hash
	delete(s.models, "run")
	set.Steps = 4
	whole, err := s.trained(t.Context(), "run", set)
	if err != nil {
		t.Fatal(err)
	}
	newest, err := train.Newest(filepath.Join(s.Dir, "runs", "run"))
	if err != nil || newest.Step != 4 || whole.Hash == hash {
		t.Errorf("the newest checkpoint is %+v (%v), want step 4 with other weights", newest, err)
	}
	delete(s.models, "run")
	set.Steps, set.Noise.Max = 8, 2
	if _, err := s.trained(t.Context(), "run", set); err == nil || !strings.Contains(err.Error(), "noise.max") {
		t.Errorf("a run of other noise levels went on: %v", err)
	}
}

// The checkpoint with the least distance is found, kept, and what is loaded.
func TestBestCheckpoint(t *testing.T) {
	testkit.Long(t)
	s := &study{Options: Options{Dir: t.TempDir(), Scale: Smoke, Log: func(string) {}}, rt: testkit.Open(t, 2), n: Smoke.numbers(),
		models: map[string]*subject{}, sets: map[setKey]*dataset.Set{}}
	defer s.close()
	set, err := Smoke.settings("mnist")
	if err != nil {
		t.Fatal(err)
	}
	set.Output.KeepCheckpoints = 0
	if _, err := s.trained(t.Context(), "run", set); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(s.Dir, "runs", "run")
	best, err := s.best(t.Context(), dir, set, features.NewPixels(), 4)
	if err != nil {
		t.Fatal(err)
	}
	chosen, err := assess.ReadSelection(dir)
	if err != nil || len(chosen.Candidates) != 4 || filepath.Base(best) != chosen.Best {
		t.Fatalf("%s, %+v, %v", best, chosen, err)
	}
	for _, c := range chosen.Candidates {
		if c.Distance < chosen.Distance {
			t.Errorf("%s has the distance %g, and %s with %g was chosen", c.Name, c.Distance, chosen.Best, chosen.Distance)
		}
	}
	if m, err := s.load(best, "best"); err != nil || m.data != "mnist" {
		t.Error(err)
	}
}

func TestItemsAndScales(t *testing.T) {
	seen := map[string]bool{}
	for _, i := range Items() {
		if seen[i.Name] || i.Name == "all" || i.Name == "runs" || i.Paper == "" || i.About == "" || i.Needs == "" {
			t.Errorf("item %+v", i)
		}
		seen[i.Name] = true
		if found, err := Find(i.Name); err != nil || len(found) != 1 || found[0].Name != i.Name {
			t.Errorf("%s: found %v, %v", i.Name, found, err)
		}
		for _, preset := range i.presets {
			if _, err := train.Preset(preset); err != nil {
				t.Errorf("%s: %v", i.Name, err)
			}
		}
		for run, preset := range i.work(Paper.numbers()).trainings {
			if _, err := train.Preset(preset); err != nil {
				t.Errorf("%s, %s: %v", i.Name, run, err)
			}
		}
	}
	if all, err := Find("all"); err != nil || len(all) != len(Items()) {
		t.Errorf("all: %d items, %v", len(all), err)
	}
	if _, err := Find("table 2"); err == nil || !strings.Contains(err.Error(), "inpainting") {
		t.Errorf("an item that does not exist: %v", err)
	}
	if _, err := ParseScale("large"); err == nil {
		t.Error("a scale that does not exist")
	}
	for _, scale := range []Scale{Smoke, Small, Paper} {
		for _, preset := range []string{"mnist", "single-noise", "likelihood"} {
			set, err := scale.settings(preset)
			if err == nil {
				err = set.Validate()
			}
			if err != nil {
				t.Errorf("%s %s: %v", scale, preset, err)
			}
			want, _ := train.Preset(preset)
			if scale == Paper && !reflect.DeepEqual(set, want) {
				t.Errorf("the paper's scale changes %s", preset)
			}
		}
	}
}

// What is not a number is null in files, and is read so.
func TestResultFiles(t *testing.T) {
	want := Result{Item: "scores", Rows: []Row{{Name: "FID", Paper: 31.7, Source: "table 1", Ours: math.NaN()},
		{Name: "modes", Paper: "many", Ours: 7, Error: 0.5, Same: true}}}
	dir := t.TempDir()
	if err := want.write(dir); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, resultFile))
	if err != nil || !json.Valid(data) || !strings.Contains(string(data), `"ours": null`) {
		t.Fatalf("%s (%v)", data, err)
	}
	got, err := readResult(dir)
	if err != nil || !math.IsNaN(got.Rows[0].Ours) || got.Rows[0].Paper != 31.7 || !reflect.DeepEqual(got.Rows[1], want.Rows[1]) {
		t.Errorf("%+v, %v", got, err)
	}
	testkit.Write(t, filepath.Join(dir, resultFile), []byte("[]"))
	if _, err := readResult(dir); err == nil {
		t.Error("a list was read as a result")
	}
}

// FuzzResult holds reading to what writing makes.
func FuzzResult(f *testing.F) {
	f.Add([]byte(`{"item":"scores","values":[{"name":"FID","paper":31.7,"ours":null},{"ours":1e308,"paper":"x"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r Result
		if json.Unmarshal(data, &r) != nil {
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back Result
		if err := json.Unmarshal(again, &back); err != nil || len(back.Rows) != len(r.Rows) {
			t.Errorf("%s: %v", again, err)
		}
	})
}

// Stacks are of the given pictures, each channel one of them.
func TestStacked(t *testing.T) {
	grey := tensor.Of([]uint8{1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3}, 3, 1, 2, 2)
	x := stacked(grey, 60, rng.New(1))
	seen := map[[3]uint8]bool{}
	for i := range 60 {
		p := tensor.Data[uint8](x)[i*12 : (i+1)*12]
		for c := range 3 {
			for k := range 4 {
				if p[c*4+k] != p[c*4] {
					t.Fatalf("stack %d: %v", i, p)
				}
			}
		}
		seen[[3]uint8{p[0], p[4], p[8]}] = true
	}
	if len(seen) < 20 {
		t.Errorf("%d of 27 stacks in 60 draws", len(seen))
	}
}

func TestNumbers(t *testing.T) {
	if a, b := line([]float64{1, 2, 3, 4}, []float64{5, 8, 8, 11}); math.Abs(a-3.5) > 1e-12 || math.Abs(b-1.8) > 1e-12 {
		t.Errorf("the line is %g + %g·x, want 3.5 + 1.8·x", a, b)
	}
	var levels []probe.Level
	for _, sigma := range []float64{0.1, 0.2, 0.5, 1, 2, 4} {
		levels = append(levels, probe.Level{Sigma: sigma, Energy: -7 + 3*sigma*sigma})
	}
	// −7 + 3σ² above its value at 0.1 is not a power, but nearly one where σ is large.
	if e := exponent(levels); math.Abs(e-2) > 0.01 {
		t.Errorf("exponent of a square %g", e)
	}
}

// The cost names each training once, and that of a model that is given is not
// counted.
func TestEstimate(t *testing.T) {
	items, err := Find("spacing")
	if err != nil {
		t.Fatal(err)
	}
	heads, _ := Find("heads")
	c, err := count(append(items, heads...), Options{Scale: Paper})
	if err != nil {
		t.Fatal(err)
	}
	var runs []string
	for _, training := range c.Trainings {
		runs = append(runs, training.Run)
		if training.Updates != 100_000 || training.FLOPs < 1e16 || training.FLOPs > 1e18 {
			t.Errorf("%+v", training)
		}
	}
	if want := []string{"mnist", "mnist-linear-head", "mnist-linear-levels"}; !slices.Equal(runs, want) {
		t.Errorf("trainings %v of %+v, want %v", runs, c, want)
	}
	samples, _ := Find("samples")
	given, err := count(samples, Options{Scale: Paper, Model: "mnist16"})
	if err != nil || len(given.Trainings) != 0 || given.FLOPs != given.Sampling || !(given.FLOPs > 0) {
		t.Errorf("with a model that is given: %+v, %v", given, err)
	}
}
