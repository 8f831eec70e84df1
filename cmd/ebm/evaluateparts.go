package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"ebm/evaluate/features"
	"ebm/evaluate/probe"
	"ebm/evaluate/sets"
	"ebm/mdsm/dataset"
	"ebm/models/tensor"
)

// mostReference bounds the training pictures that metrics of pairs, and slow
// networks, compare with.
const mostReference = 10_000

// openClasses opens the classifier of the data's classes, if there is one.
func (e *evaluation) openClasses(ctx context.Context) error {
	if e.classes != nil {
		return nil
	}
	rt, err := e.runtime(ctx)
	if err != nil {
		return err
	}
	name := e.training.Name
	if name == "stacked-mnist" {
		name = "mnist"
	}
	network, err := features.ShippedClassifier(name)
	if err != nil {
		return err
	}
	shape := e.model.Shape()
	e.classes, err = network.Open(rt, shape[0], shape[1], shape[2])
	return err
}

// measureSamples compares the samples with training pictures, in the features
// of every network that is to be had.
func (e *evaluation) measureSamples(ctx context.Context) error {
	network, err := e.network()
	quick := network
	switch name, _, _ := strings.Cut(e.features, ":"); {
	case err == nil && (name == byClassifier || name == byPixels):
		// Asked for by name: it is the only one.
	case err == nil:
		if err := e.compareIn(ctx, network, nil, e.limited(mostReference)); err != nil {
			return err
		}
		quick, err = e.quickest(ctx)
	case errors.Is(err, features.ErrNoInception) && name == "":
		e.note("no FID, Inception score or KID: %v", features.ErrNoInception)
		quick, err = e.quickest(ctx)
	}
	if err != nil {
		return err
	}
	// The distance takes means and covariances of all training pictures, the
	// others every pair.
	if err := e.compareIn(ctx, quick, []string{sets.Frechet}, e.limited(e.training.Len())); err != nil {
		return err
	}
	if n := e.samples.Shape()[0]; n < 6 {
		e.note("%d samples are too few for kernel distance, precision and recall", n)
		return nil
	}
	return e.compareIn(ctx, quick, []string{sets.Kernel, sets.Manifold}, e.limited(mostReference))
}

// quickest returns the features that need no weights from elsewhere: those of
// the classifier where it knows the data, and pixels otherwise.
func (e *evaluation) quickest(ctx context.Context) (*features.Network, error) {
	if err := e.openClasses(ctx); err != nil {
		return features.PixelValues(), ctx.Err()
	}
	return features.ShippedClassifier(e.classes.Maker().Network.Data)
}

// limited returns the number of training pictures to compare with.
func (e *evaluation) limited(most int) int {
	if e.limit > 0 {
		return e.limit
	}
	return most
}

// compareIn compares the samples with some training pictures in the features
// of a network.
func (e *evaluation) compareIn(ctx context.Context, network *features.Network, groups []string, reference int) error {
	if groups = common(groups, e.metrics); groups != nil && len(groups) == 0 {
		return nil
	}
	rt, err := e.runtime(ctx)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s %v", e.training.Name, e.training.Split)
	pictures := probe.Choose(e.training, reference, uint64(e.seed))
	result, err := sets.Run(ctx, rt, sets.Options{
		Samples: sets.Held("the samples", e.samples), Reference: sets.Held(name, pictures.Pixels()), Network: network,
		Metrics: groups, Seed: e.seed, Subsets: e.subsets, SubsetSize: e.subsetSize, Splits: e.splits,
		Unbiased: e.unbiased, Extrapolate: e.extrapolate, Bootstrap: e.bootstrap, BootstrapFrechet: e.bootstrapFID,
		CacheDir: e.cache, Progress: e.progress(), Log: e.log,
	})
	if err != nil {
		return err
	}
	e.addNumbers(result, name)
	return nil
}

// common returns what of a is in b too; a nil list holds everything.
func common(a, b []string) []string {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	return slices.DeleteFunc(slices.Clone(a), func(x string) bool { return !slices.Contains(b, x) })
}

// countModes counts the classes of the samples.
func (e *evaluation) countModes(ctx context.Context) error {
	if err := e.openClasses(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		e.note("no modes were counted: %v", err)
		return nil
	}
	m, err := e.classes.Modes(ctx, e.samples)
	if err != nil {
		return err
	}
	e.modes = &m
	return nil
}

// outliers tells other pictures from held-out ones.
func (e *evaluation) outliers(ctx context.Context) error {
	if e.heldOut == nil {
		e.note("no outliers were told: there are no held-out pictures to tell them from")
		return nil
	}
	groups := []probe.Group{
		e.group(e.training, probe.Training), e.group(e.heldOut, probe.HeldOut),
	}
	others, err := e.others(ctx)
	if err != nil {
		return err
	}
	groups = append(groups, others...)
	if e.lossSigmas, err = e.meta.Levels(5); err != nil {
		return err
	}
	e.scores, err = e.model.Outliers(ctx, groups, probe.OutlierOptions{Sigmas: e.lossSigmas, Progress: e.progress()})
	return err
}

func (e *evaluation) group(set *dataset.Set, role probe.Role) probe.Group {
	return probe.Group{
		Name: fmt.Sprintf("%s %v", set.Name, set.Split), Role: role,
		Pictures: probe.Choose(set, e.run.pictures, uint64(e.seed)),
	}
}

// others loads the sets that the energy is to tell apart: those asked for, or
// the usual one if it is there.
func (e *evaluation) others(ctx context.Context) ([]probe.Group, error) {
	asked := e.run.against
	if len(asked) == 0 {
		usual := map[string]string{"mnist": "fashion-mnist", "fashion-mnist": "mnist", "cifar10": "svhn", "svhn": "cifar10"}[e.training.Name]
		if usual == "" {
			e.note("no other pictures: name some with --against SET=FOLDER")
			return nil, nil
		}
		g, err := e.other(ctx, usual)
		if err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			e.note("no other pictures (name some with --against): %v", err)
			return nil, nil
		}
		return []probe.Group{g}, nil
	}
	var groups []probe.Group
	for _, ref := range asked {
		g, err := e.other(ctx, ref)
		if err != nil {
			return nil, fmt.Errorf("--against %s: %w", ref, err)
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// other loads SET, SET:SPLIT or SET=FOLDER.
func (e *evaluation) other(ctx context.Context, ref string) (probe.Group, error) {
	ref, dir, _ := strings.Cut(ref, "=")
	name, part, _ := strings.Cut(ref, ":")
	split := dataset.Test
	switch part {
	case "", "test":
	case "train":
		split = dataset.Train
	default:
		return probe.Group{}, usagef("%q is no part of a data set, want %s:train or %s:test", part, name, name)
	}
	spec := dataset.Spec{Name: name, Dir: dir, Size: e.model.Shape()[2], Log: e.log}
	if name == "folder" {
		spec.Channels = e.model.Shape()[0]
	}
	set, err := e.loadSet(ctx, spec, split)
	if err != nil {
		return probe.Group{}, err
	}
	g := e.group(set, probe.Other)
	if name == "folder" {
		g.Name = filepath.Base(dir)
	}
	return g, nil
}

// levelsOf are the levels of one set.
type levelsOf struct {
	name     string
	pictures int
	list     []probe.Level
}

// mostNoise is the number of pictures that go through every noise level.
const mostNoise = 500

// noise follows energy and error over the noise.
func (e *evaluation) noise(ctx context.Context) error {
	sigmas, err := e.meta.Levels(16)
	if err != nil {
		return err
	}
	for _, set := range []*dataset.Set{e.training, e.heldOut} {
		if set == nil {
			continue
		}
		p := probe.Choose(set, min(e.run.pictures, mostNoise), uint64(e.seed))
		list, err := e.model.Levels(ctx, p, sigmas, e.progress())
		if err != nil {
			return err
		}
		e.levels = append(e.levels, levelsOf{fmt.Sprintf("%s %v", set.Name, set.Split), len(p.Index), list})
	}
	return nil
}

// nearest is what lies nearest to the samples in one space, and to as many
// held-out pictures, which are no copies.
type nearest struct {
	space   string
	samples probe.Neighbourhood
	heldOut *probe.Neighbourhood
	of      int            // training pictures
	shown   *tensor.Tensor // pictures of the grid
	columns int            // of the grid
}

// mostNeighbours is the number of samples whose neighbours are found, and
// shownRows that of those which are shown.
const (
	mostNeighbours = 256
	shownRows      = 10
)

// nearestTraining finds the training pictures next to the samples, in pixels
// and in features.
func (e *evaluation) nearestTraining(ctx context.Context) error {
	type space struct {
		name string
		by   *features.Extractor
	}
	spaces := []space{{"pixels", features.NewPixels()}}
	if err := e.openClasses(ctx); err == nil {
		spaces = append(spaces, space{"features of the classifier", e.classes})
	} else if ctx.Err() != nil {
		return err
	}
	training := probe.Choose(e.training, e.limited(e.training.Len()), uint64(e.seed)).Pixels()
	samples := e.samples.Rows(0, min(mostNeighbours, e.samples.Shape()[0]))
	k := min(e.run.neighbours, training.Shape()[0])
	for _, space := range spaces {
		in, err := probe.NewSpace(ctx, space.by, training, e.progress())
		if err != nil {
			return err
		}
		n, err := in.Around(ctx, samples, k, e.progress())
		if err != nil {
			return err
		}
		found := nearest{space: space.name, samples: n, of: training.Shape()[0], columns: k + 1, shown: n.Rows(shownRows)}
		if e.heldOut != nil {
			p := probe.Choose(e.heldOut, samples.Shape()[0], uint64(e.seed))
			held, err := in.Around(ctx, p.Pixels(), 1, e.progress())
			if err != nil {
				return err
			}
			found.heldOut = &held
		}
		e.near = append(e.near, found)
	}
	return nil
}
