package reproduce

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"ebm/cmd/internal/assess"
	"ebm/evaluate/features"
	"ebm/evaluate/probe"
	"ebm/mdsm/dataset"
	"ebm/mdsm/langevin"
	"ebm/mdsm/train"
)

// selected is the number of samples by which a checkpoint is judged, and
// selected is the number of samples of each checkpoint that is chosen from.
const selected = 1000

// selectedData are the sets whose models the paper chooses so; of others it takes
// the last checkpoint (appendix D).
func selectedData() []string { return []string{"cifar10", "celeba"} }

// checkpointOf returns the folder of what a training at the paper's scale is
// measured by: the checkpoint with the least FID where the paper chooses so and
// there are Inception weights, the run and so its last checkpoint elsewhere.
func (s *study) checkpointOf(ctx context.Context, dir string, set train.Settings) (string, error) {
	if s.Scale != Paper || !slices.Contains(selectedData(), set.Data.Name) {
		return dir, nil
	}
	network, err := assess.Features{Inception: s.Inception}.Open()
	if errors.Is(err, features.ErrNoInception) {
		s.Log(dir + ": its last checkpoint is taken, for want of Inception weights by which the paper chooses one")
		return dir, nil
	}
	if err != nil {
		return "", err
	}
	extractor, err := network.Open(s.rt, set.Net.Channels, set.Data.Size, set.Data.Size)
	if err != nil {
		return "", err
	}
	defer extractor.Close()
	return s.best(ctx, dir, set, extractor, selected)
}

// best returns the folder of the checkpoint whose samples have the least
// Fréchet distance in some features, which it finds if the run does not say it.
func (s *study) best(ctx context.Context, dir string, set train.Settings, by *features.Extractor, count int) (string, error) {
	chosen, err := assess.ReadSelection(dir)
	if errors.Is(err, fs.ErrNotExist) {
		chosen, err = s.choose(ctx, dir, set, by, count)
	}
	if err != nil {
		return "", fmt.Errorf("%s: choose a checkpoint: %w", dir, err)
	}
	return filepath.Join(dir, "checkpoints", chosen.Best), nil
}

func (s *study) choose(ctx context.Context, dir string, set train.Settings, by *features.Extractor, count int) (assess.Selection, error) {
	training, err := s.set(ctx, set.Data.Name, dataset.Train, set.Data.Size)
	if err != nil {
		return assess.Selection{}, err
	}
	sampling := langevin.Default(count)
	sampling.Schedule.Steps, sampling.Seed = s.n.Steps, s.Seed+1
	return assess.SelectOf(ctx, s.rt, dir, probe.All(training), assess.SelectOptions{
		Settings: sampling, Crop: training.Height - 2*training.Pad, Features: by, Progress: s.Progress, Log: s.Log,
	})
}
