package ebm_test

import (
	"path/filepath"
	"strings"
	"testing"

	"ebm"
	"ebm/internal/testkit"
	"ebm/models/tensor"
	"ebm/models/weights"
)

// TestOpenONNX holds engines of ONNX files against PyTorch's golden tensors: of
// the energy that PyTorch exported, and of a score that was exported here.
func TestOpenONNX(t *testing.T) {
	ctx := t.Context()
	golden := testkit.Arrays(t, "testdata/reference.npz")
	m, err := ebm.Load("testdata/weights.pth")
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Unused) != 12 || m.Unused[0] != "rb1.bn1.bias" {
		t.Errorf("unused are %q, want the 12 LayerNorms", m.Unused)
	}
	exported := filepath.Join(t.TempDir(), "score.onnx")
	if err := m.WriteONNX(exported, ebm.ScoreKind, 0); err != nil {
		t.Fatal(err)
	}
	whole, err := m.Open(ctx, ebm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	clean, err := whole.Denoise(ctx, golden["x"])
	if err != nil {
		t.Fatal(err)
	}
	samples, err := whole.Sample(ctx, ebm.Sampling{Count: 3, Steps: 10, Seed: 4})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"testdata/energy.onnx", exported} {
		m, err := ebm.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if said := path == exported; (m.Sigma0 == 0.1) != said || (m.KnowsSigma0() == nil) != said {
			t.Errorf("%s: σ₀ is %g (%v)", path, m.Sigma0, m.KnowsSigma0())
		}
		m.Sigma0 = 0.1
		e, err := m.Open(ctx, ebm.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		energy, score, err := e.Score(ctx, golden["x"])
		if err != nil {
			t.Fatal(err)
		}
		if d := testkit.Apart(energy, golden["energy"]); d > 1e-6 {
			t.Errorf("%s: the energy is off by %.2g", path, d)
		}
		if d := testkit.Apart(score, golden["score"]); d > 1e-6 {
			t.Errorf("%s: the score is off by %.2g", path, d)
		}
		got, err := e.Denoise(ctx, golden["x"])
		if err != nil || testkit.Apart(got, clean) > 1e-6 {
			t.Errorf("%s: denoising differs from the weights' (%v)", path, err)
		}
		drawn, err := e.Sample(ctx, ebm.Sampling{Count: 3, Steps: 10, Seed: 4})
		if err != nil || testkit.Apart(drawn, samples) > 1e-4 {
			t.Errorf("%s: samples differ from the weights' (%v)", path, err)
		}
	}
}

func TestOpenONNXErrors(t *testing.T) {
	dir := t.TempDir()
	m, err := ebm.Load("testdata/weights.pth")
	if err != nil {
		t.Fatal(err)
	}
	hvp := filepath.Join(dir, "hvp.onnx")
	if err := m.WriteONNX(hvp, ebm.HVPKind, 0); err != nil {
		t.Fatal(err)
	}
	whole := testkit.Read(t, "testdata/energy.onnx")
	cut := filepath.Join(dir, "cut.onnx")
	testkit.Write(t, cut, whole[:len(whole)/2])
	for path, want := range map[string]string{
		hvp:                             "want energy or score",
		cut:                             "cut.onnx",
		filepath.Join(dir, "none.onnx"): "none.onnx",
	} {
		if e, err := ebm.Open(t.Context(), path, ebm.Config{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: engine %v, error %v, want one with %q", path, e, err, want)
		}
	}
}

// TestLoadFindsTheNetwork loads weights under a prefix of another module, in
// other types, and with normalisation that the network does not have.
func TestLoadFindsTheNetwork(t *testing.T) {
	set, err := weights.Load("testdata/weights.pth")
	if err != nil {
		t.Fatal(err)
	}
	want, err := ebm.Load("testdata/weights.pth")
	if err != nil {
		t.Fatal(err)
	}
	save := func(change func(name string, t *tensor.Tensor) (string, *tensor.Tensor)) string {
		out := new(weights.Set)
		for name, v := range set.All() {
			name, v = change(name, v)
			if err := out.Add(name, v); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(t.TempDir(), "w.pt")
		if err := weights.Save(path, out); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, path := range []string{
		save(func(name string, v *tensor.Tensor) (string, *tensor.Tensor) { return "model.ebm." + name, v }),
		save(func(name string, v *tensor.Tensor) (string, *tensor.Tensor) {
			return "module.net." + name, v.AsFloat64()
		}),
	} {
		m, err := ebm.Load(path)
		if err != nil || m.Network != want.Network || len(m.Unused) != 12 {
			t.Errorf("loaded %v with %d unused, want %v; error %v", m.Network, len(m.Unused), want.Network, err)
		}
	}
	batchNorm := save(func(name string, v *tensor.Tensor) (string, *tensor.Tensor) {
		if strings.Contains(name, ".bn") {
			v = tensor.New(tensor.Float32, v.Shape()[0])
		}
		return name, v
	})
	if _, err := ebm.Load(batchNorm); err == nil || !strings.Contains(err.Error(), "unexpected rb3.bn2.weight [8]") {
		t.Errorf("error %v, want one that lists the normalisation", err)
	}
}
