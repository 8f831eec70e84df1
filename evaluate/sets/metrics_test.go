package sets

import (
	"context"
	"encoding/json"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ebm/evaluate"
	"ebm/evaluate/features"
	"ebm/internal/npz"
	"ebm/internal/picture"
	"ebm/internal/testkit"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Whatever way the pictures come, the numbers are those of package evaluate on
// the features.
func TestEveryWayIn(t *testing.T) {
	testkit.Long(t)
	rt, net := testkit.Open(t, 0), network(t, same)
	a, b := drawn(300, 8, 0), drawn(280, 8, 60)
	dir := t.TempDir()
	written, statistics := filepath.Join(dir, "f.npz"), filepath.Join(dir, "s.npz")
	o := Options{Samples: open(t, drawnSamples(t, a)), Reference: open(t, drawnSamples(t, b)), Network: opened(t, net), WriteFeatures: written,
		WriteStatistics: statistics}
	want := compare(t, rt, o)

	// From the features by hand: those of a are in the file.
	e, err := opened(t, net).Open(rt, 3, 8, 8)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	arrays := testkit.Arrays(t, written)
	fb, err := e.Features(context.Background(), b, nil)
	if err != nil {
		t.Fatal(err)
	}
	kid, err := evaluate.KernelDistance(context.Background(), arrays["features"], fb.Features, evaluate.KernelOptions{SubsetSize: 140})
	if err != nil {
		t.Fatal(err)
	}
	score, err := evaluate.InceptionScore(context.Background(), arrays["logits"], evaluate.ScoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := value(t, want, "onnx_kernel"); math.Abs(got.Value-kid.Mean) > 1e-9*math.Abs(kid.Mean) ||
		got.SubsetSize != 140 || got.Subsets != 100 {
		t.Errorf("kernel distance %+v, want %+v", got, kid)
	}
	if got := value(t, want, "onnx_score"); got.Value != score.Mean || *got.Deviation != score.Deviation ||
		got.Reference != 0 || got.Samples != 300 {
		t.Errorf("score %+v, want %+v", got, score)
	}
	if got := value(t, want, "onnx_frechet"); !(got.Value > 1e-4) || got.Samples != 300 || got.Reference != 280 || len(got.Weights) != 64 ||
		got.Preprocess != "pytorch-fid" {
		t.Errorf("Fréchet distance %+v", got)
	}

	floats := tensor.New(tensor.Float32, a.Shape()...)
	for i, v := range tensor.Data[uint8](a) {
		tensor.Data[float32](floats)[i] = float32(v) / 255
	}
	run := t.TempDir()
	testkit.Mkdir(t, run, "samples")
	if err := os.Rename(drawnSamples(t, a), filepath.Join(run, "samples", "samples.npz")); err != nil {
		t.Fatal(err)
	}
	for name, way := range map[string]string{
		"a folder of PNG files": folder(t, a), "floats": npy(t, "x.npy", floats), "bytes with channels first": npy(t, "x.npy", a),
		"a run": run, "features": written, "statistics": statistics,
	} {
		o := Options{Samples: open(t, way), Reference: open(t, drawnSamples(t, b)), Network: opened(t, net)}
		got := compare(t, rt, o)
		for _, v := range got.Metrics {
			// Features, in float32, do not depend on the way. Statistics are sums in another order.
			if w := value(t, want, v.Metric).Value; math.Abs(v.Value-w) > 1e-9*math.Abs(w) {
				t.Errorf("%s: %s is %g, want %g", name, v.Metric, v.Value, w)
			}
		}
		switch {
		case name == "statistics" && (len(got.Metrics) != 1 || len(got.Warnings) != 3):
			t.Errorf("statistics allow %+v, warnings %q, want the Fréchet distance and a warning for each of the rest", got.Metrics, got.Warnings)
		case name != "statistics" && len(got.Metrics) != len(want.Metrics):
			t.Errorf("%s: %d numbers, want %d", name, len(got.Metrics), len(want.Metrics))
		}
	}
}

// A run that was killed goes on with the blocks that are missing, and damaged
// ones are computed again.
func TestCacheGoesOn(t *testing.T) {
	rt, net, cache := testkit.Open(t, 0), opened(t, network(t, same)), t.TempDir()
	a, b := drawnSamples(t, drawn(300, 8, 0)), drawnSamples(t, drawn(Block, 8, 60))
	var logged []string
	once := func() *Result {
		return compare(t, rt, Options{
			Samples: open(t, a), Reference: open(t, b), Network: net, CacheDir: cache, Metrics: []string{Frechet},
			Log: func(line string) { logged = append(logged, line) },
		})
	}
	first := once()
	if first.Samples.Computed != 300 || first.Reference.Computed != Block {
		t.Fatalf("%+v", first)
	}
	var files []string
	err := filepath.WalkDir(cache, func(path string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) != 4 {
		t.Fatalf("%q, %v, want 3 blocks and 1", files, err)
	}
	if again := once(); again.Samples.Computed+again.Reference.Computed != 0 || again.Metrics[0].Value != first.Metrics[0].Value {
		t.Errorf("%+v, want the same number without computing", again)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(files[1], 100); err != nil {
		t.Fatal(err)
	}
	again := once()
	if n := again.Samples.Computed + again.Reference.Computed; n == 0 || n > 2*Block || again.Metrics[0].Value != first.Metrics[0].Value {
		t.Errorf("%d pictures computed and a distance of %g, want two blocks and %g", n, again.Metrics[0].Value, first.Metrics[0].Value)
	}
	if len(logged) != 1 || !strings.Contains(logged[0], files[1]+" is damaged") {
		t.Errorf("logged %q", logged)
	}
}

func TestInfrequentNumbers(t *testing.T) {
	rt := testkit.Open(t, 0)
	r := compare(t, rt, Options{
		Samples: open(t, drawnSamples(t, drawn(300, 8, 0))), Reference: open(t, drawnSamples(t, drawn(280, 8, 60))),
		Network:  opened(t, network(t, same)),
		Unbiased: true, Extrapolate: true, Bootstrap: 20, Metrics: []string{Frechet, InceptionScore},
	})
	var names []string
	for _, v := range r.Metrics {
		names = append(names, v.Metric)
	}
	if got := strings.Join(names, " "); got != "onnx_frechet onnx_frechet_infinity onnx_score onnx_score_unbiased onnx_score_infinity" {
		t.Errorf("numbers %s", got)
	}
	for _, name := range []string{"onnx_frechet", "onnx_score"} {
		if v := value(t, r, name); v.Interval == nil || !(v.Interval[0] < v.Value && v.Value < v.Interval[1]) {
			t.Errorf("%+v, want an interval around it", v)
		}
	}
	if v := value(t, r, "onnx_frechet_infinity"); v.Error == nil || v.Value >= value(t, r, "onnx_frechet").Value {
		t.Errorf("%+v, want less than %g", v, value(t, r, "onnx_frechet").Value)
	}
}

// What must not pass for a number.
func TestErrors(t *testing.T) {
	rt, net := testkit.Open(t, 0), opened(t, network(t, same))
	a := drawnSamples(t, drawn(20, 8, 0))
	dir := t.TempDir()
	written, statistics := filepath.Join(dir, "f.npz"), filepath.Join(dir, "s.npz")
	compare(t, rt, Options{Samples: open(t, a), Network: net, Metrics: []string{InceptionScore}, WriteFeatures: written,
		WriteStatistics: statistics})

	tf, err := features.ONNXFile(features.ONNXOptions{Path: net.File, Output: "hidden", Logits: "logits", Convention: "tf"})
	if err != nil {
		t.Fatal(err)
	}
	logarithm := opened(t, network(t, func(x *graph.Node) *graph.Node { return graph.Log(graph.Shift(x, -0.2)) }))
	for _, c := range []struct {
		name string
		o    Options
		want string
	}{
		{"another convention", Options{Samples: open(t, a), Reference: open(t, statistics), Network: tf}, "preprocessing tf against pytorch-fid"},
		{"another network", Options{Samples: open(t, a), Reference: open(t, written), Network: logarithm}, "weights"},
		{"NaN features", Options{Samples: open(t, a), Reference: open(t, a), Network: logarithm}, "is NaN, want a finite number"},
		{"other numbers of features", Options{Samples: open(t, npy(t, "f.npy", tensor.New(tensor.Float32, 6, 4))),
			Reference: open(t, npy(t, "f.npy", tensor.New(tensor.Float32, 6, 5)))}, "4"},
		{"one picture", Options{Samples: open(t, drawnSamples(t, drawn(1, 8, 0))), Reference: open(t, a), Network: net},
			"pictures: 1, want 2 or more"},
		{"no network", Options{Samples: open(t, a), Reference: open(t, a)}, "need a feature network"},
		{"no reference", Options{Samples: open(t, a), Network: net, Metrics: []string{Frechet}}, "it needs a reference"},
		{"statistics for a kernel", Options{Samples: open(t, statistics), Reference: open(t, a), Network: net,
			Metrics: []string{Kernel}}, "statistics alone"},
		{"a score without logits", Options{Samples: open(t, npy(t, "f.npy", tensor.New(tensor.Float32, 6, 4))),
			Metrics: []string{InceptionScore}}, "has no logits"},
		{"a balance without logits", Options{Samples: open(t, npy(t, "f.npy", tensor.New(tensor.Float32, 6, 4))),
			Reference: open(t, npy(t, "g.npy", tensor.New(tensor.Float32, 6, 4))), Metrics: []string{ClassShares}}, "has no logits"},
		{"large subsets", Options{Samples: open(t, a), Reference: open(t, a), Network: net, Metrics: []string{Kernel}, SubsetSize: 21},
			"20 samples for subsets of 21"},
		{"few for neighbours", Options{Samples: open(t, drawnSamples(t, drawn(5, 8, 0))), Reference: open(t, a), Network: net,
			Metrics: []string{Manifold}}, "5 samples, want more than 5"},
		{"a wrong metric", Options{Samples: open(t, a), Metrics: []string{"best"}}, `metric "best"`},
		{"features of statistics", Options{Samples: open(t, statistics), Reference: open(t, statistics), WriteFeatures: written},
			"no features to write"},
	} {
		if r, err := Run(context.Background(), rt, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v, want an error with %q", c.name, r, err, c.want)
		}
	}
}

// Results that are numbers but say too little carry a warning.
func TestWarnings(t *testing.T) {
	rt, net := testkit.Open(t, 0), opened(t, network(t, same))
	a := drawnSamples(t, drawn(20, 8, 0))
	plain := tensor.New(tensor.Uint8, 12, 3, 8, 8)
	mixed := drawn(12, 8, 0)
	copy(tensor.Data[uint8](mixed), make([]uint8, 2*3*8*8))
	bare := filepath.Join(t.TempDir(), "bare.npz")
	if err := writeArrays(bare, npz.Store, map[string]*tensor.Tensor{"mu": tensor.New(tensor.Float64, 24),
		"sigma": tensor.New(tensor.Float64, 24, 24)}); err != nil {
		t.Fatal(err)
	}
	loud := tensor.New(tensor.Float32, 12, 3, 8, 8)
	for i := range loud.Len() {
		tensor.Data[float32](loud)[i] = float32(i%3) - 1
	}
	for span, want := range map[string]string{"": "33 % of the values are outside 0..1", "-1..1": "", "0..255": ""} {
		s, err := Open(t.Context(), npy(t, "x.npy", loud), SourceOptions{Range: span})
		if err != nil {
			t.Fatal(err)
		}
		x, err := s.read(t.Context(), 0, 12)
		switch {
		case want != "":
			testkit.WantError(t, "range "+span, err, want, "x.npy", "--samples-range")
		case err != nil:
			t.Errorf("range %s: %v", span, err)
		case span == "-1..1" && !slices.Equal(tensor.Data[uint8](x[0])[:3], []uint8{0, 128, 255}):
			t.Errorf("range %s gave %v, want black, grey and white", span, tensor.Data[uint8](x[0])[:3])
		}
		s.Close()
	}
	for _, c := range []struct {
		name, samples, want string
	}{
		{"all the same", drawnSamples(t, plain), "all 12 pictures are the same"},
		{"constant pictures", drawnSamples(t, mixed), "2 of 12 pictures have a single colour"},
		{"another size", drawnSamples(t, drawn(12, 10, 0)), "the samples are 10×10 pixels and the reference 8×8"},
		{"few samples", a, "20 samples for 24 features, so their covariance is singular"},
		{"few for a subset", a, "subsets of 10, half of the samples"},
		{"few for shares", a, "bias precision and recall upward"},
		{"few for a score", a, "the Inception score is biased downward"},
		{"no maker", bare, "does not say which network"},
	} {
		r := compare(t, rt, Options{Samples: open(t, c.samples), Reference: open(t, a), Network: net})
		if all := strings.Join(r.AllWarnings(), "\n"); !strings.Contains(all, c.want) {
			t.Errorf("%s: warnings\n%s\nwant %q", c.name, all, c.want)
		}
		for _, v := range r.Metrics {
			if math.IsNaN(v.Value) || math.IsInf(v.Value, 0) {
				t.Errorf("%s: %s is %g", c.name, v.Metric, v.Value)
			}
		}
	}
}

// The JSON form is what docs/evaluation.md says.
func TestJSONIsDocumented(t *testing.T) {
	document := testkit.Read(t, "../../docs/evaluation.md")
	rt := testkit.Open(t, 0)
	r := compare(t, rt, Options{
		Samples: open(t, drawnSamples(t, drawn(120, 8, 0))), Reference: open(t, drawnSamples(t, drawn(100, 8, 60))),
		Network:  opened(t, network(t, same)),
		Unbiased: true, Extrapolate: true, Bootstrap: 20,
	})
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var any map[string]any
	if err := json.Unmarshal(text, &any); err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	collect(any, keys)
	for key := range keys {
		if !strings.Contains(string(document), "`"+key+"`") {
			t.Errorf("docs/evaluation.md does not say what %s is", key)
		}
	}
}

func collect(v any, keys map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			keys[key] = true
			collect(inner, keys)
		}
	case []any:
		for _, inner := range v {
			collect(inner, keys)
		}
	}
}

func TestInterrupted(t *testing.T) {
	rt := testkit.Open(t, 0)
	ctx, stop := context.WithCancel(context.Background())
	stop()
	_, err := Run(ctx, rt, Options{Samples: open(t, drawnSamples(t, drawn(20, 8, 0))), Network: opened(t, network(t, same))})
	if err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("%v", err)
	}
}

// Equal sets are at no distance, and a score alone looks at no reference.
func TestEqualSetsAndOneSide(t *testing.T) {
	rt, net := testkit.Open(t, 1), opened(t, network(t, same))
	a := drawnSamples(t, drawn(40, 8, 0))
	r := compare(t, rt, Options{Samples: open(t, a), Reference: open(t, a), Network: net, Metrics: []string{Frechet, Manifold}})
	if v := value(t, r, "onnx_frechet"); v.Value != 0 || value(t, r, "precision").Value != 1 {
		t.Errorf("%+v of equal sets, want 0", v)
	}
	r = compare(t, rt, Options{Samples: open(t, a), Reference: open(t, drawnSamples(t, drawn(1, 8, 60))), Network: net,
		Metrics: []string{InceptionScore}})
	if len(r.Metrics) != 1 || r.Samples.Computed != 40 || r.Reference.Computed != 0 {
		t.Errorf("%+v, want a score of 40 samples and nothing of the reference", r)
	}
}

// A byte of a file that is not what was written is an error, or gives the very
// numbers: none is wrong in silence, also where a limit leaves most of the file.
func TestDamagedFiles(t *testing.T) {
	testkit.Long(t)
	rt, net := testkit.Open(t, 1), opened(t, network(t, same))
	dir := t.TempDir()
	written, statistics := filepath.Join(dir, "f.npz"), filepath.Join(dir, "s.npz")
	a := drawnSamples(t, drawn(150, 8, 0))
	compare(t, rt, Options{Samples: open(t, a), Network: net, Metrics: []string{InceptionScore}, WriteFeatures: written,
		WriteStatistics: statistics})
	numbers := func(path string, limit int) (float64, error) {
		s, err := Open(context.Background(), path, SourceOptions{Limit: limit})
		if err != nil {
			return 0, err
		}
		defer s.Close()
		r, err := Run(context.Background(), rt, Options{Samples: s, Reference: Held("reference", drawn(30, 8, 60)), Network: net,
			Metrics: []string{Frechet}})
		if err != nil {
			return 0, err
		}
		return r.Metrics[0].Value, nil
	}
	refused := 0
	for _, path := range []string{a, written, statistics} {
		for _, limit := range []int{0, 20} {
			if path == statistics && limit > 0 {
				continue
			}
			want, err := numbers(path, limit)
			if err != nil {
				t.Fatal(err)
			}
			whole := testkit.Read(t, path)
			for i := range 25 {
				damaged := slices.Clone(whole)
				damaged[(i*2+1)*len(whole)/50] ^= 1 << (i % 8)
				at := testkit.Write(t, filepath.Join(t.TempDir(), "damaged.npz"), damaged)
				got, err := numbers(at, limit)
				if err != nil {
					refused++
				} else if got != want {
					t.Errorf("%s, limit %d, byte %d of %d turned over: %g, want %g or an error", filepath.Base(path), limit,
						(i*2+1)*len(whole)/50, len(whole), got, want)
				}
			}
			for _, n := range []int{len(whole) / 3, len(whole) - 5} {
				at := testkit.Write(t, filepath.Join(t.TempDir(), "cut.npz"), whole[:n])
				if _, err := numbers(at, limit); err == nil || !strings.Contains(err.Error(), "cut short") || !strings.Contains(err.Error(), at) {
					t.Errorf("%s cut to %d bytes: %v", filepath.Base(path), n, err)
				}
			}
		}
	}
	if refused < 100 {
		t.Errorf("%d damaged files refused, want nearly all of 125", refused)
	}
}

// Further numbers, when they are named; classes come from folders, data sets and arrays beside the pictures.
func TestFurtherNumbers(t *testing.T) {
	rt, net := testkit.Open(t, 0), opened(t, network(t, same))
	a, b := drawn(60, 8, 0), drawn(60, 8, 60)
	labels := tensor.New(tensor.Int64, 60)
	for i := range 60 {
		tensor.Data[int64](labels)[i] = int64(i / 20)
	}
	labelled := filepath.Join(t.TempDir(), "labelled.npz")
	if err := writeArrays(labelled, npz.Store, map[string]*tensor.Tensor{"images": a, "labels": labels}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for class := range 3 {
		into := filepath.Join(dir, strconv.Itoa(class))
		testkit.Mkdir(t, into)
		if err := picture.WriteFolder(into, 0, b.Rows(20*class, 20*class+20)); err != nil {
			t.Fatal(err)
		}
	}
	r := compare(t, rt, Options{Samples: open(t, labelled), Reference: open(t, dir), Network: net,
		Metrics: []string{Memorized, Diversity, MeanDistance, Classes, Kernel}, KernelSigma: 2})
	for _, name := range []string{"mifid", "vendi", "cmmd", "onnx_kernel_rbf", "onnx_frechet_classes", "onnx_kernel_classes"} {
		if v := value(t, r, name); !(v.Value > 0) || v.Better == "" {
			t.Errorf("%s is %+v", name, v)
		}
	}
	mean, n := 0.0, 0
	for _, v := range r.Metrics {
		if v.Metric != "onnx_frechet_class" {
			continue
		}
		n++
		mean += v.Value / 3
		x, y := a.Rows(20*(n-1), 20*n), b.Rows(20*(n-1), 20*n)
		alone := compare(t, rt, Options{Samples: Held("x", x), Reference: Held("y", y), Network: net, Metrics: []string{Frechet}})
		if want := value(t, alone, "onnx_frechet").Value; math.Abs(v.Value-want) > 1e-9*want || v.Class != strconv.Itoa(n-1) || v.Samples != 20 {
			t.Errorf("class %s of %d samples: %g, want %g", v.Class, v.Samples, v.Value, want)
		}
	}
	if got := value(t, r, "onnx_frechet_classes").Value; n != 3 || math.Abs(got-mean) > 1e-12*mean {
		t.Errorf("%d classes, mean %g, want 3 and %g", n, got, mean)
	}
	_, err := Run(t.Context(), rt, Options{Samples: open(t, labelled), Reference: open(t, drawnSamples(t, b)), Network: net,
		Metrics: []string{Classes}})
	testkit.WantError(t, "no classes", err, "has no classes, want folders of classes")
	x := open(t, labelled)
	r = compare(t, rt, Options{Samples: open(t, labelled), Reference: x, Network: net,
		Metrics: []string{Kernel, Frechet, MeanDistance, ClassShares}})
	for _, v := range r.Metrics {
		if v.Value != 0 {
			t.Errorf("%s of a set and itself is %g, want 0", v.Metric, v.Value)
		}
	}

	// The counts are those of the logits' largest.
	r = compare(t, rt, Options{Samples: Held("a", a), Reference: Held("b", b), Network: net, Metrics: []string{ClassShares}})
	v, counted := value(t, r, "balance"), 0.0
	for name, n := range v.Parts {
		if strings.HasPrefix(name, "samples_") || strings.HasPrefix(name, "reference_") {
			counted += n
		}
	}
	if !(v.Value > 0) || !(v.Parts["p"] > 0 && v.Parts["p"] < 1) || counted != 120 || v.Better != "lower" {
		t.Errorf("%+v", v)
	}
	var text strings.Builder
	if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), "degrees of freedom") {
		t.Errorf("%q, error %v", text.String(), err)
	}
}
