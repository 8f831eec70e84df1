package main

import (
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/mdsm/samples"
)

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// TestLikelihoodOfToys: log Z of a known density, in JSON and as a table.
func TestLikelihoodOfToys(t *testing.T) {
	testkit.Long(t)
	type row struct {
		Model            string
		Dimensions       int
		Known_log_z      float64
		Forward, Reverse struct {
			Estimate, Mean struct{ Value, Std_err float64 }
		}
		Density_reverse, Points any
	}
	args := []string{"likelihood", "-q", "--toy", "gaussian,mixture", "--dim", "3", "--distributions", "150"}
	rows := decode[[]row](t, mustRun(t, append(args, "--json")...))
	if len(rows) != 2 || rows[1].Model != "mixture" || rows[0].Dimensions != 3 || rows[0].Density_reverse != nil {
		t.Fatalf("rows are %+v", rows)
	}
	for _, r := range rows {
		if math.Abs(r.Forward.Estimate.Value-r.Known_log_z) > 5*r.Forward.Estimate.Std_err || r.Forward.Mean.Value > r.Reverse.Mean.Value {
			t.Errorf("%+v", r)
		}
	}
	table := mustRun(t, args...)
	if lines := strings.Split(strings.TrimSpace(table), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[1], "gaussian\t3\t-4.151\t") {
		t.Errorf("the table is\n%s", table)
	}
}

// TestLikelihoodOfAModel measures pictures, keeps the result, and goes on with
// the states that it kept.
func TestLikelihoodOfAModel(t *testing.T) {
	testkit.Long(t)
	out := t.TempDir()
	args := []string{"likelihood", "-q", "--run", tinyWeights(t), "--images", "mnist:test", "--count", "5", "--chains", "4", "--distributions",
		"8", "--hmc-steps", "2", "--points", "noisy", "--out", out}
	text := mustRun(t, args...)
	for _, want := range []string{"256 dimensions", "log Z, forward", "lower bound", "so no bound: mnist:test",
		"of 5 points, noisy", "bits/dim"} {
		if !strings.Contains(text, want) {
			t.Errorf("the result does not say %q:\n%s", want, text)
		}
	}
	kept := testkit.Read(t, out, "likelihood.json")
	if again := mustRun(t, append(args, "--json")...); again != string(kept) {
		t.Errorf("again: %s, kept: %s", again, kept)
	}
}

// TestInpaint fills in the halves of two digits, by a name and by a file.
func TestInpaint(t *testing.T) {
	tiny, out := tinyWeights(t), t.TempDir()
	mask := image.NewGray(image.Rect(0, 0, 16, 16))
	for i := range 128 {
		mask.Pix[i] = 255
	}
	path := filepath.Join(t.TempDir(), "mask.png")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, mask); err != nil {
		t.Fatal(err)
	}
	f.Close()
	type result struct {
		Completions        int
		RMSE, RMSE_of_mean float64
		Pictures           []struct {
			Hidden_values int
			RMSE          []float64
		}
	}
	run := func(dir, mask string, more ...string) result {
		args := append([]string{"inpaint", "-q", "--json", "--run", tiny, "--images", "mnist:test", "--count", "2", "--completions", "3",
			"--steps", "20", "--mask", mask, "--out", filepath.Join(out, dir)}, more...)
		return decode[result](t, mustRun(t, args...))
	}
	r := run("named", "top")
	if len(r.Pictures) != 2 || len(r.Pictures[1].RMSE) != 3 || r.Pictures[0].Hidden_values != 128 || !(r.RMSE > 0) ||
		!(r.RMSE_of_mean <= r.RMSE) {
		t.Errorf("result %+v", r)
	}
	run("file", path, "--batch", "1")
	var fills [2][]float64
	for i, dir := range []string{"named", "file"} {
		x, err := npz.ReadNpyFile(filepath.Join(out, dir, "completions.npy"))
		if err != nil {
			t.Fatal(err)
		}
		fills[i] = x.Float64s()
	}
	for i := range fills[0] {
		if fills[0][i] != fills[1][i] || len(fills[0]) != 6*256 {
			t.Fatalf("value %d of %d differs between a name and a file, or between batches", i, len(fills[0]))
		}
	}
	for _, name := range []string{"inpaint.png", "inpaint.json", "png/000005.png"} {
		if _, err := os.Stat(filepath.Join(out, "named", name)); err != nil {
			t.Error(err)
		}
	}
}

// TestSampleByChains draws by each sampler, with diagnostics, and is the same
// again.
func TestSampleByChains(t *testing.T) {
	testkit.Long(t)
	tiny := tinyWeights(t)
	type result struct {
		Count, Made, Reused int
		Diagnostics         struct {
			Chains, Draws int
			Acceptance    float64
			Energy        struct{ R_hat, Ess_bulk float64 }
		}
	}
	for _, args := range [][]string{
		{"--sampler", "mala", "--steps", "20"},
		{"--sampler", "hmc", "--hmc-steps", "2", "--start", "mnist:train"},
		{"--sampler", "langevin", "--schedule", "constant"},
	} {
		out := t.TempDir()
		args = append([]string{"sample", "-q", "--json", "--run", tiny, "--count", "60", "--draws", "5", "--warmup", "6", "--thin",
			"2", "--out", out}, args...)
		r := decode[result](t, mustRun(t, args...))
		if r.Count != 60 || r.Made != 60 || r.Diagnostics.Chains != 12 || r.Diagnostics.Draws != 5 || !(r.Diagnostics.Energy.R_hat > 0.8) ||
			!(r.Diagnostics.Acceptance > 0.1) {
			t.Errorf("%v: %+v", args, r)
		}
		if again := decode[result](t, mustRun(t, args...)); again.Made != 0 || again.Diagnostics != r.Diagnostics {
			t.Errorf("%v, again: %+v, before %+v", args, again, r)
		}
	}
	// Annealed Langevin chains may begin at pictures.
	out := t.TempDir()
	mustRun(t, "sample", "-q", "--run", tiny, "--count", "3", "--steps", "2", "--start", "mnist:test", "--start-noise", "0.2", "--out", out)
	record, err := os.ReadFile(filepath.Join(out, "samples.json"))
	if err != nil || !strings.Contains(string(record), `"start_points_sha256": "`) {
		t.Errorf("the record is %s, error %v", record, err)
	}
}

func TestChainsOfWrongUsage(t *testing.T) {
	tiny, out := tinyWeights(t), t.TempDir()
	sample := []string{"sample", "--run", tiny, "--out", out}
	for want, args := range map[string][]string{
		`unknown sampler "gibbs"`: append(sample, "--sampler", "gibbs"),
		"a multiple of --draws":   append(sample, "--draws", "7"),
		"--thin 0":                append(sample, "--sampler", "mala", "--thin", "0"),
		`"mnist:middle", want mnist:train or mnist:test`: append(sample, "--sampler", "mala", "--start", "mnist:middle"),
		"--mask M":                {"inpaint", "--run", tiny, "--images", "mnist", "--out", out},
		"--completions 0":         {"inpaint", "--run", tiny, "--images", "mnist", "--mask", "left", "--out", out, "--completions", "0"},
		"--toy NAME":              {"likelihood"},
		"--preset slow":           {"likelihood", "--run", tiny, "--preset", "slow"},
		`unknown points "grainy"`: {"likelihood", "--run", tiny, "--points", "grainy"},
		`unknown toy`:             {"likelihood", "--toy", "cube"},
		"--images X":              {"likelihood", "--run", tiny},
	} {
		code, _, stderr := ebmRun(t, args...)
		if code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("ebm %s: exit status %d, %q, want 2 and %q", strings.Join(args, " "), code, stderr, want)
		}
	}
	for want, args := range map[string][]string{
		"one of [left right top bottom centre]": {"inpaint", "-q", "--run", tiny, "--images", "mnist:test", "--count", "1", "--mask",
			"middle", "--out", out},
		"its pictures are [3 16 16]": {"inpaint", "-q", "--run", tiny, "--images", "stacked-mnist:test", "--count", "1",
			"--mask", "left", "--out", out},
	} {
		code, _, stderr := ebmRun(t, args...)
		if code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("ebm %s: exit status %d, %q, want 1 and %q", strings.Join(args, " "), code, stderr, want)
		}
	}
}

// TestFormsOfOneModel draws the shipped model and the ONNX file of its score,
// which give pictures of one size, and denoises a data set by both.
func TestFormsOfOneModel(t *testing.T) {
	testkit.Long(t)
	dir := t.TempDir()
	mustRun(t, "export", "--run", "mnist16", "--kinds", "score", "--out", dir)
	file := filepath.Join(dir, "score.onnx")
	for i, ref := range []string{"mnist16", file} {
		out := filepath.Join(dir, fmt.Sprint("samples", i))
		mustRun(t, "sample", "--run", ref, "--count", "2", "--steps", "2", "--chains", "0", "--grid", "0", "--out", out)
		x, err := npz.ReadFile(filepath.Join(out, "samples.npz"))
		if err != nil || !slices.Equal(x["arr_0"].Shape(), []int{2, 14, 14, 1}) {
			t.Errorf("%s: samples are %v, error %v, want 14×14", ref, x["arr_0"], err)
		}
		clean := filepath.Join(dir, fmt.Sprint("clean", i))
		mustRun(t, "denoise", "--run", ref, "--images", "mnist:test", "--count", "3", "--noise", "0.3", "--out", clean)
		d, err := npz.ReadNpyFile(filepath.Join(clean, "denoised.npy"))
		if err != nil || !slices.Equal(d.Shape(), []int{3, 1, 16, 16}) {
			t.Errorf("%s: denoised are %v, error %v, want three pictures of the model's size", ref, d, err)
		}
	}
}

// TestFewEvaluations draws by every sampler of few evaluations: the files are those
// of samples, and two shards of one set join to it.
func TestFewEvaluations(t *testing.T) {
	testkit.Long(t)
	tiny := tinyWeights(t)
	for _, args := range [][]string{{"--fast", "--evaluations", "12"},
		{"--sampler", "edm", "--levels", "3", "--corrector", "1", "--tail", "2"}, {"--sampler", "ddim", "--levels", "5"}} {
		dir := t.TempDir()
		sample := func(out string, more ...string) {
			t.Helper()
			mustRun(t, slices.Concat([]string{"sample", "-q", "--run", tiny, "--count", "20", "--float32", "--out",
				filepath.Join(dir, out)}, args, more)...)
		}
		sample("whole")
		sample("first", "--shard", "1/2")
		sample("second", "--shard", "2/2")
		mustRun(t, "sample", "-q", "--merge", filepath.Join(dir, "first")+","+filepath.Join(dir, "second"), "--out", filepath.Join(dir, "merged"))
		testkit.SameFiles(t, filepath.Join(dir, "merged"), filepath.Join(dir, "whole"), "samples.npz", "samples_float32.npy", "samples.json")
	}
	dir := t.TempDir()
	recipe := testkit.Write(t, filepath.Join(dir, "found.json"),
		[]byte(`{"recipes": [{"sampler": "heun", "levels": 2, "end": 1, "freeze": 3, "step_size": 1, "velocity": 0.5}]}`))
	mustRun(t, "inpaint", "-q", "--run", tiny, "--images", "mnist:test", "--count", "2", "--mask", "left", "--recipe", recipe, "--out",
		filepath.Join(dir, "filled"))
	if text := string(testkit.Read(t, dir, "filled", "inpaint.json")); !strings.Contains(text, `"velocity": 0.5`) {
		t.Errorf("inpaint.json says %s, want the recipe", text)
	}
	mustRun(t, "export", "-q", "--run", tiny, "--kinds", "sampler", "--recipe", recipe, "--out", dir)
	out := mustRun(t, "inspect", filepath.Join(dir, "sampler.onnx"))
	for _, want := range []string{"recipe", "start_sigma", "8"} {
		if !strings.Contains(out, want) {
			t.Errorf("sampler.onnx: %s, want %s", out, want)
		}
	}
	for want, args := range map[string][]string{
		"--recipe":         {"--recipe", recipe, "--sampler", "ddim"},
		"of 3 evaluations": {"--recipe", recipe, "--evaluations", "3"},
		"--fast":           {"--fast", "--sampler", "ddim"},
		"--draws 4":        {"--fast", "--draws", "4"},
		"--levels 0":       {"--sampler", "ddim", "--levels", "0"},
		"--start":          {"--sampler", "ancestral", "--start", "mnist:test"},
	} {
		code, _, stderr := ebmRun(t, slices.Concat([]string{"sample", "-q", "--run", tiny, "--out", t.TempDir()}, args)...)
		if code != 2 && want[0] == '-' || code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit status %d, %q, want 2 and %q", args, code, stderr, want)
		}
	}
}

// TestForeignSigma0: an ONNX file that does not say its σ₀ is sampled without a
// jump, which is said, and so are values that pictures cannot show; --sigma0 makes
// the jump. Draws of MALA jump only on request.
func TestForeignSigma0(t *testing.T) {
	foreign, own := filepath.Join("..", "..", "testdata", "energy.onnx"), filepath.Join(formats, "weights.safetensors")
	for _, c := range []struct {
		args []string
		jump bool
		says string
	}{
		{[]string{"--run", foreign, "--steps", "2"}, false, "does not say its σ₀"},
		{[]string{"--run", foreign, "--steps", "2"}, false, "lie outside of [0, 1]"},
		{[]string{"--run", foreign, "--steps", "2", "--sigma0", "0.1"}, true, ""},
		{[]string{"--run", own, "--steps", "2", "--sampler", "mala", "--warmup", "1"}, false, ""},
		{[]string{"--run", own, "--steps", "2", "--sampler", "mala", "--warmup", "1", "--jump"}, true, ""},
	} {
		out := t.TempDir()
		args := append([]string{"sample", "--count", "2", "--grid", "0", "--hot", "900", "--out", out}, c.args...)
		code, _, stderr := ebmRun(t, args...)
		if code != 0 {
			t.Fatalf("%q: exit status %d: %s", args, code, stderr)
		}
		record, err := samples.ReadRecord(out)
		if err != nil || record.Jump != c.jump {
			t.Errorf("%q: jump %v (%v), want %v", args, record.Jump, err, c.jump)
		}
		if !strings.Contains(stderr, c.says) {
			t.Errorf("%q says %q, want %q", args, stderr, c.says)
		}
	}
	for _, command := range []string{"denoise", "inpaint", "likelihood"} {
		args := []string{command, "--run", foreign, "--images", "mnist:test", "--out", t.TempDir()}
		if command == "inpaint" {
			args = append(args, "--mask", "left")
		}
		if code, _, stderr := ebmRun(t, args...); code != 2 || !strings.Contains(stderr, "want --sigma0") {
			t.Errorf("%q: exit status %d: %s", args, code, stderr)
		}
	}
}
