package langevin

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm/samples"
)

// TestChainsGoOn stops a run again and again before any chain is at its end,
// which it reaches only because chains go on where they were; the files are those
// of a run that was not stopped. A damaged state, and one of which other chains
// are watched, only cost time.
func TestChainsGoOn(t *testing.T) {
	testkit.Long(t)
	s := sampler(t, 2, models(t, small))
	set := short(40, 30)
	set.First, set.StepsPerRun, set.Watch = 5, 2, samples.Watch{Chains: 20, Snapshots: []int{0, 7, 30}}
	whole, stopped := samples.Folder{Dir: t.TempDir()}, samples.Folder{Dir: t.TempDir(), ShardTime: every}
	write(t, s, set, whole)

	draw := func(set Settings, calls int64) error {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		limited := *s
		limited.stepper = &counting{Stepper: s.stepper, calls: calls, then: cancel}
		_, err := limited.Write(ctx, set, stopped)
		return err
	}
	states := func() []string {
		list, err := filepath.Glob(filepath.Join(stopped.Dir, "shards", "state-*.npz"))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if err := draw(set, 9); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want one of the stop", err)
	}
	if len(states()) == 0 {
		t.Fatal("no state is kept of chains that were stopped")
	}
	for _, path := range states() {
		testkit.Write(t, path, []byte("no state"))
	}
	unwatched := set
	unwatched.Watch = samples.Watch{}
	if err := draw(unwatched, 9); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want one of the stop", err)
	}
	rounds := 0
	for ; ; rounds++ {
		err := draw(set, 9)
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
	testkit.SameFiles(t, stopped.Dir, whole.Dir, samples.ArchiveFile, samples.TraceFile, samples.SnapshotsFile, samples.RecordFile)
	if left := states(); len(left) > 0 {
		t.Errorf("states are left: %v", left)
	}
}

// TestFolderGrows has more samples in a finished folder than before: those that
// it has stay, and the files are those of a folder that was filled at once.
func TestFolderGrows(t *testing.T) {
	testkit.Long(t)
	s := sampler(t, 2, models(t, small))
	set := short(70, 4)
	set.First, set.Watch = 3, samples.Watch{Chains: 20, Snapshots: []int{2}}
	for _, float32 := range []bool{false, true} {
		whole := samples.Folder{Dir: t.TempDir(), Float32: float32, PNG: true, Grid: 60}
		write(t, s, set, whole)
		grown := whole
		grown.Dir = t.TempDir()
		few := set
		few.Count, few.Watch.Chains = 30, 10
		write(t, s, few, grown)
		// Stopped when the folder is already said to have more.
		ctx, cancel := context.WithCancel(t.Context())
		limited := *s
		limited.stepper = &counting{Stepper: s.stepper, calls: 1, then: cancel}
		if _, err := limited.Write(ctx, set, grown); !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v, want one of the stop", err)
		}
		cancel()
		if w := write(t, s, set, grown); w.Count != 70 || w.Made > 40 || w.Reused < 30 {
			t.Errorf("grown: %+v, want 30 reused", w)
		}
		names := []string{samples.ArchiveFile, samples.RecordFile, samples.TraceFile, samples.SnapshotsFile, samples.GridFile,
			"png/000032.png", "png/000072.png"}
		if float32 {
			names = append(names, samples.Float32File)
		}
		testkit.SameFiles(t, grown.Dir, whole.Dir, names...)
		var mismatch *samples.MismatchError
		if _, err := s.Write(t.Context(), few, grown); !errors.As(err, &mismatch) {
			t.Errorf("error %v of a folder that is to have fewer samples, want a mismatch", err)
		}
	}
}
