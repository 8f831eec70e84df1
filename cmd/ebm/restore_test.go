package main

import (
	"bytes"
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/models/tensor"
)

// TestRestore: pictures that are known are measured, restored and compared; what was
// measured of them gives the same samples by itself, as a matrix too.
func TestRestore(t *testing.T) {
	testkit.Long(t)
	dir := t.TempDir()
	known := filepath.Join(dir, "known")
	run := func(out string, args ...string) restored {
		t.Helper()
		text := mustRun(t, append([]string{"restore", "--run", "mnist16", "--samples", "2", "--json", "--out",
			filepath.Join(dir, out)}, args...)...)
		var r restored
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := run("known", "--images", "mnist:test", "--count", "3", "--task", "superres", "--evaluations", "12")
	if r.Measured != 49 || r.Rank != 49 || r.Recipe == nil || r.Quality == nil || r.Residual > 1e-5 {
		t.Fatalf("%+v", r)
	}
	if q := r.Quality; !(q.PSNR > q.PSNRInverse) || q.PSNRBicubic == nil || q.Agreement == nil {
		t.Errorf("%+v", q)
	}
	want := "SHA256SUMS chains deviation.npy mean.npy measured.npy restore.json restore.png samples.npy"
	if names := testkit.Names(t, known); strings.Join(names, " ") != want {
		t.Errorf("the folder has %v, want %s", names, want)
	}
	samples, err := npz.ReadNpyFile(filepath.Join(known, "samples.npy"))
	if err != nil || samples.String() != "float32[6 1 14 14]" {
		t.Fatalf("samples are %v, error %v", samples, err)
	}

	// The same operator as a matrix for 16×16 pictures, without the pictures.
	a := make([]float64, 49*256)
	for i := range 49 {
		for j := range 4 {
			a[i*256+(i/7*2+j/2+1)*16+i%7*2+j%2+1] = 0.25
		}
	}
	var file bytes.Buffer
	if err := npz.WriteNpy(&file, tensor.Of(a, 49, 256)); err != nil {
		t.Fatal(err)
	}
	path := testkit.Write(t, filepath.Join(dir, "a.npy"), file.Bytes())
	other := run("other", "--measured", filepath.Join(known, "measured.npy"), "--task", "matrix", "--matrix", path,
		"--evaluations", "12")
	if other.Quality != nil {
		t.Errorf("nobody knows the pictures, but %+v", other.Quality)
	}
	again, err := npz.ReadNpyFile(filepath.Join(dir, "other", "samples.npy"))
	if err != nil {
		t.Fatal(err)
	}
	testkit.SameBits(t, "samples of the matrix", tensor.Data[float32](again), tensor.Data[float32](samples))

	// inpaint is the short form: the same samples of the same sampler.
	run("hidden", "--images", "mnist:test", "--count", "3", "--task", "inpaint", "--mask", "left", "--sampler", "heun", "--levels", "4")
	text := mustRun(t, "inpaint", "--run", "mnist16", "--images", "mnist:test", "--count", "3", "--mask", "left", "--completions", "2",
		"--sampler", "heun", "--levels", "4", "--json", "--out", filepath.Join(dir, "short"))
	var short inpainted
	if err := json.Unmarshal([]byte(text), &short); err != nil {
		t.Fatal(err)
	}
	mean := 0.0
	for _, e := range short.Pictures {
		mean += (e.RMSE[0] + e.RMSE[1]) / 6
	}
	if len(short.Pictures) != 3 || math.Abs(short.RMSE-mean) > 1e-12 || !(short.RMSEOfMean <= short.RMSE) {
		t.Errorf("an error of %g, of the mean %g, want %g, the mean of %+v", short.RMSE, short.RMSEOfMean, mean, short.Pictures)
	}
	for i, file := range []string{"hidden/samples.npy", "short/completions.npy"} {
		x, err := npz.ReadNpyFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			samples = x
		} else {
			testkit.SameBits(t, file, tensor.Data[float32](x), tensor.Data[float32](samples))
		}
	}

	code, _, errs := ebmRun(t, "restore", "--run", "mnist16", "--measured", path, "--task", "missing", "--out", filepath.Join(dir, "bad"))
	if code != 1 {
		t.Errorf("measurements of another operator: status %d, %q", code, errs)
	}
}
