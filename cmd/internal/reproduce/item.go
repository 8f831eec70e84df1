package reproduce

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Item is one experiment of the paper.
type Item struct {
	Name  string
	Paper string // its figure or table, or the section that tells of it
	About string // what it shows, a few words
	Needs string // data and models at the paper's scale

	// presets are the models that it measures, by their training's preset.
	presets []string
	do      func(ctx context.Context, s *study) (outcome, error)
	// work is what an item computes beside trainings of its presets, for the
	// cost of the paper's scale.
	work func(numbers) work
}

// models are the presets of the models that the item measures at a scale. Below
// the paper's, outliers are looked for by the model of clothes too: digits are
// to it what SVHN is to CIFAR-10, a set of plainer pictures.
func (i Item) models(s Scale) []string {
	if i.Name == "outliers" && s != Paper {
		return append(slices.Clone(i.presets), "fashion-mnist")
	}
	return i.presets
}

// Items returns all items, in the order in which they run best: the samples
// of the first serve those after it.
func Items() []Item {
	return []Item{
		{"samples", "figures 2, A4, A5, A6", "samples by annealed Langevin dynamics and one denoising jump",
			"trained models of MNIST, Fashion-MNIST, CelebA, CIFAR-10",
			[]string{"mnist", "fashion-mnist", "celeba", "cifar10"}, samplesItem, func(n numbers) work { return work{samples: n.Grid} }},
		{"process", "figures 3 and A3 (top), A7B", "how samples come about: pictures along the way, energy and temperature",
			"a trained model (the paper's of CIFAR-10)",
			[]string{"cifar10"}, processItem, func(n numbers) work { return work{samples: n.Grid} }},
		{"scores", "table 1, IS and FID", "Inception score and FID, or the Fréchet distance of a classifier's features",
			"CIFAR-10, 50,000 samples, Inception weights",
			[]string{"cifar10"}, scoresItem, func(n numbers) work { return work{samples: n.Scored} }},
		{"noise", "appendix D, sections 2 and 4", "energy against the noise level of the picture", "a trained model",
			[]string{"mnist"}, noiseItem, func(numbers) work { return work{} }},
		{"inpainting", "figures 3 and A3 (bottom)", "hidden parts of test pictures filled in",
			"a trained model (the paper's of CIFAR-10 and CelebA)",
			[]string{"cifar10", "celeba"}, inpaintingItem, func(n numbers) work { return work{samples: 2 * n.Hidden * n.Completions} }},
		{"modes", "section 4, mode coverage", "modes, of 1,000, that samples of three stacked digits reach",
			"a model of stacked MNIST, 8,000 samples",
			[]string{"stacked-mnist"}, modesItem, func(n numbers) work { return work{samples: n.Stacks} }},
		{"likelihood", "table 1, NLL; section 4", "density of test pictures by reverse annealed importance sampling",
			"models of CIFAR-10 and MNIST",
			[]string{"cifar10", "mnist"}, likelihoodItem, func(n numbers) work { return work{trajectories: 2 * n.Chains} }},
		{"outliers", "figure A7A", "energies of training, test and another set's pictures", "a model of CIFAR-10; SVHN",
			[]string{"cifar10"}, outliersItem, func(numbers) work { return work{} }},
		{"neighbours", "figure A2", "samples beside their nearest training pictures", "a model of Fashion-MNIST",
			[]string{"fashion-mnist"}, neighboursItem, func(n numbers) work { return work{samples: n.Grid} }},
		{"single-noise", "figure A1", "models trained at one noise level, 0.3, 0.6 and 1", "three trainings on MNIST",
			nil, singleNoiseItem, func(n numbers) work {
				return work{samples: n.Compared, trainings: map[string]string{"mnist": "mnist", "mnist-sigma-0.3": "single-noise",
					"mnist-sigma-0.6": "single-noise", "mnist-sigma-1": "single-noise"}}
			}},
		{"cost", "section 4, training details", "seconds of an update, ours and of maximum likelihood with 30 Langevin steps", "nothing",
			nil, costItem, func(n numbers) work {
				return work{updates: map[string]int{"mnist": n.Timed, "likelihood": n.TimedLikelihood}}
			}},
		{"spacing", "section 4, training details", "linear against geometric noise levels", "two trainings on MNIST",
			nil, spacingItem, func(n numbers) work {
				return work{samples: 2 * n.Compared, trainings: map[string]string{"mnist": "mnist", "mnist-linear-levels": "mnist"}}
			}},
		{"heads", "appendix D", "the quadratic head against a linear one", "two trainings on MNIST",
			nil, headsItem, func(n numbers) work {
				return work{samples: 2 * n.Compared, trainings: map[string]string{"mnist": "mnist", "mnist-linear-head": "mnist"}}
			}},
		{"points", "appendix A (future work)", "other objectives than the paper's, of points in the plane", "nothing", nil, pointsItem,
			func(numbers) work { return work{} }},
		{objectivesName, "appendix A (future work)", "other objectives than the paper's, of digits in equal time",
			"a training on MNIST by each, 30 minutes each", nil, objectivesItem, func(numbers) work { return work{} }},
	}
}

// Find returns the items called name, or all for "all".
func Find(name string) ([]Item, error) {
	var names []string
	for _, i := range Items() {
		if i.Name == name {
			return []Item{i}, nil
		}
		names = append(names, i.Name)
	}
	if name == "all" {
		return Items(), nil
	}
	return nil, fmt.Errorf("unknown item %q, want all or one of %s", name, strings.Join(names, ", "))
}
