package samples

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// job draws samples of 1×4×4 whose values are functions of their indices, in
// groups of 8, with the first chains watched. It writes down the groups that
// were run, and stops after so many of them unless stop is negative.
func job(first, count, watched, stop int, ran *[]int) Job {
	const group, steps = 8, 3
	j := Job{
		Record: Record{Schedule: "exp", Steps: steps, Seed: 7, First: first, Count: count, Model: "abc", Engine: "test", Group: group},
		Shape:  []int{1, 4, 4}, Steps: steps, Watch: Watch{Chains: watched, Snapshots: []int{0, steps}}, Chains: true,
		Stage: func(groups []int, done int) progress.Stage {
			return progress.Begin(nil, "test", int64(len(groups)), "groups")
		},
	}
	pictures := func(first, n int) *tensor.Tensor {
		x := tensor.New(tensor.Float32, n, 1, 4, 4)
		for i := range tensor.Data[float32](x) {
			tensor.Data[float32](x)[i] = float32((first*16+i)*37%256) / 255
		}
		return x
	}
	j.Run = func(ctx context.Context, groups []int, _ progress.Stage, _ States, deliver func(Batch) error) error {
		for n, g := range groups {
			if n == stop {
				return context.Canceled
			}
			*ran = append(*ran, g)
			lo, hi := j.span(g, first, first+count)
			b := Batch{First: g*group + lo, X: pictures(g*group+lo, hi-lo)}
			b.Chains = map[string]*tensor.Tensor{"chain": tensor.Of([]int64{int64(g)}, 1)}
			if _, seen := j.span(g, first, first+watched); seen > lo {
				p := &Process{First: b.First, Chains: seen - lo, StepSize: 0.1, Temperature: []float64{3, 2, 1}}
				for i := range seen - lo {
					p.Energy = append(p.Energy, []float32{float32(b.First + i), 1, 0})
				}
				for _, s := range j.Watch.Snapshots {
					p.Snapshots = append(p.Snapshots, Snapshot{Step: s, X: pictures(b.First+s, seen-lo), Denoised: pictures(b.First, seen-lo)})
				}
				b.Process = p
			}
			if err := deliver(b); err != nil {
				return err
			}
		}
		return nil
	}
	return j
}

var allFiles = []string{ArchiveFile, Float32File, RecordFile, TraceFile, SnapshotsFile, ChainsFile}

// whole is a folder of samples that was written at once.
func whole(t *testing.T, first, count int) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "whole")
	var ran []int
	w, err := Folder{Dir: dir, Float32: true}.Write(t.Context(), job(first, count, 10, -1, &ran), nil)
	if err != nil || w.Made != count || w.Reused != 0 || w.Count != count {
		t.Fatalf("written %+v, error %v, want %d samples made", w, err, count)
	}
	return dir
}

// interrupted is a folder whose writing stopped after three groups, a shard each.
func interrupted(t *testing.T) Folder {
	t.Helper()
	f := Folder{Dir: filepath.Join(t.TempDir(), "part"), Float32: true, ShardTime: 1}
	var ran []int
	if _, err := f.Write(t.Context(), job(4, 50, 10, 3, &ran), nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want that of the run", err)
	}
	if shards := testkit.Names(t, filepath.Join(f.Dir, shardsDir)); len(shards) < 3 {
		t.Fatalf("shards are %q, want three at least", shards)
	}
	return f
}

// shardFiles lists the shards of a folder, in order.
func shardFiles(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, shardsDir, "*+*.npy"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestResume(t *testing.T) {
	want := whole(t, 4, 50)
	f := interrupted(t)
	for stop := 1; ; stop++ {
		var ran []int
		w, err := f.Write(t.Context(), job(4, 50, 10, 1, &ran), nil)
		if err == nil {
			if w.Count != 50 || w.Made+w.Reused != 50 || len(ran) != 0 && w.Made == 0 {
				t.Errorf("written %+v after the groups %v", w, ran)
			}
			break
		}
		if !errors.Is(err, context.Canceled) || len(ran) != 1 || stop > 10 {
			t.Fatalf("call %d: error %v after the groups %v", stop, err, ran)
		}
	}
	testkit.SameFiles(t, f.Dir, want, allFiles...)
	if names := testkit.Names(t, f.Dir); slices.Contains(names, shardsDir) || len(names) != len(allFiles) {
		t.Errorf("a complete folder holds %q, want %q", names, allFiles)
	}
	var ran []int
	if w, err := f.Write(t.Context(), job(4, 50, 10, -1, &ran), nil); err != nil || len(ran) > 0 || w.Made != 0 || w.Reused != 50 {
		t.Errorf("a complete folder ran %v, written %+v, error %v", ran, w, err)
	}
	// Its trace alone is made again.
	if err := os.Remove(filepath.Join(f.Dir, TraceFile)); err != nil {
		t.Fatal(err)
	}
	if w, err := f.Write(t.Context(), job(4, 50, 10, -1, &ran), nil); err != nil || !slices.Equal(ran, []int{0, 1}) || w.Made != 0 {
		t.Errorf("without a trace it ran %v, written %+v, error %v", ran, w, err)
	}
	testkit.SameFiles(t, f.Dir, want, allFiles...)
}

// TestDamagedShards has a flipped bit, a cut, a shard of another shape with the
// right sum, and one that overlaps others.
func TestDamagedShards(t *testing.T) {
	testkit.Long(t)
	want := whole(t, 4, 50)
	for name, damage := range map[string]func(t *testing.T, dir string, shards []string) (lines int){
		"bit": func(t *testing.T, dir string, shards []string) int {
			b := testkit.Read(t, shards[1])
			b[len(b)-3] ^= 4
			testkit.Write(t, shards[1], b)
			return 1
		},
		"cut": func(t *testing.T, dir string, shards []string) int {
			testkit.Write(t, shards[0], testkit.Read(t, shards[0])[:90])
			return 1
		},
		"nothing": func(t *testing.T, dir string, shards []string) int {
			testkit.Write(t, shards[0], nil)
			return 1
		},
		"shape": func(t *testing.T, dir string, shards []string) int {
			if _, err := writeShard(dir, 30, tensor.New(tensor.Float32, 4, 5, 5, 1)); err != nil {
				t.Fatal(err)
			}
			return 1
		},
		"type": func(t *testing.T, dir string, shards []string) int {
			if _, err := writeShard(dir, 30, tensor.New(tensor.Uint8, 4, 4, 4, 1)); err != nil {
				t.Fatal(err)
			}
			return 1
		},
		"overlap": func(t *testing.T, dir string, shards []string) int {
			s, ok := parseShardName(filepath.Base(shards[1]))
			if !ok {
				t.Fatalf("%s is no shard", shards[1])
			}
			rows, err := npz.ReadNpyFile(shards[1])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := writeShard(dir, s.first+1, rows.Rows(1, s.count)); err != nil {
				t.Fatal(err)
			}
			return 0
		},
		"others": func(t *testing.T, dir string, shards []string) int {
			testkit.Write(t, filepath.Join(dir, "000000000004+8.npy"), []byte("no shard"))
			if _, err := writeShard(dir, 52, tensor.New(tensor.Float32, 4, 4, 4, 1)); err != nil { // beyond the last
				t.Fatal(err)
			}
			return 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := interrupted(t)
			var lines []string
			f.Log = func(line string) { lines = append(lines, line) }
			n := damage(t, filepath.Join(f.Dir, shardsDir), shardFiles(t, f.Dir))
			var ran []int
			if _, err := f.Write(t.Context(), job(4, 50, 10, -1, &ran), nil); err != nil {
				t.Fatal(err)
			}
			if len(lines) != n {
				t.Errorf("log %q, want %d lines", lines, n)
			}
			testkit.SameFiles(t, f.Dir, want, allFiles...)
		})
	}
}

// TestDamagedArchives flips bits and cuts ends of the files of a finished folder:
// going on with it is an error that names the file, and without the file, its
// samples are drawn again.
func TestDamagedArchives(t *testing.T) {
	want := whole(t, 0, 20)
	for _, name := range []string{ArchiveFile, Float32File} {
		good := testkit.Read(t, want, name)
		for at := 0; at <= len(good); at += 211 {
			f := Folder{Dir: testkit.Copy(t, want), Float32: true}
			bad := slices.Clone(good)
			if at < len(good) {
				bad[at] ^= 0x40
			} else {
				bad = bad[:len(good)/2]
			}
			path := testkit.Write(t, filepath.Join(f.Dir, name), bad)
			var ran []int
			_, err := f.Write(t.Context(), job(0, 20, 10, -1, &ran), nil)
			if err == nil && name == ArchiveFile && harmless(t, path, filepath.Join(want, name)) {
				continue
			}
			testkit.WantError(t, fmt.Sprint(name, " at ", at), err, path, "remove it to draw its samples again")
			if at%(211*8) > 0 {
				continue
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write(t.Context(), job(0, 20, 10, -1, &ran), nil); err != nil {
				t.Errorf("%s at %d: %v", name, at, err)
			}
			testkit.SameFiles(t, f.Dir, want, allFiles...)
		}
	}
}

// harmless reports whether two archives have the same array: bits that nobody
// reads, such as times, may differ.
func harmless(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := npz.ReadFile(a)
	if err != nil {
		return false
	}
	y, err := npz.ReadFile(b)
	return err == nil && slices.Equal(tensor.Data[uint8](x[archiveArray]), tensor.Data[uint8](y[archiveArray]))
}

func TestFolderOfOtherSamples(t *testing.T) {
	f := Folder{Dir: whole(t, 0, 9), Float32: true}
	var ran []int
	for name, change := range map[string]func(*Job, *Folder){
		"seed 7, want 8":               func(j *Job, _ *Folder) { j.Record.Seed = 8 },
		"count 9, want 8":              func(j *Job, _ *Folder) { j.Record.Count = 8 },
		"model_sha256 abc, want xyz":   func(j *Job, _ *Folder) { j.Record.Model = "xyz" },
		"engine test, want other":      func(j *Job, _ *Folder) { j.Record.Engine = "other" },
		"float32 true, want false":     func(_ *Job, f *Folder) { f.Float32 = false },
		"shape 4x4x1, want 2x2x1":      func(_ *Job, f *Folder) { f.Crop = 2 },
		"group_size 8, want 16":        func(j *Job, _ *Folder) { j.Record.Group = 16 },
		"denoising_jump false, want t": func(j *Job, _ *Folder) { j.Record.Jump = true },
	} {
		j, other := job(0, 9, 0, -1, &ran), f
		change(&j, &other)
		_, err := other.Write(t.Context(), j, nil)
		var mismatch *MismatchError
		if !errors.As(err, &mismatch) || !strings.Contains(err.Error(), name) || mismatch.Dir != f.Dir {
			t.Errorf("error %v, want one that says %q", err, name)
		}
	}
	if len(ran) > 0 {
		t.Errorf("groups %v were run", ran)
	}
	for want, change := range map[string]func(*Job, *Folder){
		"crop to 5×5":   func(_ *Job, f *Folder) { f.Crop = 5 },
		"shape [2 4 4]": func(j *Job, _ *Folder) { j.Shape = []int{2, 4, 4} },
	} {
		j, other := job(0, 9, 0, -1, &ran), Folder{Dir: t.TempDir()}
		change(&j, &other)
		_, err := other.Write(t.Context(), j, nil)
		testkit.WantError(t, want, err, want)
	}
	testkit.Write(t, filepath.Join(f.Dir, RecordFile), []byte(`{"count":1,"colour":2}`))
	_, err := f.Write(t.Context(), job(0, 9, 0, -1, &ran), nil)
	testkit.WantError(t, "a damaged record", err, RecordFile, "colour")
}

// TestMerge joins three parts, given in any order, into what one run makes.
func TestMerge(t *testing.T) {
	testkit.Long(t)
	want := whole(t, 4, 50)
	var parts []string
	for _, r := range [][2]int{{28, 18}, {4, 24}, {46, 8}} {
		f := Folder{Dir: filepath.Join(t.TempDir(), "part"), Float32: true}
		var ran []int
		watched := 10
		if r[0] != 4 {
			watched = 0
		}
		if _, err := f.Write(t.Context(), job(r[0], r[1], watched, -1, &ran), nil); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, f.Dir)
	}
	out := filepath.Join(t.TempDir(), "merged")
	w, err := Merge(t.Context(), Folder{Dir: out}, parts, nil)
	if err != nil || w.Count != 50 {
		t.Fatalf("merged %+v, error %v", w, err)
	}
	testkit.SameFiles(t, out, want, ArchiveFile, Float32File, RecordFile, TraceFile, SnapshotsFile)

	_, err = Merge(t.Context(), Folder{Dir: out}, parts, nil)
	testkit.WantError(t, "a folder that is not empty", err, out, "not empty")
	refused := func(what string, parts []string, says ...string) {
		t.Helper()
		to := filepath.Join(t.TempDir(), "none")
		_, err := Merge(t.Context(), Folder{Dir: to}, parts, nil)
		testkit.WantError(t, what, err, says...)
		if _, err := os.Stat(to); err == nil {
			t.Errorf("%s: a folder was made", what)
		}
	}
	refused("none", nil, "no folders")
	refused("a gap", []string{parts[1], parts[2]}, "begins with sample 46", "before sample 28")
	refused("one twice", []string{parts[1], parts[0], parts[0]}, "begins with sample 28", "before sample 46")
	refused("no samples", []string{parts[1], t.TempDir()}, RecordFile)

	broken := testkit.Copy(t, parts[0])
	record := testkit.Read(t, broken, RecordFile)
	testkit.Write(t, filepath.Join(broken, RecordFile), []byte(strings.Replace(string(record), `"seed": 7`, `"seed": 8`, 1)))
	refused("another seed", []string{parts[1], broken}, broken, "seed 8, want 7")
	testkit.Write(t, filepath.Join(broken, RecordFile), record)
	archive := testkit.Read(t, broken, ArchiveFile)
	for i := range archive { // bits are flipped in turn
		if i%101 != 0 {
			continue
		}
		flipped := slices.Clone(archive)
		flipped[i] ^= 0x10
		testkit.Write(t, filepath.Join(broken, ArchiveFile), flipped)
		to := filepath.Join(t.TempDir(), "none")
		if _, err := Merge(t.Context(), Folder{Dir: to}, []string{parts[1], broken, parts[2]}, nil); err == nil {
			// What the bit stood for is not read: the times and attributes of a zip's entry.
			testkit.SameFiles(t, to, want, ArchiveFile)
		}
	}
	if err := os.Remove(filepath.Join(broken, ArchiveFile)); err != nil {
		t.Fatal(err)
	}
	refused("a part that is not complete", []string{parts[1], broken}, broken, "not complete")
}

func TestRecords(t *testing.T) {
	dir := whole(t, 4, 9)
	r, err := ReadRecord(dir)
	if want := job(4, 9, 0, -1, nil).Record; err != nil || r.Seed != want.Seed || r.First != 4 || r.Count != 9 ||
		r.Shape != "4x4x1" || !r.Float32 {
		t.Errorf("record %+v, error %v", r, err)
	}
	other := r
	other.First, other.Count, other.Seed = 0, 1, 1
	if got := fmt.Sprint(r.differences(other, "first", "count")); got != "[seed 7, want 1]" {
		t.Errorf("differences %s", got)
	}
	if _, err := ReadRecord(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no record: error %v", err)
	}
}

// TestTraces joins what groups recorded, and reads it back.
func TestTraces(t *testing.T) {
	dir := whole(t, 4, 50)
	p, err := ReadProcess(dir)
	if err != nil {
		t.Fatal(err)
	}
	if p.First != 4 || p.Chains != 10 || len(p.Energy) != 10 || p.Energy[9][0] != 13 || len(p.Snapshots) != 2 ||
		p.Snapshots[1].X.Shape()[0] != 10 {
		t.Errorf("process %+v", p)
	}
	if mean := p.MeanEnergy(); len(mean) != 3 || mean[0] != 8.5 || math.Abs(mean[1]-1) > 1e-12 {
		t.Errorf("mean energies %v, want 8.5, 1, 0", mean)
	}
	if err := os.Remove(filepath.Join(dir, SnapshotsFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadProcess(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without snapshots: error %v", err)
	}
	if JoinProcesses(nil) != nil {
		t.Error("no processes are joined to one")
	}
}

// TestDrawing makes the pictures that a complete folder lacks, and no others.
func TestDrawing(t *testing.T) {
	f := Folder{Dir: whole(t, 4, 9), Float32: true, Grid: 4, PNG: true, Animation: true}
	var ran []int
	if _, err := f.Write(t.Context(), job(4, 9, 9, -1, &ran), nil); err != nil {
		t.Fatal(err)
	}
	pictures := testkit.Names(t, filepath.Join(f.Dir, PicturesDir))
	if len(pictures) != 9 || !slices.Contains(testkit.Names(t, f.Dir), GridFile) || !slices.Contains(testkit.Names(t, f.Dir), AnimationFile) {
		t.Errorf("folder holds %q, pictures %q", testkit.Names(t, f.Dir), pictures)
	}
}
