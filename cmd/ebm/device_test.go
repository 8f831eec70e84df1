//go:build device

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ebm/internal/metrics"
	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/mdsm/train"
	"ebm/models/tensor"
)

// The device tests (make device-test) hold what the commands compute on a WebGPU device
// against the CPU, both in the same build of ONNX Runtime. Software may play the device,
// so the networks are tiny.

// ebmOn returns the program with arguments, in a process of its own.
func ebmOn(t *testing.T, provider string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], append(args, "--provider", provider, "--profile", "-q")...)
	cmd.Env = append(os.Environ(), victim+"=1")
	return cmd
}

// runOn runs the program to its end and returns what it printed.
func runOn(t *testing.T, provider string, args ...string) (stdout, stderr string) {
	t.Helper()
	cmd := ebmOn(t, provider, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("ebm %s on %s: %v\n%s", strings.Join(args, " "), provider, err, said.String())
	}
	t.Logf("ebm %s on %s: %.1f s; %s", args[0], provider, time.Since(begin).Seconds(), strings.TrimSpace(said.String()))
	return out.String(), said.String()
}

// killAndResume runs the program, kills it as soon as path is there, and runs it again
// to its end. It returns what was printed on standard error then.
func killAndResume(t *testing.T, path string, args ...string) (stderr string) {
	t.Helper()
	cmd := ebmOn(t, "webgpu", args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		if found, _ := filepath.Glob(path); len(found) > 0 {
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("it ended (%v) before there was a %s", err, path)
		case <-time.After(5 * time.Millisecond):
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	_, stderr = runOn(t, "webgpu", args...)
	return stderr
}

// crossed returns the runs and bytes that --profile tells.
func crossed(t *testing.T, stderr string) (runs, up, down int) {
	t.Helper()
	_, line, ok := strings.Cut(stderr, "profile: ")
	var each int
	if _, err := fmt.Sscanf(line, "%d runs, %d bytes to the device (%d a run), %d from it", &runs, &up, &each, &down); !ok || err != nil {
		t.Fatalf("no profile in %q: %v", stderr, err)
	}
	return runs, up, down
}

const deviceSteps = 200

func trainArgs(out string) []string {
	return []string{"train", "--preset", "demo", "--net", "res6", "--dim", "4", "--size", "16", "--batch", "8",
		"--steps", fmt.Sprint(deviceSteps),
		"--log-every", "1", "--checkpoint-every", "50", "--seed", "3", "--resume", "--out", out}
}

// apart is the largest difference of two sets of tensors, of a tensor's largest element.
func apart(t *testing.T, got, want map[string]*tensor.Tensor) float64 {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d tensors, want %d", len(got), len(want))
	}
	worst := 0.0
	for name, w := range want {
		worst = max(worst, testkit.Apart(got[name], w))
	}
	return worst
}

func weightsOf(t *testing.T, run string) map[string]*tensor.Tensor {
	t.Helper()
	_, w, err := train.NewestWeights(run)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestDevice takes a small network through training, sampling and a certificate.
func TestDevice(t *testing.T) {
	run := filepath.Join(t.TempDir(), "cpu")
	runOn(t, "cpu", trainArgs(run)...)
	t.Run("train", func(t *testing.T) { trainsOnDevice(t, run) })
	t.Run("sample", func(t *testing.T) { samplesOnDevice(t, run) })
	t.Run("verify", func(t *testing.T) { scoresOnDevice(t, run) })
}

// trainsOnDevice compares the losses of every step and the last weights of a run that
// was killed on the device, and resumed there, with those of the CPU.
func trainsOnDevice(t *testing.T, cpu string) {
	gpu := filepath.Join(t.TempDir(), "gpu")
	stderr := killAndResume(t, filepath.Join(gpu, "checkpoints", "step-00000100"), trainArgs(gpu)...)
	var losses [2][]float64
	for i, run := range []string{cpu, gpu} {
		records, err := metrics.ReadFile(filepath.Join(run, metrics.LinesFile))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			losses[i] = append(losses[i], r.Values["loss"])
		}
	}
	if len(losses[0]) != deviceSteps || len(losses[1]) != deviceSteps {
		t.Fatalf("%d and %d losses, want %d", len(losses[0]), len(losses[1]), deviceSteps)
	}
	worst := 0.0
	for i, want := range losses[0] {
		worst = max(worst, math.Abs(losses[1][i]-want)/math.Abs(want))
	}
	weights := weightsOf(t, gpu)
	off := apart(t, weights, weightsOf(t, cpu))
	t.Logf("losses differ by %.1e at most, weights by %.1e", worst, off)
	testkit.Within(t, "losses, relative", worst, 0, 1e-4)
	testkit.Within(t, "weights, relative", off, 0, 1e-3)

	// What crosses is the state at the start and in checkpoints, batch and noise of each
	// step, and two numbers.
	state := 0
	for _, w := range weights {
		state += 4 * 4 * w.Len() // weights, two moments, averages
	}
	const batch = 8
	step := 4 * (2*batch*16*16 + batch + 1) // pictures, noise, levels, learning rate
	runs, up, down := crossed(t, stderr)
	checkpoints := (runs + 49) / 50
	if up != state+runs*step || down != checkpoints*state+runs*8 {
		t.Errorf("%d bytes to the device and %d from it in %d steps, want %d and %d", up, down, runs, state+runs*step, checkpoints*state+runs*8)
	}
}

// samplesOnDevice compares samples of two batches by the paper's steps, from chains that were
// killed on the device and resumed there, by few steps, and fills: the device draws the noise,
// of each sample by itself. That they are those of the CPU the tests of the packages say, which
// can have it draw the same noise.
func samplesOnDevice(t *testing.T, run string) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args  []string
		array string
	}{
		"langevin": {[]string{"sample", "--count", "64", "--steps", "40", "--float32"}, "samples_float32.npy"},
		"fast":     {[]string{"sample", "--count", "64", "--fast", "--evaluations", "20", "--float32"}, "samples_float32.npy"},
		"edm":      {[]string{"sample", "--count", "16", "--sampler", "edm", "--levels", "8", "--float32"}, "samples_float32.npy"},
		"inpaint": {[]string{"inpaint", "--images", "mnist:test", "--count", "8", "--completions", "1", "--mask", "bottom", "--steps", "20"},
			"completions.npy"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append(c.args, "--run", run)
			drawn := func(batch string) *tensor.Tensor {
				out := filepath.Join(dir, name, batch)
				if args := append(args, "--batch", batch, "--out", out); batch == "16" && name == "langevin" {
					killAndResume(t, filepath.Join(out, "shards", "*.npy"), args...)
				} else {
					runOn(t, "webgpu", args...)
				}
				x, err := npz.ReadNpyFile(filepath.Join(out, c.array))
				if err != nil {
					t.Fatal(err)
				}
				return x
			}
			off := testkit.Apart(drawn("16"), drawn("8"))
			t.Logf("samples of two batches differ by %.1e", off)
			testkit.Within(t, "samples", off, 0, 1e-3)
		})
	}
}

// scoresOnDevice certifies the network on the device, against the interpreter.
func scoresOnDevice(t *testing.T, run string) {
	stdout, _ := runOn(t, "webgpu", "verify", "--run", run, "--json")
	var certificate struct {
		Checks []struct {
			Name    string
			Passed  bool
			Tensors []struct {
				Tensor   string
				Relative float64
			}
		}
	}
	if err := json.Unmarshal([]byte(stdout), &certificate); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	seen := 0
	for _, c := range certificate.Checks {
		if !c.Passed {
			t.Errorf("%s did not pass", c.Name)
		}
		for _, one := range c.Tensors {
			if c.Name == "score" {
				seen++
				t.Logf("%s: %.1e", one.Tensor, one.Relative)
				testkit.Within(t, one.Tensor, one.Relative, 0, 1e-5)
			}
		}
	}
	if seen == 0 {
		t.Errorf("no check of the score in %s", stdout)
	}
}
