package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm/internal/atomicfile"
	"ebm/internal/files"
	"ebm/mdsm/samples"
	"ebm/runtime/parallel"
)

// partFlags say which part of a job a process computes, of those that several
// processes share a folder for.
type partFlags struct {
	part string
	join bool
}

func (f *partFlags) add(fs *pflag.FlagSet, folder string) {
	fs.StringVar(&f.part, "part", "", "compute only part I/N, into a "+folder+" that all parts share, for ebm merge to join (default: "+
		"what Slurm, Kubernetes, MPI or EBM_SHARD say; 1/1 for all)")
	fs.BoolVar(&f.join, "join", false, "")
	fs.MarkHidden("join") // the flag is there
}

// share returns what the flags and the environment say.
func (f *partFlags) share(a *app) (samples.Share, error) {
	switch {
	case f.join:
		return samples.Share{Join: true}, nil
	case f.part != "":
		p, err := parallel.ParsePart(f.part)
		if err != nil {
			return samples.Share{}, usagef("--part %w", err)
		}
		return samples.Share{Part: p}, nil
	}
	p, from, err := partOf(os.Getenv)
	if err != nil {
		return samples.Share{}, usageError{err}
	}
	if !p.Whole() {
		a.log(fmt.Sprintf("part %v, from %s (--part 1/1 computes all)", p, from))
	}
	return samples.Share{Part: p}, nil
}

// partOf returns the part that the environment names, and the variables that say so:
// EBM_SHARD, a Slurm array, a Kubernetes indexed job, or the ranks of MPI or Slurm.
func partOf(env func(string) string) (p parallel.Part, from string, err error) {
	if text := env("EBM_SHARD"); text != "" {
		p, err := parallel.ParsePart(text)
		if err != nil {
			return p, "", fmt.Errorf("EBM_SHARD %w", err)
		}
		return p, "EBM_SHARD=" + text, nil
	}
	for _, one := range []struct{ index, first, count, counted string }{
		{"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT", ""},
		{"JOB_COMPLETION_INDEX", "", "EBM_PARTS", "the Job's completions"},
		{"OMPI_COMM_WORLD_RANK", "", "OMPI_COMM_WORLD_SIZE", ""},
		{"PMI_RANK", "", "PMI_SIZE", ""},
		{"SLURM_PROCID", "", "SLURM_STEP_NUM_TASKS", ""},
	} {
		index, count := env(one.index), env(one.count)
		if index == "" || count == "" && one.counted == "" {
			continue
		}
		from := one.index + "=" + index + " of " + one.count + "=" + count
		if count == "" {
			return p, "", fmt.Errorf("%s=%s, want %s too: %s", one.index, index, one.count, one.counted)
		}
		i, err := strconv.Atoi(index)
		n, wrong := strconv.Atoi(count)
		first := 0
		if one.first != "" && env(one.first) != "" {
			first, err = atoi(env(one.first), err)
		}
		p = parallel.Part{Index: i - first + 1, Count: n}
		if err != nil || wrong != nil || p.Index < 1 || p.Index > n {
			return p, "", fmt.Errorf("%s, want a number below the count: an array without steps or gaps, or --part I/N", from)
		}
		return p, from, nil
	}
	return p, "", nil
}

// atoi reads a number, unless there was an error before.
func atoi(text string, before error) (int, error) {
	n, err := strconv.Atoi(text)
	return n, cmp.Or(before, err)
}

// partsFile says in a folder that parts share what they are parts of.
const partsFile = "parts.json"

// sharedJob is what the parts of a job have in common.
type sharedJob struct {
	Command string              `json:"command"`
	Flags   map[string][]string `json:"flags"`         // as they were given, but for those of one process
	Key     string              `json:"key,omitempty"` // hash of all that the results follow from, where no file of the command has it
}

// ownFlags are those that may differ between the parts of a job, and the folder.
func ownFlags() []string {
	return []string{"out", "cache", "write-sums", "part", "shard", "join", "json", "quiet", "threads", "device", "ort-library", "times"}
}

// jobOf returns the job of a command.
func jobOf(cmd *cobra.Command, key string) sharedJob {
	j := sharedJob{Command: cmd.Name(), Flags: make(map[string][]string), Key: key}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if slices.Contains(ownFlags(), f.Name) {
			return
		}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			j.Flags[f.Name] = list.GetSlice()
		} else {
			j.Flags[f.Name] = []string{f.Value.String()}
		}
	})
	return j
}

// claim makes a folder one of the parts of a job, if it is not that of another.
func (j sharedJob) claim(dir string) error {
	had, err := readJob(dir)
	if errors.Is(err, fs.ErrNotExist) {
		data, err := json.MarshalIndent(j, "", "  ")
		if err == nil {
			err = atomicfile.MkdirAll(dir)
		}
		if err != nil {
			return err
		}
		return atomicfile.WriteFile(filepath.Join(dir, partsFile), append(data, '\n'))
	}
	if err != nil {
		return err
	}
	return had.same(j, dir)
}

// same reports what differs between the job of a folder and another, with which it is to
// be joined. Flags say nothing where the keys are equal: one may be another's default.
func (j sharedJob) same(other sharedJob, dir string) error {
	if j.Command == other.Command && j.Key == other.Key && j.Key != "" {
		return nil
	}
	var list []string
	if j.Command != other.Command {
		list = append(list, fmt.Sprintf("command %s, want %s", j.Command, other.Command))
	}
	all := maps.Clone(j.Flags)
	maps.Copy(all, other.Flags)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if a, b := strings.Join(j.Flags[name], ","), strings.Join(other.Flags[name], ","); a != b {
			list = append(list, fmt.Sprintf("%s %s, want %s", name, cmp.Or(a, "not given"), cmp.Or(b, "not given")))
		}
	}
	if j.Key != other.Key && len(list) == 0 {
		list = append(list, fmt.Sprintf("model, data or engine of hash %.12s, want %.12s", j.Key, other.Key))
	}
	if len(list) == 0 || j.Command == other.Command && j.Key == "" && j.Command == sampleCommand {
		return nil // what makes samples differ is in samples.json
	}
	return &samples.MismatchError{Dir: dir, Differences: list}
}

const sampleCommand = "sample"

func readJob(dir string) (sharedJob, error) {
	path := filepath.Join(dir, partsFile)
	data, err := files.ReadFile(path)
	if err != nil {
		return sharedJob{}, err
	}
	var j sharedJob
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return j, fmt.Errorf("%s, want what parts of a job have in common: %w", path, err)
	}
	return j, nil
}

// shared begins the work of a process in a folder: of a part the folder is claimed, and
// else locked. release ends it.
func (a *app) shared(cmd *cobra.Command, s samples.Share, dir, key string) (release func(), err error) {
	if s.Part.Whole() {
		return atomicfile.Fill(dir, "write", "ebm "+cmd.Name())
	}
	return func() {}, jobOf(cmd, key).claim(dir)
}

// finishedPart says that a part is finished, where err says so, and how to go on.
func (a *app) finishedPart(err error, s samples.Share, dir string, asJSON bool) error {
	if !errors.Is(err, samples.ErrPart) {
		return err
	}
	if asJSON {
		return a.printJSON(map[string]any{"path": dir, "part": s.Part.String()})
	}
	a.printf("%s\tpart %v is finished; when all are: ebm merge %s\n", dir, s.Part, dir)
	return nil
}
