package main

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ebm"
	"ebm/evaluate/probe"
	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// rowsOf writes n pictures of uniform noise from 0 to scale for a model.
func rowsOf(t *testing.T, m *ebm.Model, n int, seed uint64, scale float32) (path string, x *tensor.Tensor) {
	t.Helper()
	x = tensor.New(tensor.Float32, append([]int{n}, m.Shape()...)...)
	rng.New(seed).Uniform(tensor.Data[float32](x), rng.Probe, 0, 0)
	for i := range tensor.Data[float32](x) {
		tensor.Data[float32](x)[i] *= scale
	}
	path = filepath.Join(t.TempDir(), "x.npy")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := npz.WriteNpy(f, x); err != nil {
		t.Fatal(err)
	}
	return path, x
}

// table reads the CSV that score writes.
func table(t *testing.T, text string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) < 2 || strings.Join(rows[0], ",") != "index,file,energy,score_norm,loss,anomaly" {
		t.Fatalf("error %v, table\n%s", err, text)
	}
	return rows[1:]
}

func TestScore(t *testing.T) {
	testkit.Long(t)
	run := testkit.Copy(t, filepath.Join("testdata", "formats", "run"))
	m, err := ebm.Load(run)
	if err != nil {
		t.Fatal(err)
	}
	held, x := rowsOf(t, m, 40, 1, 1)
	code, stdout, stderr := ebmRun(t, "score", "--run", run, "--images", held)
	if code != 0 || !strings.Contains(stderr, "no threshold") {
		t.Fatalf("exit status %d\n%s", code, stderr)
	}
	rows := table(t, stdout)
	// The numbers are the model's, whatever the batch.
	engine, err := m.Open(t.Context(), ebm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	energy, score, err := engine.Score(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	sigmas, err := m.Levels(5)
	if err != nil {
		t.Fatal(err)
	}
	loss, err := engine.Loss(t.Context(), x, sigmas, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	each := x.Len() / 40
	for i, row := range rows {
		norm := 0.0
		for _, v := range tensor.Data[float32](score)[i*each : (i+1)*each] {
			norm += float64(v) * float64(v)
		}
		for column, want := range map[int]float64{2: energy.Float64s()[i], 3: math.Sqrt(norm), 4: loss[i]} {
			if got, err := strconv.ParseFloat(row[column], 64); err != nil || math.Abs(got-want) > 1e-5*math.Abs(want) {
				t.Errorf("row %d: %s, want %g (%v)", i, row[column], want, err)
			}
		}
		if row[0] != strconv.Itoa(i) || row[5] != "" {
			t.Errorf("row %d is %q, want its number and no verdict", i, row)
		}
	}
	if again := mustRun(t, "score", "--run", run, "--images", held, "--batch", "7"); again != stdout {
		t.Error("the table depends on the batch")
	}

	// A threshold at one in ten, kept beside the run.
	if code, _, stderr := ebmRun(t, "score", "--run", run, "--images", held, "--by", "score_norm", "--calibrate", "0.1"); code != 0 ||
		!strings.Contains(stderr, "anomaly.json") {
		t.Fatalf("exit status %d\n%s", code, stderr)
	}
	threshold, err := probe.ReadThreshold(probe.ThresholdPath(run), m.Hash)
	if err != nil || threshold.Pictures != 40 || threshold.FalseAlarms != 0.1 {
		t.Fatalf("threshold %v, error %v", threshold, err)
	}
	count := func(images string) (anomalies int) {
		for _, row := range table(t, mustRun(t, "score", "--run", run, "--images", images)) {
			if row[5] == "true" {
				anomalies++
			}
		}
		return anomalies
	}
	if n := count(held); n != 3 { // 41 · 0.9 = 36.9: the 37th of 40 is the threshold
		t.Errorf("%d anomalies among the 40 that it was calibrated on, want 3", n)
	}
	other, _ := rowsOf(t, m, 20, 2, 30)
	if n := count(other); n != 20 {
		t.Errorf("%d of 20 pictures with values up to 30 are anomalies, want all", n)
	}

	out := filepath.Join(t.TempDir(), "scores.json")
	mustRun(t, "score", "--run", run, "--images", other, "--count", "3", "--out", out)
	var list []struct {
		Index   int
		Energy  float64
		Anomaly *bool
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil || json.Unmarshal(text, &list) != nil || len(list) != 3 || list[2].Index != 2 ||
		list[2].Anomaly == nil || !*list[2].Anomaly {
		t.Errorf("%s holds %s (%v)", out, text, err)
	}
}

// What cannot be scored or calibrated says why.
func TestScoreErrors(t *testing.T) {
	run := testkit.Copy(t, filepath.Join("testdata", "formats", "run"))
	m, err := ebm.Load(run)
	if err != nil {
		t.Fatal(err)
	}
	few, _ := rowsOf(t, m, 5, 1, 1)
	for _, c := range []struct {
		status int
		args   []string
		want   string
	}{
		{1, []string{"--run", run, "--images", few, "--calibrate", "0.05"}, "want at least 19"},
		{2, []string{"--run", "mnist16", "--images", few, "--calibrate", "0.05"}, "--threshold FILE"},
		{1, []string{"--run", run, "--images", few, "--calibrate", "0.3", "--levels", "0"}, "no loss of picture 0"},
		{1, []string{"--run", run, "--images", few, "--threshold", "none.json"}, "none.json"},
		{1, []string{"--run", "mnist16", "--images", filepath.Join("testdata", "none.npy")}, "none.npy"},
	} {
		if code, _, stderr := ebmRun(t, append([]string{"score"}, c.args...)...); code != c.status || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit status %d, want %d and %q:\n%s", c.args, code, c.status, c.want, stderr)
		}
	}
}
