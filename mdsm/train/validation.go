package train

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"ebm/export/session"
	"ebm/mdsm/dataset"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
)

// validationLevels is the number of noise levels at which a Validation measures.
const validationLevels = 8

// Validation measures the objective of eq. (7) on x's that are held out of
// training, with the same noise every time. It changes nothing of a run.
type Validation struct {
	m       Matching
	data    dataset.Data
	sigmas  []float64
	session *runtime.Session
}

// Losses are the objective's value on held-out x's.
type Losses struct {
	Mean   float64   // over all levels
	Sigmas []float64 // noise levels σ, in units of x
	Levels []float64 // the value at each
}

// Validation loads the objective of m for weights to come. It measures on all
// of held, which has x's of the network's shape. The caller closes it.
func (m Matching) Validation(rt *runtime.Runtime, held dataset.Data) (*Validation, error) {
	m = m.withDefaults()
	if err := firstOf(m.Noise.validate(), atLeast("batch", m.Batch, 1)); err != nil {
		return nil, err
	}
	if has, want := held.Shape(), m.Network.InputShape(); !slices.Equal(has, want) || held.Len() == 0 {
		return nil, fmt.Errorf("%d held-out x's of shape %s, want one or more of %s", held.Len(), dims(has), dims(want))
	}
	v := &Validation{m: m, data: held}
	var err error
	if v.sigmas, err = m.Noise.Spacing.Levels(m.Noise.Min, m.Noise.Max, validationLevels); err != nil {
		return nil, err
	}
	var g *graph.Graph
	if err := graph.Catch(func() { g = m.loss().LossGraph(m.Network) }); err != nil {
		return nil, err
	}
	v.session, err = session.Load(rt, g, map[string]int{"N": m.Batch}, runtime.SessionOptions{})
	return v, err
}

// Measure returns the losses at weights of the network. Every x is seen once at
// each noise level.
func (v *Validation) Measure(ctx context.Context, w energy.Weights) (Losses, error) {
	x := tensor.New(tensor.Float32, append([]int{v.m.Batch}, v.data.Shape()...)...)
	noise, sigma := like(x), tensor.New(tensor.Float32, v.m.Batch)
	inputs := map[string]*tensor.Tensor{"x": x, "noise": noise, "sigma": sigma}
	maps.Copy(inputs, w)
	source, index := rng.New(v.m.Seed), make([]int, v.m.Batch)
	out := Losses{Sigmas: v.sigmas}
	for k, level := range v.sigmas {
		for i := range index {
			tensor.Data[float32](sigma)[i] = float32(level)
		}
		sum := 0.0
		for first := 0; first < v.data.Len(); first += len(index) {
			for i := range index {
				index[i] = min(first+i, v.data.Len()-1) // places without an x see the last again
			}
			v.data.Fill(tensor.Data[float32](x), index)
			eachRow(noise, func(i int, row []float32) { source.Normal(row, rng.Probe, uint64(first+i), uint32(k)) })
			got, err := v.session.Run(ctx, inputs)
			if err != nil {
				return Losses{}, fmt.Errorf("validation: %w", err)
			}
			for _, loss := range tensor.Data[float32](got["loss"])[:min(len(index), v.data.Len()-first)] {
				sum += float64(loss)
			}
		}
		out.Levels = append(out.Levels, sum/float64(v.data.Len()))
		out.Mean += out.Levels[k] / validationLevels
	}
	if !finite(out.Mean) {
		return out, fmt.Errorf("validation loss %g, want a finite number", out.Mean)
	}
	return out, nil
}

// Close frees the session.
func (v *Validation) Close() error { return v.session.Close() }

// HeldOutLoss is the metric of the objective on held-out x's. Behind it, with a slash,
// are those of each noise level.
const HeldOutLoss = "validation_loss"

// Values returns the losses as metrics: validation_loss, and validation_loss/σ
// with each level's σ to three digits.
func (l Losses) Values() map[string]float64 {
	values := map[string]float64{HeldOutLoss: l.Mean}
	for k, sigma := range l.Sigmas {
		values[fmt.Sprintf("%s/%.3g", HeldOutLoss, sigma)] = l.Levels[k]
	}
	return values
}

// LevelsOf returns the noise levels σ of a line of metrics, as they are in the names,
// the smallest first.
func LevelsOf(values map[string]float64) []string {
	var levels []string
	for name := range values {
		if level, ok := strings.CutPrefix(name, HeldOutLoss+"/"); ok {
			levels = append(levels, level)
		}
	}
	slices.SortFunc(levels, func(a, b string) int { return cmp.Compare(number(a), number(b)) })
	return levels
}

func number(text string) float64 {
	v, _ := strconv.ParseFloat(text, 64) // a name of another kind is 0
	return v
}

// Every returns a hook that measures the averaged weights after every n-th
// update, and after the last one, and logs the losses. With patience above 0 it ends the run when the
// mean has not fallen below its least for so many measurements.
func (v *Validation) Every(n, patience int) Hook {
	least, since := math.Inf(1), 0
	return func(ctx context.Context, u Update) error {
		if u.Step%n != 0 && !u.Last {
			return nil
		}
		l, err := v.Measure(ctx, u.Weights())
		if err != nil {
			return err
		}
		u.Log(l.Values())
		if l.Mean < least {
			least, since = l.Mean, 0
		} else if since++; patience > 0 && since >= patience {
			return ErrStop
		}
		return nil
	}
}
