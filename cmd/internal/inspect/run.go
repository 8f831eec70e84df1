package inspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"ebm/internal/files"
	"ebm/internal/metrics"
	"ebm/mdsm/train"
	"ebm/models/weights"
)

// The files that tell a run's folder and a checkpoint's from others.
const (
	configFile = train.ConfigFile
	modelFile  = "model.safetensors"
	stateFile  = "state.safetensors"
)

// Run describes a training run.
type Run struct {
	Network     string         `json:"network"`
	Settings    map[string]any `json:"settings"` // as in config.toml
	Step        int            `json:"step"`     // of the newest checkpoint, 0 if there is none
	Steps       int            `json:"steps"`    // to make in all
	Metrics     *Metrics       `json:"metrics,omitempty"`
	Checkpoints []Saved        `json:"checkpoints"`
	Incomplete  []string       `json:"incomplete,omitempty"` // folders of checkpoints that lack a file
	Files       []File         `json:"files"`                // that were made of the run

	toml string // the settings as text
}

// Metrics are the last that a run wrote.
type Metrics struct {
	Lines  int                 `json:"lines"`
	Step   int64               `json:"step"`
	Time   time.Time           `json:"time"`
	Values map[string]*float64 `json:"values"` // nil where not finite
}

// Saved is one checkpoint of a run.
type Saved struct {
	Step  int    `json:"step"`
	Dir   string `json:"dir"`
	Bytes int64  `json:"bytes"`
}

// File is a file of a run.
type File struct {
	Path  string `json:"path"` // relative to the run's folder
	Bytes int64  `json:"bytes"`
}

// Checkpoint describes the state of a run after some step. Model holds the
// trained weights, State the optimiser's: moments, and averaged weights if
// the run averages.
type Checkpoint struct {
	Step  int      `json:"step"`
	Model *Weights `json:"model"`
	State *Weights `json:"state"`
	// Averaged says that the weights in use are the averaged ones.
	Averaged bool `json:"averaged"`
}

func describeRun(ctx context.Context, dir string) (*Run, error) {
	s, err := train.ReadSettings(dir)
	if err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("settings %s: %w", filepath.Join(dir, configFile), err)
	}
	r := &Run{Network: s.NetworkName(), Steps: s.Steps, Checkpoints: []Saved{}, Files: []File{}}
	if r.toml, r.Settings, err = settingsTable(s); err != nil {
		return nil, err
	}
	list, err := train.Checkpoints(dir)
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		size, err := folderSize(ctx, c.Dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile, for a newer one
		}
		if err != nil {
			return nil, err
		}
		r.Checkpoints = append(r.Checkpoints, Saved{c.Step, c.Dir, size})
		r.Step = c.Step
	}
	broken, err := train.Incomplete(dir)
	if err != nil {
		return nil, err
	}
	for _, c := range broken {
		r.Incomplete = append(r.Incomplete, c.Dir)
	}
	if r.Metrics, err = lastMetrics(filepath.Join(dir, metrics.LinesFile)); err != nil {
		return nil, err
	}
	return r, r.findFiles(ctx, dir)
}

// settingsTable returns settings as the text of config.toml and as a table.
func settingsTable(s train.Settings) (string, map[string]any, error) {
	var b bytes.Buffer
	e := toml.NewEncoder(&b)
	e.Indent = ""
	if err := e.Encode(s); err != nil {
		return "", nil, fmt.Errorf("settings: %w", err)
	}
	table := make(map[string]any)
	if _, err := toml.Decode(b.String(), &table); err != nil {
		return "", nil, fmt.Errorf("settings: %w", err)
	}
	return b.String(), table, nil
}

// lastMetrics reads the last value of every metric, which lines need not all
// have; nil when there is no line.
func lastMetrics(path string) (*Metrics, error) {
	records, err := metrics.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil || len(records) == 0 {
		return nil, err
	}
	last := records[len(records)-1]
	m := &Metrics{Lines: len(records), Step: last.Step, Time: last.Time, Values: make(map[string]*float64, len(last.Values))}
	for _, r := range records {
		for name, v := range r.Values {
			m.Values[name] = nil
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				m.Values[name] = &v
			}
		}
	}
	return m, nil
}

// findFiles lists what was made of the run: models, samples, reports.
func (r *Run) findFiles(ctx context.Context, dir string) error {
	for _, pattern := range []string{"model/*", "samples/*", "report.html", "report.json"} {
		if err := ctx.Err(); err != nil {
			return err
		}
		paths, err := filepath.Glob(filepath.Join(files.Literal(dir), pattern))
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		for _, path := range paths {
			info, err := os.Stat(path)
			if err != nil || !info.Mode().IsRegular() {
				continue // removed meanwhile, or a folder
			}
			name, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			r.Files = append(r.Files, File{filepath.ToSlash(name), info.Size()})
		}
	}
	return nil
}

func folderSize(ctx context.Context, dir string) (int64, error) {
	var size int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		size += info.Size()
		return ctx.Err()
	})
	return size, err
}

func describeCheckpoint(ctx context.Context, dir string) (*Checkpoint, error) {
	model, err := describeWeightsFile(ctx, filepath.Join(dir, modelFile), "")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, stateFile)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	set, err := weights.Load(path)
	if err != nil {
		return nil, err
	}
	state, err := summarise(ctx, set)
	if err != nil {
		return nil, err
	}
	state.Bytes = info.Size()
	c := &Checkpoint{Model: model, State: state}
	if c.Step, err = strconv.Atoi(set.Metadata["step"]); err != nil {
		return nil, fmt.Errorf("%s: metadata say step is %q, want a number", path, set.Metadata["step"])
	}
	for _, t := range state.Tensors {
		c.Averaged = c.Averaged || strings.HasSuffix(t.Name, ".ema")
	}
	return c, nil
}
