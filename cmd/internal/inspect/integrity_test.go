package inspect

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/internal/testkit"
)

// TestVerify turns a bit in the middle of every file of a run in turn.
func TestVerify(t *testing.T) {
	dir := testkit.Copy(t, "../../ebm/testdata/formats")
	testkit.Write(t, filepath.Join(dir, ".a.abc.partial~"), nil)
	list, err := Verify(t.Context(), dir)
	if err != nil || len(list) < 5 {
		t.Fatalf("%v, error %v", list, err)
	}
	if !slices.ContainsFunc(list, func(c Checked) bool { return strings.Contains(c.By, "leftover") }) {
		t.Errorf("%v, want the leftover among them", list)
	}
	turned := 0
	for _, c := range list {
		if c.Damage != "" {
			t.Errorf("%s is damaged: %s", c.Path, c.Damage)
		}
		if c.By != "checksums" {
			continue
		}
		turned++
		path := filepath.Join(dir, filepath.FromSlash(c.Path))
		whole := testkit.Read(t, path)
		damaged := bytes.Clone(whole)
		damaged[len(damaged)/2] ^= 0x20
		testkit.Write(t, path, damaged)
		again, err := Verify(t.Context(), dir)
		if at := slices.IndexFunc(again, func(o Checked) bool { return o.Path == c.Path }); err != nil || again[at].Damage == "" {
			t.Errorf("%s with a bit turned is %+v, error %v", c.Path, again[at], err)
		}
		testkit.Write(t, path, whole)
	}
	if turned < 3 {
		t.Errorf("%d archives were damaged, want three or more", turned)
	}
	run := filepath.Join(dir, "run")
	broken, err := filepath.Glob(filepath.Join(run, "checkpoints", "step-*", "state.safetensors"))
	if err != nil || len(broken) == 0 {
		t.Fatalf("checkpoints %v, error %v", broken, err)
	}
	if err := os.Remove(broken[0]); err != nil {
		t.Fatal(err)
	}
	again, _ := Verify(t.Context(), run)
	if !slices.ContainsFunc(again, func(c Checked) bool {
		return c.Path == "checkpoints/"+filepath.Base(filepath.Dir(broken[0])) && c.Damage != ""
	}) {
		t.Errorf("%v, want the incomplete checkpoint", again)
	}
	d, err := Describe(t.Context(), run, "")
	if err != nil || len(d.Run.Incomplete) != 1 || d.Run.Incomplete[0] != filepath.Dir(broken[0]) {
		t.Errorf("description %+v, error %v, want the incomplete checkpoint", d, err)
	}
}

// FuzzRunFolder puts anything into a file of a run, which is described and
// checked with an error at worst.
func FuzzRunFolder(f *testing.F) {
	const run = "../../ebm/testdata/formats/run"
	names := []string{"config.toml", "metrics.jsonl", "checkpoints/step-00000003/model.safetensors",
		"checkpoints/step-00000003/state.safetensors",
		"checkpoints/best.json", "samples/samples.json", "samples/trace.json", "samples/samples.npz", "samples/samples_float32.npy",
		"report.json", "model/score.onnx", "classifier.toml"}
	for i, name := range names {
		data, err := os.ReadFile(filepath.Join(run, name))
		if err != nil {
			data = []byte("{}")
		}
		f.Add(uint8(i), data)
	}
	f.Fuzz(func(t *testing.T, at uint8, data []byte) {
		dir := filepath.Join(t.TempDir(), "run")
		if err := os.CopyFS(dir, os.DirFS(run)); err != nil {
			t.Fatal(err)
		}
		testkit.Write(t, filepath.Join(dir, names[int(at)%len(names)]), data)
		_, _ = describeRun(t.Context(), dir)
		if list, err := Verify(t.Context(), dir); err != nil || len(list) == 0 {
			t.Errorf("%d files, error %v", len(list), err)
		}
	})
}
