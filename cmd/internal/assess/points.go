package assess

import (
	"fmt"
	"path/filepath"
	"time"

	"ebm"
	"ebm/cmd/internal/report"
	"ebm/internal/files"
	"ebm/mdsm/train"
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
