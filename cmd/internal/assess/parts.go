package assess

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
	"ebm/runtime/progress"
)

// mostReference bounds the training pictures that metrics of pairs, and slow
// networks, compare with.
const mostReference = 10_000

// openClassifier opens the classifier of the data's classes, if there is one.
func (a *assessment) openClassifier(ctx context.Context) error {
	if a.classifier != nil {
		return nil
	}
	network, err := features.ShippedClassifier(features.ClassifierFor(a.training.Name))
	if err != nil {
		return err
	}
	shape := a.model.Shape()
	a.classifier, err = network.Open(a.rt, shape[0], shape[1], shape[2])
	return errors.Join(ctx.Err(), err)
}

// measureSamples compares the samples with training pictures, in the features
// of every network whose weights are there.
func (a *assessment) measureSamples(ctx context.Context) error {
	network, err := a.Features.Open()
	without := errors.Is(err, features.ErrNoInception) && a.Features.Network.Kind == ""
	if err != nil && !without {
		return err
	}
	named := a.Features.Network.Kind == features.Classifier || a.Features.Network.Kind == features.Pixels
	if without {
		a.note("no FID, Inception score or KID: %v", features.ErrNoInception)
	} else if !named {
		if err := a.compareIn(ctx, network, sets.Names(), a.limited(mostReference)); err != nil {
			return err
		}
	}
	if !named { // features that need no weights are the second network
		if network, err = a.weightless(ctx); err != nil {
			return err
		}
	}
	// The distance takes means and covariances of all training pictures, the
	// others every pair.
	if err := a.compareIn(ctx, network, []string{sets.Frechet}, a.limited(a.training.Len())); err != nil {
		return err
	}
	if n := a.samples.Shape()[0]; n < 6 {
		a.note("%d samples are too few for kernel distance, precision and recall", n)
		return nil
	}
	return a.compareIn(ctx, network, []string{sets.Kernel, sets.Manifold}, a.limited(mostReference))
}

// weightless returns the network whose weights the program brings along: the
// classifier where one knows the data, and pixels elsewhere.
func (a *assessment) weightless(ctx context.Context) (*features.Network, error) {
	if err := a.openClassifier(ctx); err != nil {
		return features.PixelValues(), ctx.Err()
	}
	return features.ShippedClassifier(a.classifier.Maker().Network.Data)
}

// limited returns the number of training pictures to compare with.
func (a *assessment) limited(most int) int {
	if a.Limit > 0 {
		return a.Limit
	}
	return most
}

// compareIn compares the samples with some training pictures in the features
// of a network, by those of the metrics that were asked for.
func (a *assessment) compareIn(ctx context.Context, network *features.Network, metrics []string, reference int) error {
	o := a.Metrics
	if o.Metrics != nil {
		metrics = slices.DeleteFunc(slices.Clone(metrics), func(m string) bool { return !slices.Contains(o.Metrics, m) })
		if len(metrics) == 0 {
			return nil
		}
	}
	name := fmt.Sprintf("%s %v", a.training.Name, a.training.Split)
	o.Samples, o.Reference = sets.Held("the samples", a.samples), sets.Held(name, a.choose(a.training, reference).Pixels())
	o.Network, o.Metrics = network, metrics
	result, err := sets.Run(ctx, a.rt, o)
	if err != nil {
		return err
	}
	a.numbers = append(a.numbers, numbersIn{result, name})
	return nil
}

// choose returns some pictures of a set, by the seed.
func (a *assessment) choose(set *dataset.Set, count int) probe.Pictures {
	return probe.Choose(set, count, uint64(a.Metrics.Seed))
}

// countModes counts the classes of the samples.
func (a *assessment) countModes(ctx context.Context) error {
	if err := a.openClassifier(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		a.note("no modes were counted: %v", err)
		return nil
	}
	m, err := a.classifier.Modes(ctx, a.samples)
	if err != nil {
		return err
	}
	a.modes = &m
	return nil
}

// outliers tells other pictures from held-out ones.
func (a *assessment) outliers(ctx context.Context) error {
	if a.heldOut == nil {
		a.note("no outliers were told: there are no held-out pictures to tell them from")
		return nil
	}
	list := []probe.Population{
		a.population(a.training, probe.Training), a.population(a.heldOut, probe.HeldOut),
	}
	others, err := a.others(ctx)
	if err != nil {
		return err
	}
	list = append(list, others...)
	if a.lossSigmas, err = a.meta.Levels(5); err != nil {
		return err
	}
	a.statistics, err = a.model.Outliers(ctx, list, probe.OutlierOptions{Sigmas: a.lossSigmas, Progress: a.Progress})
	return err
}

func (a *assessment) population(set *dataset.Set, role probe.Role) probe.Population {
	return probe.Population{
		Name: fmt.Sprintf("%s %v", set.Name, set.Split), Role: role,
		Pictures: a.choose(set, a.Pictures),
	}
}

// others loads the sets that the energy is to tell apart: those asked for, or
// the usual one if it is there.
func (a *assessment) others(ctx context.Context) ([]probe.Population, error) {
	asked := a.Against
	if len(asked) == 0 {
		usual := OtherData(a.training.Name)
		if usual == "" {
			a.note("no other pictures: name some with --against SET=FOLDER")
			return nil, nil
		}
		g, err := a.other(ctx, usual)
		if err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			a.note("no other pictures (name some with --against): %v", err)
			return nil, nil
		}
		return []probe.Population{g}, nil
	}
	var list []probe.Population
	for _, ref := range asked {
		g, err := a.other(ctx, ref)
		if err != nil {
			return nil, fmt.Errorf("--against %s: %w", ref, err)
		}
		list = append(list, g)
	}
	return list, nil
}

// OtherData returns the data set that the energy of another is usually to tell
// apart, "" where none is usual.
func OtherData(name string) string {
	return map[string]string{"mnist": "fashion-mnist", "fashion-mnist": "mnist", "cifar10": "svhn", "svhn": "cifar10"}[name]
}

// other loads SET, SET:SPLIT or SET=FOLDER.
func (a *assessment) other(ctx context.Context, ref string) (probe.Population, error) {
	ref, dir, _ := strings.Cut(ref, "=")
	name, split, err := dataset.ParseName(ref, dataset.Test)
	if err != nil {
		return probe.Population{}, err
	}
	spec := dataset.Spec{Name: name, Dir: dir, Size: a.model.Shape()[2], Log: a.Log}
	if name == "folder" {
		spec.Channels = a.model.Shape()[0]
	}
	set, err := a.loadSet(ctx, spec, split)
	if err != nil {
		return probe.Population{}, err
	}
	g := a.population(set, probe.Other)
	if name == "folder" {
		g.Name = filepath.Base(dir)
	}
	return g, nil
}

// LevelsOf are the levels of one set.
type LevelsOf struct {
	Name     string
	Pictures int
	List     []probe.Level
}

// mostNoise is the number of pictures that go through every noise level.
const mostNoise = 500

// noise follows energy and error over the noise.
func (a *assessment) noise(ctx context.Context) error {
	sigmas, err := a.meta.Levels(16)
	if err != nil {
		return err
	}
	for _, set := range []*dataset.Set{a.training, a.heldOut} {
		if set == nil {
			continue
		}
		p := a.choose(set, min(a.Pictures, mostNoise))
		list, err := a.model.Levels(ctx, p, sigmas, a.Progress)
		if err != nil {
			return err
		}
		a.levels = append(a.levels, LevelsOf{fmt.Sprintf("%s %v", set.Name, set.Split), len(p.Index), list})
	}
	return nil
}

// Near holds the pictures that lie nearest to samples in one space of features.
type Near struct {
	Space   string
	Samples probe.Neighbourhood
	HeldOut *probe.Neighbourhood // of as many held-out pictures, which are no copies; nil without any
	Of      int                  // training pictures
	Columns int                  // of the grid: a sample and its neighbours
	Shown   *tensor.Tensor       // pictures of the grid
}

// FindNear finds the k training pictures next to each sample, and to as many
// held-out pictures where there are any. It shows the first rows.
func FindNear(ctx context.Context, space string, e *features.Extractor, training, samples *tensor.Tensor, heldOut *probe.Pictures,
	k, rows int, show progress.Progress) (Near, error) {
	in, err := probe.NewSpace(ctx, e, training, show)
	if err != nil {
		return Near{}, err
	}
	k = min(k, training.Shape()[0])
	n := Near{Space: space, Of: training.Shape()[0], Columns: k + 1}
	if n.Samples, err = in.Around(ctx, samples, k, show); err != nil {
		return n, err
	}
	n.Shown = n.Samples.Rows(rows)
	if heldOut != nil {
		held, err := in.Around(ctx, heldOut.Pixels(), 1, show)
		if err != nil {
			return n, err
		}
		n.HeldOut = &held
	}
	return n, nil
}

// mostNeighbours is the number of samples whose neighbours are found, and
// shownRows that of those which are shown.
const (
	mostNeighbours = 256
	shownRows      = 10
)

// nearestTraining finds the training pictures next to the samples, in pixels
// and in features.
func (a *assessment) nearestTraining(ctx context.Context) error {
	type space struct {
		name string
		by   *features.Extractor
	}
	spaces := []space{{"pixels", features.NewPixels()}}
	if err := a.openClassifier(ctx); err == nil {
		spaces = append(spaces, space{"features of the classifier", a.classifier})
	} else if ctx.Err() != nil {
		return err
	}
	training := a.choose(a.training, a.limited(a.training.Len())).Pixels()
	samples := a.samples.Rows(0, min(mostNeighbours, a.samples.Shape()[0]))
	var heldOut *probe.Pictures
	if a.heldOut != nil {
		p := a.choose(a.heldOut, samples.Shape()[0])
		heldOut = &p
	}
	for _, space := range spaces {
		n, err := FindNear(ctx, space.name, space.by, training, samples, heldOut, a.Neighbours, shownRows, a.Progress)
		if err != nil {
			return err
		}
		a.near = append(a.near, n)
	}
	return nil
}
