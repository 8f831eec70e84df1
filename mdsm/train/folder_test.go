package train_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/internal/files"
	"ebm/internal/testkit"
	"ebm/mdsm/train"
	"ebm/models/weights"
)

// TestOneTrainingAFolder begins a training in the folder of one that goes on.
func TestOneTrainingAFolder(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	s, data := tiny()
	s.Steps = 4
	dir := filepath.Join(t.TempDir(), "run")
	tried := 0
	p := problem(t, s, data, func(step int) {
		if step != 3 {
			return
		}
		for _, resume := range []bool{false, true} {
			_, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: dir, Resume: resume})
			var locked *files.LockedError
			if !errors.As(err, &locked) || locked.Owner.Process != os.Getpid() {
				t.Errorf("a second training, resume %v: error %v, want one that says who trains there", resume, err)
			}
			tried++
		}
	})
	if _, err := train.Run(t.Context(), rt, p, loop(s, dir)); err != nil || tried != 2 {
		t.Fatalf("error %v after %d tries", err, tried)
	}
	for _, name := range testkit.Names(t, dir) {
		if files.IsLock(name) {
			t.Errorf("%s is left", name)
		}
	}
}

// TestPruneOnResume keeps fewer checkpoints than there are, of a run that is
// finished and of one that goes on.
func TestPruneOnResume(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	s, data := tiny()
	s.Steps, s.Output.CheckpointEvery = 8, 2
	dir := filepath.Join(t.TempDir(), "run")
	if _, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	s.Output.KeepCheckpoints = 2
	if _, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: dir, Resume: true}); err != nil ||
		!slices.Equal(steps(t, dir), []int{6, 8}) {
		t.Errorf("checkpoints %v, error %v, want 6 and 8", steps(t, dir), err)
	}
	s.Steps, s.Output.KeepCheckpoints, s.Output.CheckpointEvery = 9, 1, 0
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := train.Train(ctx, rt, s, data, train.Options{Dir: dir, Resume: true}); !errors.Is(err, context.Canceled) ||
		!slices.Equal(steps(t, dir), []int{8}) {
		t.Errorf("checkpoints %v, error %v, want 8", steps(t, dir), err)
	}
}

// TestIncompleteCheckpoints takes a file out of checkpoints.
func TestIncompleteCheckpoints(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	s, data := tiny()
	s.Steps, s.Output.CheckpointEvery = 6, 2
	dir := filepath.Join(t.TempDir(), "run")
	if _, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	take := func(step, file string) string {
		path := filepath.Join(dir, "checkpoints", "step-0000000"+step)
		if err := os.Remove(filepath.Join(path, file)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	old, last := take("2", "state.safetensors"), take("6", "model.safetensors")
	if c, w, err := train.NewestWeights(dir); err != nil || c.Step != 4 || len(w) == 0 {
		t.Errorf("newest %+v, error %v, want step 4", c, err)
	}
	var lines []string
	r, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: dir, Resume: true,
		Log: func(line string) { lines = append(lines, line) }})
	said := strings.Join(lines, "; ")
	if err != nil || r.Made != 2 || !slices.Equal(steps(t, dir), []int{4, 6}) {
		t.Errorf("result %+v, checkpoints %v, error %v", r, steps(t, dir), err)
	}
	if !strings.Contains(said, old+" has no state.safetensors: it is removed") ||
		!strings.Contains(said, last+" has no model.safetensors: it is skipped") {
		t.Errorf("log %q", said)
	}
	take("4", "state.safetensors")
	take("6", "state.safetensors")
	_, err = train.Train(t.Context(), rt, s, data, train.Options{Dir: dir, Resume: true})
	testkit.WantError(t, "no whole checkpoint", err, last, "state.safetensors")
}

// TestDamagedNewest turns a bit of the newest checkpoint: it is named, and the
// one before it is offered and not used.
func TestDamagedNewest(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	s, data := tiny()
	s.Steps, s.Output.CheckpointEvery = 4, 2
	dir := filepath.Join(t.TempDir(), "run")
	if _, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	last, before := filepath.Join(dir, "checkpoints", "step-00000004"), filepath.Join(dir, "checkpoints", "step-00000002")
	s.Steps = 6
	for _, file := range []string{"model.safetensors", "state.safetensors"} {
		whole := testkit.Read(t, last, file)
		for _, at := range []int{len(whole) - 1, len(whole) / 2, len(whole)} {
			damaged := bytes.Clone(whole)
			if at < len(whole) {
				damaged[at] ^= 0x40
			} else {
				damaged = nil
			}
			testkit.Write(t, filepath.Join(last, file), damaged)
			_, _, err := train.NewestWeights(dir)
			testkit.WantError(t, "weights", err, last, file, before)
			_, err = train.Train(t.Context(), rt, s, data, train.Options{Dir: dir, Resume: true})
			testkit.WantError(t, "resume", err, last, file, before)
		}
		testkit.Write(t, filepath.Join(last, file), whole)
	}
}

// TestAnotherEngine resumes a run that another version of ONNX Runtime began.
func TestAnotherEngine(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	s, data := tiny()
	s.Steps = 2
	dir := filepath.Join(t.TempDir(), "run")
	r, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.Checkpoint, "state.safetensors")
	state, err := weights.Load(path)
	if err != nil || state.Metadata["engine"] != rt.Info().Engine() || state.Metadata[weights.HashKey] != "" {
		t.Fatalf("state says %v, error %v, want the engine %s", state.Metadata, err, rt.Info().Engine())
	}
	state.Metadata["engine"] = "onnxruntime 0.1 cpu"
	if err := weights.Save(path, state); err != nil { // without a hash, as old ones are
		t.Fatal(err)
	}
	s.Steps = 3
	var lines []string
	if _, err := train.Train(t.Context(), rt, s, data,
		train.Options{Dir: dir, Resume: true, Log: func(line string) { lines = append(lines, line) }}); err != nil {
		t.Fatal(err)
	}
	if said := strings.Join(lines, "; "); !strings.Contains(said, "onnxruntime 0.1 cpu") || !strings.Contains(said, rt.Info().Engine()) {
		t.Errorf("log %q, want both engines", said)
	}
}

// TestFolderVanishes removes the run's folder while it is trained in.
func TestFolderVanishes(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	s, data := tiny()
	s.Steps, s.Output.CheckpointEvery = 8, 2
	for _, again := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "run")
		p := problem(t, s, data, func(step int) {
			if step == 3 {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				if again { // another made it anew
					testkit.Mkdir(t, dir, "checkpoints")
				}
			}
		})
		r, err := train.Run(t.Context(), rt, p, loop(s, dir))
		testkit.WantError(t, "a folder that is gone", err, dir, "removed")
		if r.Step > 4 || len(steps(t, dir)) > 0 {
			t.Errorf("result %+v, checkpoints %v", r, steps(t, dir))
		}
	}
}

// TestReadingWhileItIsPruned reads the newest weights of a run that keeps one
// checkpoint and makes one at every step.
func TestReadingWhileItIsPruned(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	s, data := tiny()
	s.Steps, s.Output.CheckpointEvery, s.Output.KeepCheckpoints = 25, 1, 1
	dir := filepath.Join(t.TempDir(), "run")
	done := make(chan error, 1)
	go func() {
		_, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: dir})
		done <- err
	}()
	read := 0
	for {
		select {
		case err := <-done:
			if err != nil || read == 0 {
				t.Errorf("%d readings, error %v", read, err)
			}
			return
		default:
		}
		_, w, err := train.NewestWeights(dir)
		switch {
		case errors.Is(err, train.ErrNoCheckpoint):
		case err != nil || len(w) == 0:
			t.Fatalf("reading %d: %d weights, error %v", read, len(w), err)
		default:
			read++
		}
	}
}
