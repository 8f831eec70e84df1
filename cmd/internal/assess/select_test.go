package assess

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ebm/evaluate/features"
	"ebm/evaluate/probe"
	"ebm/internal/testkit"
	"ebm/mdsm/dataset"
	"ebm/mdsm/langevin"
	"ebm/mdsm/samples"
	"ebm/models/autodiff"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
)

const (
	sigma0 = 0.2
	side   = 4
	d      = side * side
)

// bowl is the energy a·‖x − m‖²/2 of grey pictures of side×side pixels.
type bowl struct{ a, m float64 }

// grainy returns pictures of random bytes.
func grainy(name string, n, side int, seed uint64) *dataset.Set {
	s := &dataset.Set{Name: name, Channels: 1, Height: side, Width: side, Pixels: make([]uint8, n*side*side)}
	for i := range s.Pixels {
		s.Pixels[i] = uint8(rng.New(seed).IntN(256, rng.Probe, uint64(i), 0))
	}
	return s
}

// candidate is a bowl as the sampler takes it. opened counts how often it is.
func (b bowl) candidate(t *testing.T, step int, name string, opened *int) Candidate {
	g := graph.New("bowl")
	x := g.Input("x", tensor.Float32, graph.Batch(1, side, side))
	d := graph.Shift(x, -b.m)
	g.Output("score", graph.Neg(autodiff.Gradient(graph.Scale(graph.ReduceSum(graph.Mul(d, d), 1, 2, 3), b.a/2), x)[0]))
	onnx := testkit.Encode(t, g)
	return Candidate{Step: step, Name: name, Open: func() (langevin.Files, error) {
		*opened++
		return langevin.Files{Score: onnx, Sigma0: sigma0}, nil
	}}
}

// Of bowls with different middles the one at the pictures' grey wins, its
// choice is written, read again, and found again from the samples on disk.
func TestSelectTakesTheNearestCheckpoint(t *testing.T) {
	rt, dir := testkit.Open(t, 2), t.TempDir()
	reference, err := probe.Statistics(t.Context(), features.NewPixels(), probe.All(grainy("grain", 600, side, 1)), nil)
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	list := []Candidate{
		bowl{20, 0.1}.candidate(t, 100, "step-100", &opened),
		bowl{20, 0.5}.candidate(t, 200, "step-200", &opened),
		bowl{20, 0.9}.candidate(t, 300, "step-300", &opened),
	}
	o := SelectOptions{Dir: filepath.Join(dir, "selection"), Settings: langevin.Default(40),
		Features: features.NewPixels(), Reference: reference}
	o.Settings.Schedule.Steps, o.Settings.StepSize = 60, 0.1
	s, err := Select(t.Context(), rt, list, o)
	if err != nil {
		t.Fatal(err)
	}
	if s.Best != "step-200" || s.Step != 200 || len(s.Candidates) != 3 || s.Distance != s.Candidates[1].Distance || opened != 3 {
		t.Errorf("%+v after opening %d, want step 200 as the best of three", s, opened)
	}
	for _, c := range s.Candidates {
		if c.Name != s.Best && !(c.Distance > s.Distance+0.5) {
			t.Errorf("%s has the distance %g, the best %g", c.Name, c.Distance, s.Distance)
		}
	}
	if s.Samples != 40 || s.Reference != 600 || s.Features.Network.Kind != features.Pixels || s.Features.Features != d ||
		s.Steps != 60 || len(s.Warnings) != 2 {
		t.Errorf("%+v does not say how it was found", s)
	}

	testkit.Mkdir(t, dir, "checkpoints")
	if _, err := ReadSelection(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before there is one: %v", err)
	}
	marks := func() []string {
		found, _ := filepath.Glob(filepath.Join(dir, "checkpoints", "*", "keep"))
		return found
	}
	for _, c := range list {
		testkit.Mkdir(t, dir, "checkpoints", c.Name)
	}
	first := s
	first.Best = "step-100"
	for _, s := range []Selection{first, s} {
		if err := s.Write(dir); err != nil {
			t.Fatal(err)
		}
		if got := marks(); len(got) != 1 || filepath.Base(filepath.Dir(got[0])) != s.Best {
			t.Errorf("%q are marked to stay, want %s alone", got, s.Best)
		}
	}
	read, err := ReadSelection(dir)
	if err != nil || read.Best != s.Best || read.Distance != s.Distance || len(read.Candidates) != 3 {
		t.Errorf("read %+v, %v", read, err)
	}

	// The samples are there: a second selection only measures.
	before, err := os.Stat(filepath.Join(o.Dir, "step-100", samples.ArchiveFile))
	if err != nil {
		t.Fatal(err)
	}
	again, err := Select(t.Context(), rt, list, o)
	after, statErr := os.Stat(filepath.Join(o.Dir, "step-100", samples.ArchiveFile))
	if err != nil || statErr != nil || again.Distance != s.Distance || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("again: %+v, %v, %v", again, err, statErr)
	}
	o.Settings.Seed++
	if _, err := Select(t.Context(), rt, list, o); err == nil || !strings.Contains(err.Error(), "step-100") {
		t.Errorf("samples of another seed were taken: %v", err)
	}
	if _, err := Select(t.Context(), rt, nil, o); err == nil {
		t.Error("selected from nothing")
	}
}

func TestReadSamplesUndoesCropping(t *testing.T) {
	opened := 0
	c := bowl{20, 0.9}.candidate(t, 1, "one", &opened)
	models, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	sampler, err := langevin.New(testkit.Open(t, 1), models)
	if err != nil {
		t.Fatal(err)
	}
	defer sampler.Close()
	set := langevin.Default(5)
	set.Schedule.Steps, set.StepSize = 50, 0.1
	w, err := sampler.Write(t.Context(), set, samples.Folder{Dir: t.TempDir(), Crop: 2})
	if err != nil {
		t.Fatal(err)
	}
	x, err := ReadSamples(w.Path, sampler.Shape())
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range tensor.Data[uint8](x) {
		row, column := i/side%side, i%side
		if inside := row%3 != 0 && column%3 != 0; inside != (v > 0) {
			t.Errorf("value %d of row %d, column %d", v, row, column)
		}
	}
	if _, err := ReadSamples(w.Path, []int{3, side, side}); err == nil || !strings.Contains(err.Error(), "[5 2 2 1]") {
		t.Errorf("grey samples of a model of colours: %v", err)
	}
}

func FuzzParseSelection(f *testing.F) {
	good, err := json.Marshal(Selection{Best: "step-2", Step: 2, Candidates: []Ranked{{Name: "step-2", Step: 2}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"best":"../x","step":1,"checkpoints":[{"name":"../x","step":1}]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseSelection(data)
		if err == nil && (s.Best == "" || strings.ContainsAny(s.Best, `/`) || s.Best == "..") {
			t.Errorf("%q is no folder's name", s.Best)
		}
	})
}
