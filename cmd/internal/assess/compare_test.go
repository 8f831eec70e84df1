package assess

import (
	"bytes"
	"ebm/cmd/internal/report"
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/internal/metrics"
	"ebm/internal/testkit"
	"ebm/mdsm/train"
)

// writeRun makes a run's folder with a few lines of metrics and, where there
// are numbers, a report.
func writeRun(t *testing.T, dir string, change func(*train.Settings), numbers ...report.Metric) string {
	t.Helper()
	s, err := train.Preset("demo")
	if err != nil {
		t.Fatal(err)
	}
	change(&s)
	testkit.Mkdir(t, dir)
	if err := s.Write(dir); err != nil {
		t.Fatal(err)
	}
	w, err := metrics.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	for step := range 30 {
		if err := w.Add(int64(step+1), map[string]float64{"loss": float64(step)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if numbers != nil {
		if err := (&report.Document{Title: "A run", Sections: []report.Section{report.Metrics{Items: numbers}}}).Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, dirs ...string) []Run {
	t.Helper()
	var runs []Run
	for _, dir := range dirs {
		r, err := ReadRun(dir)
		if err != nil {
			t.Fatal(err)
		}
		r.Name = filepath.Base(dir)
		runs = append(runs, r)
	}
	return runs
}

func row(t *testing.T, c Comparison, key string) Row {
	t.Helper()
	at := slices.IndexFunc(c.Rows, func(r Row) bool { return r.Key == key })
	if at < 0 {
		t.Fatalf("no row %q in %+v", key, c.Rows)
	}
	return c.Rows[at]
}

func TestCompareMarksWhatDoesNotCompare(t *testing.T) {
	dir := t.TempDir()
	nan := math.NaN()
	a := writeRun(t, filepath.Join(dir, "a"), func(s *train.Settings) {},
		report.Metric{Key: "fid", Name: "FID", Value: 20, Deviation: nan, Better: "lower", Samples: 256, Features: "inception"},
		report.Metric{Key: "recall", Name: "recall", Value: 0.5, Deviation: nan, Better: "higher", Samples: 256})
	b := writeRun(t, filepath.Join(dir, "b"), func(s *train.Settings) { s.Batch, s.Noise.Max = 64, 2 },
		report.Metric{Key: "fid", Name: "FID", Value: 10, Deviation: 1, Better: "lower", Samples: 1000, Features: "inception"},
		report.Metric{Key: "recall", Name: "recall", Value: 0.25, Deviation: nan, Better: "higher", Samples: 256})
	plain := writeRun(t, filepath.Join(dir, "plain"), func(s *train.Settings) {})
	c := Compare(read(t, a, b, plain))

	var differ []string
	for _, s := range c.Settings {
		differ = append(differ, s.Name+" "+strings.Join(s.Values, " "))
	}
	if want := []string{"batch 32 64 32", "noise.max 3 2 3"}; !slices.Equal(differ, want) {
		t.Errorf("settings that differ are %q, want %q", differ, want)
	}
	fid := row(t, c, "fid")
	if fid.Comparable || len(fid.Conditions) != 2 || fid.Cells[0].Best || fid.Cells[1].Best || fid.Cells[2].Value != nil {
		t.Errorf("FID of 256 and of 1000 samples: %+v", fid)
	}
	if got := []string{fid.Text(0), fid.Text(1), fid.Text(2)}; !slices.Equal(got, []string{"20 (a)", "10 ± 1 (b)", "–"}) {
		t.Errorf("FID reads %q", got)
	}
	recall := row(t, c, "recall")
	if !recall.Comparable || !recall.Cells[0].Best || recall.Cells[1].Best || recall.Text(0) != "0.5 *" {
		t.Errorf("recall: %+v", recall)
	}
	// The last 20 of 30 losses, for noise up to 3 and up to 2.
	if loss := row(t, c, "loss"); loss.Comparable || loss.Text(0) != "19.5 (a)" || loss.Text(1) != "19.5 (b)" || loss.Text(2) != "19.5 (a)" {
		t.Errorf("loss: %+v", loss)
	}
	if s := row(t, c, "step"); s.Text(0) != "30" || s.Cells[0].Best {
		t.Errorf("steps: %+v", s)
	}

	var text bytes.Buffer
	if err := c.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"plain", "≠ FID", "FID: ≠ not comparable, (a) 256 samples; inception; (b) 1000 samples; inception",
		"recall: 256 samples", "noise.max"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
	var whole bytes.Buffer
	if err := c.Document().WriteHTML(&whole); err != nil {
		t.Fatal(err)
	}
	page := whole.String()
	if !strings.Contains(page, "Settings that differ") || !strings.Contains(page, "10 ± 1 (b)") {
		t.Error("the page lacks settings or numbers")
	}
	if b, err := json.Marshal(c); err != nil || !bytes.Contains(b, []byte(`"value":null`)) {
		t.Errorf("JSON %s, %v", b, err)
	}
}

func TestReadRun(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadRun(dir); err == nil || !strings.Contains(err.Error(), "config.toml") {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := ReadRun(filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there was read")
	}
	// An evaluation of a shipped model has no settings of a run.
	small := &report.Document{Title: "A run", Sections: []report.Section{report.Metrics{Items: []report.Metric{
		{Key: "fid", Name: "FID", Value: 12.345, Deviation: math.NaN(), Better: "lower"},
		{Key: "recall", Name: "recall", Value: 0.25, Deviation: 0.0321},
	}}}}
	if err := small.Write(dir); err != nil {
		t.Fatal(err)
	}
	r, err := ReadRun(dir)
	if err != nil || len(r.Metrics) != 2 || r.Settings != nil || !math.IsNaN(r.Loss) || !math.IsNaN(r.Metrics[0].Deviation) {
		t.Errorf("%+v, %v", r, err)
	}
	if c := Compare([]Run{r, r}); len(c.Settings) != 0 || row(t, c, "loss").Text(0) != "–" || row(t, c, "fid").Text(1) != "12.35 *" {
		t.Errorf("%+v", c)
	}
	testkit.Write(t, filepath.Join(dir, report.JSONFile), []byte(`{"version":1,`))
	if _, err := ReadRun(dir); err == nil || !strings.Contains(err.Error(), report.JSONFile) {
		t.Errorf("a damaged report: %v", err)
	}
}
