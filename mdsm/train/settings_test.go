package train_test

import (
	"math"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/mdsm/train"
)

func TestLearningRate(t *testing.T) {
	cosine := train.LearningRate{Schedule: train.Cosine, Initial: 1e-3, Final: 1e-5}
	steps := train.LearningRate{Schedule: train.Steps, Initial: 1}
	constant := train.LearningRate{Schedule: train.Constant, Initial: 0.3, Final: 0.1}
	for _, c := range []struct {
		rate     train.LearningRate
		t, total int
		want     float64
	}{
		{cosine, 1, 100, 1e-3},
		{cosine, 51, 100, (1e-3 + 1e-5) / 2},
		{cosine, 26, 100, 1e-5 + (1e-3-1e-5)*(1+math.Sqrt2/2)/2},
		{cosine, 101, 100, 1e-5},
		{cosine, 500, 100, 1e-5}, // beyond the end
		{cosine, 1, 1, 1e-3},
		{steps, 1, 600, 1}, {steps, 100, 600, 1}, {steps, 101, 600, 0.1}, {steps, 200, 600, 0.1},
		{steps, 201, 600, 0.01}, {steps, 501, 600, 1e-5}, {steps, 600, 600, 1e-5},
		{constant, 1, 10, 0.3}, {constant, 10, 10, 0.3},
	} {
		if got := c.rate.At(c.t, c.total); !(math.Abs(got-c.want) <= 1e-12*c.want) {
			t.Errorf("%+v at step %d of %d: %.17g, want %.17g", c.rate, c.t, c.total, got, c.want)
		}
	}
	last := math.Inf(1)
	for i := 1; i <= 1000; i++ {
		r := cosine.At(i, 1000)
		if r > last || r < cosine.Final {
			t.Fatalf("the rate of step %d is %g after %g", i, r, last)
		}
		last = r
	}
	for _, l := range []train.LearningRate{
		{Schedule: "", Initial: 1}, {Schedule: "linear", Initial: 1}, {Schedule: train.Cosine}, {Schedule: train.Cosine, Initial: -1},
		{Schedule: train.Cosine, Initial: 1, Final: 2}, {Schedule: train.Cosine, Initial: 1, Final: -1},
		{Schedule: train.Cosine, Initial: math.NaN()}, {Schedule: train.Cosine, Initial: math.Inf(1)},
		{Schedule: train.Cosine, Initial: 1, Final: math.NaN()},
	} {
		if l.Validate() == nil {
			t.Errorf("%+v is accepted", l)
		}
	}
}

// names of the presets that the command line offers.
var names = []string{"demo", "mnist", "fashion-mnist", "stacked-mnist", "single-noise", "likelihood", "cifar10", "celeba"}

func TestPresets(t *testing.T) {
	for _, name := range names {
		s, err := train.Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if s.Preset != name || !strings.Contains(train.PresetHelp(), "  "+name+" ") {
			t.Errorf("%s is called %q, and the help is\n%s", name, s.Preset, train.PresetHelp())
		}
		if s.Noise.Sigma0 != 0.1 && name != "single-noise" || s.Optimiser.Beta1 != 0.9 || s.Optimiser.Beta2 != 0.95 ||
			s.Noise.Weighting != mdsm.InverseVariance {
			t.Errorf("%s: %+v, %+v are not the paper's", name, s.Noise, s.Optimiser)
		}
	}
	// The numbers of the paper.
	for name, want := range map[string]train.Settings{
		"mnist": {Steps: 100_000, Batch: 128, Net: train.NetSettings{Name: "res12", Dim: 64, Channels: 1},
			Noise: train.NoiseSettings{Min: 0.1, Max: 3, Spacing: mdsm.Geometric}},
		"stacked-mnist": {Steps: 100_000, Batch: 128, Net: train.NetSettings{Name: "res12", Dim: 64, Channels: 3},
			Noise: train.NoiseSettings{Min: 0.1, Max: 3, Spacing: mdsm.Geometric}},
		"cifar10": {Steps: 300_000, Batch: 128, Net: train.NetSettings{Name: "res18", Dim: 128, Channels: 3},
			Noise: train.NoiseSettings{Min: 0.05, Max: 1.2, Spacing: mdsm.Linear}},
		"celeba": {Steps: 300_000, Batch: 128, Net: train.NetSettings{Name: "res18", Dim: 128, Channels: 3},
			Noise: train.NoiseSettings{Min: 0.05, Max: 1.2, Spacing: mdsm.Linear}},
	} {
		s, err := train.Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		if s.Steps != want.Steps || s.Batch != want.Batch || s.Net.Name != want.Net.Name || s.Net.Dim != want.Net.Dim ||
			s.Net.Channels != want.Net.Channels ||
			s.Noise.Min != want.Noise.Min || s.Noise.Max != want.Noise.Max || s.Noise.Spacing != want.Noise.Spacing ||
			s.Optimiser.LearningRate != (train.LearningRate{Schedule: train.Cosine, Initial: 5e-5, Final: 1e-6}) ||
			s.Data.Flip != (name == "celeba") || s.Data.Size != 32 {
			t.Errorf("%s is %+v", name, s)
		}
	}
	_, err := train.Preset("imagenet")
	if err == nil || !strings.Contains(err.Error(), `"imagenet"`) || !strings.Contains(err.Error(), strings.Join(names, ", ")) {
		t.Errorf("error %v, want one that lists the presets", err)
	}
}

func TestSettingsRoundTrip(t *testing.T) {
	for _, name := range names {
		s, err := train.Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		s.Seed, s.Start, s.Data.Dir, s.Data.Hash, s.Data.Pad = math.MaxInt64, "a file", `C:\data "here"`, "abc", 2
		dir := t.TempDir()
		if err := s.Write(dir); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{dir, filepath.Join(dir, "config.toml")} {
			back, err := train.ReadSettings(path)
			if err != nil || !reflect.DeepEqual(back, s) {
				t.Errorf("%s: read back %+v, error %v, want %+v", name, back, err, s)
			}
		}
	}
}

func TestSettingsErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.toml")
	for text, want := range map[string]string{
		"stepps = 3":                        `unknown key "stepps"`,
		"[noise]\nsigma_0 = 0.1":            `unknown key "noise.sigma_0"`,
		"[optimiser.learning_rate]\nlr = 1": `unknown key "optimiser.learning_rate.lr"`,
		"steps = \"many\"":                  "steps",
		"steps = ":                          "c.toml",
		"[data":                             "c.toml",
		"seed = 18446744073709551615":       "c.toml",
		"\x00":                              "c.toml",
	} {
		testkit.Write(t, path, []byte(text))
		if _, err := train.ReadSettings(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: error %v, want one with %q and the file", text, err, want)
		}
	}
	for _, missing := range []string{filepath.Join(t.TempDir(), "none.toml"), t.TempDir()} {
		if _, err := train.ReadSettings(missing); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("error %v for a file that is not there", err)
		}
	}
}

func TestSettingsValidate(t *testing.T) {
	for want, change := range map[string]func(*train.Settings){
		`"res13"`:                   func(s *train.Settings) { s.Net.Name = "res13" },
		"dim 0":                     func(s *train.Settings) { s.Net.Dim = 0 },
		"net.channels 0,":           func(s *train.Settings) { s.Net.Channels = 0 },
		"multiple of 8":             func(s *train.Settings) { s.Data.Size = 12 },
		`"cubic"`:                   func(s *train.Settings) { s.Net.Head = "cubic" },
		`"sine"`:                    func(s *train.Settings) { s.Net.Activation = "sine" },
		"steps 0,":                  func(s *train.Settings) { s.Steps = 0 },
		"batch -1,":                 func(s *train.Settings) { s.Batch = -1 },
		"seed 18446744073709551615": func(s *train.Settings) { s.Seed = math.MaxUint64 },
		"sigma0 0":                  func(s *train.Settings) { s.Noise.Sigma0 = 0 },
		"sigma0 NaN":                func(s *train.Settings) { s.Noise.Sigma0 = math.NaN() },
		"noise.min 2, want a positive number up to the largest level, 1": func(s *train.Settings) { s.Noise.Min, s.Noise.Max = 2, 1 },
		`"uneven"`:                    func(s *train.Settings) { s.Noise.Spacing = "uneven" },
		`"heavy"`:                     func(s *train.Settings) { s.Noise.Weighting = "heavy" },
		`"ramp"`:                      func(s *train.Settings) { s.Optimiser.LearningRate.Schedule = "ramp" },
		"learning_rate.initial 0,":    func(s *train.Settings) { s.Optimiser.LearningRate.Initial = 0 },
		"optimiser.beta1 1,":          func(s *train.Settings) { s.Optimiser.Beta1 = 1 },
		"optimiser.ema 2,":            func(s *train.Settings) { s.Optimiser.EMA = 2 },
		"optimiser.epsilon 0,":        func(s *train.Settings) { s.Optimiser.Epsilon = 0 },
		"optimiser.clip -1,":          func(s *train.Settings) { s.Optimiser.Clip = -1 },
		"output.checkpoint_every -1,": func(s *train.Settings) { s.Output.CheckpointEvery = -1 },
		"output.keep_checkpoints -3,": func(s *train.Settings) { s.Output.KeepCheckpoints = -3 },
		"output.log_every 0,":         func(s *train.Settings) { s.Output.LogEvery = 0 },
	} {
		s, _ := tiny()
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// FuzzReadSettings reads anything as settings. What is read can be written and
// read again, and says the same.
func FuzzReadSettings(f *testing.F) {
	for _, name := range names {
		s, err := train.Preset(name)
		if err != nil {
			f.Fatal(err)
		}
		dir := f.TempDir()
		if err := s.Write(dir); err != nil {
			f.Fatal(err)
		}
		b := testkit.Read(f, dir, "config.toml")
		f.Add(b)
	}
	f.Add([]byte(""))
	f.Add([]byte("seed = 18446744073709551615\n[noise]\nmin = nan"))
	f.Add([]byte("[data]\nname = \"a\\nb\"\n[data]"))
	f.Add([]byte("seed = -1\nbatch = 1000000000000"))
	f.Add([]byte("data.size = 99999999999999999999"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "c.toml")
		testkit.Write(t, path, b)
		s, err := train.ReadSettings(path)
		if err != nil || s.Validate() != nil {
			return
		}
		dir := t.TempDir()
		if err := s.Write(dir); err != nil {
			t.Fatal(err)
		}
		if back, err := train.ReadSettings(dir); err != nil || !reflect.DeepEqual(back, s) {
			t.Errorf("read back %+v, error %v, want %+v", back, err, s)
		}
	})
}

// TestBoundsBeforeWork has settings that want more than any machine has, which
// Validate refuses before anything is made.
func TestBoundsBeforeWork(t *testing.T) {
	for says, change := range map[string]func(*train.Settings){
		"batch 9223372036854775807, want less: more than": func(s *train.Settings) { s.Batch = math.MaxInt },
		"batch 1000000000000, want less":                  func(s *train.Settings) { s.Batch = 1e12 },
		"net.dim 1000000000, want less":                   func(s *train.Settings) { s.Net.Dim = 1e9 },
		"shards 9223372036854775807, want a number up to": func(s *train.Settings) { s.Shards = math.MaxInt },
		"batch 2000000, want less: 4.2 TB": func(s *train.Settings) { // of activations
			s.Batch, s.Shards, s.Net.Dim, s.Data.Size = 2e6, 1, 512, 16
		},
		"data.size 9223372036854775807": func(s *train.Settings) { s.Data.Size = math.MaxInt },
		"batch 4, want less: more than": func(s *train.Settings) { s.Data.Size = 1 << 40 },
	} {
		s, _ := tiny()
		change(&s)
		testkit.WantError(t, says, s.Validate(), says)
	}
	c := tinyClassifier()
	c.Batch = math.MaxInt
	testkit.WantError(t, "classifier", c.Validate(), "batch 9223372036854775807, want less")
}

// TestNestedSettings has files of 64 kB that the decoder would take gigabytes for.
func TestNestedSettings(t *testing.T) {
	const n = 10000
	for name, text := range map[string]string{
		"arrays":        "x = " + strings.Repeat("[", n) + strings.Repeat("]", n),
		"open arrays":   "x = " + strings.Repeat("[", n),
		"stray ends":    strings.Repeat("]", n) + strings.Repeat("[", n),
		"tables":        "x = " + strings.Repeat("{a=", n) + "1" + strings.Repeat("}", n),
		"a dotted key":  strings.Repeat("a.", n) + "a = 1",
		"a dotted head": "[" + strings.Repeat("a . ", n) + "a]",
		"quoted parts":  strings.Repeat(`"a'".`, n) + "a = 1",
	} {
		dir := t.TempDir()
		testkit.Write(t, filepath.Join(dir, train.ConfigFile), []byte(text))
		_, err := train.ReadSettings(dir)
		testkit.WantError(t, name, err, "line 1 nests 9 deep, want 8 at most")
	}
	s, _ := tiny()
	s.Preset = "demo"
	dir := t.TempDir()
	if err := s.Write(dir); err != nil {
		t.Fatal(err)
	}
	// What looks nested in strings and comments.
	text := append([]byte("# [[[[[[[[[ a.b.c.d.e.f.g.h.i.j \" ' \n"), testkit.Read(t, dir, train.ConfigFile)...)
	for _, name := range []string{`"[[[[[[[[[ \" a.b.c.d.e.f.g.h.i.j"`, `'[[[[[[[[[ a.b.c.d.e.f.g.h.i.j'`,
		`"""[[[[[[[[[ " a.b.c.d.e.f.g.h.i.j"""`} {
		changed := regexp.MustCompile(`(?m)^preset = .*$`).ReplaceAllLiteral(text, []byte("preset = "+name))
		testkit.Write(t, filepath.Join(dir, train.ConfigFile), changed)
		if _, err := train.ReadSettings(dir); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
