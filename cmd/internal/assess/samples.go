package assess

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ebm"
	"ebm/evaluate/features"
	"ebm/internal/atomicfile"
	"ebm/mdsm/langevin"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
	"ebm/runtime"
	"ebm/runtime/progress"
)

// sample takes the samples of the run, or draws some.
func (a *assessment) sample(ctx context.Context) error {
	a.samplesDir = filepath.Join(a.Dir, "samples")
	if a.checkpoint != "" {
		a.samplesDir += "-" + a.checkpoint
	}
	if err := a.drawn(ctx); err != nil {
		return err
	}
	record, err := samples.ReadRecord(a.samplesDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		a.note("nothing says how the samples in %s were made", a.samplesDir)
		return nil
	case err != nil:
		return err
	}
	a.record = &record
	if record.Model != a.files.Hash() {
		a.note("the samples in %s were made by another model, or another version of the program: remove the folder to have them drawn again",
			a.samplesDir)
	}
	return nil
}

// drawn reads the samples, after it has drawn them where there are none, or finished
// what an interrupted command had begun.
func (a *assessment) drawn(ctx context.Context) error {
	archive := filepath.Join(a.samplesDir, samples.ArchiveFile)
	_, err := os.Stat(archive)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		a.Log(fmt.Sprintf("drawing %d samples into %s", a.Count, a.samplesDir))
	case err != nil:
		return err
	default:
		record, err := samples.ReadRecord(a.samplesDir)
		if err != nil || record.Count != a.Count || atomicfile.Exists(filepath.Join(a.samplesDir, samples.GridFile)) {
			a.samples, err = ReadSamples(archive, a.model.Shape())
			return err
		}
	}
	set, err := sampling(a.meta, Sampling{a.Count, a.Steps})
	if err != nil {
		return err
	}
	set.Watch.Chains = min(a.Count, 16)
	folder := samples.Folder{Dir: a.samplesDir, Crop: a.crop(), Grid: 64, Describe: a.about, Log: a.Log}
	a.samples, err = draw(ctx, a.rt, a.files, set, folder, a.Progress)
	if errors.As(err, new(*samples.MismatchError)) { // drawn by other settings, without a grid
		a.samples, err = ReadSamples(archive, a.model.Shape())
	}
	return err
}

// draw draws samples of a model into a folder, or goes on with those that are
// there, and returns them as pictures [n C H W].
func draw(ctx context.Context, rt *runtime.Runtime, files langevin.Files, set langevin.Settings, folder samples.Folder,
	show progress.Progress) (*tensor.Tensor, error) {
	sampler, err := langevin.New(rt, files.For(set))
	if err != nil {
		return nil, err
	}
	defer sampler.Close()
	sampler.Progress = show
	w, err := sampler.Write(ctx, set, folder)
	if err != nil {
		return nil, err
	}
	return ReadSamples(w.Path, sampler.Shape())
}

// sampling returns the paper's settings with other numbers, or those of a model that is
// not annealed.
func sampling(m ebm.Meta, s Sampling) (langevin.Settings, error) {
	set := langevin.Default(s.Count)
	set.Schedule.Steps = s.Steps
	set.Seed = 1
	err := m.Suit(&set, 0, s.Steps)
	return set, err
}

// crop returns the height and width that sample files keep of the pictures, 0
// for all.
func (a *assessment) crop() int {
	if a.pad == 0 {
		return 0
	}
	return a.model.Shape()[2] - 2*a.pad
}

// selectBest finds the best checkpoint of the run, marks and exports it, and
// takes it in place of the newest.
func (a *assessment) selectBest(ctx context.Context) error {
	folder := RunFolder(a.Run)
	by, err := a.selectionFeatures(ctx)
	if err != nil {
		return err
	}
	if by != a.classifier {
		defer by.Close()
	}
	most := a.training.Len()
	if by.Maker().Network.Kind == features.Inception {
		most = mostReference
	}
	set, err := sampling(a.meta, *a.Selecting)
	if err != nil {
		return err
	}
	s, err := SelectOf(ctx, a.rt, folder, a.choose(a.training, a.limited(most)).Pixels(), SelectOptions{
		Settings: set, Crop: a.crop(), Features: by, Progress: a.Progress, Log: a.Log,
	})
	if err != nil {
		return err
	}
	a.selection = &s
	of, err := CheckpointOf(a.Run, Best)
	if err != nil {
		return err
	}
	best, err := ebm.Load(of)
	if err != nil {
		return err
	}
	if _, err := WriteKinds(best, filepath.Join(folder, "model"), []ebm.Kind{ebm.EnergyKind, ebm.ScoreKind, ebm.TrainKind}, 0,
		a.Progress); err != nil {
		return err
	}
	return a.open(of)
}

// selectionFeatures opens the network whose Fréchet distance ranks the
// checkpoints: Inception where its weights are given, the classifier where it
// knows the data, and pixels otherwise.
func (a *assessment) selectionFeatures(ctx context.Context) (*features.Extractor, error) {
	network, err := a.Features.Open()
	if err == nil {
		shape := a.model.Shape()
		return network.Open(a.rt, shape[0], shape[1], shape[2])
	}
	if !errors.Is(err, features.ErrNoInception) {
		return nil, err
	}
	if err := a.openClassifier(ctx); err != nil {
		return features.NewPixels(), ctx.Err()
	}
	return a.classifier, nil
}
