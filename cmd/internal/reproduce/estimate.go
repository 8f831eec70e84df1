package reproduce

import (
	"context"
	"maps"
	"slices"

	"ebm/cmd/internal/bench"
	"ebm/mdsm"
	"ebm/mdsm/ais"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/tensor"
	"ebm/runtime"
)

// work is what an item computes beside the trainings of its presets.
type work struct {
	trainings    map[string]string // presets by the names of their runs, which items share
	samples      int               // of each model, chains of the scale's steps
	trajectories int               // chains of annealed importance sampling
	updates      map[string]int    // that are timed, by preset
}

// Cost says what items take at the paper's scale.
type Cost struct {
	Trainings []TrainingCost `json:"trainings"`
	Sampling  float64        `json:"sampling_flops"` // of all samples and chains
	FLOPs     float64        `json:"flops"`          // of everything
	Speed     float64        `json:"flops_per_second"`
	Hours     float64        `json:"hours"`
}

// TrainingCost is that of one training.
type TrainingCost struct {
	Run     string  `json:"run"`
	Preset  string  `json:"preset"`
	Updates int     `json:"updates"`
	FLOPs   float64 `json:"flops"`
}

// Estimate counts the operations of items at the paper's scale, as functions
// are written, and measures how many a second the machine does in an update of
// the paper's network for MNIST. Trainings that are there already count too.
func Estimate(ctx context.Context, rt *runtime.Runtime, items []Item, o Options) (Cost, error) {
	c, err := count(items, o)
	if err != nil {
		return c, err
	}
	if c.Speed, err = speed(ctx, rt); err != nil {
		return c, err
	}
	c.Hours = c.FLOPs / c.Speed / 3600
	return c, nil
}

// count is Estimate without the measuring.
func count(items []Item, o Options) (Cost, error) {
	var c Cost
	runs := make(map[string]string)
	var chosen []string // models whose checkpoints are compared
	for _, item := range items {
		w := item.work(Paper.numbers())
		for _, preset := range item.presets {
			if o.Model == "" {
				runs[preset] = preset
			}
			each := w
			if o.Model == "" && slices.Contains(selectedData(), preset) && !slices.Contains(chosen, preset) {
				set, err := Paper.settings(preset)
				if err != nil {
					return c, err
				}
				chosen = append(chosen, preset)
				each.samples += selected * (set.Steps / int(set.Output.CheckpointEvery))
			}
			flops, err := chainFLOPs(preset, each)
			if err != nil {
				return c, err
			}
			c.Sampling += flops
		}
		maps.Copy(runs, w.trainings)
		for preset, updates := range w.updates {
			flops, err := trainingFLOPs(preset, updates)
			if err != nil {
				return c, err
			}
			c.FLOPs += flops
		}
	}
	c.FLOPs += c.Sampling
	for _, run := range slices.Sorted(maps.Keys(runs)) {
		set, err := Paper.settings(runs[run])
		if err != nil {
			return c, err
		}
		t := TrainingCost{Run: run, Preset: runs[run], Updates: set.Steps}
		if t.FLOPs, err = trainingFLOPs(t.Preset, t.Updates); err != nil {
			return c, err
		}
		c.Trainings = append(c.Trainings, t)
		c.FLOPs += t.FLOPs
	}
	return c, nil
}

func trainingFLOPs(preset string, updates int) (float64, error) {
	set, err := Paper.settings(preset)
	if err != nil {
		return 0, err
	}
	flops, err := updateFLOPs(set)
	return flops * float64(updates), err
}

// chainFLOPs are those of a model's samples and of its chains of annealed
// importance sampling.
func chainFLOPs(preset string, w work) (float64, error) {
	set, err := Paper.settings(preset)
	if err != nil {
		return 0, err
	}
	flops, err := scoreFLOPs(set.Network())
	steps := w.samples*Paper.numbers().Steps + w.trajectories*ais.Paper().Distributions*ais.Paper().Leapfrog
	return flops * float64(steps), err
}

// scoreFLOPs counts the operations of the score of one picture.
func scoreFLOPs(net energy.Network) (flops float64, err error) {
	caught := graph.Catch(func() {
		g := graph.New("score")
		x := g.Input("x", tensor.Float32, graph.Batch(net.InputShape()...))
		params := energy.Inputs(g, net, x.DType())
		score, _ := mdsm.Score(func(x *graph.Node) *graph.Node { return net.Energy(x, params) }, x)
		g.Output("score", score)
		flops, err = g.FLOPs(map[string]int{"N": 1})
	})
	if caught != nil {
		return 0, caught
	}
	return flops, err
}

// speed measures the operations a second of an update of the paper's network
// for MNIST, with a smaller batch on the CPU: the best of a few.
func speed(ctx context.Context, rt *runtime.Runtime) (float64, error) {
	set, err := Paper.settings("mnist")
	if err != nil {
		return 0, err
	}
	if rt.Info().Provider == runtime.CPU {
		set.Batch = 32
	}
	job, err := bench.New(ctx, rt, bench.Spec{Job: bench.Train, Settings: set})
	if err != nil {
		return 0, err
	}
	defer job.Close()
	best := 0.0
	for range 3 {
		took, err := job.Run(ctx)
		if err != nil {
			return 0, err
		}
		best = max(best, job.Written/took.Seconds())
	}
	return best, nil
}
