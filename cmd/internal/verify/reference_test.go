package verify_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm/cmd/internal/verify"
	"ebm/internal/npz"
	"ebm/internal/testkit"
	"ebm/models/energy"
	"ebm/models/tensor"
	"ebm/models/weights"
)

// torch returns the network of testdata/weights.pth.
func torch(t *testing.T) (energy.Picture, energy.Weights) {
	t.Helper()
	set, err := weights.Load("../../../testdata/weights.pth")
	if err != nil {
		t.Fatal(err)
	}
	w := make(energy.Weights)
	for name, v := range set.All() {
		w[name] = v
	}
	w = energy.DropUnused(w)
	net, err := energy.Recognise(w)
	if err != nil {
		t.Fatal(err)
	}
	return net, w
}

const goldenFile = "../../../testdata/reference.npz"

func reference(t *testing.T, path string) *verify.Reference {
	t.Helper()
	r, err := verify.ReadReference(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// changed writes the golden tensors with changes.
func changed(t *testing.T, change func(map[string]*tensor.Tensor)) (path string) {
	t.Helper()
	arrays := testkit.Arrays(t, goldenFile)
	change(arrays)
	path = filepath.Join(t.TempDir(), "changed.npz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := npz.Write(f, arrays, npz.Store); err != nil {
		t.Fatal(err)
	}
	return path
}

var referenceChecks = []string{
	"reference", "reference in float64", "reference's loss", "reference's gradient",
	"reference's loss in float64", "reference's gradient in float64",
}

// TestReference compares with what PyTorch says of a network that PyTorch
// saved.
func TestReference(t *testing.T) {
	net, w := torch(t)
	o := quick
	o.Reference = reference(t, goldenFile)
	if made := o.Reference.MadeBy; !strings.HasPrefix(made, "PyTorch 2") || o.Reference.Sigma0 != 0.1 {
		t.Errorf("made by %q with σ₀ = %g", made, o.Reference.Sigma0)
	}
	c, err := verify.Score(t.Context(), testkit.Open(t, 0), net, w, o)
	if err != nil || !c.Passed() {
		t.Fatalf("error %v\n%s", err, text(t, c))
	}
	for _, name := range referenceChecks {
		i := slices.Index(names(c), name)
		if i < 0 {
			t.Errorf("no check %q among %q", name, names(c))
			continue
		}
		if check := c.Checks[i]; check.Worst() > 1e-6 || check.Tolerance != 1e-5 ||
			!strings.Contains(check.Reference, "reference.npz, made by PyTorch") {
			t.Errorf("%s: error %.2g of at most %g against %s", name, check.Worst(), check.Tolerance, check.Reference)
		}
	}
	if !strings.Contains(strings.Join(c.Notes, "\n"), "no gradient of lq.bias") {
		t.Errorf("notes %q do not say that PyTorch has no gradient of lq.bias", c.Notes)
	}
}

// TestOtherReference compares with tensors that are a little different: what
// fails is what they are compared with, and nothing else.
func TestOtherReference(t *testing.T) {
	testkit.Long(t)
	net, w := torch(t)
	rt := testkit.Open(t, 0)
	for name, want := range map[string][]string{
		"score":                       {"reference", "reference in float64"},
		"energy":                      {"reference", "reference in float64"},
		"loss":                        {"reference's loss", "reference's loss in float64"},
		"grad/rb1.conv_1.conv.weight": {"reference's gradient", "reference's gradient in float64"},
	} {
		o := quick
		o.Reference = reference(t, changed(t, func(arrays map[string]*tensor.Tensor) {
			data := tensor.Data[float32](arrays[name])
			largest := slices.MaxFunc(data, func(a, b float32) int { return int(1e6 * (max(a, -a) - max(b, -b))) })
			data[len(data)/2] += 1e-4 * largest
		}))
		c, err := verify.Score(t.Context(), rt, net, w, o)
		if err != nil || !slices.Equal(failed(c), want) {
			t.Errorf("%s: failed are %q, want %q; error %v", name, failed(c), want, err)
		}
		o.ReferenceTolerance = 1e-2
		if c, err = verify.Score(t.Context(), rt, net, w, o); err != nil || !c.Passed() {
			t.Errorf("%s: failed are %q at a tolerance of 1e-2; error %v", name, failed(c), err)
		}
	}
}

// TestWithoutInterpreter leaves only the reference to compare with, and says
// so.
func TestWithoutInterpreter(t *testing.T) {
	testkit.Long(t)
	net, w := torch(t)
	rt := testkit.Open(t, 0)
	o := quick
	o.WithoutInterpreter = true
	if _, err := verify.Score(t.Context(), rt, net, w, o); err == nil || !strings.Contains(err.Error(), "a reference") {
		t.Errorf("error %v, though there is nothing to compare with", err)
	}
	o.Reference = reference(t, goldenFile)
	c, err := verify.Score(t.Context(), rt, net, w, o)
	if want := []string{"reference", "reference's loss", "reference's gradient"}; err != nil || !c.Passed() || !slices.Equal(names(c), want) {
		t.Errorf("checks %q, failed %q, error %v", names(c), failed(c), err)
	}
	if !strings.Contains(text(t, c), "the float64 interpreter was left out") {
		t.Errorf("the certificate does not say what was left out:\n%s", text(t, c))
	}
	o.WithoutTraining = true
	c, err = verify.Score(t.Context(), rt, net, w, o)
	if err != nil || !slices.Equal(names(c), []string{"reference"}) ||
		!strings.Contains(text(t, c), "training loss and its gradient were not compared") {
		t.Errorf("checks %q, notes %q, error %v", names(c), c.Notes, err)
	}
}

// TestReferenceOfOthers compares with tensors of another network.
func TestReferenceOfOthers(t *testing.T) {
	net, w := torch(t)
	rt := testkit.Open(t, 0)
	for want, change := range map[string]func(map[string]*tensor.Tensor){
		"x is float32[3 3 4 16], the model takes [N 3 8 8]": func(a map[string]*tensor.Tensor) {
			for _, name := range []string{"x", "score", "noise"} {
				a[name] = a[name].Reshape(3, 3, 4, 16)
			}
		},
		"unexpected grad/foreign [2]": func(a map[string]*tensor.Tensor) { a["grad/foreign"] = tensor.New(tensor.Float32, 2) },
		"grad/ln1.bias has shape [1 1], want [1]": func(a map[string]*tensor.Tensor) {
			a["grad/ln1.bias"] = a["grad/ln1.bias"].Reshape(1, 1)
		},
	} {
		o := quick
		o.Reference = reference(t, changed(t, change))
		if _, err := verify.Score(t.Context(), rt, net, w, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// TestReferenceForms reads what other programs may write: wrappers' prefixes,
// float64 inputs, energies [N 1], and no loss.
func TestReferenceForms(t *testing.T) {
	net, w := torch(t)
	o := quick
	o.Reference = reference(t, changed(t, func(a map[string]*tensor.Tensor) {
		for _, name := range slices.Collect(maps.Keys(a)) {
			if p, ok := strings.CutPrefix(name, "grad/"); ok {
				a["grad/module."+p] = a[name]
				delete(a, name)
			}
		}
		a["x"], a["energy"] = a["x"].AsFloat64(), a["energy"].Reshape(3, 1)
		delete(a, "made_by")
		delete(a, "sigma0")
	}))
	c, err := verify.Score(t.Context(), testkit.Open(t, 0), net, w, o)
	if err != nil || !c.Passed() || len(c.Checks) != 7+len(referenceChecks) {
		t.Errorf("checks %q, failed %q, error %v", names(c), failed(c), err)
	}
	r := reference(t, changed(t, func(a map[string]*tensor.Tensor) {
		maps.DeleteFunc(a, func(name string, _ *tensor.Tensor) bool { return name != "x" && name != "energy" && name != "score" })
	}))
	if r.Loss != nil || r.Noise != nil || r.Gradients.Len() != 0 {
		t.Errorf("a reference without a loss is %+v", r)
	}
}

func TestReadReferenceErrors(t *testing.T) {
	type arrays = map[string]*tensor.Tensor
	for _, c := range []struct {
		want   string
		change func(arrays)
	}{
		{`array "x" is missing`, func(a arrays) { delete(a, "x") }},
		{`array "score" is missing`, func(a arrays) { delete(a, "score") }},
		{`array "sigma" is missing`, func(a arrays) { delete(a, "sigma") }},
		{`array "loss" is missing`, func(a arrays) { delete(a, "loss") }},
		{"no array grad/PARAMETER", func(a arrays) {
			maps.DeleteFunc(a, func(name string, _ *tensor.Tensor) bool { return strings.HasPrefix(name, "grad/") })
		}},
		{`array "energies" is not known`, func(a arrays) { a["energies"] = a["energy"] }},
		{"x is float32[576]", func(a arrays) { a["x"] = a["x"].Reshape(576) }},
		{"x is float32[0 3 8 8]", func(a arrays) { a["x"] = tensor.New(tensor.Float32, 0, 3, 8, 8) }},
		{"at most 1024 pictures", func(a arrays) { a["x"] = tensor.New(tensor.Float32, 1025, 3, 8, 8) }},
		{"energy is float32[2], want [3]", func(a arrays) { a["energy"] = tensor.New(tensor.Float32, 2) }},
		{"score is float32[3 192], want [3 3 8 8]", func(a arrays) { a["score"] = a["score"].Reshape(3, 192) }},
		{"x is int64[3 3 8 8], want floating-point", func(a arrays) { a["x"] = tensor.New(tensor.Int64, 3, 3, 8, 8) }},
		{"element 5 of score is NaN", func(a arrays) { tensor.Data[float32](a["score"])[5] *= float32(nan()) }},
		{"element 1 of sigma is 0", func(a arrays) { tensor.Data[float32](a["sigma"])[1] = 0 }},
		{"sigma0 is -1", func(a arrays) { a["sigma0"] = tensor.Of([]float64{-1}) }},
		{"element 0 of x is 0.1, which float32 cannot hold", func(a arrays) {
			a["x"] = a["x"].AsFloat64()
			tensor.Data[float64](a["x"])[0] = 0.1
		}},
		{"made_by is float32", func(a arrays) { a["made_by"] = tensor.New(tensor.Float32, 3) }},
		{"made_by is \"\\x1b", func(a arrays) { a["made_by"] = tensor.Of([]uint8("\x1b[2J"), 4) }},
	} {
		path := changed(t, c.change)
		if _, err := verify.ReadReference(path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want one with %q and the file's name", err, c.want)
		}
	}
	if _, err := verify.ReadReference("../../../testdata/none.npz"); err == nil {
		t.Error("a file that is not there was read")
	}
	if _, err := verify.ReadReference("../../../testdata/weights.pth"); err == nil || !strings.Contains(err.Error(), `"x" is missing`) {
		t.Errorf("weights were read as a reference: %v", err)
	}
}

// TestSnippet holds the program in the documentation to the one that made the
// golden tensors.
func TestSnippet(t *testing.T) {
	document := testkit.Read(t, "../../../docs/cross-checking.md")
	program := testkit.Read(t, "../../../testdata/reference.py")
	_, code, _ := strings.Cut(string(program), "\n\n") // after the description
	if !strings.Contains(string(document), "```python\n"+code+"```\n") {
		t.Error("docs/cross-checking.md does not have the program of testdata/reference.py")
	}
}

func nan() float64 { return zero / zero }

var zero = 0.0

func FuzzReadReference(f *testing.F) {
	data := testkit.Read(f, goldenFile)
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "a.npz")
		testkit.Write(t, path, data)
		r, err := verify.ReadReference(path)
		if err != nil {
			return
		}
		if n := r.Pictures(); r.Energy.Len() != n || r.Score.Len() != r.X.Len() || r.Loss != nil &&
			(r.Sigma.Len() != n || r.Noise.Len() != r.X.Len()) {
			t.Errorf("accepted x %v, energy %v, score %v, noise %v, sigma %v", r.X, r.Energy, r.Score, r.Noise, r.Sigma)
		}
	})
}
