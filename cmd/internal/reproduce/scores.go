package reproduce

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"ebm/cmd/internal/assess"
	"ebm/cmd/internal/report"
	"ebm/evaluate/features"
	"ebm/evaluate/probe"
	"ebm/evaluate/sets"
	"ebm/mdsm/dataset"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/models/zoo"
)

// scoresItem gives the numbers of a set of samples: FID and Inception score
// where there are Inception weights, and the distance in a classifier's features,
// which is no FID, where a shipped classifier knows the data.
func scoresItem(ctx context.Context, s *study) (outcome, error) {
	var o outcome
	m, err := s.subject(ctx, "cifar10")
	if err != nil {
		return o, err
	}
	networks, hasInception, err := s.networks(m.data)
	if err != nil {
		return o, err
	}
	training, err := s.set(ctx, m.data, dataset.Train, m.size())
	if err != nil {
		return o, err
	}
	drawn, err := s.pool(ctx, m, s.n.Scored)
	if err != nil {
		return o, err
	}
	n := drawn.pictures.Shape()[0]
	o.settings = sampling(drawn.record)
	s.differFrom(&o, m, "cifar10", paperColourNet)
	s.differSteps(&o, drawn.record)
	if n < 50_000 {
		o.differ("%d samples in place of 50,000: few samples make a distance larger than it is", n)
	}
	var items []report.Metric
	for _, network := range networks {
		r, err := sets.Run(ctx, s.rt, sets.Options{
			Samples: sets.Held("samples of "+m.name, drawn.pictures), Reference: sets.Held(m.data+":train", probe.All(training)),
			Network: network, Metrics: metricsOf(hasInception && network == networks[0]), CacheDir: s.featureCache(),
			Progress: s.Progress, Log: s.Log,
		})
		if err != nil {
			return o, err
		}
		for _, v := range r.Metrics {
			row := scoreRow(v)
			row.Same = row.Paper != nil && m.data == "cifar10" && n == 50_000
			o.rows = append(o.rows, row)
		}
		items = append(items, assess.MetricsOf(r, m.data+" train")...)
	}
	if !hasInception {
		o.differ("there are no Inception weights: the distance is that of a classifier's features, which compares with no FID, and there is " +
			"no Inception score")
		for _, row := range []Row{{Name: "FID", Paper: 31.7}, {Name: "Inception score", Paper: 8.31}} {
			row.Source, row.Ours, row.Note = "table 1, CIFAR-10", math.NaN(), "needs Inception weights"
			o.rows = append(o.rows, row)
		}
	}
	o.sections = []report.Section{assess.Numbers(items)}
	return o, nil
}

// networks opens the networks whose features are compared: Inception first, if
// its weights are there.
func (s *study) networks(data string) (list []*features.Network, hasInception bool, err error) {
	network, err := assess.Features{Network: features.Identity{Kind: features.Inception}, Inception: s.Inception}.Open()
	if hasInception = err == nil; hasInception {
		list = append(list, network)
	} else if !errors.Is(err, features.ErrNoInception) {
		return nil, false, err
	}
	if slices.Contains(zoo.Classifiers(), data) {
		if network, err = features.ShippedClassifier(data); err != nil {
			return nil, false, err
		}
		list = append(list, network)
	}
	if len(list) == 0 {
		return nil, false, fmt.Errorf("samples of %s need a feature network: %w", data, err)
	}
	return list, hasInception, nil
}

// featureCache keeps features of training pictures for all items.
func (s *study) featureCache() string { return filepath.Join(s.Dir, "runs", "features") }

// distance is the Fréchet distance of samples to the training pictures of their
// model in the features of the shipped classifier, NaN where none knows the
// data. It compares between equal numbers of samples.
func (s *study) distance(ctx context.Context, m *subject, pictures *tensor.Tensor) (float64, error) {
	if !slices.Contains(zoo.Classifiers(), m.data) {
		return math.NaN(), nil
	}
	network, err := features.ShippedClassifier(m.data)
	if err != nil {
		return 0, err
	}
	training, err := s.set(ctx, m.data, dataset.Train, m.size())
	if err != nil {
		return 0, err
	}
	r, err := sets.Run(ctx, s.rt, sets.Options{
		Samples: sets.Held("samples of "+m.name, pictures), Reference: sets.Held(m.data+":train", probe.All(training)),
		Network: network, Metrics: metricsOf(false), CacheDir: s.featureCache(), Progress: s.Progress, Log: s.Log,
	})
	if err != nil {
		return 0, err
	}
	return r.Metrics[0].Value, nil
}

// metricsOf are the numbers of a network: classes of digits make no Inception
// score.
func metricsOf(isInception bool) []string {
	if isInception {
		return []string{sets.Frechet, sets.InceptionScore}
	}
	return []string{sets.Frechet}
}

// scoreRow puts a number beside the paper's, if it is of the paper's kind.
func scoreRow(v sets.Value) Row {
	row := Row{Name: v.Label, Ours: v.Value}
	if v.Deviation != nil {
		row.Error = *v.Deviation
	}
	switch {
	case v.Family != features.Inception:
		row.Note = "no FID, and comparable with none"
	case v.Quantity == sets.FrechetDistance:
		row.Paper, row.Source = 31.7, "table 1, CIFAR-10"
	case v.Quantity == sets.ClassScore:
		row.Paper, row.Source = 8.31, "table 1, CIFAR-10"
	}
	return row
}

// modesItem counts the modes of stacked digits.
func modesItem(ctx context.Context, s *study) (outcome, error) {
	var o outcome
	m, err := s.subject(ctx, "stacked-mnist")
	if err != nil {
		return o, err
	}
	drawn, err := s.pool(ctx, m, s.n.Stacks)
	if err != nil {
		return o, err
	}
	o.settings = sampling(drawn.record)
	s.differSteps(&o, drawn.record)
	stacks := drawn.pictures
	if m.net.Plan().Channels == 1 {
		stacks = stacked(stacks, s.n.Stacks, rng.New(s.Seed+1))
		o.settings["stacks"] = s.n.Stacks
		o.differ("no model of stacked digits: each stack is three of %d grey samples of %s, drawn at random with replacement, so a mode is "+
			"missed only where digits are, and digits are independent as in the data", drawn.record.Count, m.name)
	} else {
		s.differFrom(&o, m, "stacked-mnist", paperMNISTNet)
	}
	classes, ok, err := classesOf(s.rt, m.data, 3, m.size())
	if err != nil {
		return o, err
	}
	if !ok {
		return o, fmt.Errorf("modes are counted of digits, the model is of %s", m.data)
	}
	defer classes.Close()
	r, err := classes.Modes(ctx, stacks)
	if err != nil {
		return o, err
	}
	o.rows = []Row{
		{Name: fmt.Sprintf("modes of %d covered by %d samples", r.Modes, r.Samples), Paper: 966, Source: "section 4, 8,000 samples",
			Ours: float64(r.Covered),
			Same: m.data == "stacked-mnist" && r.Samples == 8000, Note: fmt.Sprintf("a perfect model would cover %.1f", r.ExpectedCovered)},
		{Name: "relative entropy of the modes to the uniform distribution", Unit: "nats", Ours: r.KL,
			Note: fmt.Sprintf("a perfect model would have %.3f", r.ExpectedKL)},
	}
	p, err := s.picture("stacks.png", "the first stacks, a digit in each colour", 16, 0, assess.First(stacks, 64))
	if err != nil {
		return o, err
	}
	o.sections = []report.Section{report.Gallery{Title: "Stacked digits", Pictures: []report.Picture{p}},
		assess.ModesChart("digits", "by the shipped classifier, whose mistakes count too", r.Classes)}
	return o, nil
}

// stacked makes n pictures of three channels of grey ones, uint8 [k 1 H W], each
// drawn at random.
func stacked(grey *tensor.Tensor, n int, source rng.Source) *tensor.Tensor {
	shape := grey.Shape()
	each := shape[2] * shape[3]
	values := make([]uint8, 0, n*3*each)
	for i := range n {
		for c := range uint32(3) {
			at := source.IntN(shape[0], rng.Compose, uint64(i), c)
			values = append(values, tensor.Data[uint8](grey)[at*each:(at+1)*each]...)
		}
	}
	return tensor.Of(values, n, 3, shape[2], shape[3])
}

// neighboursItem shows samples beside their nearest training pictures.
func neighboursItem(ctx context.Context, s *study) (outcome, error) {
	var o outcome
	m, err := s.subject(ctx, "fashion-mnist")
	if err != nil {
		return o, err
	}
	training, err := s.set(ctx, m.data, dataset.Train, m.size())
	if err != nil {
		return o, err
	}
	heldOut, err := s.set(ctx, m.data, dataset.Test, m.size())
	if err != nil {
		return o, err
	}
	drawn, err := s.pool(ctx, m, s.n.Grid)
	if err != nil {
		return o, err
	}
	o.settings = sampling(drawn.record)
	o.settings["neighbours"] = s.n.Neighbours
	s.differFrom(&o, m, "fashion-mnist", paperMNISTNet)
	s.differSteps(&o, drawn.record)
	held := probe.Choose(heldOut, s.n.Grid, s.Seed+1)
	near, err := assess.FindNear(ctx, "pixels", features.NewPixels(), probe.All(training), assess.First(drawn.pictures, s.n.Grid), &held,
		s.n.Neighbours, s.n.NeighbourRows, s.Progress)
	if err != nil {
		return o, err
	}
	p, err := s.picture("neighbours.png", "samples in the first column, and their nearest training pictures (L2 of pixels), nearest first",
		near.Columns, 1, near.Shown)
	if err != nil {
		return o, err
	}
	o.sections = []report.Section{report.Gallery{Title: "Nearest training pictures", Pictures: []report.Picture{p}}}
	o.rows = []Row{
		{Name: "samples equal to a training picture", Paper: "no indication of overfitting", Source: "section 4, figure A2",
			Ours: float64(near.Samples.Copies), Note: fmt.Sprintf("of %d", len(near.Samples.Index))},
		{Name: "median distance to the nearest training picture, samples", Ours: near.Samples.Median(), Note: "L2 of pixels from 0 to 1"},
		{Name: "the same of held-out pictures", Ours: near.HeldOut.Median(), Note: "a model that copied would be much nearer than these"},
	}
	return o, nil
}
