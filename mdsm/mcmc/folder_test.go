package mcmc

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/mdsm/samples"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// TestWrite compares a folder with the chains themselves, and with one whose
// writing was stopped again and again, and with one of two machines.
func TestWrite(t *testing.T) {
	testkit.Long(t)
	m := models(t, small, energy.Init(small, rng.New(3)), 1)
	s := sampler(t, 2, m)
	set := brief(MALA, 40)
	set.Draws = 5
	whole := samples.Folder{Dir: t.TempDir(), Float32: true, Grid: 9, ShardTime: time.Nanosecond}
	w, err := s.Write(t.Context(), set, whole)
	if err != nil || w.Count != 200 || w.Made != 200 {
		t.Fatalf("%+v, error %v", w, err)
	}
	want := all(t, s, set)
	got, err := npz.ReadNpyFile(filepath.Join(whole.Dir, samples.Float32File))
	if err != nil {
		t.Fatal(err)
	}
	testkit.SameBits(t, "samples", tensor.Data[float32](got), tensor.Data[float32](want.X))

	r, err := ReadReport(whole.Dir)
	if err != nil {
		t.Fatal(err)
	}
	energies, err := Diagnose(want.Energy)
	if err != nil {
		t.Fatal(err)
	}
	acceptance, _ := moments(want.Acceptance)
	if r.Chains != 40 || r.Draws != 5 || *r.Energy != energies || math.Abs(r.Acceptance-acceptance) > 1e-12 || r.Values != 64 ||
		!(r.RHat > 0.9) || !(r.Bulk > 0) || !(r.Tail > 0) {
		t.Errorf("report %+v with energy %+v, want energy %+v", r, r.Energy, energies)
	}

	stopped := whole
	stopped.Dir = t.TempDir()
	stops := 0
	for begin := time.Now(); ; stops++ {
		if time.Since(begin) > time.Minute {
			t.Fatal("stopped runs make no progress")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(20<<min(stops, 10))*time.Millisecond)
		_, err := s.Write(ctx, set, stopped)
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	names := []string{samples.ArchiveFile, samples.Float32File, samples.RecordFile, samples.ChainsFile, samples.GridFile}
	testkit.SameFiles(t, stopped.Dir, whole.Dir, names...)

	var parts []string
	for i := range 2 {
		part := set
		part.First, part.Count = i*23, 23-6*i
		f := samples.Folder{Dir: t.TempDir(), Float32: true}
		if _, err := s.Write(t.Context(), part, f); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, f.Dir)
	}
	merged := samples.Folder{Dir: filepath.Join(t.TempDir(), "merged"), Grid: 9}
	if _, err := samples.Merge(t.Context(), merged, parts, nil); err != nil {
		t.Fatal(err)
	}
	testkit.SameFiles(t, merged.Dir, whole.Dir, names...)

	set.StepSize *= 2
	var mismatch *samples.MismatchError
	if _, err := s.Write(t.Context(), set, whole); !errors.As(err, &mismatch) || !strings.Contains(err.Error(), "step_size") {
		t.Errorf("other settings: error %v", err)
	}
}

func TestReportsOfOtherArrays(t *testing.T) {
	good := func() map[string]*tensor.Tensor {
		return map[string]*tensor.Tensor{
			"energy": tensor.New(tensor.Float64, 2, 5), "values": tensor.New(tensor.Float64, 2, 5, 3), "divergent": tensor.New(tensor.Int64, 2),
			"step_size": tensor.New(tensor.Float64, 2), "acceptance": tensor.New(tensor.Float64, 2),
		}
	}
	r, err := report(good())
	if err != nil || r.Constant != 3 || r.Values != 0 {
		t.Errorf("arrays of zeros: %+v, error %v", r, err)
	}
	for name, bad := range map[string]*tensor.Tensor{
		"energy": tensor.New(tensor.Float32, 2, 5), "values": tensor.New(tensor.Float64, 2, 4, 3), "divergent": nil,
		"step_size": tensor.New(tensor.Float64, 3),
	} {
		arrays := good()
		arrays[name] = bad
		if _, err := report(arrays); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s %v: error %v", name, bad, err)
		}
	}
}

// stopAfter is progress that ends a context after so many transitions of groups.
type stopAfter struct {
	progress.Silent
	left *atomic.Int64
	stop func()
}

func (s stopAfter) Stage(string, int64, string) progress.Stage { return s }
func (s stopAfter) Add(int64) {
	if s.left.Add(-1) == 0 {
		s.stop()
	}
}

// TestChainsGoOn stops a run again and again before any chain is at its end, and
// has more chains in the folder that was finished.
func TestChainsGoOn(t *testing.T) {
	testkit.Long(t)
	s := sampler(t, 2, models(t, small, energy.Init(small, rng.New(3)), 1))
	set := brief(MALA, 24)
	set.Draws, set.Thin = 3, 2
	more := set
	more.Count = 40
	folder := func() samples.Folder {
		return samples.Folder{Dir: t.TempDir(), Float32: true, ShardTime: time.Nanosecond}
	}
	whole, stopped := folder(), folder()
	if _, err := s.Write(t.Context(), more, whole); err != nil {
		t.Fatal(err)
	}
	rounds := 0
	for ; ; rounds++ {
		ctx, cancel := context.WithCancel(t.Context())
		limited := *s
		var left atomic.Int64
		left.Store(int64(set.Transitions()) / 2)
		limited.Progress = stopAfter{left: &left, stop: cancel}
		_, err := limited.Write(ctx, set, stopped)
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) || rounds > 50 {
			t.Fatalf("after %d rounds: %v", rounds, err)
		}
	}
	if rounds < 3 {
		t.Errorf("it was stopped %d times, want more", rounds)
	}
	w, err := s.Write(t.Context(), more, stopped)
	if err != nil || w.Count != 120 || w.Reused != 72 {
		t.Errorf("grown: %+v, error %v, want 72 samples reused", w, err)
	}
	testkit.SameFiles(t, stopped.Dir, whole.Dir, samples.ArchiveFile, samples.Float32File, samples.RecordFile, samples.ChainsFile)
}
