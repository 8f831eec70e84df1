package train_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm/dataset"
	"ebm/mdsm/train"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/models/weights"
)

// bars is a set of 32×32 pictures of two classes, upright bars and level ones
// at random places, that a tiny classifier learns in seconds.
func bars(n int) *dataset.Set {
	set := &dataset.Set{Name: "mnist", Channels: 1, Height: 32, Width: 32, Pixels: make([]uint8, n*32*32), Labels: make([]uint16, n)}
	source := rng.New(9)
	for i := range n {
		at := 4 + source.IntN(20, rng.Probe, uint64(i), 0)
		set.Labels[i] = uint16(i % 2)
		for j := range 24 {
			for wide := range 4 {
				row, column := 4+j, at+wide
				if i%2 == 1 {
					row, column = column, row
				}
				set.Picture(i)[row*32+column] = 255
			}
		}
	}
	return set
}

// tinyClassifier is a run of some milliseconds a step.
func tinyClassifier() train.ClassifierSettings {
	s := train.DefaultClassifier("mnist")
	s.Steps, s.Batch, s.Seed = 120, 8, 3
	s.Net = train.ClassifierNet{Dim: 2, Features: 4, Classes: 2}
	s.Data.Flip = true
	s.Optimiser.LearningRate.Initial = 1e-2
	s.Optimiser.EMA = 0.9
	s.Output = train.OutputSettings{CheckpointEvery: 40, LogEvery: 10}
	return s
}

func TestClassifierLearns(t *testing.T) {
	testkit.Long(t)
	dir := t.TempDir()
	s := tinyClassifier()
	r, err := train.TrainClassifier(t.Context(), testkit.Open(t, 0), s, bars(40), train.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	lines := readMetrics(t, dir)
	// log 2 = 0.693 nats is what a coin gets.
	if first := lines[0].Loss; !(first > 0.4 && first < 1) || !(r.Loss < 0.1) || r.Step != 120 {
		t.Errorf("cross-entropy from %.3f to %.3f in %d steps", first, r.Loss, r.Step)
	}
	if got, want := steps(t, dir), []int{40, 80, 120}; !slices.Equal(got, want) {
		t.Errorf("checkpoints of steps %v, want %v", got, want)
	}

	// What is used are the averaged weights, in PyTorch's order.
	c, err := train.Newest(dir)
	if err != nil {
		t.Fatal(err)
	}
	set, err := train.ClassifierWeights(c, s)
	if err != nil {
		t.Fatal(err)
	}
	state, err := weights.Load(filepath.Join(c.Dir, "state.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range s.Network().Parameters() {
		names = append(names, p.Name)
	}
	average, _ := state.Get("fc2.weight.ema")
	used, _ := set.Get("fc2.weight")
	if !slices.Equal(set.Names(), names) || !slices.Equal(used.Float64s(), average.Float64s()) || set.Metadata["net"] != "classifier" ||
		set.Metadata["step"] != "120" {
		t.Errorf("weights %v with %v", set.Names(), set.Metadata)
	}
	s.Net.Dim = 3
	if _, err := train.ClassifierWeights(c, s); err == nil {
		t.Error("weights of another network: no error")
	}
}

func TestClassifierResumesToTheSameBits(t *testing.T) {
	testkit.Long(t)
	s, data, rt := tinyClassifier(), bars(11), testkit.Open(t, 0)
	whole, parts := t.TempDir(), t.TempDir()
	for _, dir := range []string{whole, parts} {
		if _, err := train.TrainClassifier(t.Context(), rt, s, data, train.Options{Dir: dir}); err != nil {
			t.Fatal(err)
		}
	}
	// What a kill after step 80 leaves behind.
	if err := os.RemoveAll(filepath.Join(parts, "checkpoints", "step-00000120")); err != nil {
		t.Fatal(err)
	}
	if _, err := train.TrainClassifier(t.Context(), rt, s, data, train.Options{Dir: parts}); err == nil ||
		!strings.Contains(err.Error(), "holds a run already") {
		t.Errorf("began over another run: %v", err)
	}
	for want, change := range map[string]func(*train.ClassifierSettings){
		"batch 8, want 9":        func(s *train.ClassifierSettings) { s.Batch = 9 },
		"net.features 4, want 5": func(s *train.ClassifierSettings) { s.Net.Features = 5 },
	} {
		other := s
		change(&other)
		if _, err := train.TrainClassifier(t.Context(), rt, other, data, train.Options{Dir: parts, Resume: true}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("went on with other settings: %v, want %q", err, want)
		}
	}
	if _, err := train.TrainClassifier(t.Context(), rt, s, bars(12), train.Options{Dir: parts, Resume: true}); err == nil ||
		!strings.Contains(err.Error(), "hash") {
		t.Errorf("went on with other pictures: %v", err)
	}
	r, err := train.TrainClassifier(t.Context(), rt, s, data, train.Options{Dir: parts, Resume: true})
	if err != nil || r.Made != 40 {
		t.Fatalf("made %d steps, %v", r.Made, err)
	}
	sameState(t, "resumed", parts, whole)
}

// The picture of step t at a position of the batch is one of the set, moved
// by Shift at most; unmoved it is the 2×2 means.
func TestClassifierBatches(t *testing.T) {
	data := bars(10)
	for i := range data.Len() { // tell them apart
		data.Picture(i)[16*32+16] = uint8(20 * i)
	}
	s := tinyClassifier()
	s.Batch, s.Data.Flip = 5, false
	fill := func(s train.ClassifierSettings, step int) ([]float32, []int64) {
		t.Helper()
		p, err := train.NewClassifierProblem(s, data, nil)
		if err != nil {
			t.Fatal(err)
		}
		p.Fill(step)
		return tensor.Data[float32](p.Batch["x"]), tensor.Data[int64](p.Batch["label"])
	}
	// seen is a picture moved, mirrored and halved, the plain way.
	seen := func(picture []uint8, right, down int, mirrored bool) []float32 {
		moved := make([]int, 32*32)
		for row := range 32 {
			for column := range 32 {
				r, c := row+down, column+right
				if r < 0 || r > 31 || c < 0 || c > 31 {
					continue
				}
				if mirrored {
					c = 31 - c
				}
				moved[r*32+c] = int(picture[row*32+column])
			}
		}
		out := make([]float32, 256)
		for i := range out {
			at := i/16*64 + i%16*2
			out[i] = float32((moved[at]+moved[at+1]+moved[at+32]+moved[at+33]+2)/4) / 255
		}
		return out
	}

	// Two steps of five are an epoch, which has every one of the ten pictures once.
	s.Shift = 0
	var shown []int
	for step := 1; step <= 2; step++ {
		x, labels := fill(s, step)
		for i := range labels {
			for j := range data.Len() {
				if slices.Equal(x[i*256:(i+1)*256], seen(data.Picture(j), 0, 0, false)) && labels[i] == int64(data.Labels[j]) {
					shown = append(shown, j)
				}
			}
		}
	}
	slices.Sort(shown)
	if !slices.Equal(shown, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("an epoch shows the pictures %v", shown)
	}

	s.Shift, s.Data.Flip = 3, true
	moves := make(map[[2]int]bool)
	for step := 1; step <= 40; step++ {
		x, labels := fill(s, step)
		again, _ := fill(s, step)
		if !slices.Equal(x, again) {
			t.Fatalf("step %d differs from itself", step)
		}
	picture:
		for i := range labels {
			for j := range data.Len() {
				for move := range 7 * 7 * 2 {
					right, down, mirrored := move%7-3, move/7%7-3, move >= 49
					if labels[i] == int64(data.Labels[j]) && slices.Equal(x[i*256:(i+1)*256], seen(data.Picture(j), right, down, mirrored)) {
						moves[[2]int{right, down}] = true
						continue picture
					}
				}
			}
			t.Fatalf("step %d: picture %d is none of the set, moved by 3 at most", step, i)
		}
	}
	if len(moves) < 20 {
		t.Errorf("%d different moves in 200 pictures", len(moves))
	}
}

func TestClassifierProblemErrors(t *testing.T) {
	s := tinyClassifier()
	small, colour, plain, strange := bars(4), bars(4), bars(4), bars(4)
	small.Height, small.Width, small.Labels = 16, 64, small.Labels[:4]
	colour.Channels, colour.Pixels = 3, slices.Repeat(colour.Pixels, 3)
	plain.Labels = nil
	strange.Labels[2] = 7
	for want, data := range map[string]*dataset.Set{
		"1×16×64":                     small,
		"3×32×32":                     colour,
		"0 labels":                    plain,
		"the label 7":                 strange,
		"0 pictures":                  {Name: "none", Channels: 1, Height: 32, Width: 32},
		"the classifier has 2 classe": strange,
	} {
		if _, err := train.NewClassifierProblem(s, data, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if _, err := train.NewClassifierProblem(s, bars(4), energy.Weights{}); err == nil {
		t.Error("weights of nothing: no error")
	}
	dir := t.TempDir()
	testkit.Write(t, filepath.Join(dir, "config.toml"), nil)
	if _, err := train.TrainClassifier(t.Context(), testkit.Open(t, 0), s, bars(4), train.Options{Dir: dir}); err == nil ||
		!strings.Contains(err.Error(), "a run with config.toml") {
		t.Errorf("in the folder of another run: %v", err)
	}
}

func TestClassifierSettings(t *testing.T) {
	for want, change := range map[string]func(*train.ClassifierSettings){
		"steps 0,":         func(s *train.ClassifierSettings) { s.Steps = 0 },
		"batch -1,":        func(s *train.ClassifierSettings) { s.Batch = -1 },
		"shift 32,":        func(s *train.ClassifierSettings) { s.Shift = 32 },
		"net.dim 0,":       func(s *train.ClassifierSettings) { s.Net.Dim = 0 },
		"seed":             func(s *train.ClassifierSettings) { s.Seed = 1 << 63 },
		"schedule":         func(s *train.ClassifierSettings) { s.Optimiser.LearningRate.Schedule = "never" },
		"optimiser.ema 1,": func(s *train.ClassifierSettings) { s.Optimiser.EMA = 1 },
		"every -1":         func(s *train.ClassifierSettings) { s.Output.CheckpointEvery = -1 },
	} {
		s := train.DefaultClassifier("mnist")
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if train.DefaultClassifier("mnist").Data.Flip || !train.DefaultClassifier("fashion-mnist").Data.Flip {
		t.Error("clothes are to be mirrored and digits are not")
	}
	if _, err := train.ReadClassifierSettings(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder: %v", err)
	}
}

func FuzzReadClassifierSettings(f *testing.F) {
	dir := f.TempDir()
	if err := train.DefaultClassifier("fashion-mnist").Write(dir); err != nil {
		f.Fatal(err)
	}
	b := testkit.Read(f, dir, "classifier.toml")
	f.Add(b)
	f.Add([]byte("steps = 'many'"))
	f.Add([]byte("[net]\ndepth = 3"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "c.toml")
		testkit.Write(t, path, b)
		s, err := train.ReadClassifierSettings(path)
		if err != nil || s.Validate() != nil {
			return
		}
		dir := t.TempDir()
		if err := s.Write(dir); err != nil {
			t.Fatal(err)
		}
		if back, err := train.ReadClassifierSettings(dir); err != nil || back != s {
			t.Errorf("read back %+v, error %v, want %+v", back, err, s)
		}
	})
}
