package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/cmd/internal/assess"
	"ebm/cmd/internal/report"
	"ebm/internal/metrics"
	"ebm/internal/testkit"
	"ebm/mdsm/train"
)

// colourPictures writes a folder of colour pictures of another size than a
// network takes.
func colourPictures(t *testing.T, n int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "photos")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		img := image.NewRGBA(image.Rect(0, 0, 20, 24))
		for p := range img.Pix {
			img.Pix[p] = uint8(p*(i+3)) | 1
		}
		img.Set(0, 0, color.RGBA{255, 0, 0, 255})
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%d.png", i)))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, img); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	return dir
}

// trainedJSON is what train --json prints.
type trainedJSON struct {
	Run        string   `json:"run"`
	Checkpoint string   `json:"checkpoint"`
	Step       int      `json:"step"`
	Made       int      `json:"made"`
	Loss       *float64 `json:"loss"`
	Seconds    float64  `json:"seconds"`
}

// TestTrainOnAFolderOfPictures trains on one's own pictures with flags alone;
// the run goes on from another folder than it began in, stays as it is when no
// step is left, and refuses other settings with what would work.
func TestTrainOnAFolderOfPictures(t *testing.T) {
	testkit.Long(t)
	photos := colourPictures(t, 6)
	t.Chdir(filepath.Dir(photos))
	args := []string{"train", "--data", "photos", "--size", "16", "--net", "res6", "--dim", "2", "--batch", "4", "--steps",
		"2", "--quiet", "--json"}
	var r trainedJSON
	if err := json.Unmarshal([]byte(mustRun(t, args...)), &r); err != nil {
		t.Fatal(err)
	}
	if r.Run != filepath.Join("runs", "photos") || r.Step != 2 || r.Made != 2 || r.Loss == nil || !(r.Seconds > 0) ||
		filepath.Base(r.Checkpoint) != "step-00000002" {
		t.Errorf("%+v", r)
	}
	run, err := filepath.Abs(r.Run)
	if err != nil {
		t.Fatal(err)
	}
	s, err := train.ReadSettings(run)
	if err != nil || s.Data.Dir != photos || s.Data.Name != "folder" || s.Net.Channels != 3 || s.Data.Size != 16 || s.Noise.Max != 1.2 {
		t.Errorf("settings %+v, error %v", s, err)
	}

	t.Chdir(t.TempDir())
	config, err := os.ReadFile(filepath.Join(run, train.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	again := trainedJSON{}
	if err := json.Unmarshal([]byte(mustRun(t, "train", "--resume", "--out", run, "--quiet", "--json", "--log-every",
		"7")), &again); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(filepath.Join(run, train.ConfigFile)); again.Made != 0 || again.Loss != nil || again.Step != 2 ||
		string(after) != string(config) {
		t.Errorf("a finished run gave %+v and the settings\n%s", again, after)
	}
	if text := mustRun(t, "train", "--resume", "--out", run, "--quiet"); strings.Contains(text, "NaN") ||
		!strings.Contains(text, "no step left") {
		t.Errorf("a finished run printed %q", text)
	}
	if err := json.Unmarshal([]byte(mustRun(t, "train", "--resume", "--out", run, "--quiet", "--json", "--steps", "3")), &again); err != nil ||
		again.Made != 1 || again.Loss == nil {
		t.Errorf("one more step gave %+v, %v", again, err)
	}
	code, _, stderr := ebmRun(t, "train", "--resume", "--out", run, "--quiet", "--steps", "9", "--sigma-max", "2", "--seed", "8")
	if want := "--sigma-max 1.2, want 2; --seed 1, want 8: leave out --sigma-max and --seed to go on, or begin another run with its " +
		"weights: --start " + run; code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("exit status %d, %q, want 1 and %q", code, stderr, want)
	}
	mustRun(t, "train", "--config", filepath.Join(run, train.ConfigFile), "--start", run, "--seed", "8", "--steps", "1",
		"--out", "finer", "--quiet")
}

// TestFailedStartDoesNotBlock corrects a command that failed.
func TestFailedStartDoesNotBlock(t *testing.T) {
	testkit.Long(t)
	photos := colourPictures(t, 3)
	out := filepath.Join(t.TempDir(), "run")
	args := func(more ...string) []string {
		return append([]string{"train", "--data", photos, "--size", "16", "--net", "res6", "--dim", "2", "--batch", "2", "--steps", "1",
			"--quiet", "--out", out}, more...)
	}
	for _, wrong := range [][]string{{"--start", tinyWeights(t)}, {"--learning-rate", "1e30"}, {"--start", "nowhere"}} {
		if code, _, _ := ebmRun(t, args(append(wrong, "--steps", "3")...)...); code != 1 {
			t.Errorf("%v: exit status %d, want 1", wrong, code)
		}
	}
	mustRun(t, args()...)
}

// TestTrainValidatesAndEndsInTime measures on the folder test of one's own
// pictures and draws samples, with weights of the same bits as without, and trains for a
// time.
func TestTrainValidatesAndEndsInTime(t *testing.T) {
	testkit.Long(t)
	photos := colourPictures(t, 5)
	for _, part := range []string{"train", "test"} {
		if err := os.CopyFS(filepath.Join(filepath.Dir(photos), "all", part), os.DirFS(photos)); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(filepath.Dir(photos))
	args := func(out string, more ...string) []string {
		return append([]string{"train", "--data", "all", "--size", "16", "--net", "res6", "--dim", "2", "--batch", "4",
			"--quiet", "--out", out}, more...)
	}
	mustRun(t, args("plain", "--steps", "4")...)
	mustRun(t, args("watched", "--steps", "4", "--validate-every", "2")...)
	mustRun(t, args("unwatched", "--steps", "4", "--validate-every", "2", "--sample-every", "0")...)
	sampledWhileTraining(t, "watched", "step-00000002.png", "step-00000004.png")
	sampledWhileTraining(t, "unwatched")
	testkit.SameFiles(t, filepath.Join("watched", "checkpoints", "step-00000004"), filepath.Join("plain", "checkpoints", "step-00000004"),
		"model.safetensors", "state.safetensors")
	records, err := metrics.ReadFile(filepath.Join("watched", metrics.LinesFile))
	if err != nil || len(records) != 2 || !(records[0].Values["validation_loss"] > 0) || !(records[0].Values["validation_loss/1.2"] > 0) {
		t.Errorf("metrics %v, error %v", records, err)
	}
	mustRun(t, args("timed", "--time", "1s")...)
	s, err := train.ReadSettings("timed")
	if newest, errNewest := train.Newest("timed"); err != nil || errNewest != nil || newest.Step < 1 || newest.Step > s.Steps ||
		s.Steps == train.Folder(3).Steps {
		t.Errorf("ended at %+v of %d steps, errors %v and %v", newest, s.Steps, err, errNewest)
	}
	for want, more := range map[string][]string{
		"--time 0s": {"--time", "0s"}, "exclude each other": {"--time", "1s", "--steps", "3"}, "--early-stop -1": {"--early-stop", "-1"},
	} {
		if code, _, stderr := ebmRun(t, args("wrong", more...)...); code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit status %d, %q, want 2 and %q", more, code, stderr, want)
		}
	}
	if code, _, stderr := ebmRun(t, "train", "--data", photos, "--size", "16", "--validate-every", "2", "--out", "wrong"); code != 1 ||
		!strings.Contains(stderr, "--validate-every 2, want pictures to measure on") {
		t.Errorf("without held-out pictures: exit status %d, %q", code, stderr)
	}
}

// sampledWhileTraining checks that a run has just these pictures of quick samples, in
// the report and for TensorBoard too.
func sampledWhileTraining(t *testing.T, run string, want ...string) {
	t.Helper()
	var names []string
	entries, _ := os.ReadDir(filepath.Join(run, assess.GridsFolder)) // a run without pictures has none
	for _, e := range entries {
		names = append(names, e.Name())
		f, err := os.Open(filepath.Join(run, assess.GridsFolder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := png.Decode(f); err != nil {
			t.Errorf("%s: %v", e.Name(), err)
		}
		f.Close()
	}
	if !slices.Equal(names, want) {
		t.Errorf("%s has the pictures %v, want %v", run, names, want)
	}
	events, err := filepath.Glob(filepath.Join(run, metrics.EventsFolder, "*"))
	if err != nil || len(events) != 1 || bytes.Count(testkit.Read(t, events[0]), []byte("\x89PNG")) != len(want) {
		t.Errorf("%s: the event files %v (%v) do not have %d pictures", run, events, err, len(want))
	}
	page := string(testkit.Read(t, filepath.Join(run, report.HTMLFile)))
	if strings.Count(page, "data:image/png") != len(want) {
		t.Errorf("%s: the report has %d pictures, want %d", run, strings.Count(page, "data:image/png"), len(want))
	}
	for _, text := range []string{"Progress", "held out", "held-out loss by noise level", "Settings of the run", "validate_every"} {
		if !strings.Contains(page, text) {
			t.Errorf("%s: the report has no %q", run, text)
		}
	}
}
