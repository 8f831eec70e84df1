package assess

import (
	"ebm"
	"ebm/evaluate/probe"

	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"ebm/evaluate"
	"ebm/evaluate/features"
	"ebm/internal/atomicfile"
	"ebm/internal/files"
	"ebm/internal/npz"
	"ebm/internal/picture"
	"ebm/mdsm/langevin"
	"ebm/mdsm/samples"
	"ebm/mdsm/train"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/progress"
)

// Candidate is a checkpoint that may be the best.
type Candidate struct {
	Step int
	Name string                         // of its folder, such as "step-00010000"
	Open func() (langevin.Files, error) // its energy, as the sampler takes it
}

// SelectOf finds the best checkpoint of the run in a folder by pictures that it
// was trained on, and writes the selection. The options' folder and reference are
// filled in.
func SelectOf(ctx context.Context, rt *runtime.Runtime, run string, training *tensor.Tensor, o SelectOptions) (Selection, error) {
	list, err := train.Checkpoints(run)
	if err != nil {
		return Selection{}, err
	}
	var candidates []Candidate
	for _, c := range list {
		candidates = append(candidates, Candidate{Step: c.Step, Name: filepath.Base(c.Dir), Open: func() (langevin.Files, error) {
			m, err := ebm.Load(c.Dir)
			if err != nil {
				return langevin.Files{}, err
			}
			return m.Files()
		}})
	}
	o.Dir = filepath.Join(run, "selection")
	if o.Reference, err = probe.Statistics(ctx, o.Features, training, o.Progress); err != nil {
		return Selection{}, err
	}
	s, err := Select(ctx, rt, candidates, o)
	if err != nil {
		return s, err
	}
	return s, s.Write(run)
}

// SelectOptions say how candidates are compared.
type SelectOptions struct {
	Dir      string            // of the samples: a folder for each candidate below it
	Settings langevin.Settings // of the samples that each gets; the paper takes 1,000
	Crop     int               // of the samples' pictures, as samples.Folder has it
	// Features are those of the distance, of pictures [C H W] as the model
	// makes them: samples that were cropped get black borders again.
	Features  *features.Extractor
	Reference *evaluate.Statistics // of the training pictures in these features
	Progress  progress.Progress
	Log       func(line string)
}

// Selection says which checkpoint of a run is the best: the one whose samples
// have the least Fréchet distance to the training pictures (appendix D).
type Selection struct {
	Best       string         `json:"best"` // name of the checkpoint's folder
	Step       int            `json:"step"`
	Distance   float64        `json:"distance"` // Fréchet, in squared units of the features
	Features   features.Maker `json:"features"`
	Samples    int            `json:"samples"`   // of each checkpoint
	Reference  int            `json:"reference"` // training pictures
	Schedule   string         `json:"schedule"`
	Steps      int            `json:"langevin_steps"`
	StepSize   float64        `json:"step_size"`
	Seed       uint64         `json:"seed"`
	Candidates []Ranked       `json:"checkpoints"` // in the order of their steps
	Warnings   []string       `json:"warnings,omitempty"`
}

// Ranked is a checkpoint with its distance.
type Ranked struct {
	Name     string  `json:"name"`
	Step     int     `json:"step"`
	Distance float64 `json:"distance"`
	Model    string  `json:"model_sha256"` // of the exported sampler
}

// Select draws samples of every candidate, all with the same noise, and ranks
// them. Samples go to disk as they come: a selection that was stopped goes on
// where it was.
func Select(ctx context.Context, rt *runtime.Runtime, list []Candidate, o SelectOptions) (Selection, error) {
	if len(list) == 0 {
		return Selection{}, errors.New("no checkpoints to select from")
	}
	if o.Features == nil || o.Reference == nil {
		return Selection{}, errors.New("a selection without features and statistics of the training pictures")
	}
	s := Selection{
		Features: o.Features.Maker(), Samples: o.Settings.Count, Reference: o.Reference.Count,
		Schedule: string(o.Settings.Schedule.Cooling), Steps: o.Settings.Schedule.Steps,
		StepSize: o.Settings.StepSize, Seed: o.Settings.Seed,
	}
	s.Features.Features = len(o.Reference.Mean)
	stage := progress.Begin(o.Progress, "checkpoints", int64(len(list)), "checkpoints")
	defer stage.Done()
	for i, c := range list {
		ranked, warnings, err := o.rank(ctx, rt, c)
		if err != nil {
			return Selection{}, fmt.Errorf("checkpoint %s: %w", c.Name, err)
		}
		s.Candidates = append(s.Candidates, ranked)
		if i == 0 || ranked.Distance < s.Distance {
			s.Best, s.Step, s.Distance = c.Name, c.Step, ranked.Distance
		}
		s.Warnings = warnings
		stage.Note(fmt.Sprintf("%s: %.4g", c.Name, ranked.Distance))
		stage.Add(1)
	}
	return s, nil
}

// rank samples a candidate and measures its distance.
func (o SelectOptions) rank(ctx context.Context, rt *runtime.Runtime, c Candidate) (Ranked, []string, error) {
	models, err := c.Open()
	if err != nil {
		return Ranked{}, nil, err
	}
	folder := samples.Folder{Dir: filepath.Join(o.Dir, c.Name), Crop: o.Crop, Grid: min(o.Settings.Count, 64), Log: o.Log}
	x, err := draw(ctx, rt, models, o.Settings, folder, o.Progress)
	if err != nil {
		return Ranked{}, nil, err
	}
	statistics, err := probe.Statistics(ctx, o.Features, x, nil)
	if err != nil {
		return Ranked{}, nil, err
	}
	d, err := evaluate.Frechet(ctx, statistics, o.Reference)
	return Ranked{c.Name, c.Step, d.Distance, models.Hash()}, d.Warnings, err
}

// ReadSamples reads arr_0, uint8 [n H W C], of an archive of samples as
// pictures [n C H W] of a model of [C H W]. Those that were cropped get black
// borders again, as the training pictures had.
func ReadSamples(path string, shape []int) (*tensor.Tensor, error) {
	archive, err := npz.Open(path)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	x, err := archive.Read("arr_0")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(shape) != 3 || x.DType() != tensor.Uint8 || x.Rank() != 4 || x.Len() == 0 ||
		x.Shape()[3] != shape[0] || x.Shape()[1] > shape[1] || x.Shape()[2] > shape[2] {
		return nil, fmt.Errorf("%s: arr_0 is %v, want uint8 pictures [n H W C] of a model of %v", path, x, shape)
	}
	first, err := picture.NCHW(x)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return picture.Surround(first, shape[1], shape[2])
}

// BestFile is the file in a run's folder of checkpoints that holds its
// selection.
const BestFile = "best.json"

// Write writes the selection as a file in the folder of a run, and marks the
// best checkpoint so that training that goes on does not remove it.
func (s Selection) Write(run string) error {
	for _, c := range s.Candidates {
		checkpoint := train.Checkpoint{Step: c.Step, Dir: filepath.Join(run, "checkpoints", c.Name)}
		if err := checkpoint.Keep(c.Name == s.Best); err != nil {
			return err
		}
	}
	return atomicfile.WriteJSON(filepath.Join(run, "checkpoints", BestFile), s)
}

// ReadSelection reads what Write wrote. The error wraps fs.ErrNotExist when
// no checkpoint of the run was selected.
func ReadSelection(run string) (Selection, error) {
	return files.Parse(filepath.Join(run, "checkpoints", BestFile), parseSelection)
}

func parseSelection(data []byte) (Selection, error) {
	var s Selection
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("not a selection of checkpoints: %w", err)
	}
	for _, c := range s.Candidates {
		if c.Name == s.Best && c.Step == s.Step {
			// The name becomes part of a path.
			if filepath.Base(c.Name) != c.Name || c.Name == "." || c.Name == ".." {
				return s, fmt.Errorf("the best checkpoint is called %q, want a folder's name", c.Name)
			}
			return s, nil
		}
	}
	return s, fmt.Errorf("the best checkpoint %q is not one of its %d checkpoints", s.Best, len(s.Candidates))
}
