package ais

import (
	"context"

	"ebm/mdsm/samples"
	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// Measurement is what chains say of a model. What was not measured is nil.
type Measurement struct {
	Forward, Reverse *LogZ
	// PaperDensity is that of ReverseDensity, Density the one with log Z of the
	// forward chains.
	PaperDensity, Density *Density
}

// Measure runs so many forward chains, 0 for none, and a reverse chain from each
// of the points [N …], float32, nil for none. exact says that the points are
// exact draws of the model, of which no density is measured.
func (e *Estimator) Measure(ctx context.Context, chains int, points *tensor.Tensor, exact bool) (m Measurement, err error) {
	if !e.Share.Part.Whole() {
		return m, e.part(ctx, chains, points)
	}
	if chains > 0 {
		weights, err := e.Forward(ctx, chains)
		if err != nil {
			return m, err
		}
		if m.Forward, err = result(e.ForwardLogZ(weights)); err != nil {
			return m, err
		}
	}
	if points == nil {
		return m, nil
	}
	weights, err := e.Reverse(ctx, points)
	if err != nil {
		return m, err
	}
	if m.Reverse, err = result(e.ReverseLogZ(weights)); err != nil || exact {
		return m, err
	}
	if m.PaperDensity, err = result(e.ReverseDensity(weights)); err != nil || m.Forward == nil {
		return m, err
	}
	m.Density, err = result(e.DensityOf(weights.Energy, m.Forward.Estimate.Value))
	return m, err
}

// part runs a part of the chains of both directions, whose states it leaves.
func (e *Estimator) part(ctx context.Context, chains int, points *tensor.Tensor) error {
	steps := e.work(chains)
	if points != nil {
		steps += e.work(points.Shape()[0])
	}
	progress.Expect(e.Progress, steps, stepUnit)
	if chains > 0 {
		if _, err := e.Forward(ctx, chains); err != nil {
			return err
		}
	}
	if points != nil {
		if _, err := e.Reverse(ctx, points); err != nil {
			return err
		}
	}
	return samples.ErrPart
}

func result[T any](v T, err error) (*T, error) { return &v, err }
