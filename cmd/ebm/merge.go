package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm/cmd/internal/parts"
	"ebm/evaluate/sets"
	"ebm/internal/atomicfile"
	"ebm/internal/files"
	"ebm/mdsm/samples"
)

// sharedCommand computes parts of jobs, in the folder that a flag names.
type sharedCommand struct {
	make   func(*app) *cobra.Command
	folder string
}

func (a *app) sharing() map[string]sharedCommand {
	return map[string]sharedCommand{
		parts.SampleCommand: {newSample, "out"}, "likelihood": {newLikelihood, "out"}, "inpaint": {newInpaint, "out"},
		"restore": {newRestore, "out"}, "evaluate": {newEvaluate, "cache"},
	}
}

func newMerge(a *app) *cobra.Command {
	var out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "merge PART… [--out DIR]",
		Short: "Join the parts of a job that several processes or machines computed",
		Long: `merge joins what parts of a job (--part I/N) left in the folder that they share, or in
several folders, which --out then names a new one for. What is joined is the same, byte
for byte, as what one process makes: samples, tables and JSON. Parts that do not belong
together are refused, and what is missing is named; parts that have it can be run again.

Parts of sample, likelihood, inpaint, restore and of the features of evaluate (--cache)
are joined; all but samples from the folder in which the parts ran, since models and
pictures are looked for again. Statistics (.npz) that evaluate --write-sums made of parts
of the pictures are joined as well, in any order, with the same bits.`,
		Example: `  ebm merge samples
  ebm merge part1 part2 part3 part4 --out samples
  ebm merge sums1.npz sums2.npz --out statistics.npz`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.merge(cmd.Context(), args, out, asJSON) },
	}
	cmd.Flags().StringVar(&out, "out", "", "the folder to join several in, which is new or empty; or the file of statistics")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

func (a *app) merge(ctx context.Context, dirs []string, out string, asJSON bool) error {
	if len(dirs) > 1 && out == "" {
		return usagef("want --out DIR, the folder to join %d parts in", len(dirs))
	}
	if filepath.Ext(dirs[0]) == ".npz" {
		return a.mergeSums(dirs, out, asJSON)
	}
	j, err := parts.ReadJob(dirs[0])
	if errors.Is(err, fs.ErrNotExist) {
		// Folders of samples that are complete, of an older version or of one process.
		f := sampleFlags{out: out, grid: 64, crop: -1, asJSON: asJSON}
		if len(dirs) == 1 {
			return fmt.Errorf("%s has no %s, want a folder that parts of a job left", dirs[0], parts.JobFile)
		}
		return f.merge(ctx, a, dirs)
	}
	if err != nil {
		return err
	}
	command, ok := a.sharing()[j.Command]
	if !ok {
		return fmt.Errorf("%s: parts of %q, want one of %s", filepath.Join(dirs[0], parts.JobFile), j.Command,
			strings.Join(slices.Sorted(maps.Keys(a.sharing())), ", "))
	}
	dir := dirs[0]
	if out != "" {
		if dir, err = out, gather(ctx, dirs, out); err != nil {
			return err
		}
	}
	cmd := command.make(a)
	quiet, threads, devices, library, provider := a.quiet, a.threads, a.devices, a.ortLibrary, a.provider
	a.addFlags(cmd.Flags()) // which sets their defaults
	for name, values := range j.Flags {
		if err := setFlag(cmd.Flags(), name, values); err != nil {
			return fmt.Errorf("%s: --%s: %w", filepath.Join(dir, parts.JobFile), name, err)
		}
	}
	if a.quiet, a.threads, a.devices, a.ortLibrary = quiet, threads, devices, library; provider != "auto" {
		a.provider = provider
	}
	for name, value := range map[string]string{command.folder: dir, "join": "true", "json": strconv.FormatBool(asJSON)} {
		if err := cmd.Flags().Set(name, value); err != nil {
			return err
		}
	}
	cmd.SetContext(ctx)
	err = cmd.RunE(cmd, nil)
	if errors.As(err, new(*samples.MissingError)) {
		if s, unread := parts.Read(dir, time.Now()); unread == nil {
			for _, line := range s.Lines() {
				a.log(line)
			}
		}
	}
	return err
}

// mergeSums joins statistics of parts of the samples.
func (a *app) mergeSums(sums []string, out string, asJSON bool) error {
	if out == "" {
		return usagef("want --out FILE, the .npz file of statistics")
	}
	n, err := sets.MergeSums(sums, out)
	if err != nil {
		return err
	}
	return a.answer(asJSON, map[string]any{"path": out, "count": n}, "%s\tstatistics of %d samples\n", out, n)
}

// setFlag gives a flag its values.
func setFlag(fs *pflag.FlagSet, name string, values []string) error {
	f := fs.Lookup(name)
	if f == nil || slices.Contains(ownFlags(), name) {
		return errors.New("no flag of parts")
	}
	f.Changed = true
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return list.Replace(values)
	}
	if len(values) != 1 {
		return fmt.Errorf("%d values, want one", len(values))
	}
	return f.Value.Set(values[0])
}

// gather copies what several parts have into a new folder. Of files that several have,
// which are equal but for chains in progress, it takes the last.
func gather(ctx context.Context, dirs []string, out string) error {
	if entries, err := os.ReadDir(out); err == nil && len(entries) > 0 {
		return fmt.Errorf("merge into %s: it is not empty", out)
	}
	first, err := parts.ReadJob(dirs[0])
	if err != nil {
		return err
	}
	record, err := samples.ReadRecord(dirs[0])
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	sampled := err == nil
	for _, p := range dirs[1:] {
		j, err := parts.ReadJob(p)
		if err == nil {
			err = j.Same(first, p)
		}
		if err == nil && sampled {
			err = record.SameSet(p)
		}
		if err != nil {
			return fmt.Errorf("merge: %w", err)
		}
	}
	return atomicfile.Dir(out, func(tmp string) error {
		for _, p := range dirs {
			if err := copyParts(ctx, p, tmp); err != nil {
				return err
			}
		}
		return nil
	})
}

// copyParts copies the files of a folder and below it to another, but for those that
// are there and newer, and leaves their times.
func copyParts(ctx context.Context, from, to string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if e.IsDir() {
			return os.MkdirAll(target, 0o777)
		}
		info, err := e.Info()
		if err != nil || !e.Type().IsRegular() || atomicfile.IsTemporary(e.Name()) || files.IsLock(e.Name()) {
			return err
		}
		if had, err := os.Stat(target); err == nil && had.ModTime().After(info.ModTime()) {
			return nil
		}
		in, err := files.Open(path)
		if err != nil {
			return err
		}
		defer in.Close()
		err = atomicfile.Write(target, func(w io.Writer) error {
			_, err := io.Copy(w, in)
			return err
		})
		if err != nil {
			return err
		}
		return os.Chtimes(target, info.ModTime(), info.ModTime())
	})
}
