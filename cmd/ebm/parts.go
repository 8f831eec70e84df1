package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm/cmd/internal/parts"
	"ebm/internal/atomicfile"
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
		a.work = parts.NewWork(p)
		return samples.Share{Part: p}, nil
	}
	p, from, err := partOf(os.Getenv)
	if err != nil {
		return samples.Share{}, usageError{err}
	}
	if !p.Whole() {
		a.log(fmt.Sprintf("part %v, from %s (--part 1/1 computes all)", p, from))
	}
	a.work = parts.NewWork(p)
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
		first, unclear := strconv.Atoi(cmp.Or(env(one.first), "0"))
		p = parallel.Part{Index: i - first + 1, Count: n}
		if cmp.Or(err, wrong, unclear) != nil || p.Index < 1 || p.Index > n {
			return p, "", fmt.Errorf("%s, want a number below the count: an array without steps or gaps, or --part I/N", from)
		}
		return p, from, nil
	}
	return p, "", nil
}

// ownFlags are those that may differ between the parts of a job, and the folder.
func ownFlags() []string {
	return []string{"out", "cache", "write-sums", "part", "shard", "join", "json", "quiet", "threads", "device", "ort-library", "times"}
}

// begin makes a folder that of the parts of a command's job, if it is not of another, and
// says there from now on how far this part is.
func (a *app) begin(cmd *cobra.Command, dir, key string) error {
	if err := jobOf(cmd, key).Claim(dir); err != nil {
		return err
	}
	a.work.Begin(dir)
	return nil
}

// jobOf returns the job of a command.
func jobOf(cmd *cobra.Command, key string) parts.Job {
	j := parts.Job{Command: cmd.Name(), Flags: make(map[string][]string), Key: key}
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

// shared begins the work of a process in a folder: of a part the folder is claimed, and
// else locked. release ends it.
func (a *app) shared(cmd *cobra.Command, s samples.Share, dir, key string) (release func(), err error) {
	if s.Part.Whole() {
		return atomicfile.Fill(dir, "write", "ebm "+cmd.Name())
	}
	return func() {}, a.begin(cmd, dir, key)
}

// endWork says in the folder that parts share how this one ended.
func (a *app) endWork(err error) {
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	if err := a.work.End(err); err != nil {
		a.log("other machines cannot see how far the part is: " + err.Error())
	}
}

// finishedPart says that a part is finished, where err says so, and how to go on.
func (a *app) finishedPart(err error, s samples.Share, dir string, asJSON bool) error {
	if !errors.Is(err, samples.ErrPart) {
		return err
	}
	return a.answer(asJSON, map[string]any{"path": dir, "part": s.Part.String()},
		"%s\tpart %v is finished; when all are: ebm merge %s\n", dir, s.Part, dir)
}
