package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"ebm/export"
	"ebm/mdsm/langevin"
	"ebm/mdsm/train"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/runtime"
)

// Job names what is timed.
type Job string

// The jobs.
const (
	Score    Job = "score"    // energy and score of a batch
	Train    Job = "train"    // one update, with the drawing of its batch
	Sample   Job = "sample"   // annealed Langevin chains, from noise to samples
	Features Job = "features" // Inception features of pictures
)

// loader loads what a Spec asks for; New does the rest.
type loader func(rt *runtime.Runtime, s Spec) (*Work, error)

// kind is a job with what makes it and what is taken where nothing is said.
type kind struct {
	job         Job
	load        loader
	batch, runs int
}

func kinds() []kind {
	return []kind{
		{Score, loadScore, 128, 20},
		{Train, loadTrain, 128, 10},
		{Sample, loadSample, 64, 1},
		{Features, loadFeatures, 32, 5},
	}
}

func find(job Job) (kind, error) {
	var names []string
	for _, k := range kinds() {
		if k.job == job {
			return k, nil
		}
		names = append(names, string(k.job))
	}
	return kind{}, fmt.Errorf("unknown job %q, want one of %s", job, strings.Join(names, ", "))
}

// ParseJob returns the job called name, and the batch and the number of runs
// that suit it.
func ParseJob(name string) (job Job, batch, runs int, err error) {
	k, err := find(Job(name))
	return k.job, k.batch, k.runs, err
}

// Spec says what is to be timed.
type Spec struct {
	Job Job
	// Settings hold the network and, for Train, everything that a step depends
	// on. Their batch is the number of pictures, or chains, in one run.
	Settings train.Settings
	Weights  energy.Weights // of the network
	Chains   langevin.Files // of Sample: the network as the sampler takes it
	Steps    int            // of Sample: the length of a chain
}

// Settings returns the paper's settings for a network and a batch.
func Settings(net energy.Picture, batch int) (train.Settings, error) {
	preset, n := "mnist", net.Plan()
	if n.Channels == 3 {
		preset = "cifar10"
	}
	s, err := train.Preset(preset)
	if err != nil {
		return s, err
	}
	s.Batch, s.Shards, s.Data.Size = batch, min(s.Shards, batch), n.Size
	s.Net = train.NetSettings{Name: n.Net, Dim: n.Dim, Channels: n.Channels, Head: n.Head, Activation: n.Activation,
		Multipliers: n.Multipliers, Blocks: n.Blocks}
	return s, s.Validate()
}

// Work is a job that is ready to run.
type Work struct {
	Spec
	// Written and Computed are the floating-point operations of one run: of
	// the function as it is written, and of what export's passes leave of it.
	Written, Computed float64

	rt    *runtime.Runtime
	run   func(context.Context) error
	warm  func(context.Context) error // a short form of run, nil where run is short
	close func()
}

// New makes a job ready: it loads the graphs into the runtime and runs them
// once. The caller closes it.
func New(ctx context.Context, rt *runtime.Runtime, s Spec) (*Work, error) {
	k, err := find(s.Job)
	if err != nil {
		return nil, err
	}
	if err := s.Settings.Validate(); err != nil {
		return nil, err
	}
	kept := s
	if s.Job == Train {
		kept.Weights = nil // they are those of the first step alone
	}
	w, err := k.load(rt, s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kept.Job, err)
	}
	w.Spec, w.rt = kept, rt
	if w.warm == nil {
		w.warm = w.run
	}
	if err := w.warm(ctx); err != nil {
		w.Close()
		return nil, fmt.Errorf("%s: %w", kept.Job, err)
	}
	return w, nil
}

// Run does the job once and says how long it took.
func (w *Work) Run(ctx context.Context) (time.Duration, error) {
	begin := time.Now()
	if err := w.run(ctx); err != nil {
		return 0, fmt.Errorf("%s: %w", w.Job, err)
	}
	return time.Since(begin), nil
}

// Close frees the job.
func (w *Work) Close() { w.close() }

// count counts the operations of graphs, and of what export's passes make of
// them.
func (w *Work) count(sizes map[string]int, graphs ...*graph.Graph) error {
	for _, g := range graphs {
		written, err := g.FLOPs(sizes)
		if err != nil {
			return err
		}
		for _, pass := range export.Passes() {
			g = pass.Apply(g)
		}
		computed, err := g.FLOPs(sizes)
		if err != nil {
			return err
		}
		w.Written += written
		w.Computed += computed
	}
	return nil
}
