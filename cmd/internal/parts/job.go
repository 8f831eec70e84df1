package parts

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"ebm/internal/atomicfile"
	"ebm/internal/files"
	"ebm/mdsm/samples"
)

// JobFile says in a folder that parts share what they are parts of.
const JobFile = "parts.json"

// SampleCommand is the command whose folders say in samples.json what they follow from.
const SampleCommand = "sample"

// Job is what the parts of a job have in common.
type Job struct {
	Command string              `json:"command"`
	Flags   map[string][]string `json:"flags"`         // as they were given, but for those of one process
	Key     string              `json:"key,omitempty"` // hash of all that the results follow from, where no file of the command has it
}

// ReadJob reads the job of a folder. The error wraps fs.ErrNotExist where it has none.
func ReadJob(dir string) (Job, error) {
	path := filepath.Join(dir, JobFile)
	data, err := files.ReadFile(path)
	if err != nil {
		return Job{}, err
	}
	var j Job
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return j, fmt.Errorf("%s, want what parts of a job have in common: %w", path, err)
	}
	return j, nil
}

// Claim makes a folder one of the parts of the job, if it is not that of another, which
// is a *samples.MismatchError.
func (j Job) Claim(dir string) error {
	had, err := ReadJob(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := atomicfile.MkdirAll(dir); err != nil {
			return err
		}
		return atomicfile.WriteJSON(filepath.Join(dir, JobFile), j)
	}
	if err != nil {
		return err
	}
	return had.Same(j, dir)
}

// Same reports what differs between the job of a folder and another, with which it is to
// be joined. Flags say nothing where the keys are equal: one may be another's default.
func (j Job) Same(other Job, dir string) error {
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
	if len(list) == 0 || j.Command == other.Command && j.Key == "" && j.Command == SampleCommand {
		return nil // what makes samples differ is in samples.json
	}
	return &samples.MismatchError{Dir: dir, Differences: list}
}
