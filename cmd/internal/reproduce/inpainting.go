package reproduce

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"ebm/cmd/internal/report"
	"ebm/evaluate/probe"
	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/internal/picture"
	"ebm/mdsm/dataset"
	"ebm/mdsm/langevin"
	"ebm/models/tensor"
)

// inpaintingItem fills in hidden parts of test pictures.
func inpaintingItem(ctx context.Context, s *study) (outcome, error) {
	o := outcome{}
	list, err := s.subjects(ctx, "cifar10", "celeba")
	if err != nil {
		return o, err
	}
	g := report.Gallery{Title: "Completions", Note: "The picture, what is given of it, and completions of it. They are samples: one that " +
		"differs from the picture is not wrong."}
	for _, m := range list {
		s.differFrom(&o, m, "cifar10", paperColourNet)
		set, err := s.set(ctx, m.data, dataset.Test, m.size())
		if err != nil {
			return o, err
		}
		pictures := floats(probe.Choose(set, s.n.Hidden, s.Seed+1))
		for _, mask := range inpaintingMasks() {
			p, row, err := s.inpaint(ctx, m, pictures, mask)
			if err != nil {
				return o, err
			}
			g.Pictures, o.rows = append(g.Pictures, p), append(o.rows, row)
		}
	}
	o.settings = map[string]any{"pictures": s.n.Hidden, "completions": s.n.Completions, "langevin_steps": s.n.Steps,
		"masks": inpaintingMasks(), "step_size": 0.02, "seed": s.Seed + 1}
	if s.n.Steps != langevin.Paper().Steps {
		o.differ("sampling: %d Langevin steps in place of %d", s.n.Steps, langevin.Paper().Steps)
	}
	o.sections = []report.Section{g}
	return o, nil
}

// floats returns pictures as float32 [n C H W] from 0 to 1.
func floats(p probe.Pictures) *tensor.Tensor { return dataset.Tensor(p.Set, p.Index) }

func (s *study) inpaint(ctx context.Context, m *subject, pictures *tensor.Tensor, mask string) (report.Picture, Row, error) {
	fail := func(err error) (report.Picture, Row, error) { return report.Picture{}, Row{}, err }
	hidden, err := langevin.ReadMask(mask, m.Network.InputShape(), m.Pad)
	if err != nil {
		return fail(err)
	}
	set := langevin.Default(1)
	set.Schedule.Steps, set.Seed = s.n.Steps, s.Seed+1
	set.Fill = &langevin.Fill{Pictures: pictures, Hidden: hidden, Completions: s.n.Completions}
	set.Count = set.Fill.Count()
	filled, err := s.fill(ctx, m, mask, set)
	if err != nil {
		return fail(err)
	}
	errors, err := set.Fill.Errors(filled)
	if err != nil {
		return fail(err)
	}
	each, mean := 0.0, 0.0
	for _, e := range errors {
		for _, v := range e.RMSE {
			each += v / float64(set.Count)
		}
		mean += e.Mean / float64(len(errors))
	}
	rows := rowsOfFill(set.Fill, filled)
	if rows, err = picture.Crop(rows, m.size()-2*m.Pad, m.size()-2*m.Pad); err != nil {
		return fail(err)
	}
	caption := fmt.Sprintf("%s, %s hidden", m.data, mask)
	p, err := s.picture(fmt.Sprintf("inpainting-%s-%s.png", m.name, mask), caption, 2+s.n.Completions, 2, rows)
	return p, Row{
		Name: "root mean square error over hidden values, " + caption, Paper: "shown", Source: "figures 3, A3", Ours: each,
		Note: fmt.Sprintf("that of the mean of %d completions is %.4f", s.n.Completions, mean),
	}, err
}

// fill runs the chains that fill in, or reads where they ended.
func (s *study) fill(ctx context.Context, m *subject, mask string, set langevin.Settings) (*tensor.Tensor, error) {
	path := filepath.Join(s.Dir, "runs", m.name, fmt.Sprintf("completions-%s-%d-of-%d-steps-%s.npy", mask, set.Count,
		set.Schedule.Steps, m.Hash[:12]))
	shape := append([]int{set.Count}, m.Network.InputShape()...)
	if x, err := npz.ReadNpyFile(path); err == nil && x.DType() == tensor.Float32 && fmt.Sprint(x.Shape()) == fmt.Sprint(shape) {
		return x, nil
	}
	files, err := langevin.NewFillFiles(m.Network, m.Weights, m.Sigma0)
	if err != nil {
		return nil, err
	}
	sampler, err := langevin.New(s.rt, files)
	if err != nil {
		return nil, err
	}
	defer sampler.Close()
	sampler.Progress = s.Progress
	filled, err := sampler.All(ctx, set)
	if err != nil {
		return nil, err
	}
	if err := atomicfile.MkdirAll(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return filled, atomicfile.WriteSealed(path, func(w io.Writer) error { return npz.WriteNpy(w, filled) })
}
