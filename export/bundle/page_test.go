package bundle_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ebm/export"
	"ebm/export/bundle"
	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/classifier"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/models/weights"
	"ebm/runtime"
)

// pageOptions are those of a page with stand-ins for onnxruntime-web's files,
// and a classifier of random weights.
func pageOptions(t *testing.T, precision string) bundle.PageOptions {
	t.Helper()
	web := t.TempDir()
	for _, name := range runtime.WebFiles() {
		testkit.Write(t, filepath.Join(web, name), []byte("bytes of "+name))
	}
	n := classifier.Default()
	return bundle.PageOptions{
		Web: web, Precision: precision, Classifier: energy.Init(n, rng.New(3)),
		Samplers: []bundle.Sampler{{Name: "two", About: "two steps", Sigma: 1, Jump: true, Rows: tensor.Of(make([]float32, 18), 2, 9)}},
		Classes:  []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "</script><b>nine"},
	}
}

// pageSource is source of pictures whose inner part a classifier takes.
func pageSource(t *testing.T) bundle.Source {
	s := source(t)
	s.Pad = 1
	return s
}

var pagePart = regexp.MustCompile(`(?s)<script type="text/plain" id="part-(\w+)">(.*?)</script>`)

// parts returns what a page holds, unpacked.
func parts(t *testing.T, page []byte) map[string][]byte {
	t.Helper()
	got := make(map[string][]byte)
	for _, m := range pagePart.FindAllSubmatch(page, -1) {
		name, text := string(m[1]), m[2]
		if name == "about" || name == "engine" {
			got[name] = text
			continue
		}
		z, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(text)))
		if err != nil {
			t.Fatalf("part %s: %v", name, err)
		}
		b, err := io.ReadAll(z)
		if err != nil {
			t.Fatalf("part %s: %v", name, err)
		}
		got[name] = b
	}
	return got
}

// TestPage takes pages of each precision apart: the model computes the score,
// everything that the page needs is in it, and nothing of it is elsewhere.
func TestPage(t *testing.T) {
	testkit.Long(t)
	s, rt := pageSource(t), testkit.Open(t, 1)
	x := tensor.New(tensor.Float32, 3, 1, 16, 16)
	rng.New(8).Uniform(tensor.Data[float32](x), rng.Probe, 0, 0)
	in := testkit.Values{"x": x}
	want := testkit.RunModel(t, rt, []byte(plain(t, s, "score")), in)
	least := 1 << 30
	for _, c := range []struct {
		precision string
		error     float64
	}{{"float32", 1e-6}, {"float16", 1e-2}, {"int8", 5e-2}} {
		path := filepath.Join(t.TempDir(), "page.html")
		result := write(t, "page", path, s, bundle.Options{Page: pageOptions(t, c.precision)})
		page := testkit.Read(t, path)
		if len(result.Files) != 1 || result.Files[0].Bytes != int64(len(page)) {
			t.Errorf("%s: %+v, want the one file of %d bytes", c.precision, result.Files, len(page))
		}
		got := parts(t, page)
		out := testkit.RunModel(t, rt, got["model"], in)
		for _, name := range []string{"energy", "score"} {
			if d := testkit.Apart(out[name], want[name]); d > c.error {
				t.Errorf("%s: %s is off by %.2g of the largest, want at most %g", c.precision, name, d, c.error)
			}
		}
		if len(got["model"]) >= least {
			t.Errorf("%s: the model has %d bytes, want less than %d of the precision before", c.precision, len(got["model"]), least)
		}
		least = len(got["model"])
		p := testkit.RunModel(t, rt, got["labels"], in)["probabilities"].Float64s()
		sum := 0.0
		for _, v := range p[:10] {
			sum += v
		}
		testkit.Within(t, "the sum of ten probabilities", sum, 1, 1e-5)
		var about struct {
			Classes  []string `json:"classes"`
			Length   int      `json:"length"`
			Channels int      `json:"channels"`
			Energy   bool     `json:"energy"`
		}
		if err := json.Unmarshal(got["about"], &about); err != nil || !about.Energy || about.Channels != 1 || about.Length != 256 ||
			about.Classes[9] != "</script><b>nine" {
			t.Errorf("about is %s, %v", got["about"], err)
		}
		want := `[{"name":"two","about":"two steps","mean":0,"sigma":1,"jump":true,"rows":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}]`
		if string(got["samplers"]) != want {
			t.Errorf("samplers are %s, want %s", got["samplers"], want)
		}
		if string(got["script"]) != "bytes of ort.wasm.bundle.min.mjs" || !slices.Equal(got["ziggurat"], rng.Ziggurat()) {
			t.Errorf("script is %q, and the tables have %d bytes", got["script"], len(got["ziggurat"]))
		}
		for _, outside := range []string{"http:", "https:", "src=", "href=", "import {"} {
			if bytes.Contains(bytes.Replace(page, []byte(`href="data:,"`), nil, 1), []byte(outside)) {
				t.Errorf("%s: the page has %q in it", c.precision, outside)
			}
		}
		again := filepath.Join(t.TempDir(), "page.html")
		write(t, "page", again, s, bundle.Options{Page: pageOptions(t, c.precision)})
		if !bytes.Equal(page, testkit.Read(t, again)) {
			t.Errorf("%s: the page has other bytes the second time", c.precision)
		}
	}
}

func TestPageErrors(t *testing.T) {
	target, err := bundle.Find("page")
	if err != nil {
		t.Fatal(err)
	}
	lost := pageOptions(t, "int8")
	lost.Web = t.TempDir()
	for want, o := range map[string]bundle.PageOptions{"ort.wasm.bundle.min.mjs": lost, `precision "int3"`: pageOptions(t, "int3")} {
		path := filepath.Join(t.TempDir(), "page.html")
		if _, err := target.Write(t.Context(), path, pageSource(t), bundle.Options{Page: o}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%q: a page was written all the same", want)
		}
	}
}

// pointSource is an energy of points on a plane, not one of the project's networks.
func pointSource(t *testing.T) bundle.Source {
	t.Helper()
	density, err := energy.Toy("mixture", 2)
	if err != nil {
		t.Fatal(err)
	}
	known := energy.Known{Density: density}
	return bundle.Source{
		Name: "points", Network: known, Weights: new(weights.Set), Metadata: map[string]string{},
		Score: func() ([]byte, error) { return export.Bytes(mdsm.ScoreGraph(known, nil), export.Options{}) },
	}
}

func TestPageOfPoints(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.html")
	o := pageOptions(t, "")
	o.Classes, o.Classifier = nil, nil
	s := pointSource(t)
	write(t, "page", path, s, bundle.Options{Page: o})
	page := testkit.Read(t, path)
	for want, there := range map[string]bool{`id="plane"`: true, `id="easel"`: false, "Points from an energy: points": true,
		"Weights as float32": true} {
		if bytes.Contains(page, []byte(want)) != there {
			t.Errorf("the page has %q: %v, want %v", want, !there, there)
		}
	}
	if score, err := s.Score(); err != nil || !bytes.Equal(parts(t, page)["model"], score) {
		t.Errorf("the page's model is not the score's file, %v", err)
	}
	for _, target := range bundle.Targets() {
		if target.Any {
			continue
		}
		if _, err := target.Write(t.Context(), t.TempDir(), s, bundle.Options{}); err == nil || !strings.Contains(err.Error(), "want a run") {
			t.Errorf("%s of points: error %v, want one that asks for a run", target.Name, err)
		}
	}
}

// TestPageSharesWeights has an energy twice in one file.
func TestPageSharesWeights(t *testing.T) {
	s, size := pageSource(t), map[bool]int{}
	net, w := s.Network.(energy.ResNet), energy.Weights(s.Weights.Tensors())
	x := tensor.New(tensor.Float32, 3, 1, 16, 16)
	rng.New(8).Uniform(tensor.Data[float32](x), rng.Probe, 0, 0)
	rt := testkit.Open(t, 1)
	for _, twice := range []bool{false, true} {
		c := mdsm.Composition{Temperature: 1}
		for range 2 {
			c.Terms = append(c.Terms, mdsm.Term{Network: net, Weights: w, Weight: 0.5, Sigma0: 0.1})
		}
		if twice { // other weights, that are equal
			c.Terms[1].Weights = energy.Weights{}
			for name, v := range w {
				c.Terms[1].Weights[name] = tensor.Of(slices.Clone(tensor.Data[float32](v)), v.Shape()...)
			}
		}
		s.Score = func() ([]byte, error) { return export.Bytes(mdsm.ScoreGraph(c, nil), export.Options{}) }
		plain, err := s.Score()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "page.html")
		write(t, "page", path, s, bundle.Options{Page: pageOptions(t, "float32")})
		model := parts(t, testkit.Read(t, path))["model"]
		size[twice] = len(model)
		in := testkit.Values{"x": x}
		if d := testkit.Apart(testkit.RunModel(t, rt, model, in)["score"], testkit.RunModel(t, rt, plain, in)["score"]); d > 1e-6 {
			t.Errorf("the score is off by %.2g of the largest", d)
		}
	}
	if size[true] > size[false]*11/10 {
		t.Errorf("with equal weights twice the model has %d bytes, with the same ones %d", size[true], size[false])
	}
}
