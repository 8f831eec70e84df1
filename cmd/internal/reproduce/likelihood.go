package reproduce

import (
	"context"
	"fmt"
	"path/filepath"

	"ebm/cmd/internal/report"
	"ebm/evaluate/probe"
	"ebm/mdsm/ais"
	"ebm/mdsm/dataset"
	"ebm/mdsm/hmc"
)

// likelihoodItem estimates densities of test pictures.
func likelihoodItem(ctx context.Context, s *study) (outcome, error) {
	var o outcome
	list, err := s.subjects(ctx, "cifar10", "mnist")
	if err != nil {
		return o, err
	}
	table := report.Table{Title: "Chains", Columns: []report.Column{
		{Name: "model"}, {Name: "direction"}, {Name: "chains"}, {Name: "log Z", Unit: "nats"}, {Name: "mean bound", Unit: "nats"},
		{Name: "effective chains"}, {Name: "acceptance"},
	}}
	paper := ais.Paper()
	for _, m := range list {
		set := ais.Cheap()
		set.Distributions, set.Leapfrog, set.Seed = s.n.Distributions, s.n.Leapfrog, s.Seed+1
		set.Ratio = max(set.Reference.Sigma*set.Reference.Sigma/(m.Sigma0*m.Sigma0), 1)
		rows, chains, err := s.likelihood(ctx, m, set)
		if err != nil {
			return o, err
		}
		o.rows, table.Rows = append(o.rows, rows...), append(table.Rows, chains...)
		o.settings = map[string]any{"ais": set, "chains": s.n.Chains, "points": ais.Clean}
		s.differFrom(&o, m, m.data, networkOf(m.data))
		if m.size() != 32 {
			o.differ("pictures of %d×%d in place of 32×32: bits per dimension of means of pixels, which are smoother than pixels", m.size(),
				m.size())
		}
	}
	if s.n.Distributions < paper.Distributions {
		o.differ("%d distributions of %d leapfrog steps in place of %d of %d: fewer make the reverse estimate of log Z larger, and the "+
			"density smaller", s.n.Distributions, s.n.Leapfrog, paper.Distributions, paper.Leapfrog)
	}
	o.differ("the reference's log Z and the whole leapfrog step are counted, which the authors' code leaves out; how the paper dequantises " +
		"is not said: densities are at the pictures themselves")
	o.sections = []report.Section{table}
	return o, nil
}

func (s *study) likelihood(ctx context.Context, m *subject, set ais.Settings) (rows []Row, chains [][]any, err error) {
	test, err := s.set(ctx, m.data, dataset.Test, m.size())
	if err != nil {
		return nil, nil, err
	}
	files, err := hmc.NewFiles(m.Network, m.Weights, set.Reference, set.Leapfrog)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", m.name, err)
	}
	kernel, err := hmc.Load(s.rt, files)
	if err != nil {
		return nil, nil, err
	}
	defer kernel.Close()
	e, err := ais.New(kernel, set)
	if err != nil {
		return nil, nil, err
	}
	e.Progress, e.Dir, e.Log = s.Progress, filepath.Join(s.Dir, "runs", m.name, "likelihood"), s.Log
	z, err := e.Measure(ctx, s.n.Chains, floats(probe.Choose(test, s.n.Chains, s.Seed+1)), false)
	if err != nil {
		return nil, nil, err
	}
	lower, upper, density, fromLower := z.Forward, z.Reverse, z.PaperDensity, z.Density
	row := Row{Name: "NLL of " + m.data + " test pictures, reverse AIS", Unit: "bits/dim", Ours: density.BitsPerDim.Value,
		Error: density.BitsPerDim.StdErr,
		Same:  s.Scale == Paper && m.size() == 32, Note: "pixel values from 0 to 255; mean of log densities; from test pictures, so no bound"}
	switch m.data {
	case "cifar10":
		row.Paper, row.Source = 7.04, "table 1, CIFAR-10"
	case "mnist":
		row.Paper, row.Source = 6.79, "section 4, MNIST"
	}
	rows = []Row{row,
		{Name: "the same with log Z of forward AIS", Unit: "bits/dim", Ours: fromLower.BitsPerDim.Value, Error: fromLower.BitsPerDim.StdErr,
			Note: fmt.Sprintf("forward chains bound log Z from below in expectation, and so this number too; they count as %.1f of %d",
				lower.ESS, lower.Chains)},
		{Name: "gap of log Z between reverse and forward", Unit: "nats", Paper: "substantial", Source: "section 4",
			Ours: upper.Mean.Value - lower.Mean.Value},
	}
	chain := func(direction string, z ais.LogZ) []any {
		return []any{m.name, direction, z.Chains, z.Estimate.Value, z.Mean.Value, z.ESS, z.Acceptance}
	}
	return rows, [][]any{chain("forward, from the reference", *lower), chain("reverse, from test pictures", *upper)}, nil
}
