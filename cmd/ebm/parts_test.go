package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ebm/cmd/internal/watch"
	"ebm/internal/testkit"
	"ebm/runtime/parallel"
)

// TestPartsOfTheEnvironment says which part each kind of job is.
func TestPartsOfTheEnvironment(t *testing.T) {
	for _, c := range []struct {
		env, want, from string
	}{
		{"", "0/0", ""},
		{"EBM_SHARD=2/3 SLURM_ARRAY_TASK_ID=7", "2/3", "EBM_SHARD=2/3"},
		{"SLURM_ARRAY_TASK_ID=0 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=0 SLURM_PROCID=0", "1/4", "SLURM_ARRAY_TASK_ID=0"},
		{"SLURM_ARRAY_TASK_ID=4 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=1", "4/4", "SLURM_ARRAY_TASK_COUNT=4"},
		{"JOB_COMPLETION_INDEX=2 EBM_PARTS=8", "3/8", "JOB_COMPLETION_INDEX=2"},
		{"OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 PMI_RANK=0 PMI_SIZE=9", "2/2", "OMPI_COMM_WORLD_RANK=1"},
		{"PMI_RANK=3 PMI_SIZE=4", "4/4", "PMI_RANK=3"},
		{"SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2", "2/2", "SLURM_PROCID=1"},
		{"SLURM_PROCID=0 SLURM_NTASKS=4", "0/0", ""}, // the script of a job, outside of its steps
		{"OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=1", "1/1", "OMPI_COMM_WORLD_RANK=0"},
	} {
		p, from, err := partOf(environment(c.env))
		if err != nil || p.String() != c.want || !strings.Contains(from, c.from) {
			t.Errorf("%s: part %v from %q, error %v, want %s from %s", c.env, p, from, err, c.want, c.from)
		}
	}
	for env, want := range map[string]string{
		"EBM_SHARD=5/4":          "EBM_SHARD",
		"JOB_COMPLETION_INDEX=2": "want EBM_PARTS too",
		"SLURM_ARRAY_TASK_ID=9 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=1": "without steps or gaps",
		"PMI_RANK=x PMI_SIZE=4": "PMI_RANK=x",
	} {
		_, _, err := partOf(environment(env))
		testkit.WantError(t, env, err, want)
	}
}

func environment(text string) func(string) string {
	return func(name string) string {
		for _, one := range strings.Fields(text) {
			if value, ok := strings.CutPrefix(one, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

// TestPartsOfCommands computes what each command has parts of in one process, in parts
// of one folder, and in parts of several folders: all files are the same.
func TestPartsOfCommands(t *testing.T) {
	testkit.Long(t)
	tiny := tinyWeights(t)
	t.Chdir(t.TempDir())
	mustRun(t, "sample", "-q", "--run", tiny, "--count", "300", "--steps", "2", "--seed", "4", "--out", "pictures")
	for _, c := range []struct {
		args  []string
		files []string
	}{
		{[]string{"sample", "--run", tiny, "--count", "40", "--steps", "4", "--float32", "--png"},
			[]string{"samples.npz", "samples_float32.npy", "samples.json", "trace.json", "snapshots.npz", "grid.png", "png/000039.png"}},
		{[]string{"sample", "--run", tiny, "--sampler", "hmc", "--count", "64", "--draws", "2", "--warmup", "3", "--thin", "1", "--steps", "4"},
			[]string{"samples.npz", "samples.json", "chains.npz", "diagnostics.json"}},
		{[]string{"likelihood", "--run", tiny, "--images", "pictures/samples.npz", "--count", "20", "--chains", "18",
			"--distributions", "6", "--sigma0", "0.1"},
			[]string{"likelihood.json"}},
		{[]string{"inpaint", "--run", tiny, "--images", "pictures/samples.npz", "--count", "9", "--completions", "2", "--mask", "left",
			"--steps", "4", "--sigma0", "0.1"}, []string{"inpaint.json", "completions.npy", "inpaint.png", "png/000017.png"}},
		{[]string{"restore", "--run", tiny, "--images", "pictures/samples.npz", "--count", "9", "--samples", "2", "--task", "superres",
			"--factor", "2", "--sampler", "ddim", "--levels", "3", "--sigma0", "0.1"},
			[]string{"restore.json", "samples.npy", "mean.npy", "deviation.npy", "measured.npy", "restore.png"}},
	} {
		name := c.args[0] + strconv.Itoa(len(c.args))
		in := func(folder string, more ...string) []string {
			if err := os.MkdirAll(filepath.Join(name, folder), 0o777); err != nil {
				t.Fatal(err)
			}
			t.Chdir(filepath.Join(name, folder))
			args := slices.Clone(c.args)
			for i, a := range args {
				if strings.HasPrefix(a, "pictures/") {
					args[i] = "../../" + a
				}
			}
			return slices.Concat(args, []string{"-q"}, more)
		}
		root, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		mustRun(t, in("whole", "--out", "o")...)
		t.Chdir(root)
		for _, i := range []string{"3", "1", "2", "1"} {
			mustRun(t, in("shared", "--out", "o", "--part", i+"/3")...)
			t.Chdir(root)
		}
		code, _, stderr := ebmRun(t, in("shared", "--out", "o", "--part", "2/3", "--seed", "9")...)
		if code != 1 || !strings.Contains(stderr, "seed") || !strings.Contains(stderr, "9") {
			t.Errorf("%s: a part of another seed: status %d, %s", name, code, stderr)
		}
		wantDone(t, "o", c.args[0], 3)
		mustRun(t, "merge", "o")
		t.Chdir(root)
		for _, i := range []string{"1", "2"} {
			mustRun(t, in("apart", "--out", "p"+i, "--part", i+"/2")...)
			t.Chdir(root)
		}
		t.Chdir(filepath.Join(name, "apart"))
		mustRun(t, "merge", "p2", "p1", "--out", "o")
		code, _, stderr = ebmRun(t, "merge", "p1", "--out", "half")
		if code != 1 || !strings.Contains(stderr, "lacks") || !strings.Contains(stderr, "1 of 2 parts have not begun") {
			t.Errorf("%s: half of the parts: status %d, %s", name, code, stderr)
		}
		t.Chdir(root)
		for _, other := range []string{"shared", "apart"} {
			testkit.SameFiles(t, filepath.Join(name, other, "o"), filepath.Join(name, "whole", "o"), c.files...)
		}
	}
}

// wantDone has the list of ebm watch say that so many parts in a folder are finished, and
// with them all of the job.
func wantDone(t *testing.T, dir, command string, parts int) {
	t.Helper()
	found := decode[watch.Found](t, mustRun(t, "watch", dir, "--json"))
	if len(found.Shared) != 1 {
		t.Fatalf("parts %+v below %s, want those of one job", found.Shared, dir)
	}
	if s := found.Shared[0]; s.Command != command || s.Parts != parts || s.Finished != parts ||
		s.Done != s.Total || s.Total == 0 || s.Share != 1 {
		t.Errorf("%s: %+v, want all of %d parts finished", command, s, parts)
	}
}

// TestPartsOfFeatures extracts features in parts; the JSON of the evaluation is that of
// one process.
func TestPartsOfFeatures(t *testing.T) {
	testkit.Long(t)
	tiny := tinyWeights(t)
	t.Chdir(t.TempDir())
	mustRun(t, "sample", "-q", "--run", tiny, "--count", "300", "--steps", "2", "--out", "pictures")
	args := []string{"evaluate", "-q", "--samples", "pictures", "--reference", "mnist:test", "--limit", "290", "--features", "classifier"}
	want := mustRun(t, slices.Concat(args, []string{"--json"})...)
	for _, p := range []parallel.Part{{Index: 2, Count: 2}, {Index: 1, Count: 2}} {
		if code, _, stderr := ebmRun(t, "merge", "cache", "--json"); code == 0 {
			t.Errorf("before part %v: no error, %s", p, stderr)
		}
		mustRun(t, slices.Concat(args, []string{"--cache", "cache", "--part", p.String()})...)
	}
	wantDone(t, "cache", "evaluate", 2)
	if got := mustRun(t, "merge", "cache", "--json"); got != want {
		t.Errorf("joined\n%s\nwant\n%s", got, want)
	}
	mustRun(t, slices.Concat(args, []string{"--cache", "cache", "--times", "times.json"})...)
	if times := string(testkit.Read(t, "times.json")); !strings.Contains(times, `"computed": 0`) {
		t.Errorf("times %s, want no picture computed again", times)
	}
	var sums []string
	for _, i := range []string{"1", "2"} {
		sums = append([]string{"sums" + i + ".npz"}, sums...)
		mustRun(t, "evaluate", "-q", "--samples", "mnist:test", "--limit", "900", "--features", "classifier",
			"--part", i+"/2", "--write-sums", sums[0])
	}
	mustRun(t, "evaluate", "-q", "--samples", "mnist:test", "--limit", "900", "--features", "classifier", "--write-sums", "sums.npz")
	mustRun(t, slices.Concat([]string{"merge"}, sums, []string{"--out", "joined.npz"})...)
	mustRun(t, "merge", "sums.npz", "--out", "whole.npz")
	if !bytes.Equal(testkit.Read(t, "joined.npz"), testkit.Read(t, "whole.npz")) {
		t.Error("statistics of two parts differ from those of one process")
	}
	mustRun(t, "evaluate", "-q", "--samples", "pictures", "--reference", "joined.npz", "--features", "classifier", "--metrics", "fid")
	for want, more := range map[string][]string{"want --cache DIR": {"--part", "1/2"}, "--part": {"--cache", "c", "--part", "3/2"}} {
		if code, _, stderr := ebmRun(t, slices.Concat(args, more)...); code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%v: status %d, %s, want %s", more, code, stderr, want)
		}
	}
}
