package reproduce

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"ebm/cmd/internal/report"
	"ebm/internal/metrics"
	"ebm/mdsm"
	"ebm/mdsm/dataset"
	"ebm/mdsm/train"
	"ebm/models/graph"
)

// costItem times updates of both objectives on one network.
func costItem(ctx context.Context, s *study) (outcome, error) {
	var o outcome
	ours, err := s.timed(ctx, "mnist", s.n.Timed)
	if err != nil {
		return o, err
	}
	theirs, err := s.timed(ctx, "likelihood", s.n.TimedLikelihood)
	if err != nil {
		return o, err
	}
	const source, gpu = "section 4, MNIST, Res12, one GPU", "another machine"
	o.rows = []Row{
		{Name: "an update, multiscale denoising score matching", Unit: "s", Paper: 0.3, Source: source, Ours: ours.seconds, Note: gpu},
		{Name: "an update, maximum likelihood with 30 Langevin steps", Unit: "s", Paper: 3.0, Source: source, Ours: theirs.seconds, Note: gpu},
		{Name: "their ratio", Paper: 10.0, Source: source, Ours: theirs.seconds / ours.seconds, Same: s.Scale == Paper},
		{Name: "ratio of counted operations", Ours: theirs.flops / ours.flops},
	}
	set := ours.settings
	o.settings = map[string]any{"network": set.Network().String(), "batch": set.Batch, "updates": s.n.Timed,
		"updates_likelihood": s.n.TimedLikelihood, "chain_steps": theirs.settings.Chains.Steps}
	if s.Scale != Paper {
		o.differ("network and batch: %v, %d pictures, in place of Res12 of 64 channels, 1×32×32, 128 pictures", set.Network(), set.Batch)
	}
	o.differ("seconds are medians on this machine (%s, %d threads), the paper's are of a GPU", s.rt.Info().Provider, s.rt.Info().Threads)
	table := report.Table{Title: "Updates", Columns: []report.Column{{Name: "objective"}, {Name: "updates"}, {Name: "median", Unit: "s"},
		{Name: "operations", Unit: "GFLOP"}}}
	for _, t := range []timedRun{ours, theirs} {
		table.Rows = append(table.Rows, []any{t.name, t.updates, t.seconds, t.flops / 1e9})
	}
	o.sections = []report.Section{table}
	return o, nil
}

// timedRun is a training that only shows what an update costs.
type timedRun struct {
	name     string
	settings train.Settings
	updates  int
	seconds  float64 // of an update, median
	flops    float64 // of an update, as written
}

// timed makes some updates of a preset's objective on the network that the
// scale has for the comparison of costs, and one before them that does not
// count.
func (s *study) timed(ctx context.Context, preset string, updates int) (timedRun, error) {
	t := timedRun{name: preset, updates: updates}
	var err error
	if t.settings, err = s.Scale.settings(preset); err != nil {
		return t, err
	}
	set := &t.settings
	if s.Scale == Small {
		set.Net.Name, set.Net.Dim, set.Batch = "res12", 32, 32
	}
	set.Steps, set.Output = updates+1, train.OutputSettings{LogEvery: 1, KeepCheckpoints: 1}
	if t.flops, err = updateFLOPs(*set); err != nil {
		return t, err
	}
	dir := filepath.Join(s.Dir, "runs", "timed-"+preset)
	if newest, err := train.Newest(dir); err != nil || newest.Step < set.Steps {
		data, err := s.set(ctx, set.Data.Name, dataset.Train, set.Data.Size)
		if err != nil {
			return t, err
		}
		shared := set.ShardsFor(s.rt.Info())
		if _, err := train.Train(ctx, s.rt, shared, data, train.Options{Dir: dir, Resume: true, Progress: s.Progress}); err != nil {
			return t, err
		}
	}
	records, err := metrics.ReadFile(filepath.Join(dir, metrics.LinesFile))
	if err != nil {
		return t, err
	}
	var seconds []float64
	for _, r := range records {
		if speed := r.Values["steps_per_second"]; r.Step > 1 && speed > 0 {
			seconds = append(seconds, 1/speed)
		}
	}
	if len(seconds) == 0 {
		return t, fmt.Errorf("%s: its metrics have no times of updates", dir)
	}
	slices.Sort(seconds)
	t.seconds = seconds[len(seconds)/2]
	return t, nil
}

// updateFLOPs counts the operations of an update, as it is written.
func updateFLOPs(set train.Settings) (float64, error) {
	net := set.Network()
	var flops float64
	var err error
	if caught := graph.Catch(func() {
		step := mdsm.TrainGraph(net, set.Criterion(), set.Adam())
		flops, err = step.FLOPs(map[string]int{"N": set.Batch})
	}); caught != nil {
		return 0, caught
	}
	return flops, err
}
