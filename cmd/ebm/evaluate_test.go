package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ebm/evaluate/features"
	"ebm/evaluate/sets"
	"ebm/export"
	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

// featureFile writes 60 rows of 5 features that are normal around a mean.
func featureFile(t *testing.T, mean float32, number uint64) string {
	t.Helper()
	x := tensor.New(tensor.Float32, 60, 5)
	rng.New(3).Normal(tensor.Data[float32](x), rng.Probe, number, 0)
	for i := range tensor.Data[float32](x) {
		tensor.Data[float32](x)[i] += mean
	}
	path := filepath.Join(t.TempDir(), "features.npy")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := npz.WriteNpy(f, x); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEvaluateFeatures(t *testing.T) {
	a, b := featureFile(t, 0, 1), featureFile(t, 2, 2)
	code, stdout, stderr := ebmRun(t, "evaluate", "--samples", a, "--reference", b, "--provider", "cpu", "--quiet")
	if code != 0 || !strings.Contains(stdout, "features_frechet ") || !strings.Contains(stdout, "coverage ") ||
		!strings.Contains(stderr, "warning: no is: ") {
		t.Errorf("exit status %d\n%s%s", code, stdout, stderr)
	}
	var result sets.Result
	if err := json.Unmarshal([]byte(mustRun(t, "evaluate", "--samples", a, "--reference", b, "--metrics", "fid", "--json", "--provider",
		"cpu")), &result); err != nil {
		t.Fatal(err)
	}
	if len(result.Metrics) != 1 || !(result.Metrics[0].Value > 15 && result.Metrics[0].Value < 25) || result.Metrics[0].Warnings == nil {
		t.Errorf("%+v, want a distance of about 5·2² and a warning", result.Metrics)
	}
}

// MNIST's two halves through an ONNX file of any kind.
func TestEvaluateDataSets(t *testing.T) {
	g := graph.New("features")
	x := g.Input("x", tensor.Float32, graph.Batch(1, 8, 8))
	g.Output("pixels", graph.Reshape(x, graph.Shape{x.Shape()[0], graph.Const(64)}))
	net := filepath.Join(t.TempDir(), "net.onnx")
	if err := export.WriteFile(net, g, export.Options{}); err != nil {
		t.Fatal(err)
	}
	out := mustRun(t, "evaluate", "--samples", "mnist:test", "--reference", "mnist:train", "--limit", "300", "--metrics", "fid,pr",
		"--features-onnx", net, "--preprocess", "clean", "--cache", t.TempDir(), "--provider", "cpu", "--json")
	var result sets.Result
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatal(err)
	}
	if len(result.Metrics) != 5 || result.Metrics[0].Metric != "onnx_frechet" ||
		!(result.Metrics[0].Value > 0 && result.Metrics[0].Value < 3) ||
		result.Features.Input != "[1 8 8]" || result.Features.Preprocess != "clean" {
		t.Errorf("%s", out)
	}
}

// Without Inception weights, digits are seen by the shipped classifier.
func TestEvaluateByClassifier(t *testing.T) {
	testkit.Long(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv(features.InceptionVariable, "")
	args := []string{"evaluate", "--samples", "mnist:test", "--reference", "mnist:train", "--limit", "300", "--metrics", "fid,kid",
		"--provider", "cpu", "--quiet"}
	code, stdout, stderr := ebmRun(t, args...)
	if code != 0 || !strings.Contains(stdout, "classifier_frechet ") || !strings.Contains(stderr, "no Inception weights") ||
		!strings.Contains(stderr, "no FID") {
		t.Errorf("exit status %d\n%s%s", code, stdout, stderr)
	}
	if named := mustRun(t, append(args, "--features", "classifier")...); named != stdout {
		t.Errorf("named:\n%swant\n%s", named, stdout)
	}
	if pixels := mustRun(t, append(args, "--features", "pixels")...); !strings.Contains(pixels, "pixels_frechet ") {
		t.Errorf("pixels: %s", pixels)
	}
}

func TestEvaluateUsage(t *testing.T) {
	testkit.Long(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv(features.InceptionVariable, "")
	a := featureFile(t, 0, 1)
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "--samples X", nil},
		{2, "--metrics best, want one of fid, is, kid, pr", []string{"--samples", a, "--metrics", "best"}},
		{2, "--preprocess best, want one of pytorch-fid, tf, clean", []string{"--samples", a, "--preprocess", "best"}},
		{2, "--features-range", []string{"--samples", a, "--features-range", "2..3"}},
		{2, "choose one", []string{"--samples", a, "--inception", "x", "--features-onnx", "y"}},
		{2, "20 resamples", []string{"--samples", a, "--bootstrap", "3"}},
		{2, "--limit -3, want 0 or more", []string{"--samples", a, "--limit", "-3"}},
		{2, "choose one", []string{"--samples", a, "--features", "pixels", "--features-onnx", "y"}},
		{2, "want inception, classifier or pixels", []string{"--samples", a, "--features", "vgg"}},
		{2, "the shipped classifiers are those of", []string{"--samples", a, "--features", "classifier:cifar10"}},
		{1, "this program does not fetch", []string{"--samples", "mnist:test", "--limit", "10", "--features", "inception"}},
		{1, "it needs a reference", []string{"--samples", a, "--metrics", "fid"}},
		{1, "no such file", []string{"--samples", "mnist:test", "--limit", "10", "--inception", "none.pth"}},
		{1, "no such file", []string{"--samples", "mnist:test", "--limit", "10", "--features-onnx", "none.onnx"}},
	} {
		code, _, stderr := ebmRun(t, append([]string{"evaluate", "--provider", "cpu"}, c.args...)...)
		if code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit status %d\n%swant %d and %q", c.args, code, stderr, c.code, c.want)
		}
	}
}
