package langevin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"image/gif"
	"image/png"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
)

// every puts each group into a shard of its own.
const every = -time.Nanosecond // also by a clock that stood still

func write(t *testing.T, s *Sampler, set Settings, f samples.Folder) samples.Written {
	t.Helper()
	w, err := s.Write(t.Context(), set, f)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func shardsOf(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "shards", "*.npy"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestWrite(t *testing.T) {
	s := sampler(t, 2, models(t, small))
	set := short(40, 12)
	set.Watch = samples.Watch{Chains: 20, Snapshots: Snapshots(4, 12)}
	dir := filepath.Join(t.TempDir(), "new", "samples")
	f := samples.Folder{Dir: dir, Crop: 14, Float32: true, Grid: 25, Animation: true, PNG: true, Describe: map[string]string{"net": "res6"}}
	if w := write(t, s, set, f); w.Count != 40 || w.Made != 40 || w.Reused != 0 || w.Path != filepath.Join(dir, samples.ArchiveFile) {
		t.Errorf("%+v", w)
	}

	// The archives hold the samples, cropped, channels last.
	want, process := all(t, s, set)
	arrays := testkit.Arrays(t, filepath.Join(dir, samples.ArchiveFile))
	floats, err := npz.ReadNpyFile(filepath.Join(dir, samples.Float32File))
	if err != nil {
		t.Fatal(err)
	}
	rounded := arrays["arr_0"]
	for _, a := range []*tensor.Tensor{rounded, floats} {
		if !slices.Equal(a.Shape(), []int{40, 14, 14, 1}) {
			t.Fatalf("the archive holds %v", a)
		}
	}
	for i := range 40 * 14 * 14 {
		n, y, x := i/196, i/14%14, i%14
		v := tensor.Data[float32](want)[n*256+(y+1)*16+x+1]
		if got := tensor.Data[float32](floats)[i]; got != v {
			t.Fatalf("float %d is %g, want %g", i, got, v)
		}
		clipped := min(max(float64(v), 0), 1)
		if got := tensor.Data[uint8](rounded)[i]; math.Abs(float64(got)-clipped*255) > 0.50001 {
			t.Fatalf("byte %d is %d for %g", i, got, v)
		}
	}

	// The process is read back as it was.
	p, err := samples.ReadProcess(dir)
	if err != nil {
		t.Fatal(err)
	}
	if p.Chains != 20 || len(p.Temperature) != 12 || len(p.Snapshots) != 4 || p.Snapshots[3].Step != 12 {
		t.Fatalf("%d chains, %d temperatures, %d snapshots", p.Chains, len(p.Temperature), len(p.Snapshots))
	}
	for i := range p.Energy {
		if !slices.Equal(p.Energy[i], process.Energy[i]) {
			t.Errorf("energies of chain %d differ", i)
		}
	}
	equalBits(t, "denoised snapshot", p.Snapshots[3].Denoised, tensor.Of(tensor.Data[float32](want)[:20*256], 20, 1, 16, 16))

	// Pictures.
	if _, err := png.Decode(bytes.NewReader(testkit.Read(t, dir, samples.GridFile))); err != nil {
		t.Error(err)
	}
	animation, err := gif.DecodeAll(bytes.NewReader(testkit.Read(t, dir, samples.AnimationFile)))
	if err != nil || len(animation.Image) != 5 {
		t.Errorf("the animation has %d frames, error %v", len(animation.Image), err)
	}
	picture, err := png.Decode(bytes.NewReader(testkit.Read(t, dir, samples.PicturesDir, "000039.png")))
	if err != nil || picture.Bounds().Dx() != 14 {
		t.Errorf("picture 39: %v", err)
	}

	// Nothing is left over, and nothing is done again.
	if _, err := os.Stat(filepath.Join(dir, "shards")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the shards are still there: %v", err)
	}
	if w := write(t, s, set, f); w.Made != 0 || w.Reused != 40 {
		t.Errorf("a second time: %+v", w)
	}
	// A trace that is missing is made again, alone.
	trace := testkit.Read(t, dir, samples.TraceFile)
	if err := os.Remove(filepath.Join(dir, samples.TraceFile)); err != nil {
		t.Fatal(err)
	}
	if w := write(t, s, set, f); w.Made != 0 {
		t.Errorf("for the trace: %+v", w)
	}
	if !bytes.Equal(trace, testkit.Read(t, dir, samples.TraceFile)) {
		t.Error("the trace differs")
	}
}

func TestResume(t *testing.T) {
	s := sampler(t, 2, models(t, small))
	set := short(150, 6)
	set.First, set.Watch = 5, samples.Watch{Chains: 40, Snapshots: []int{3}}
	whole, stopped := t.TempDir(), t.TempDir()
	write(t, s, set, samples.Folder{Dir: whole})

	// Stopped again and again, after some shards each time.
	made, rounds := 0, 0
	for ; ; rounds++ {
		ctx, cancel := context.WithCancel(t.Context())
		limited := *s
		limited.stepper = &counting{Stepper: s.stepper, calls: 5, then: cancel}
		w, err := limited.Write(ctx, set, samples.Folder{Dir: stopped, ShardTime: every})
		cancel()
		if err == nil {
			made += w.Made
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if rounds > 50 {
			t.Fatal("no end")
		}
	}
	if rounds < 2 {
		t.Errorf("it was stopped %d times", rounds)
	}
	if made > 100 {
		t.Errorf("%d samples were made in the last round", made)
	}
	testkit.SameFiles(t, stopped, whole, samples.ArchiveFile, samples.TraceFile, samples.SnapshotsFile, samples.RecordFile)
}

// writeShard writes samples as a sound shard of the documented name.
func writeShard(dir string, first int, x *tensor.Tensor) error {
	var b bytes.Buffer
	if err := npz.WriteNpy(&b, x); err != nil {
		return err
	}
	name := fmt.Sprintf("%012d+%d.%08x.npy", first, x.Shape()[0], crc32.ChecksumIEEE(b.Bytes()))
	return os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644)
}

// counting calls then, once, after so many calls of Steps.
type counting struct {
	Stepper
	calls int64
	then  func()
}

func (c *counting) Steps(ctx context.Context, at state, noise *tensor.Tensor, updates []mdsm.Update) (state, *tensor.Tensor, error) {
	if atomic.AddInt64(&c.calls, -1) == 0 {
		c.then()
	}
	return c.Stepper.Steps(ctx, at, noise, updates)
}

// The test's own program, as another process, draws samples until it is killed.
func TestKill(t *testing.T) {
	testkit.Long(t)
	const variable = "EBM_TEST_LANGEVIN_DIR"
	m := models(t, small)
	set := short(300, 6)
	if dir := os.Getenv(variable); dir != "" {
		s := sampler(t, 2, m)
		s.stepper = &counting{Stepper: s.stepper, calls: 12, then: func() { select {} }}
		s.Write(t.Context(), set, samples.Folder{Dir: dir, ShardTime: every, Float32: true})
		return
	}
	whole, killed := t.TempDir(), t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestKill$")
	child.Env = append(os.Environ(), variable+"="+killed)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for len(shardsOf(t, killed)) < 3 {
		time.Sleep(2 * time.Millisecond)
		if t.Context().Err() != nil {
			break
		}
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	child.Wait()

	s := sampler(t, 2, m)
	f := samples.Folder{Dir: whole, Float32: true}
	write(t, s, set, f)
	f.Dir = killed
	if w := write(t, s, set, f); w.Reused < 3*16 || w.Made == 0 {
		t.Errorf("after the kill: %+v", w)
	}
	testkit.SameFiles(t, killed, whole, samples.ArchiveFile, samples.Float32File, samples.RecordFile)
	entries, err := os.ReadDir(killed)
	if err != nil || len(entries) != 3 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

func TestDamagedShards(t *testing.T) {
	s := sampler(t, 2, models(t, small))
	set := short(100, 5)
	whole, broken := t.TempDir(), t.TempDir()
	write(t, s, set, samples.Folder{Dir: whole})

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	limited := *s
	limited.stepper = &counting{Stepper: s.stepper, calls: 6, then: cancel}
	if _, err := limited.Write(ctx, set, samples.Folder{Dir: broken, ShardTime: every}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	shards := shardsOf(t, broken)
	if len(shards) < 3 {
		t.Fatalf("only %d shards", len(shards))
	}
	damage := testkit.Read(t, shards[0])
	damage[len(damage)-100] ^= 1
	testkit.Write(t, shards[0], damage)
	if err := os.Truncate(shards[1], 50); err != nil {
		t.Fatal(err)
	}
	// Something foreign, and a shard that overlaps another one.
	for _, name := range []string{"note.txt", "000000000000+3.zzzzzzzz.npy"} {
		testkit.Write(t, filepath.Join(broken, "shards", name), []byte("x"))
	}
	third, err := npz.ReadNpyFile(shards[2])
	if err != nil {
		t.Fatal(err)
	}
	if err := writeShard(filepath.Join(broken, "shards"), 33,
		tensor.Of(tensor.Data[uint8](third)[256:], append([]int{third.Shape()[0] - 1}, third.Shape()[1:]...)...)); err != nil {
		t.Fatal(err)
	}

	var lines []string
	w := write(t, s, set, samples.Folder{Dir: broken, Log: func(line string) { lines = append(lines, line) }})
	if len(lines) != 3 || !strings.Contains(lines[0], shards[0]) || !strings.Contains(lines[1], shards[1]) ||
		!strings.Contains(lines[2], "outside") {
		t.Errorf("the log says %q", lines)
	}
	if w.Reused != 16*(len(shards)-2) {
		t.Errorf("%d samples were reused of %d shards", w.Reused, len(shards))
	}
	testkit.SameFiles(t, broken, whole, samples.ArchiveFile)
}

func TestMismatch(t *testing.T) {
	m := models(t, small)
	s := sampler(t, 2, m)
	set := short(3, 4)
	f := samples.Folder{Dir: t.TempDir()}
	write(t, s, set, f)
	for name, change := range map[string]func(*Settings, *samples.Folder){
		"seed 11, want 12":              func(s *Settings, _ *samples.Folder) { s.Seed = 12 },
		"schedule exp, want lin":        func(s *Settings, _ *samples.Folder) { s.Schedule.Cooling = Linear },
		"steps 4, want 5":               func(s *Settings, _ *samples.Folder) { s.Schedule.Steps = 5 },
		"hot 100, want 50":              func(s *Settings, _ *samples.Folder) { s.Schedule.Hot = 50 },
		"step_size 0.02, want 0.03":     func(s *Settings, _ *samples.Folder) { s.StepSize = 0.03 },
		"count 3, want 2":               func(s *Settings, _ *samples.Folder) { s.Count = 2 },
		"first 0, want 1":               func(s *Settings, _ *samples.Folder) { s.First = 1 },
		"start_sigma 1, want 0.5":       func(s *Settings, _ *samples.Folder) { s.Start.Sigma = 0.5 },
		"denoising_jump true, want fal": func(s *Settings, _ *samples.Folder) { s.Raw = true },
		"shape 16x16x1, want 14x14x1":   func(_ *Settings, f *samples.Folder) { f.Crop = 14 },
		"float32 false, want true":      func(_ *Settings, f *samples.Folder) { f.Float32 = true },
	} {
		set, f := set, f
		change(&set, &f)
		var mismatch *samples.MismatchError
		if _, err := s.Write(t.Context(), set, f); !errors.As(err, &mismatch) || len(mismatch.Differences) != 1 ||
			!strings.HasPrefix(mismatch.Differences[0], name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	other := sampler(t, 1, Files{Sampler: m.Sampler, Denoise: append(slices.Clone(m.Denoise), 0x92, 0x03, 0)})
	if _, err := other.Write(t.Context(), set, f); err == nil || !strings.Contains(err.Error(), "model_sha256") {
		t.Errorf("another model: error %v", err)
	}
	// What changes no sample may differ.
	set.Batch, set.StepsPerRun, f.Grid = 7, 1, 2
	if w := write(t, s, set, f); w.Made != 0 {
		t.Errorf("%+v", w)
	}
}

func TestMerge(t *testing.T) {
	testkit.Long(t)
	s := sampler(t, 2, models(t, small))
	set := short(50, 4)
	set.Watch = samples.Watch{Chains: 4, Snapshots: []int{2, 4}}
	root := t.TempDir()
	whole := samples.Folder{Dir: filepath.Join(root, "whole"), Float32: true, Grid: 16, Crop: 15}
	write(t, s, set, whole)

	var parts []string
	for i := 3; i >= 1; i-- {
		part := partOf(set, i, 3)
		f := whole
		f.Dir, f.Grid = filepath.Join(root, string(rune('0'+i))), 0
		write(t, s, part, f)
		parts = append(parts, f.Dir)
	}
	merged := samples.Folder{Dir: filepath.Join(root, "merged"), Grid: 16}
	w, err := samples.Merge(t.Context(), merged, parts, nil)
	if err != nil {
		t.Fatal(err)
	}
	if w.Count != 50 {
		t.Errorf("%+v", w)
	}
	testkit.SameFiles(t, merged.Dir, whole.Dir, samples.ArchiveFile, samples.Float32File, samples.RecordFile, samples.GridFile,
		samples.TraceFile, samples.SnapshotsFile)

	refused := func(what string, parts ...string) {
		t.Helper()
		f := samples.Folder{Dir: filepath.Join(root, "refused")}
		if _, err := samples.Merge(t.Context(), f, parts, nil); err == nil {
			t.Errorf("%s: no error", what)
		}
		if atomicfile.Exists(f.Dir) {
			t.Errorf("%s: a folder is left", what)
		}
	}
	refused("nothing")
	refused("a gap", parts[0], parts[2])
	refused("a part twice", parts[0], parts[1], parts[1], parts[2])
	refused("no samples", root)
	if _, err := samples.Merge(t.Context(), merged, parts, nil); err == nil {
		t.Error("merging into a folder with files has no error")
	}
	if err := os.Remove(filepath.Join(parts[1], samples.ArchiveFile)); err != nil {
		t.Fatal(err)
	}
	refused("an incomplete part", parts...)
	set.Seed++
	other := samples.Folder{Dir: filepath.Join(root, "other"), Float32: true, Crop: 15}
	second := partOf(set, 2, 3)
	write(t, s, second, other)
	refused("another seed", parts[2], other.Dir)
}

func TestFolderErrors(t *testing.T) {
	s := sampler(t, 1, models(t, small))
	for name, f := range map[string]samples.Folder{"crop": {Dir: t.TempDir(), Crop: 17}, "negative crop": {Dir: t.TempDir(), Crop: -1},
		"animation": {Dir: t.TempDir(), Animation: true}} {
		if _, err := s.Write(t.Context(), short(1, 1), f); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	dir := t.TempDir()
	testkit.Write(t, filepath.Join(dir, samples.RecordFile), []byte("{}"))
	if _, err := s.Write(t.Context(), short(1, 1), samples.Folder{Dir: dir}); err == nil ||
		!strings.Contains(err.Error(), samples.RecordFile) {
		t.Errorf("a record of nothing: error %v", err)
	}
	dir = t.TempDir()
	write(t, s, short(2, 1), samples.Folder{Dir: dir})
	if err := os.Truncate(filepath.Join(dir, samples.ArchiveFile), 100); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(t.Context(), short(2, 1), samples.Folder{Dir: dir}); err == nil ||
		!strings.Contains(err.Error(), samples.ArchiveFile) {
		t.Errorf("a damaged archive: error %v", err)
	}
}

// TestBatchFitsMemory has a batch whose pictures no machine holds, though their
// number is none to refuse.
func TestBatchFitsMemory(t *testing.T) {
	s := Default(1)
	s.Batch = 1e9
	testkit.WantError(t, "batch", s.fits([]int{1, 1000, 1000}), "batch 1000000000, want less: 8 PB of memory are needed")
}
