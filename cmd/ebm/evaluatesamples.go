package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ebm"
	"ebm/evaluate/features"
	"ebm/evaluate/probe"
	"ebm/mdsm/langevin"
	"ebm/mdsm/samples"
)

// sample takes the samples of the run, or draws some.
func (e *evaluation) sample(ctx context.Context) error {
	e.samplesDir = filepath.Join(e.dir, "samples")
	if e.checkpoint != "" {
		e.samplesDir += "-" + e.checkpoint
	}
	archive := filepath.Join(e.samplesDir, samples.ArchiveFile)
	_, err := os.Stat(archive)
	if errors.Is(err, fs.ErrNotExist) {
		err = e.draw(ctx)
	}
	if err != nil {
		return err
	}
	if e.samples, err = probe.ReadSamples(archive, e.model.Shape()); err != nil {
		return err
	}
	record, err := samples.ReadRecord(e.samplesDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.note("nothing says how the samples in %s were made", e.samplesDir)
		return nil
	case err != nil:
		return err
	}
	e.record = &record
	if record.Model != e.models.Hash() {
		e.note("the samples in %s were made by another model, or another version of the program: remove the folder to have them drawn again", e.samplesDir)
	}
	return nil
}

func (e *evaluation) draw(ctx context.Context) error {
	rt, err := e.runtime(ctx)
	if err != nil {
		return err
	}
	sampler, err := langevin.New(rt, e.models)
	if err != nil {
		return err
	}
	defer sampler.Close()
	sampler.Progress = e.progress()
	set := e.sampling(e.run.count, e.run.steps)
	set.Watch.Chains = min(e.run.count, 16)
	e.log(fmt.Sprintf("drawing %d samples into %s", e.run.count, e.samplesDir))
	_, err = sampler.Write(ctx, set, samples.Folder{Dir: e.samplesDir, Crop: e.crop(), Grid: 64, Describe: e.about, Log: e.log})
	return err
}

// sampling returns the paper's settings with other numbers.
func (e *evaluation) sampling(count, steps int) langevin.Settings {
	set := langevin.Default(count)
	set.Schedule.Steps = steps
	set.Seed = 1
	return set
}

// crop is what sample files keep of the pictures, 0 for all.
func (e *evaluation) crop() int {
	if e.pad == 0 {
		return 0
	}
	return e.model.Shape()[2] - 2*e.pad
}

// selectBest finds the best checkpoint of the run and takes it in place of
// the newest.
func (e *evaluation) selectBest(ctx context.Context, ref string) error {
	if err := e.selectCheckpoint(ctx, runFolder(ref)); err != nil {
		return err
	}
	of, err := checkpointOf(ref, "best")
	if err != nil {
		return err
	}
	return e.open(ctx, ref, of)
}

// selectCheckpoint finds the best checkpoint of the run, marks and exports it.
func (e *evaluation) selectCheckpoint(ctx context.Context, folder string) error {
	rt, err := e.runtime(ctx)
	if err != nil {
		return err
	}
	candidates, err := probe.Candidates(folder, func(checkpoint string) (langevin.Files, error) {
		m, err := ebm.Load(checkpoint)
		if err != nil {
			return langevin.Files{}, err
		}
		return m.Files()
	})
	if err != nil {
		return err
	}
	by, done, err := e.selectionFeatures(ctx)
	if err != nil {
		return err
	}
	defer done()
	most := e.training.Len()
	if by.Maker().Network.Kind == features.Inception {
		most = mostReference
	}
	pictures := probe.Choose(e.training, e.limited(most), uint64(e.seed)).Pixels()
	reference, err := probe.Statistics(ctx, by, pictures, e.progress())
	if err != nil {
		return err
	}
	s, err := probe.Select(ctx, rt, candidates, probe.SelectOptions{
		Dir: filepath.Join(folder, "selection"), Settings: e.sampling(e.run.selectCount, e.run.selectSteps), Crop: e.crop(),
		Features: by, Reference: reference, Progress: e.progress(), Log: e.log,
	})
	if err != nil {
		return err
	}
	if err := s.Write(folder); err != nil {
		return err
	}
	e.selection = &s
	ref, err := checkpointOf(folder, "best")
	if err != nil {
		return err
	}
	best, err := ebm.Load(ref)
	if err != nil {
		return err
	}
	_, err = writeKinds(e.app, best, filepath.Join(folder, "model"), []ebm.Kind{ebm.EnergyKind, ebm.ScoreKind, ebm.TrainKind}, 0)
	return err
}

// selectionFeatures opens the network whose Fréchet distance ranks the
// checkpoints: Inception where its weights are given, the classifier where it
// knows the data, and pixels otherwise.
func (e *evaluation) selectionFeatures(ctx context.Context) (*features.Extractor, func(), error) {
	nothing := func() {}
	network, err := e.network()
	if err == nil {
		rt, err := e.runtime(ctx)
		if err != nil {
			return nil, nothing, err
		}
		shape := e.model.Shape()
		n, err := network.Open(rt, shape[0], shape[1], shape[2])
		if err != nil {
			return nil, nothing, err
		}
		return n, func() { n.Close() }, nil
	}
	if !errors.Is(err, features.ErrNoInception) {
		return nil, nothing, err
	}
	if err := e.openClasses(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, nothing, err
		}
		return features.NewPixels(), nothing, nil
	}
	return e.classes, nothing, nil
}
