package langevin

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"ebm/export/session"
	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/mdsm/samples"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/progress"
)

// onDevice returns a sampler whose chains go through the models of devices. Where the
// CPU computes, what a device would hold is held in the host.
func onDevice(t *testing.T, f Files) *Sampler {
	t.Helper()
	return onDevices(t, f, testkit.Open(t, 2))
}

func onDevices(t *testing.T, f Files, rt *runtime.Runtime) *Sampler {
	t.Helper()
	s, err := New(rt, Files{Denoise: f.Denoise, DenoiseHidden: f.DenoiseHidden, Sigma0: f.Sigma0})
	if err != nil {
		t.Fatal(err)
	}
	s.device = session.NewModels(rt, f.Fixed)
	t.Cleanup(func() { s.Close() })
	return s
}

// TestDeviceModels compares chains whose steps are runs of their own, from one place to
// the other and back, with those of Scans: with and without a memory, filled in, watched,
// and stopped within.
func TestDeviceModels(t *testing.T) {
	w := energy.Init(small, rng.New(3))
	fill := fillModels(t, small, w)
	given := tensor.New(tensor.Float32, 1, 1, 16, 16)
	hidden := tensor.New(tensor.Float32, 1, 1, 16, 16)
	for i := range 128 {
		tensor.Data[float32](hidden)[i] = 1
	}
	plain := short(20, 7)
	plain.Watch = samples.Watch{Chains: 3, Snapshots: []int{0, 3, 7}}
	plain.StepsPerRun = 2
	raw := short(5, 4)
	raw.Raw = true
	remembering := short(6, 4)
	remembering.Updates = []mdsm.Update{mdsm.Underdamped(0.02, 1, 0.5), mdsm.Underdamped(0.01, 0.5, 0.5), mdsm.Jump(sigma0)}
	filled := short(6, 5)
	filled.Fill = &Fill{Pictures: given, Hidden: hidden, Completions: 6}
	filledRemembering := remembering
	filledRemembering.Fill = filled.Fill
	for name, c := range map[string]struct {
		files Files
		set   Settings
	}{
		"plain": {models(t, small), plain}, "raw": {models(t, small), raw}, "memory": {models(t, small), remembering},
		"fill": {fill, filled}, "fill with a memory": {fill, filledRemembering},
	} {
		t.Run(name, func(t *testing.T) {
			want, process := all(t, sampler(t, 2, c.files), c.set)
			got, seen := all(t, onDevice(t, c.files), c.set)
			if off := testkit.Apart(got, want); !(off < 1e-5) {
				t.Errorf("samples differ by %g", off)
			}
			if process == nil {
				return
			}
			for i, energies := range process.Energy {
				for k, e := range energies {
					testkit.Within(t, "energy", float64(seen.Energy[i][k]), float64(e), 1e-3)
				}
			}
			for i, s := range process.Snapshots {
				if off := testkit.Apart(seen.Snapshots[i].X, s.X); !(off < 1e-5) {
					t.Errorf("snapshot %d differs by %g", i, off)
				}
			}
		})
	}
}

// TestCountedNoise has models draw the noise of chains: a sample is the same whatever is
// drawn beside it, with a memory and filled in too, and another seed gives others. It is nearly
// the same with integers of 32 bits, and on a device that has no others.
func TestCountedNoise(t *testing.T) {
	w := energy.Init(small, rng.New(3))
	given, hidden := tensor.New(tensor.Float32, 1, 1, 16, 16), tensor.New(tensor.Float32, 1, 1, 16, 16)
	tensor.Data[float32](hidden)[7] = 1
	plain := short(20, 7)
	remembering := short(20, 4)
	remembering.Updates = []mdsm.Update{mdsm.Underdamped(0.02, 1, 0.5), mdsm.Underdamped(0.01, 0.5, 0.5), mdsm.Jump(sigma0)}
	filled := short(20, 5)
	filled.Fill = &Fill{Pictures: given, Hidden: hidden, Completions: 20}
	few, err := NewRecipe(EDM, 4).Updates(2, sigma0)
	if err != nil {
		t.Fatal(err)
	}
	falling := short(20, 4)
	falling.Updates, falling.Start.Sigma = few, 2
	for name, c := range map[string]struct {
		files Files
		set   Settings
	}{
		"plain": {models(t, small), plain}, "memory": {models(t, small), remembering}, "fill": {fillModels(t, small, w), filled},
		"edm": {models(t, small), falling},
	} {
		t.Run(name, func(t *testing.T) {
			c.set.Batch = 16
			s := onDevice(t, c.files)
			host, _ := all(t, s, c.set)
			s.device.Counts = true
			whole, _ := all(t, s, c.set)
			if off := testkit.Apart(whole, host); off < 1e-3 {
				t.Errorf("samples of counted noise are those of the host's, %g apart", off)
			}
			for _, rt := range testkit.Players(t, 2) {
				player := onDevices(t, c.files, rt)
				player.device.Counts, player.device.Halves = true, true
				got, _ := all(t, player, c.set)
				off := testkit.Apart(got, whole)
				t.Logf("%s, integers of 32 bits: samples differ by %.1e", rt.Info().Provider, off)
				testkit.Within(t, "samples", off, 0, 1e-4)
			}
			part := c.set
			part.First, part.Count = 13, 5
			got, _ := all(t, s, part)
			if off := testkit.Apart(got, whole.Rows(13, 18)); !(off < 1e-5) {
				t.Errorf("samples 13 to 17 differ by %g from those among others", off)
			}
			other := c.set
			other.Seed++
			if got, _ := all(t, s, other); testkit.Apart(got, whole) < 1e-3 {
				t.Error("another seed gives the same samples")
			}
		})
	}
}

// TestSeveralDevices draws chains on one device and on three, which the CPU plays: the same
// bits, with noise of the host and of the model.
func TestSeveralDevices(t *testing.T) {
	set := short(40, 7)
	set.Watch = samples.Watch{Chains: 3, Snapshots: []int{0, 3}}
	for _, counts := range []bool{false, true} {
		var first *tensor.Tensor
		for _, n := range []int{1, 3} {
			s := onDevices(t, models(t, small), testkit.OpenDevices(t, n))
			s.device.Counts = counts
			got, _ := all(t, s, set)
			if first == nil {
				first = got
			}
			equalBits(t, fmt.Sprintf("%d devices, counted noise %t", n, counts), got, first)
		}
	}
}

// stopping is a progress that stops the work after some steps of chains.
type stopping struct {
	progress.Silent
	left *atomic.Int64
	stop func()
}

func (p stopping) Stage(string, int64, string) progress.Stage { return p }
func (p stopping) Add(n int64) {
	if p.left.Add(-n) <= 0 {
		p.stop()
	}
}

// TestDeviceChainsGoOn stops chains that a device holds in their midst, once and again:
// what is kept is where their last step left them.
func TestDeviceChainsGoOn(t *testing.T) {
	for _, counts := range []bool{false, true} {
		s := onDevice(t, models(t, small))
		s.device.Counts = counts
		chainsGoOn(t, s)
	}
}

func chainsGoOn(t *testing.T, s *Sampler) {
	t.Helper()
	set := short(20, 9)
	set.Watch = samples.Watch{Chains: 3, Snapshots: []int{0, 7}}
	whole, stopped := samples.Folder{Dir: t.TempDir()}, samples.Folder{Dir: t.TempDir(), ShardTime: every}
	write(t, s, set, whole)
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		limited := *s
		left := new(atomic.Int64)
		left.Store(40)
		limited.Progress = stopping{left: left, stop: cancel}
		if _, err := limited.Write(ctx, set, stopped); !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v, want one of the stop", err)
		}
	}
	write(t, s, set, stopped)
	testkit.SameFiles(t, stopped.Dir, whole.Dir, samples.ArchiveFile, samples.TraceFile, samples.SnapshotsFile, samples.RecordFile)
}
