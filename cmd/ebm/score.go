package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ebm"
	"ebm/cmd/internal/assess"
	"ebm/evaluate/probe"
	"ebm/internal/atomicfile"
	"ebm/mdsm/dataset"
	"ebm/models/tensor"
	"ebm/runtime/progress"
)

type scoreFlags struct {
	energyFlags
	pictureFlags
	out       string
	levels    int
	seed      uint64
	batch     int
	by        string
	calibrate float64
	threshold string
	asJSON    bool
}

func (f *scoreFlags) add(fs *pflag.FlagSet) {
	f.energyFlags.add(fs)
	f.pictureFlags.add(fs, "pictures or rows")
	f.addCount(fs, 0)
	fs.StringVar(&f.out, "out", "", "write the table to this file, .csv or .json (default: standard output)")
	fs.IntVar(&f.batch, "batch", 256, "rows read at once")
	fs.BoolVar(&f.asJSON, "json", false, "print a JSON list in place of CSV")
	group(fs, "Anomalies", func(fs *pflag.FlagSet) {
		fs.StringVar(&f.by, "by", "loss", "what tells anomalies: loss, energy or score_norm, each when it is high")
		fs.Float64Var(&f.calibrate, "calibrate", 0, "the pictures are held-out data: find the threshold at this rate of false alarms and keep it")
		fs.StringVar(&f.threshold, "threshold", "", "file of the threshold (default anomaly.json in the run's folder)")
		fs.IntVar(&f.levels, "levels", 5, "noise levels of the loss, over the range of the training; 0 leaves it out")
		fs.Uint64Var(&f.seed, "seed", 0, "seed of the loss's noise")
	})
}

func newScore(a *app) *cobra.Command {
	var f scoreFlags
	cmd := &cobra.Command{
		Use:   "score --run REF --images X",
		Short: "Say of each picture its energy, the norm of its score, its denoising loss, and whether it is an anomaly",
		Long: `score measures pictures, or rows of an array, a few at a time, and writes a row for
each as soon as it is known:

  energy       E(x) in nats, up to the model's constant; low where data are likely
  score_norm   ‖∇E(x)‖; low where x is at a mode
  loss         the denoising loss (eq. 7 of the paper) over some noise levels; low
               where the model brings x back from noise
  anomaly      whether the one that --by names is above a threshold

The threshold comes from held-out data of the kind the model was trained on:
--calibrate 0.05 finds it so that at most one in twenty more such pictures is
called an anomaly, and keeps it beside the run (or in --threshold FILE), where
score finds it.`,
		Example: `  ebm score --run runs/mnist --images mnist:test --calibrate 0.05
  ebm score --run runs/mnist --images photos.zip --out scores.csv
  ebm score --run mnist16 --images digits/ --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.run == "" || f.images == "" {
				return usagef("want --run REF and --images X")
			}
			if err := atLeast(least{"count", float64(f.count), 0}, least{"levels", float64(f.levels), 0},
				least{"batch", float64(f.batch), 1}); err != nil {
				return err
			}
			if err := someOf("--by", []string{f.by}, []string{"loss", "energy", "score_norm"}); err != nil {
				return err
			}
			if f.calibrate < 0 || f.calibrate >= 1 || math.IsNaN(f.calibrate) {
				return usagef("--calibrate %g, want a rate of false alarms between 0 and 1", f.calibrate)
			}
			if f.calibrate > 0 && f.threshold == "" && assess.RunFolder(f.run) == "" {
				return usagef("--calibrate %g keeps the threshold beside a run, and %s is not a run's folder: want --threshold FILE", f.calibrate,
					f.run)
			}
			return f.score(cmd.Context(), a)
		},
	}
	f.add(cmd.Flags())
	return cmd
}

// scored is what is said of one row. What is not measured is nil.
type scored struct {
	Index     int      `json:"index"`
	File      string   `json:"file,omitempty"`
	Energy    *float64 `json:"energy"`
	ScoreNorm *float64 `json:"score_norm"`
	Loss      *float64 `json:"loss"`
	Anomaly   *bool    `json:"anomaly"`
}

// by returns the measure of a name.
func (s scored) by(name string) (float64, error) {
	v := map[string]*float64{"energy": s.Energy, "score_norm": s.ScoreNorm, "loss": s.Loss}[name]
	if v == nil {
		return 0, fmt.Errorf("no %s of picture %d, want one to compare: the model has none, or --levels is 0", name, s.Index)
	}
	return *v, nil
}

func (f *scoreFlags) score(ctx context.Context, a *app) error {
	m, err := f.load(a)
	if err != nil {
		return err
	}
	t, path, err := f.thresholdOf(m)
	if err != nil {
		return err
	}
	if m.Sigma0 == 0 && len(t.Sigmas) > 0 {
		a.log(m.Name + " does not say its σ₀, which the loss is of: it is left out (--sigma0)")
		t.Sigmas = nil
	}
	engine, err := a.engine(ctx, m)
	if err != nil {
		return err
	}
	defer engine.Close()
	rows, err := f.reader(ctx, a, m.Shape())
	if err != nil {
		return err
	}
	defer rows.Close()
	if rows.Note != "" {
		a.log(rows.Note)
	}
	var values []float64
	anomalies, total := 0, 0
	err = f.table(a, func(write func(scored) error) error {
		var show progress.Progress // beside a table on standard output it would be in the way
		if f.out != "" {
			show = a.progress()
		}
		stage := progress.Begin(show, "score", int64(f.most(rows.Count)), "rows")
		defer stage.Done()
		for total < f.most(rows.Count) {
			x, err := rows.Next(ctx, min(f.batch, f.most(rows.Count)-total))
			if err != nil {
				return err
			}
			list, err := measure(ctx, engine, x, t.Sigmas, t.Seed, total)
			if err != nil {
				return err
			}
			for _, s := range list {
				s.File = rows.Name(s.Index)
				if f.calibrate > 0 || t.Pictures > 0 {
					v, err := s.by(t.By)
					if err != nil {
						return err
					}
					if f.calibrate > 0 {
						values = append(values, v)
					} else {
						strange := v > t.Value || math.IsNaN(v)
						if s.Anomaly = &strange; strange {
							anomalies++
						}
					}
				}
				if err := write(s); err != nil {
					return err
				}
			}
			total += len(list)
			stage.Add(int64(len(list)))
		}
		return nil
	})
	if err != nil {
		return err
	}
	switch {
	case f.calibrate > 0:
		if t.Value, err = probe.Calibrate(values, f.calibrate); err != nil {
			return fmt.Errorf("%s: %w", f.images, err)
		}
		t.FalseAlarms, t.Pictures, t.Data = f.calibrate, len(values), f.images
		if err := t.Write(path); err != nil {
			return err
		}
		a.log(fmt.Sprintf("%s: %s above %.6g is an anomaly, at a rate of at most %g of false alarms, from %d pictures", path, t.By, t.Value,
			t.FalseAlarms, t.Pictures))
	case t.Pictures > 0:
		a.log(fmt.Sprintf("%d of %d are anomalies: %s above %.6g, which at most %g of the training's kind are (%s)", anomalies, total, t.By,
			t.Value, t.FalseAlarms, path))
	default:
		a.log("no threshold: --calibrate RATE with held-out pictures finds one")
	}
	return nil
}

// most returns how many of n rows are measured.
func (f *scoreFlags) most(n int) int {
	if f.count > 0 {
		return min(n, f.count)
	}
	return n
}

// thresholdOf reads the threshold, or says what one is to be calibrated from. One that is not
// there has no pictures.
func (f *scoreFlags) thresholdOf(m *ebm.Model) (t *probe.Threshold, path string, err error) {
	if path = f.threshold; path == "" {
		if run := assess.RunFolder(f.run); run != "" {
			path = probe.ThresholdPath(run)
		}
	}
	if path != "" && f.calibrate == 0 {
		if t, err = probe.ReadThreshold(path, m.Hash); t != nil || err != nil {
			return t, path, err
		}
		if f.threshold != "" {
			return nil, "", fmt.Errorf("%s: no such file, want one that --calibrate wrote", f.threshold)
		}
	}
	t = &probe.Threshold{By: f.by, Weights: m.Hash, Seed: f.seed}
	if f.levels > 0 {
		t.Sigmas, err = m.Levels(f.levels)
	}
	return t, path, err
}

// reader opens the pictures: a data set by name, or a user's own.
func (f *scoreFlags) reader(ctx context.Context, a *app, shape []int) (*dataset.Reader, error) {
	if !f.named() {
		return dataset.OpenReader(ctx, f.images, shape)
	}
	x, err := f.pictures(ctx, a, shape)
	if err != nil {
		return nil, err
	}
	return dataset.ReaderOf(x), nil
}

// measure says what a model says of rows, the first of which has the number first.
func measure(ctx context.Context, e *ebm.Engine, x *tensor.Tensor, sigmas []float64, seed uint64, first int) ([]scored, error) {
	energy, score, err := e.Score(ctx, x)
	if err != nil {
		return nil, err
	}
	var loss []float64
	if len(sigmas) > 0 {
		if loss, err = e.Loss(ctx, x, sigmas, seed, uint64(first)); err != nil {
			return nil, err
		}
	}
	list := make([]scored, x.Shape()[0])
	values := tensor.Data[float32](score)
	each := len(values) / len(list)
	for i := range list {
		norm := 0.0
		for _, v := range values[i*each : (i+1)*each] {
			norm += float64(v) * float64(v)
		}
		norm = math.Sqrt(norm)
		list[i] = scored{Index: first + i, ScoreNorm: &norm}
		if energy != nil {
			v := float64(tensor.Data[float32](energy)[i])
			list[i].Energy = &v
		}
		if loss != nil {
			list[i].Loss = &loss[i]
		}
	}
	return list, nil
}

// table writes rows as they come, as CSV or as a JSON list, to --out or to
// standard output.
func (f *scoreFlags) table(a *app, fill func(write func(scored) error) error) error {
	asJSON := f.asJSON
	to := func(w io.Writer) error {
		out := bufio.NewWriter(w)
		var err error
		if asJSON {
			err = jsonRows(out, fill)
		} else {
			err = csvRows(out, fill)
		}
		return errors.Join(err, out.Flush())
	}
	if f.out == "" {
		return to(a.stdout)
	}
	asJSON = asJSON || strings.EqualFold(filepath.Ext(f.out), ".json")
	return atomicfile.Write(f.out, to)
}

func jsonRows(out *bufio.Writer, fill func(func(scored) error) error) error {
	between := "[\n"
	err := fill(func(s scored) error {
		for _, v := range []**float64{&s.Energy, &s.ScoreNorm, &s.Loss} {
			if *v != nil && (math.IsNaN(**v) || math.IsInf(**v, 0)) {
				*v = nil // JSON has no such numbers
			}
		}
		b, err := json.Marshal(s)
		if err != nil {
			return err
		}
		_, err = out.WriteString(between + string(b))
		between = ",\n"
		return err
	})
	if err != nil {
		return err
	}
	if between == "[\n" {
		_, err = out.WriteString("[")
	}
	_, end := out.WriteString("\n]\n")
	return errors.Join(err, end)
}

func csvRows(out *bufio.Writer, fill func(func(scored) error) error) error {
	w := csv.NewWriter(out)
	if err := w.Write([]string{"index", "file", "energy", "score_norm", "loss", "anomaly"}); err != nil {
		return err
	}
	number := func(v *float64) string {
		if v == nil {
			return ""
		}
		return strconv.FormatFloat(*v, 'g', 9, 64)
	}
	err := fill(func(s scored) error {
		verdict := ""
		if s.Anomaly != nil {
			verdict = strconv.FormatBool(*s.Anomaly)
		}
		return w.Write([]string{strconv.Itoa(s.Index), s.File, number(s.Energy), number(s.ScoreNorm), number(s.Loss), verdict})
	})
	w.Flush()
	return errors.Join(err, w.Error())
}
