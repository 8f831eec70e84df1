package train

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"ebm/export/onnximport"
	"ebm/export/session"
	"ebm/internal/atomicfile"
	"ebm/internal/files"
	"ebm/models/energy"
	"ebm/models/tensor"
	"ebm/runtime"
)

// Files that Fit leaves in a run's folder beside those of every run.
const (
	FitModelFile = "model.onnx" // the model with the weights of the last step
	FitBestFile  = "best.onnx"  // with those that were best on what is held out
	FitBestScore = "best.json"  // what was measured of these

	// Folders of the adapters of a LoRA, which the two models have merged.
	FitAdapterDir     = "adapter"
	FitBestAdapterDir = "best-adapter"
)

// Score is what a measurement of a function says.
type Score struct {
	Step int `json:"step"`
	// Loss is the mean of the loss over the examples. Accuracy is the share of targets
	// that have the largest output, for CrossEntropy, and R2 the share of the targets'
	// variance that the output explains, for MSE.
	Loss     float64  `json:"loss"`
	Accuracy *float64 `json:"accuracy,omitempty"`
	R2       *float64 `json:"r2,omitempty"`
}

// Values returns the score as metrics.
func (s Score) Values() map[string]float64 {
	values := map[string]float64{HeldOutLoss: s.Loss}
	if s.Accuracy != nil {
		values["validation_accuracy"] = *s.Accuracy
	}
	if s.R2 != nil {
		values["validation_r2"] = *s.R2
	}
	return values
}

// Meter measures a function on examples.
type Meter struct {
	f       Function
	loss    Loss
	session *runtime.Session
	data    Examples
	batch   int
	fixed   bool // the batch of the function is of one size
}

// NewMeter loads a function, as it is in use, to be measured on examples in
// batches. The caller closes it.
func NewMeter(rt *runtime.Runtime, f Function, l Loss, data Examples, batch int) (*Meter, error) {
	g, err := Measure(f, l)
	if err != nil {
		return nil, err
	}
	m := &Meter{f: f, loss: l, data: data, batch: batch, fixed: true}
	for _, in := range g.Inputs() {
		if _, constant := in.Shape().Static(); !constant {
			m.fixed = false
		}
	}
	m.session, err = session.Load(rt, g, nil, runtime.SessionOptions{})
	return m, err
}

// Close frees the session.
func (m *Meter) Close() error { return m.session.Close() }

// Measure returns the score at values of the function's parameters and states.
func (m *Meter) Measure(ctx context.Context, w energy.Weights) (Score, error) {
	g, err := Measure(m.f, m.loss)
	if err != nil {
		return Score{}, err
	}
	var loss, weight, hits, targets float64
	var spread spread
	for first := 0; first < m.data.Len(); first += m.batch {
		n := min(m.batch, m.data.Len()-first)
		if m.fixed && n < m.batch && first > 0 {
			break // what is left does not fill a batch
		}
		batch, err := m.f.batch(g, n)
		if err != nil {
			return Score{}, err
		}
		index := make([]int, n)
		for i := range index {
			index[i] = first + i
		}
		m.data.Fill(batch, index)
		inputs := make(map[string]*tensor.Tensor)
		for _, in := range g.Inputs() {
			name := in.InputName()
			if inputs[name] = batch[name]; inputs[name] == nil {
				inputs[name] = w[name]
			}
		}
		out, err := m.session.Run(ctx, inputs)
		if err != nil {
			return Score{}, fmt.Errorf("validation: %w", err)
		}
		add := func(to *float64, name string) {
			if t := out[name]; t != nil {
				*to += t.Float64s()[0]
			}
		}
		add(&loss, "loss")
		add(&weight, "weight")
		add(&hits, "hits")
		add(&targets, "targets")
		if m.loss.Name == MSE {
			spread.add(batch[TargetInput])
		}
	}
	s := Score{Loss: loss / weight}
	if !finite(s.Loss) {
		return s, fmt.Errorf("validation loss %g, want a finite number", s.Loss)
	}
	if m.loss.Name == CrossEntropy {
		share := hits / targets
		s.Accuracy = &share
	}
	if v := spread.total(); v > 0 {
		r2 := 1 - loss/v
		s.R2 = &r2
	}
	return s, nil
}

// spread sums the squares of targets around the mean of each column.
type spread struct {
	n            float64
	sum, squares []float64
}

func (s *spread) add(t *tensor.Tensor) {
	columns := t.Len() / t.Shape()[0]
	if s.sum == nil {
		s.sum, s.squares = make([]float64, columns), make([]float64, columns)
	}
	s.n += float64(t.Shape()[0])
	for i, v := range tensor.Data[float32](t) {
		s.sum[i%columns] += float64(v)
		s.squares[i%columns] += float64(v) * float64(v)
	}
}

func (s *spread) total() (total float64) {
	for i, v := range s.sum {
		total += s.squares[i] - v*v/s.n
	}
	return total
}

// FitOptions say how Fit runs beside its settings.
type FitOptions struct {
	Options
	Import onnximport.Options // how the model is read beside its settings
	Train  Examples
	Held   Examples // nil for none
}

// Fitted is what Fit made.
type Fitted struct {
	Result
	Best *Score // on what is held out, nil without any
}

// Fit trains an ONNX model by the settings in a run's folder, as Train does with a
// network. The model with the weights of the last step is model.onnx there, and
// best.onnx has those of the lowest loss on what is held out, measured every
// Output.ValidateEvery steps and at the end. All but the weights is as it was. Of several
// ranks, rank 0 measures and writes.
func Fit(ctx context.Context, rt *runtime.Runtime, s FitSettings, o FitOptions) (Fitted, error) {
	if err := s.Validate(); err != nil {
		return Fitted{}, err
	}
	f, model, err := s.Model.Read(o.Import, true, of(s.Loss)...)
	if err != nil {
		return Fitted{}, err
	}
	f.Seed = s.Seed
	optimiser, err := s.Optimiser.Optimiser()
	if err != nil {
		return Fitted{}, err
	}
	w := fitWriter{s: s, f: f, dir: o.Dir}
	if w.model, err = files.ReadFile(s.Model.Path); err != nil {
		return Fitted{}, err
	}
	s.Model.Hash = fmt.Sprintf("%x", sha256.Sum256(w.model))
	w.s = s
	if o.Held != nil && leads(o.Ranks) {
		// In use, running statistics are inputs as the parameters are.
		read := o.Import
		read.InUse = true
		free := slices.Concat(f.initialisers(), f.States)
		read.Free = func(name string) bool { return slices.Contains(free, name) }
		model, err := onnximport.Read(s.Model.Path, read)
		if err != nil {
			return Fitted{}, err
		}
		use, err := Imported(model).changed(f.adapters)
		if err != nil {
			return Fitted{}, err
		}
		if w.meter, err = NewMeter(rt, use, s.Loss, o.Held, s.Batch); err != nil {
			return Fitted{}, err
		}
		defer w.meter.Close()
		if err := w.readBest(); err != nil {
			return Fitted{}, err
		}
		o.Hook = Hook(w.validate).then(o.Hook)
	}
	r, err := trainIn(ctx, rt, s, o.Options, func() (Problem, error) {
		return Supervised{
			Function: f, Loss: s.Loss, Optimiser: optimiser, Data: o.Train, Batch: s.Batch, Shards: s.Shards, Seed: s.Seed,
			First: f.First(model), Flip: s.Data.Flip, Describe: s.Describe(),
		}.Problem()
	})
	out := Fitted{Result: r, Best: w.best}
	if err != nil || r.Weights == nil || !leads(o.Ranks) {
		return out, err
	}
	return out, w.write(FitModelFile, FitAdapterDir, r.Weights)
}

// of is the output that a loss is of, as a list.
func of(l Loss) []string {
	if l.Output == "" {
		return nil
	}
	return []string{l.Output}
}

// fitWriter writes a model with other weights, and those that are best.
type fitWriter struct {
	s     FitSettings
	f     Function
	dir   string
	model []byte
	meter *Meter
	best  *Score
}

// validate is the hook that measures.
func (w *fitWriter) validate(ctx context.Context, u Update) error {
	if u.Step != w.s.Steps && !every(u.Step, w.s.Output.ValidateEvery) {
		return nil
	}
	weights := u.Weights()
	score, err := w.meter.Measure(ctx, weights)
	if err != nil {
		return err
	}
	score.Step = u.Step
	u.Log(score.Values())
	if w.best != nil && score.Loss >= w.best.Loss {
		return nil
	}
	w.best = &score
	if w.dir == "" {
		return nil
	}
	if err := w.write(FitBestFile, FitBestAdapterDir, weights); err != nil {
		return err
	}
	return atomicfile.WriteJSON(filepath.Join(w.dir, FitBestScore), score)
}

// readBest reads what an earlier part of the run measured.
func (w *fitWriter) readBest() error {
	text, err := files.ReadFile(filepath.Join(w.dir, FitBestScore))
	if errors.Is(err, fs.ErrNotExist) || w.dir == "" {
		return nil
	}
	if err != nil {
		return err
	}
	var score Score
	if err := json.Unmarshal(text, &score); err != nil || math.IsNaN(score.Loss) {
		return fmt.Errorf("%s: not a score: %w", filepath.Join(w.dir, FitBestScore), err)
	}
	if _, err := os.Stat(filepath.Join(w.dir, FitBestFile)); err == nil {
		w.best = &score
	}
	return nil
}

// write leaves the model with weights in the run's folder, and the adapters of a LoRA
// beside it.
func (w *fitWriter) write(name, adapters string, values energy.Weights) error {
	if w.dir == "" {
		return nil
	}
	if len(w.f.adapters) > 0 {
		if err := w.f.WriteAdapter(filepath.Join(w.dir, adapters), filepath.Base(w.s.Model.Path), values); err != nil {
			return err
		}
	}
	b, err := onnximport.Patch(w.model, filepath.Dir(w.s.Model.Path), w.f.Merged(values))
	if err != nil {
		return fmt.Errorf("%s: %w", w.s.Model.Path, err)
	}
	return atomicfile.WriteFile(filepath.Join(w.dir, name), b)
}
