package samples

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"ebm/internal/atomicfile"
	"ebm/internal/files"
	"ebm/internal/npz"
	"ebm/models/tensor"
)

// The files of a Process.
const (
	TraceFile     = "trace.json"
	SnapshotsFile = "snapshots.npz"
)

// trace is the content of trace.json.
type trace struct {
	First       int         `json:"first"`
	Chains      int         `json:"chains"`
	StepSize    float64     `json:"step_size"`
	Snapshots   []int       `json:"snapshots"`
	Temperature []float64   `json:"temperature"`
	MeanEnergy  []float64   `json:"mean_energy"`
	Energy      [][]float32 `json:"energy"`
	Acceptance  [][]float32 `json:"acceptance,omitempty"` // of each snapshot and chain, null where it is not known
	Swaps       []Swap      `json:"swaps,omitempty"`      // of parallel tempering
}

// Write writes the process into a folder as trace.json and, when it has
// snapshots, snapshots.npz: step [S] (int64), x and denoised [S Chains …].
func (p *Process) Write(dir string) error {
	t := trace{First: p.First, Chains: p.Chains, StepSize: p.StepSize, Temperature: p.Temperature,
		MeanEnergy: p.MeanEnergy(), Energy: p.Energy, Swaps: p.Swaps}
	for i, s := range p.Snapshots {
		t.Snapshots = append(t.Snapshots, s.Step)
		if s.Acceptance != nil && t.Acceptance == nil {
			t.Acceptance = make([][]float32, len(p.Snapshots))
		}
		if s.Acceptance != nil {
			t.Acceptance[i] = s.Acceptance
		}
	}
	// The trace is written last: where it is, the snapshots are.
	if err := p.writeSnapshots(filepath.Join(dir, SnapshotsFile)); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, TraceFile), func(w io.Writer) error { return json.NewEncoder(w).Encode(t) })
}

func (p *Process) writeSnapshots(path string) error {
	if len(p.Snapshots) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	var steps []int64
	var x, clean []*tensor.Tensor
	for _, s := range p.Snapshots {
		steps = append(steps, int64(s.Step))
		x, clean = append(x, s.X), append(clean, s.Denoised)
	}
	shape := append([]int{len(steps)}, p.Snapshots[0].X.Shape()...)
	return atomicfile.Write(path, func(w io.Writer) error {
		return npz.Write(w, map[string]*tensor.Tensor{
			"step": tensor.Of(steps, len(steps)), "x": tensor.Concat(x...).Reshape(shape...), "denoised": tensor.Concat(clean...).Reshape(shape...),
		}, npz.Store)
	})
}

// ReadProcess reads what Process.Write wrote. The error wraps fs.ErrNotExist
// when there is nothing.
func ReadProcess(dir string) (*Process, error) {
	t, err := readTrace(dir)
	if err != nil {
		return nil, err
	}
	p := &Process{First: t.First, Chains: t.Chains, StepSize: t.StepSize, Temperature: t.Temperature, Energy: t.Energy, Swaps: t.Swaps}
	if len(t.Snapshots) == 0 {
		return p, nil
	}
	path := filepath.Join(dir, SnapshotsFile)
	arrays, err := npz.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if p.Snapshots, err = t.split(arrays["x"], arrays["denoised"]); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

func parseTrace(data []byte) (trace, error) {
	var t trace
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&t); err != nil {
		return t, fmt.Errorf("not a trace: %w", err)
	}
	if t.Chains < 1 || len(t.Energy) != 0 && len(t.Energy) != t.Chains {
		return t, fmt.Errorf("a trace of %d chains has the energies of %d", t.Chains, len(t.Energy))
	}
	if len(t.Acceptance) != 0 && len(t.Acceptance) != len(t.Snapshots) {
		return t, fmt.Errorf("a trace of %d snapshots has the acceptance of %d", len(t.Snapshots), len(t.Acceptance))
	}
	for i, a := range t.Acceptance {
		if a != nil && len(a) != t.Chains {
			return t, fmt.Errorf("snapshot %d of %d chains has the acceptance of %d", i, t.Chains, len(a))
		}
	}
	for i, e := range t.Energy {
		if len(e) != len(t.Temperature) {
			return t, fmt.Errorf("chain %d has %d energies for %d temperatures", i, len(e), len(t.Temperature))
		}
	}
	return t, nil
}

// split divides the arrays of snapshots.npz into snapshots.
func (t trace) split(x, clean *tensor.Tensor) ([]Snapshot, error) {
	if x == nil || clean == nil || x.DType() != tensor.Float32 || clean.DType() != tensor.Float32 || !slices.Equal(x.Shape(), clean.Shape()) ||
		x.Rank() < 3 || x.Shape()[0] != len(t.Snapshots) || x.Shape()[1] != t.Chains {
		return nil, fmt.Errorf("x is %v, denoised %v, want float32 of one shape beginning with [%d %d]", describe(x), describe(clean),
			len(t.Snapshots), t.Chains)
	}
	part := func(of *tensor.Tensor, i int) *tensor.Tensor { return of.Rows(i, i+1).Reshape(of.Shape()[1:]...) }
	var snapshots []Snapshot
	for i, step := range t.Snapshots {
		s := Snapshot{Step: step, X: part(x, i), Denoised: part(clean, i)}
		if i < len(t.Acceptance) {
			s.Acceptance = t.Acceptance[i]
		}
		snapshots = append(snapshots, s)
	}
	return snapshots, nil
}

func describe(t *tensor.Tensor) string {
	if t == nil {
		return "missing"
	}
	return t.String()
}

// fits reports whether the trace is of these chains of the job.
func (t trace) fits(j *Job, first, chains int) bool {
	return t.First == first && t.Chains == chains && len(t.Temperature) == j.Steps && slices.Equal(t.Snapshots, j.Watch.Snapshots)
}

func readTrace(dir string) (trace, error) {
	return files.Parse(filepath.Join(dir, TraceFile), parseTrace)
}
