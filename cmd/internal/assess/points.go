package assess

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"ebm"
	"ebm/cmd/internal/report"
	"ebm/internal/files"
	"ebm/internal/picture"
	"ebm/mdsm/dataset"
	"ebm/mdsm/train"
	"ebm/models/tensor"
)

// ReportPoints writes into the report of a run on points in the plane a picture of
// its samples over the energy's contours, a PNG file, with the losses and settings of
// the training. count is the number of the samples. Other sections of the report that
// is there stay.
func ReportPoints(run string, m *ebm.Model, picture string, count int, log func(string)) error {
	settings, err := train.ReadSettings(run)
	if err != nil {
		return err
	}
	b, err := files.ReadFile(picture)
	if err != nil {
		return err
	}
	a := &assessment{Options: Options{Run: run, Dir: run, Log: log}, subject: subject{settings: &settings, about: m.About, weights: m.Hash}}
	training, err := a.trainingSections()
	if err != nil {
		return err
	}
	file, err := filepath.Rel(run, picture)
	if err != nil {
		return err
	}
	doc := &report.Document{
		Title: "Samples of " + filepath.Base(run), Subject: m.Hash, Created: time.Now(),
		Summary: fmt.Sprintf("%v, trained on %s.", m.Network, settings.Data.Name),
		Sections: append([]report.Section{report.Gallery{
			ID: idSamples, Title: "Samples",
			Note:     fmt.Sprintf("%d samples, none chosen, over the contours of the energy: the darker, the lower.", count),
			Pictures: []report.Picture{{Alt: "samples in the plane over the contours of the energy", Width: 480, File: file, Data: b}},
		}}, training...),
	}
	if err := a.keepOld(doc); err != nil {
		return err
	}
	return doc.Write(run)
}

// Scatter draws points in the plane [N 2], in the units of the data, over the contours of
// a model's energy, as a PNG file of so many pixels a side around other points, which may
// be the same; nil where the model has no energy. energy returns it at points as the model
// takes them.
func Scatter(m *ebm.Model, x, around *tensor.Tensor, side int, energy func(x *tensor.Tensor) (*tensor.Tensor, error)) ([]byte, error) {
	points := tensor.Data[float32](around)
	s := picture.Scatter{Side: side, Levels: 12, MinX: math.Inf(1), MaxX: math.Inf(-1), MinY: math.Inf(1), MaxY: math.Inf(-1)}
	for i := 0; i < len(points); i += 2 {
		s.MinX, s.MaxX = math.Min(s.MinX, float64(points[i])), math.Max(s.MaxX, float64(points[i]))
		s.MinY, s.MaxY = math.Min(s.MinY, float64(points[i+1])), math.Max(s.MaxY, float64(points[i+1]))
	}
	margin := 0.12*math.Max(s.MaxX-s.MinX, s.MaxY-s.MinY) + 1e-6
	s.MinX, s.MaxX, s.MinY, s.MaxY = s.MinX-margin, s.MaxX+margin, s.MinY-margin, s.MaxY+margin
	at := tensor.New(tensor.Float32, side*side, 2)
	for i := range side * side {
		px, py := s.At(i%side, i/side)
		tensor.Data[float32](at)[2*i], tensor.Data[float32](at)[2*i+1] = float32(px), float32(py)
	}
	if m.Mean != nil {
		dataset.ToStandard(at, m.Mean, m.Deviation)
	}
	values, err := energy(at)
	if err != nil || values == nil {
		return nil, err
	}
	var b bytes.Buffer
	err = s.WritePNG(&b, tensor.Data[float32](values), tensor.Data[float32](x))
	return b.Bytes(), err
}
