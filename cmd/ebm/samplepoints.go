package main

import (
	"context"
	"io"
	"math"
	"path/filepath"

	"ebm"
	"ebm/cmd/internal/assess"
	"ebm/internal/atomicfile"
	"ebm/internal/npz"
	"ebm/internal/picture"
	"ebm/mdsm/dataset"
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
	points := tensor.Data[float32](x)
	s := picture.Scatter{Side: side, Levels: 12, MinX: math.Inf(1), MaxX: math.Inf(-1), MinY: math.Inf(1), MaxY: math.Inf(-1)}
	for i := 0; i < len(points); i += 2 {
		s.MinX, s.MaxX = math.Min(s.MinX, float64(points[i])), math.Max(s.MaxX, float64(points[i]))
		s.MinY, s.MaxY = math.Min(s.MinY, float64(points[i+1])), math.Max(s.MaxY, float64(points[i+1]))
	}
	margin := 0.12*math.Max(s.MaxX-s.MinX, s.MaxY-s.MinY) + 1e-6
	s.MinX, s.MaxX, s.MinY, s.MaxY = s.MinX-margin, s.MaxX+margin, s.MinY-margin, s.MaxY+margin
	values, err := energies(ctx, a, m, s)
	if err != nil || values == nil {
		return err
	}
	path := filepath.Join(f.out, scatterFile)
	if err := atomicfile.Write(path, func(w io.Writer) error { return s.WritePNG(w, values, points) }); err != nil {
		return err
	}
	run := runFolder(f.run)
	if inside, err := filepath.Rel(run, f.out); run == "" || err != nil || !filepath.IsLocal(inside) {
		return nil
	}
	return assess.ReportPoints(run, m, path, x.Shape()[0], a.log)
}

// energies returns the model's energy at the middle of each pixel, nil where it has
// none.
func energies(ctx context.Context, a *app, m *ebm.Model, s picture.Scatter) ([]float32, error) {
	engine, err := a.engine(ctx, m)
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	var values []float32
	for row := range s.Side {
		x := tensor.New(tensor.Float32, s.Side, 2)
		for column := range s.Side {
			px, py := s.At(column, row)
			tensor.Data[float32](x)[2*column], tensor.Data[float32](x)[2*column+1] = float32(px), float32(py)
		}
		if m.Mean != nil {
			dataset.ToStandard(x, m.Mean, m.Deviation)
		}
		e, _, err := engine.Score(ctx, x)
		if err != nil || e == nil {
			return nil, err
		}
		values = append(values, tensor.Data[float32](e)...)
	}
	return values, nil
}
