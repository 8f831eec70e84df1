package main

import (
	"context"
	"path/filepath"

	"ebm"
	"ebm/cmd/internal/assess"
	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
)

// scatterFile is the picture of samples of points in the plane.
const scatterFile = "scatter.png"

// scatter draws samples of points in the plane over the contours of the energy; other
// samples have no such picture. Of samples in the folder of a run, the run's report has
// it too.
func (f *sampleFlags) scatter(ctx context.Context, a *app, m *ebm.Model) error {
	const side, most = 320, 4000
	if len(m.Shape()) != 1 || m.Shape()[0] != 2 || f.grid == 0 {
		return nil
	}
	all, err := npz.ReadFile(filepath.Join(f.out, samples.ArchiveFile))
	if err != nil {
		return err
	}
	x := all["arr_0"].AsFloat32()
	x = x.Rows(0, min(x.Shape()[0], most))
	engine, err := a.engine(ctx, m)
	if err != nil {
		return err
	}
	defer engine.Close()
	drawn, err := assess.Scatter(m, x, x, side, func(x *tensor.Tensor) (*tensor.Tensor, error) {
		e, _, err := engine.Score(ctx, x)
		return e, err
	})
	if err != nil || drawn == nil {
		return err
	}
	path := filepath.Join(f.out, scatterFile)
	if err := atomicfile.WriteFile(path, drawn); err != nil {
		return err
	}
	run := assess.RunFolder(f.run)
	if inside, err := filepath.Rel(run, f.out); run == "" || err != nil || !filepath.IsLocal(inside) {
		return nil
	}
	return assess.ReportPoints(run, m, path, x.Shape()[0], a.log)
}
