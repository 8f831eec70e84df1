package verify

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"ebm/internal/npz"
	"ebm/models/tensor"
)

// The script runs a file in the runtimes that a Python has. It is handed the
// file's inputs as a .npz file and leaves the outputs in another.
//
//go:embed runtimes.py
var runtimesScript []byte

// otherRuntimes are the runtimes of the script in its order, and what they are
// called.
var otherRuntimes = []struct{ key, name string }{
	{"onnxruntime", "ONNX Runtime of Python"},
	{"onnx", "the onnx package's reference evaluator"},
}

// scriptReport is what the script prints.
type scriptReport struct {
	Python   string `json:"python"`
	Runtimes map[string]struct {
		Status  string `json:"status"` // ran, absent or failed
		Version string `json:"version"`
		Reason  string `json:"reason"`
	} `json:"runtimes"`
}

// checkOthers runs the score model on the reference's pictures, or else on the
// batch, in other runtimes and compares ONNX Runtime here with them. What is
// absent becomes a note, and what is there and fails becomes a check that does
// not pass.
func (s *session) checkOthers(ctx context.Context) error {
	x := s.batch.noisy
	if s.options.Reference != nil {
		x = s.options.Reference.X
	}
	here, err := s.run(ctx, x)
	if err != nil {
		return err
	}
	python, err := findPython(s.options.Python)
	if err != nil {
		if s.options.Python != "" {
			return err
		}
		s.Notes = append(s.Notes, fmt.Sprintf("no other runtime was run: %v", err))
		return nil
	}
	report, outputs, err := s.runScript(ctx, python, x)
	if err != nil {
		return stopped(ctx, err)
	}
	for _, other := range otherRuntimes {
		r := report.Runtimes[other.key]
		if r.Status == "absent" {
			s.Notes = append(s.Notes, fmt.Sprintf("%s was not run: %s (Python %s)", other.name, short(r.Reason), report.Python))
			continue
		}
		named := strings.TrimSpace(fmt.Sprintf("%s %s (Python %s)", other.name, r.Version, report.Python))
		s.Others = append(s.Others, named)
		if r.Status != "ran" {
			s.Notes = append(s.Notes, fmt.Sprintf("%s failed: %s", named, short(r.Reason)))
		}
		var list []Comparison
		for _, name := range s.outputs {
			var want []float64
			if t := outputs[other.key+"/"+name]; t != nil {
				want = t.Float64s()
			}
			want = want[:min(len(want), len(here[name]))] // without what filled up the last run
			list = append(list, compare(name, here[name], want))
		}
		s.add(newCheck("other runtime", s.in(inRuntime), named, s.options.ReferenceTolerance, list))
	}
	return nil
}

// findPython returns the path of a Python program.
func findPython(name string) (string, error) {
	if name == "" {
		name = "python3"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("no Python: %w", err)
	}
	return filepath.Abs(path)
}

// runScript runs the script on x [N …] by groups of pictures.
func (s *session) runScript(ctx context.Context, python string, x *tensor.Tensor) (scriptReport, map[string]*tensor.Tensor, error) {
	var report scriptReport
	folder, err := os.MkdirTemp("", "ebm-verify-")
	if err != nil {
		return report, nil, err
	}
	defer os.RemoveAll(folder)
	script, in, out := filepath.Join(folder, "runtimes.py"), filepath.Join(folder, "in.npz"), filepath.Join(folder, "out.npz")
	if err := os.WriteFile(script, runtimesScript, 0o600); err != nil {
		return report, nil, err
	}
	group := s.group(x)
	runs := (x.Shape()[0] + group - 1) / group
	padded := rowsFrom(x, 0, runs*group).Reshape(append([]int{runs, group}, s.shape...)...)
	f, err := os.Create(in)
	if err != nil {
		return report, nil, err
	}
	err = npz.Write(f, map[string]*tensor.Tensor{"x": padded}, npz.Store)
	if err := errors.Join(err, f.Close()); err != nil {
		return report, nil, err
	}
	model, err := filepath.Abs(s.path)
	if err != nil {
		return report, nil, err
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, python, script, model, in, out)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = folder, &stdout, &stderr, time.Second
	if err := cmd.Run(); err != nil {
		return report, nil, fmt.Errorf("%s: %w: %s", python, err, short(stderr.String()))
	}
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		return report, nil, fmt.Errorf("%s: what the script printed is no report: %w", python, err)
	}
	outputs, err := npz.ReadFile(out)
	if errors.Is(err, os.ErrNotExist) { // without NumPy nothing is written
		err = nil
	}
	return report, outputs, err
}

// short returns the end of a text, where the reason of a failure is, in one
// line.
func short(text string) string {
	const most = 400
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = "…" + strings.ToValidUTF8(text[len(text)-most:], "")
	}
	return text
}
