package train_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ebm/internal/metrics"
	"ebm/internal/testkit"
	"ebm/mdsm/dataset"
	"ebm/mdsm/train"
	"ebm/models/energy"
	"ebm/models/tensor"
	"ebm/models/weights"
)

// TestResume stops a run in several ways and goes on; weights, moments and
// averages must be those of a run that was never stopped, bit for bit.
func TestResume(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	s, data := tiny()
	whole := t.TempDir()
	if _, err := train.Run(t.Context(), rt, problem(t, s, data, func(int) {}), loop(s, whole)); err != nil {
		t.Fatal(err)
	}
	if got := steps(t, whole); !slices.Equal(got, []int{6, 12, 18, 24, 30}) {
		t.Errorf("checkpoints at %v", got)
	}
	resume := func(t *testing.T, dir string, made int) {
		t.Helper()
		l := loop(s, dir)
		l.Resume = true
		r, err := train.Run(t.Context(), rt, problem(t, s, data, func(int) {}), l)
		if err != nil || r.Step != 30 || r.Made != made {
			t.Errorf("result %+v, error %v, want %d steps", r, err, made)
		}
		sameState(t, "resumed", dir, whole)
		var last int
		for _, m := range readMetrics(t, dir) {
			if m.Step <= last {
				t.Errorf("metrics have step %d after %d", m.Step, last)
			}
			last = m.Step
		}
	}

	t.Run("interrupted", func(t *testing.T) {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		r, err := train.Run(ctx, rt, problem(t, s, data, func(step int) {
			if step == 14 {
				cancel()
			}
		}), loop(s, dir))
		if !errors.Is(err, context.Canceled) || r.Step != 13 || r.Made != 13 {
			t.Errorf("result %+v, error %v, want 13 steps and the context's error", r, err)
		}
		if got := steps(t, dir); !slices.Equal(got, []int{6, 12, 13}) {
			t.Errorf("checkpoints at %v", got)
		}
		resume(t, dir, 17)
		resume(t, dir, 0) // again, with nothing left to do
	})

	t.Run("killed", func(t *testing.T) {
		dir, killed := t.TempDir(), t.TempDir()
		_, err := train.Run(t.Context(), rt, problem(t, s, data, func(step int) {
			if step == 17 { // what is on the disk at this moment is what a kill leaves
				if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
					t.Error(err)
				}
			}
		}), loop(s, dir))
		if err != nil {
			t.Fatal(err)
		}
		if got := steps(t, killed); !slices.Equal(got, []int{6, 12}) {
			t.Errorf("checkpoints at %v", got)
		}
		// A line that was being written, too.
		f, err := os.OpenFile(filepath.Join(killed, "metrics.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString(`{"step":18,"lo`)
		f.Close()
		resume(t, killed, 18)
		if a, b := lossesOf(t, killed), lossesOf(t, whole); !slices.Equal(a, b) {
			t.Errorf("metrics are %v, want %v", a, b)
		}
	})

	t.Run("in many parts", func(t *testing.T) {
		dir := t.TempDir()
		for _, until := range []int{1, 2, 9, 29} {
			part := loop(s, dir)
			part.Resume = true
			ctx, cancel := context.WithCancel(t.Context())
			if _, err := train.Run(ctx, rt, problem(t, s, data, func(step int) {
				if step == until+1 {
					cancel()
				}
			}), part); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			cancel()
		}
		resume(t, dir, 1)
	})
}

func lossesOf(t *testing.T, dir string) []line {
	list := readMetrics(t, dir)
	if len(list) != 10 {
		t.Errorf("%d lines of metrics, want 10", len(list))
	}
	return list
}

// TestTrain goes through Train: the folder explains itself, other settings
// cannot be resumed, and more steps can.
func TestTrain(t *testing.T) {
	rt := testkit.Open(t, 0)
	s, data := tiny()
	s.Steps, s.Output.KeepCheckpoints = 12, 2
	dir := filepath.Join(t.TempDir(), "new", "run")
	result, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: dir})
	if err != nil || result.Step != 12 || !(result.Seconds > 0) || math.IsNaN(result.Loss) {
		t.Fatalf("result %+v, error %v", result, err)
	}
	back, err := train.ReadSettings(dir)
	s.Data.Hash = data.Hash()
	if err != nil || !reflect.DeepEqual(back, s) {
		t.Errorf("config.toml has %+v, error %v, want %+v", back, err, s)
	}
	c, err := train.Newest(dir)
	if err != nil || c.Step != 12 {
		t.Fatalf("checkpoint %+v, error %v", c, err)
	}
	set, err := weights.Load(filepath.Join(c.Dir, "model.safetensors"))
	if err != nil || set.Metadata["net"] != "res6" || set.Metadata["step"] != "12" || set.Metadata["sigma0"] != "0.1" {
		t.Errorf("the weights say %v, error %v", set.Metadata, err)
	}
	var names []string
	for _, p := range s.Network().Parameters() {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	got := set.Names()
	slices.Sort(got)
	if !slices.Equal(got, names) {
		t.Errorf("the weights are %q, want %q", got, names)
	}
	averaged, err := c.Weights()
	if err != nil || averaged.Check(s.Network()) != nil {
		t.Errorf("averaged weights: %v", err)
	}
	if trained, _ := set.Get("ln1.weight"); slices.Equal(trained.Float64s(), averaged["ln1.weight"].Float64s()) {
		t.Error("the checkpoint's weights are not the averaged ones")
	}

	if _, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: dir}); err == nil ||
		!strings.Contains(err.Error(), "holds a run already, up to step 12") {
		t.Errorf("error %v for a second run in the folder", err)
	}
	other := s
	other.Noise.Max = 2
	if _, err := train.Train(t.Context(), rt, other, data, train.Options{Dir: dir, Resume: true}); err == nil ||
		!strings.Contains(err.Error(), "noise.max 3, want 2") {
		t.Errorf("error %v for other settings", err)
	}
	changed := *data
	changed.Pixels = append([]uint8{1}, data.Pixels[1:]...)
	if _, err := train.Train(t.Context(), rt, s, &changed, train.Options{Dir: dir, Resume: true}); err == nil ||
		!strings.Contains(err.Error(), "data.hash") {
		t.Errorf("error %v for other pictures", err)
	}
	before := steps(t, dir)
	kept := train.Checkpoint{Step: before[0], Dir: filepath.Join(dir, "checkpoints", fmt.Sprintf("step-%08d", before[0]))}
	if err := kept.Keep(true); err != nil {
		t.Fatal(err)
	}
	for _, more := range []struct {
		steps int
		want  []int
	}{{15, []int{before[0], 12, 15}}, {18, []int{15, 18}}} {
		s.Steps = more.steps
		result, err = train.Train(t.Context(), rt, s, data, train.Options{Dir: dir, Resume: true})
		if err != nil || result.Step != more.steps || result.Made != 3 {
			t.Errorf("result %+v, error %v for three more steps", result, err)
		}
		if got := steps(t, dir); !slices.Equal(got, more.want) {
			t.Errorf("checkpoints at %v, want %v: the last two, and the one that is marked", got, more.want)
		}
		if err := kept.Keep(false); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBudget ends a run by time: it makes one step, a line of metrics and a
// checkpoint.
func TestBudget(t *testing.T) {
	s, data := tiny()
	dir := t.TempDir()
	r, err := train.Train(t.Context(), testkit.Open(t, 0), s, data, train.Options{Dir: dir, Budget: time.Nanosecond})
	if err != nil || r.Step != 1 || !slices.Equal(steps(t, dir), []int{1}) || len(readMetrics(t, dir)) != 1 {
		t.Errorf("result %+v, error %v", r, err)
	}
}

// TestNotFinite puts a value that is no number into a batch.
func TestNotFinite(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	s, data := tiny()
	s.Output.CheckpointEvery = 2
	dir := t.TempDir()
	var p train.Problem
	p = problem(t, s, data, func(step int) {
		if step == 5 {
			tensor.Data[float32](p.Batch["x"])[3] = float32(math.NaN())
		}
	})
	_, err := train.Run(t.Context(), rt, p, loop(s, dir))
	var typed *train.NonFiniteError
	if !errors.As(err, &typed) || typed.Step != 5 || !math.IsNaN(typed.Loss) {
		t.Fatalf("error %v, want a *NonFiniteError of step 5", err)
	}
	if filepath.Base(typed.Checkpoint) != "step-00000004" || !slices.Equal(steps(t, dir), []int{2, 4}) {
		t.Errorf("the last checkpoint is %s of %v", typed.Checkpoint, steps(t, dir))
	}
	for _, text := range []string{"step 5", typed.Checkpoint, "lower learning rate"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
	// The checkpoint is good: the run goes on from it with good data.
	l := loop(s, dir)
	l.Resume, l.Steps = true, 6
	if r, err := train.Run(t.Context(), rt, problem(t, s, data, func(int) {}), l); err != nil || r.Made != 2 {
		t.Errorf("result %+v, error %v", r, err)
	}

	// A learning rate that is far too large, before any checkpoint.
	s.Optimiser.LearningRate = train.LearningRate{Schedule: train.Constant, Initial: 1e25}
	s.Output.CheckpointEvery = 20
	empty := t.TempDir()
	_, err = train.Run(t.Context(), rt, problem(t, s, data, func(int) {}), loop(s, empty))
	if !errors.As(err, &typed) || typed.Checkpoint != "" || !strings.Contains(err.Error(), "no checkpoint") || len(steps(t, empty)) != 0 {
		t.Errorf("error %v, checkpoints %v", err, steps(t, empty))
	}
}

// TestBatches checks that every epoch has every picture once, in another
// order each time, and that a batch depends on its step alone.
func TestBatches(t *testing.T) {
	s, _ := tiny()
	s.Data.Flip, s.Batch = false, 3
	data := &dataset.Set{Name: "mnist", Channels: 1, Height: 8, Width: 8, Pixels: make([]uint8, 6*64)}
	for i := range data.Pixels {
		data.Pixels[i] = uint8(i / 64)
	}
	p := problem(t, s, data, func(int) {})
	epoch := func(first int) (order []int) {
		for step := first; step < first+2; step++ {
			p.Fill(step)
			for i := range 3 {
				order = append(order, int(math.Round(255*float64(tensor.Data[float32](p.Batch["x"])[i*64]))))
			}
		}
		return order
	}
	a, b, c := epoch(1), epoch(3), epoch(5)
	for _, order := range [][]int{a, b, c} {
		sorted := slices.Clone(order)
		slices.Sort(sorted)
		if !slices.Equal(sorted, []int{0, 1, 2, 3, 4, 5}) {
			t.Errorf("an epoch has the pictures %v", order)
		}
	}
	if slices.Equal(a, b) && slices.Equal(b, c) {
		t.Errorf("every epoch has the order %v", a)
	}
	noise := p.Batch["noise"].Clone()
	if again := epoch(5); !slices.Equal(again, c) || !slices.Equal(noise.Float64s(), p.Batch["noise"].Float64s()) {
		t.Error("a batch made twice differs")
	}
	levels := p.Batch["sigma"].Float64s()
	if math.Abs(levels[0]-0.1) > 1e-7 || math.Abs(levels[2]-3) > 1e-6 || math.Abs(levels[1]-math.Sqrt(0.3)) > 1e-6 {
		t.Errorf("noise levels %v", levels)
	}
}

// TestDamagedCheckpoints resumes from folders in which something is wrong.
func TestDamagedCheckpoints(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	s, data := tiny()
	s.Steps = 2
	for name, damage := range map[string]func(dir string) error{
		"model.safetensors": func(dir string) error { return os.Remove(filepath.Join(dir, "model.safetensors")) },
		"state.safetensors": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "state.safetensors"), []byte("nothing"), 0o644)
		},
		"conv1.conv.bias.m": func(dir string) error { // moments without a parameter's
			set, err := weights.Load(filepath.Join(dir, "state.safetensors"))
			if err != nil {
				return err
			}
			less := new(weights.Set)
			for name, v := range set.All() {
				if name != "conv1.conv.bias.m" {
					less.Add(name, v)
				}
			}
			return weights.Save(filepath.Join(dir, "state.safetensors"), less)
		},
		"unexpected extra": func(dir string) error {
			set, err := weights.Load(filepath.Join(dir, "model.safetensors"))
			if err != nil {
				return err
			}
			set.Add("extra", tensor.New(tensor.Float32, 1))
			return weights.Save(filepath.Join(dir, "model.safetensors"), set)
		},
	} {
		dir := t.TempDir()
		r, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := damage(r.Checkpoint); err != nil {
			t.Fatal(err)
		}
		longer := s
		longer.Steps = 4
		if _, err := train.Train(t.Context(), rt, longer, data, train.Options{Dir: dir, Resume: true}); err == nil ||
			!strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := train.Newest(t.TempDir()); !errors.Is(err, train.ErrNoCheckpoint) {
		t.Errorf("error %v for an empty folder", err)
	}
}

// TestProblemErrors has pictures and weights that do not fit.
func TestProblemErrors(t *testing.T) {
	s, data := tiny()
	wrong := *data
	wrong.Height = 4
	if _, err := train.NewProblem(s, &wrong, nil); err == nil || !strings.Contains(err.Error(), "1×4×8") {
		t.Errorf("error %v for pictures of another size", err)
	}
	none := *data
	none.Pixels = nil
	if _, err := train.NewProblem(s, &none, nil); err == nil || !strings.Contains(err.Error(), "without an x") {
		t.Errorf("error %v for no pictures", err)
	}
	p, err := train.NewProblem(s, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	delete(p.Initial, "lq.bias")
	if _, err := train.NewProblem(s, data, p.Initial); err == nil || !strings.Contains(err.Error(), "missing lq.bias") {
		t.Errorf("error %v for weights that lack one", err)
	}
	if _, err := train.Run(t.Context(), testkit.Open(t, 0), p, loop(s, t.TempDir())); err == nil ||
		!strings.Contains(err.Error(), "lq.bias has no initial value") {
		t.Errorf("error %v for a parameter without a value", err)
	}
}

// TestFailedStartLeavesNothing starts with weights that do not fit, and then as
// it should have been; and a run that never reached a checkpoint gives way.
func TestFailedStartLeavesNothing(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	s, data := tiny()
	s.Steps = 2
	dir := filepath.Join(t.TempDir(), "run")
	if _, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: dir, Start: energy.Weights{}}); err == nil {
		t.Fatal("weights of nothing: no error")
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a start that failed left %s (%v)", dir, err)
	}
	wild := s
	wild.Optimiser.LearningRate = train.LearningRate{Schedule: train.Constant, Initial: 1e30}
	if _, err := train.Train(t.Context(), rt, wild, data, train.Options{Dir: dir}); !errors.As(err, new(*train.NonFiniteError)) {
		t.Fatalf("error %v of a learning rate of 1e30", err)
	}
	if r, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: dir}); err != nil || r.Made != 2 || len(readMetrics(t, dir)) != 1 {
		t.Errorf("result %+v, error %v after a run without a checkpoint", r, err)
	}
}

// TestFinishedRunStaysAsItIs resumes a run that has no step left.
func TestFinishedRunStaysAsItIs(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	s, data := tiny()
	s.Steps = 3
	dir := t.TempDir()
	if _, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, train.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	s.Steps, s.Output.LogEvery = 2, 77
	r, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: dir, Resume: true})
	after, errRead := os.ReadFile(filepath.Join(dir, train.ConfigFile))
	if err != nil || errRead != nil || r.Made != 0 || r.Step != 3 || len(r.Weights) == 0 || !bytes.Equal(before, after) {
		t.Errorf("result %+v, errors %v and %v; the settings became\n%s", r, err, errRead, after)
	}
}

// TestHook logs a number at every step, reads the weights and ends the run; the
// weights are those of a run without a hook.
func TestHook(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	s, data := tiny()
	s.Steps = 30
	dir := t.TempDir()
	l := loop(s, dir)
	l.LearningRate = train.LearningRate{Schedule: train.Constant, Initial: 1e-3}
	var seen []int
	l.Hook = func(_ context.Context, u train.Update) error {
		seen = append(seen, u.Step)
		if !(u.Loss > 0) || !(u.GradNorm > 0) || u.LearningRate != 1e-3 || u.Weights().Check(s.Network()) != nil {
			t.Errorf("update %+v", u)
		}
		u.Log(map[string]float64{"doubled": float64(2 * u.Step)})
		if u.Step == 7 {
			return train.ErrStop
		}
		return nil
	}
	r, err := train.Run(t.Context(), rt, problem(t, s, data, func(int) {}), l)
	if err != nil || r.Step != 7 || r.Checkpoint == "" || !slices.Equal(seen, []int{1, 2, 3, 4, 5, 6, 7}) {
		t.Errorf("result %+v, error %v, the hook saw %v", r, err, seen)
	}
	records, err := metrics.ReadFile(filepath.Join(dir, metrics.LinesFile))
	if err != nil || len(records) != 7 || records[1].Values["doubled"] != 4 || records[2].Values["loss"] == 0 {
		t.Errorf("metrics %v, error %v", records, err)
	}
	own := errors.New("of the hook")
	l.Hook = func(context.Context, train.Update) error { return own }
	l.Resume = true
	if _, err := train.Run(t.Context(), rt, problem(t, s, data, func(int) {}), l); !errors.Is(err, own) {
		t.Errorf("error %v, want the hook's", err)
	}
	// Without a hook the same steps give the same weights.
	l.Hook, l.Resume, l.Dir, l.Steps = nil, false, t.TempDir(), 7
	if _, err := train.Run(t.Context(), rt, problem(t, s, data, func(int) {}), l); err != nil {
		t.Fatal(err)
	}
	sameState(t, "with a hook", dir, l.Dir)
}
