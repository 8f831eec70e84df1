package ais

import (
	"context"
	"fmt"
	"math"

	"ebm/mdsm/hmc"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime/progress"
)

const (
	pilotPlaces = 64 // of the path at which pilots adapt
	pilotFirst  = 40 // transitions at the first place
	pilotMoves  = 6  // at each other
)

// prepare finds the step sizes by one group of pilots.
func (e *Estimator) prepare(ctx context.Context) error {
	e.log = progress.Lines(e.Log)
	if e.steps != nil || e.Share.Join {
		return nil
	}
	store := e.stepStore()
	steps, err := store.loadSteps(len(e.ladder))
	if err != nil {
		return err
	}
	if steps == nil {
		if steps, err = e.pilot(ctx); err != nil {
			return fmt.Errorf("pilot chains: %w", err)
		}
		if err := store.saveSteps(steps); err != nil {
			return err
		}
	}
	e.steps = steps
	return nil
}

func (e *Estimator) pilot(ctx context.Context) ([]float64, error) {
	places := pilotAt(e.set.Distributions)
	stage := progress.Begin(e.Progress, "ais pilots", int64(pilotFirst+(len(places)-1)*pilotMoves), "transitions")
	defer stage.Done()

	x, each := e.layout.New(), e.layout.Each()
	for i := range e.layout.Size {
		dst := tensor.Data[float32](x)[i*each : (i+1)*each]
		e.source.Normal(dst, rng.SampleStart, firstPilot+uint64(i), 0)
		for j, n := range dst {
			dst[j] = float32(e.set.Reference.Mean + e.set.Reference.Sigma*float64(n))
		}
	}
	numbers := e.kernel.Numbers(e.layout, e.source, firstPilot, 0, e.layout.Size, pilotFirst+len(places)*pilotMoves)
	numbers.Jitter = hmc.Jitter(e.set.Leapfrog)
	chains, err := e.kernel.Start(ctx, x, numbers)
	if err != nil {
		return nil, err
	}
	defer chains.Close()
	log := math.Log(e.set.StepSize)
	logs := make([]float64, len(places))
	t := 0
	for i, place := range places {
		moves := pilotMoves
		if i == 0 {
			moves = pilotFirst
		}
		for range moves {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			numbers.Draw(t, func(int) float64 { return math.Exp(log) })
			t++
			outcome, err := chains.Move(ctx, e.ladder[place])
			if err != nil {
				return nil, err
			}
			mean := 0.0
			for _, p := range outcome.Probability {
				mean += float64(p) / float64(e.layout.Size)
			}
			log += mean - e.set.Target
			stage.Add(1)
		}
		logs[i] = log
	}
	return interpolate(places, logs, e.set.Distributions), nil
}

// pilotAt lists the distributions at which pilots adapt, the first and the last
// among them.
func pilotAt(m int) []int {
	var places []int
	for i := range pilotPlaces {
		at := 1 + int(math.Round(float64(m-1)*float64(i)/(pilotPlaces-1)))
		if len(places) == 0 || at > places[len(places)-1] {
			places = append(places, at)
		}
	}
	return places
}

// interpolate returns exp of numbers that are given at some places, for 0 to m.
func interpolate(places []int, logs []float64, m int) []float64 {
	steps := make([]float64, m+1)
	j := 0
	for k := range steps {
		for j+1 < len(places) && places[j+1] < k {
			j++
		}
		switch {
		case k <= places[0]:
			steps[k] = math.Exp(logs[0])
		case j+1 == len(places):
			steps[k] = math.Exp(logs[j])
		default:
			t := float64(k-places[j]) / float64(places[j+1]-places[j])
			steps[k] = math.Exp(logs[j] + t*(logs[j+1]-logs[j]))
		}
	}
	return steps
}
