package reproduce

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"ebm"
	"ebm/cmd/internal/assess"
	"ebm/evaluate/features"
	"ebm/evaluate/probe"
	"ebm/internal/atomicfile"
	"ebm/mdsm/dataset"
	"ebm/mdsm/langevin"
	"ebm/mdsm/samples"
	"ebm/mdsm/train"
	"ebm/models/energy"
	"ebm/models/tensor"
	"ebm/models/zoo"
	"ebm/runtime"
)

// subject is a model that items measure.
type subject struct {
	*ebm.Model
	net  energy.Picture
	name string // of its folder in runs/
	data string // the data set that it was trained on

	opened  *probe.Model
	sampler *langevin.Sampler
}

func (m *subject) close() {
	if m.opened != nil {
		m.opened.Close()
	}
	if m.sampler != nil {
		m.sampler.Close()
	}
}

func (m *subject) used() UsedModel {
	return UsedModel{Name: m.name, Network: m.net.String(), Data: m.data, Steps: m.About["step"], Weights: m.Hash}
}

// size is the height and width of its pictures.
func (m *subject) size() int { return m.net.Plan().Size }

// shipped names the shipped model that stands for one of the paper's below its
// scale: that of digits where there is none of the data, or the data are not
// there.
func (s *study) shipped(ctx context.Context, preset string) string {
	const digits, clothes = "mnist16", "fashion16"
	if preset != "fashion-mnist" || !slices.Contains(zoo.Names(), clothes) {
		return digits
	}
	if _, err := s.set(ctx, preset, dataset.Test, 16); err != nil {
		s.Log(fmt.Sprintf("%s in place of %s: %v", digits, clothes, err))
		return digits
	}
	return clothes
}

// subjects returns the models of presets, each once: the user's, shipped ones,
// or at the paper's scale trained ones. A preset whose data are not there is
// left out as long as another is.
func (s *study) subjects(ctx context.Context, presets ...string) ([]*subject, error) {
	var list []*subject
	var missing []error
	for _, preset := range presets {
		m, err := s.subject(ctx, preset)
		if err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			missing = append(missing, fmt.Errorf("%s: %w", preset, err))
			continue
		}
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	if len(list) == 0 {
		return nil, errors.Join(missing...)
	}
	for _, err := range missing {
		s.Log("left out: " + err.Error())
	}
	return list, nil
}

func (s *study) subject(ctx context.Context, preset string) (*subject, error) {
	switch {
	case s.Model != "":
		m, err := s.load(s.Model, "given")
		if err == nil { // samples of several models may be in the folder
			m.name = "given-" + m.Hash[:12]
		}
		return m, err
	case s.Scale == Paper:
		set, err := s.Scale.settings(preset)
		if err != nil {
			return nil, err
		}
		return s.trained(ctx, preset, set)
	}
	name := s.shipped(ctx, preset)
	return s.load(name, name)
}

// load opens a model that is there.
func (s *study) load(ref, name string) (*subject, error) {
	if m, ok := s.models[name]; ok {
		return m, nil
	}
	loaded, err := ebm.Load(ref)
	if err != nil {
		return nil, err
	}
	net, err := loaded.Picture()
	if err != nil {
		return nil, err
	}
	m := &subject{Model: loaded, net: net, name: name, data: loaded.Data}
	if m.data == "" {
		return nil, fmt.Errorf("%s: nothing says which data it was trained on", ref)
	}
	s.models[name] = m
	return m, nil
}

// trained returns the model of a training in runs/NAME, which is made, or goes
// on, if it is not at its end.
func (s *study) trained(ctx context.Context, name string, set train.Settings) (*subject, error) {
	if m, ok := s.models[name]; ok {
		return m, nil
	}
	dir := filepath.Join(s.Dir, "runs", name)
	if newest, err := train.Newest(dir); err != nil || newest.Step < set.Steps {
		data, err := s.set(ctx, set.Data.Name, dataset.Train, set.Data.Size)
		if err != nil {
			return nil, err
		}
		set.Data.Dir = s.Data[set.Data.Name]
		s.Log(fmt.Sprintf("training %s: %v, %d steps of %d pictures of %s", name, set.Network(), set.Steps, set.Batch, data.Name))
		set = set.ShardsFor(s.rt.Info())
		if _, err := train.Train(ctx, s.rt, set, data, train.Options{Dir: dir, Resume: true, Progress: s.Progress}); err != nil {
			return nil, err
		}
	}
	checkpoint, err := s.checkpointOf(ctx, dir, set)
	if err != nil {
		return nil, err
	}
	return s.load(checkpoint, name)
}

// open returns the energy between the parts of the objective.
func (s *study) open(m *subject) (*probe.Model, error) {
	if m.opened != nil {
		return m.opened, nil
	}
	score, err := m.ONNX(ebm.ScoreKind)
	if err != nil {
		return nil, err
	}
	m.opened, err = probe.Open(s.rt, probe.Source{Score: score, Objective: m.Objective()})
	return m.opened, err
}

// drawing is what was drawn of a model.
type drawing struct {
	pictures *tensor.Tensor   // uint8 [n C H W], as the model makes them, padding black
	process  *samples.Process // of the first chains
	record   samples.Record
}

// watched is the number of chains whose way is recorded.
const watched = 16

// draw draws the first count samples of a model, or reads those that are
// there. change, when not nil, changes the paper's settings.
func (s *study) draw(ctx context.Context, m *subject, count, steps int, change func(*langevin.Settings)) (drawing, error) {
	set := langevin.Default(count)
	set.Schedule.Steps, set.Seed = steps, s.Seed+1
	if change != nil {
		change(&set)
	}
	set.Watch = samples.Watch{Chains: min(count, watched), Snapshots: langevin.Snapshots(10, set.Schedule.Steps)}
	if err := m.Suit(&set, 0, steps); err != nil {
		return drawing{}, fmt.Errorf("%s: %w", m.name, err)
	}
	if m.sampler == nil {
		models, err := m.Files()
		if err != nil {
			return drawing{}, err
		}
		if m.sampler, err = langevin.New(s.rt, models); err != nil {
			return drawing{}, err
		}
	}
	m.sampler.Progress = s.Progress
	folder := samples.Folder{
		Dir:  filepath.Join(s.Dir, "runs", m.name, fmt.Sprintf("samples-%d-of-%d-steps", count, set.Schedule.Steps)),
		Crop: m.size() - 2*m.Pad, Describe: m.Metadata(), Log: s.Log,
	}
	if err := atomicfile.MkdirAll(folder.Dir); err != nil {
		return drawing{}, err
	}
	w, err := m.sampler.Write(ctx, set, folder)
	if err != nil {
		return drawing{}, err
	}
	var out drawing
	if out.pictures, err = assess.ReadSamples(w.Path, m.Network.InputShape()); err != nil {
		return out, err
	}
	if out.process, err = samples.ReadProcess(folder.Dir); err != nil {
		return out, err
	}
	out.record, err = samples.ReadRecord(folder.Dir)
	return out, err
}

// pool draws samples by the paper's annealing: as many as are asked for, or
// below the paper's scale one pool of each model that all items share.
func (s *study) pool(ctx context.Context, m *subject, count int) (drawing, error) {
	if s.Scale != Paper {
		scored, err := s.subject(ctx, "cifar10")
		if err != nil {
			return drawing{}, err
		}
		if count = s.n.Grid; m == scored {
			count = s.n.Scored
		}
	}
	return s.draw(ctx, m, count, s.n.Steps, nil)
}

// classesOf opens the shipped classifier for pictures of a model with channels,
// by the data that the model was trained on; ok is false where no classifier
// knows them.
func classesOf(rt *runtime.Runtime, data string, channels, size int) (c *features.Extractor, ok bool, err error) {
	name := features.ClassifierFor(data)
	if !features.Recognises(name, size) {
		return nil, false, nil
	}
	network, err := features.ShippedClassifier(name)
	if err != nil {
		return nil, false, err
	}
	c, err = network.Open(rt, channels, size, size)
	return c, err == nil, err
}
