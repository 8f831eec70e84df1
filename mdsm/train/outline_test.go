package train_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm/train"
)

func TestReadOutline(t *testing.T) {
	energy, err := train.Preset("demo")
	if err != nil {
		t.Fatal(err)
	}
	classifier := train.DefaultClassifier("mnist")
	for _, c := range []struct {
		name  string
		write func(dir string) error
		want  train.Outline
		key   string // of one of the values
		value string
	}{
		{"energy", energy.Write, train.Outline{Model: energy.Network().String(), Data: "mnist", Steps: energy.Steps}, "noise.sigma0", "0.1"},
		{"classifier", classifier.Write, train.Outline{Model: classifier.Network().String(), Data: "mnist",
			Steps: classifier.Steps}, "data.flip", "false"},
		{"fit", func(dir string) error {
			testkit.Write(t, filepath.Join(dir, train.FitConfigFile),
				[]byte("steps = 7\n[model]\npath = \"/models/net.onnx\"\n[data]\npath = \"points.csv\"\n"))
			return nil
		}, train.Outline{Model: "net.onnx", Data: "points.csv", Steps: 7}, "steps", "7"},
	} {
		dir := t.TempDir()
		if _, err := train.ReadOutline(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an empty folder: %v, want fs.ErrNotExist", err)
		}
		if err := c.write(dir); err != nil {
			t.Fatal(err)
		}
		o, err := train.ReadOutline(dir)
		if err != nil || o.Model != c.want.Model || o.Data != c.want.Data || o.Steps != c.want.Steps || o.Values[c.key] != c.value {
			t.Errorf("%s: %+v, %v, want %+v with %s = %s", c.name, o, err, c.want, c.key, c.value)
		}
	}
	dir := t.TempDir()
	testkit.Write(t, filepath.Join(dir, train.ClassifierConfigFile), []byte("nonsense = 1\n"))
	if _, err := train.ReadOutline(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("settings of a classifier that cannot be: %v, want an error that says so", err)
	}
}
