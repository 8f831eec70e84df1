package samples

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"ebm/internal/atomicfile"
	"ebm/internal/files"
	"ebm/internal/npz"
	"ebm/models/tensor"
	"ebm/runtime"
)

// RecordFile names the file of a Record.
const RecordFile = "samples.json"

// Record says what a folder's samples follow from. Two folders whose records
// are equal but for First and Count hold samples of one set.
type Record struct {
	Schedule   string  `json:"schedule"`
	Steps      int     `json:"steps"`
	Hot        float64 `json:"hot"`
	Cool       float64 `json:"cool"`
	StepSize   float64 `json:"step_size"`
	StartMean  float64 `json:"start_mean"`
	StartSigma float64 `json:"start_sigma"`
	StartFrom  string  `json:"start_points_sha256,omitempty"` // of the points that chains begin at
	Jump       bool    `json:"denoising_jump"`
	Seed       uint64  `json:"seed"`
	First      int     `json:"first"`
	Count      int     `json:"count"`
	Model      string  `json:"model_sha256"`
	Engine     string  `json:"engine"` // what computed, such as "onnxruntime 1.28.2 cpu"
	// Choices are those of the device, for what goes on there; the engine has what changes bits.
	Choices runtime.Choices `json:"choices,omitempty"`
	Group   int             `json:"group_size"` // samples in a run of the model
	Shape   string          `json:"shape"`      // of one sample in the archive, such as "28x28x1"
	Float32 bool            `json:"float32"`    // whether samples_float32.npy is made
	// Floats is the SHA-256 of samples_float32.npy, once it is made.
	Floats string `json:"float32_sha256,omitempty"`
	// Of chains that do not only anneal: mala, hmc or langevin; what they are
	// made with; the SHA-256 of the temperatures before T, which is Cool; and
	// how many samples a chain has.
	Sampler  string  `json:"sampler,omitempty"`
	Leapfrog int     `json:"leapfrog,omitempty"`
	Target   float64 `json:"target_acceptance,omitempty"`
	Anneal   string  `json:"anneal_sha256,omitempty"` // where the schedule is "given", of step sizes and temperatures
	Warmup   int     `json:"warmup,omitempty"`
	Draws    int     `json:"draws,omitempty"`
	Thin     int     `json:"thin,omitempty"`
	// Describe holds what else is known, such as the model's name and σ₀.
	Describe map[string]string `json:"describe,omitempty"`
}

// ReadRecord reads a folder's record. The error wraps fs.ErrNotExist when it
// has none.
func ReadRecord(dir string) (Record, error) {
	return files.Parse(filepath.Join(dir, RecordFile), parseRecord)
}

func parseRecord(data []byte) (Record, error) {
	var r Record
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("not a record of samples: %w", err)
	}
	if r.Count < 1 || r.First < 0 {
		return r, fmt.Errorf("a record of %d samples from index %d", r.Count, r.First)
	}
	return r, nil
}

// HashOf returns the SHA-256 of a tensor's shape and elements, in hexadecimal, as
// records have it of points and temperatures.
func HashOf(list ...*tensor.Tensor) string {
	h := sha256.New()
	for _, x := range list {
		fmt.Fprintln(h, x.Shape())
		// Writing to a hash does not fail.
		_ = npz.WriteElements(h, x)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (r Record) write(dir string) error {
	return atomicfile.WriteJSON(filepath.Join(dir, RecordFile), r)
}

// MismatchError says that a folder holds samples of other settings.
type MismatchError struct {
	Dir string
	// Differences lists the settings, such as "seed 1, want 2".
	Differences []string
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s has samples made with other settings: %s; take another folder, or remove it", e.Dir,
		strings.Join(e.Differences, "; "))
}

// differences lists the settings in which two records differ, by their names
// in the file, but for those that are left out.
func (r Record) differences(wanted Record, except ...string) []string {
	var list []string
	a, b := reflect.ValueOf(r), reflect.ValueOf(wanted)
	for i := range a.NumField() {
		name, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("json"), ",")
		if slices.Contains(append(except, "describe", "float32_sha256", "choices"), name) ||
			a.Field(i).Interface() == b.Field(i).Interface() {
			continue
		}
		list = append(list, fmt.Sprintf("%s %v, want %v", name, a.Field(i), b.Field(i)))
	}
	return list
}

// claim makes the folder one of the record's samples, unless it is already one
// of others. One of the first samples of the record grows, if it may.
func (r Record) claim(dir string, grows bool) error {
	had, err := ReadRecord(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return r.write(dir)
	case err != nil:
		return err
	}
	if _, err := CheckFloats(filepath.Join(dir, Float32File)); err != nil {
		return fmt.Errorf("%w: remove it to draw its samples again", err)
	}
	if d := had.differences(r, "count"); grows && len(d) == 0 && had.Count < r.Count {
		return r.write(dir) // the folder grows
	}
	if d := had.differences(r); len(d) > 0 {
		return &MismatchError{dir, d}
	}
	return nil
}

// SameSet reports a folder whose samples are of another set: a setting that differs is
// a *MismatchError.
func (r Record) SameSet(dir string) error {
	other, err := ReadRecord(dir)
	if err != nil {
		return err
	}
	if d := other.differences(r); len(d) > 0 {
		return &MismatchError{dir, d}
	}
	return nil
}

// CheckFloats compares a file, when it is a folder's samples_float32.npy, with the
// hash in the folder's record. It returns false when there is nothing to compare.
func CheckFloats(path string) (checked bool, err error) {
	if filepath.Base(path) != Float32File {
		return false, nil
	}
	r, err := ReadRecord(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) || err == nil && r.Floats == "" {
		return false, nil // of an older version, or from elsewhere
	}
	if err != nil {
		return false, err
	}
	got, _, err := files.Hash(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil && got != r.Floats {
		err = fmt.Errorf("%s is damaged: SHA-256 %s, but its folder's record says %s", path, got, r.Floats)
	}
	return true, err
}

// seal enters the hash of samples_float32.npy, which was made, into the record.
func (r Record) seal(dir string) (err error) {
	if r.Floats, _, err = files.Hash(filepath.Join(dir, Float32File)); err != nil {
		return err
	}
	return r.write(dir)
}
