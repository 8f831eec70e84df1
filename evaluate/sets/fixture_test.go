package sets

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"ebm/evaluate/features"
	"ebm/export"
	"ebm/internal/npz"
	"ebm/internal/picture"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
)

// drawn makes coloured pictures [n 3 size size] that differ in their means,
// within limits that differ by shade.
func drawn(n, size, shade int) *tensor.Tensor {
	x := tensor.New(tensor.Uint8, n, 3, size, size)
	data := tensor.Data[uint8](x)
	for i := range data {
		plane := uint64(i / (size * size))
		base := rng.New(4).IntN(100, rng.Probe, plane, uint32(shade))
		data[i] = uint8(base + rng.New(5).IntN(100+shade, rng.Probe, uint64(i), uint32(shade)))
	}
	return x
}

// network writes an ONNX file whose features are means of the four quarters of
// each colour and products of those, through f, with logits beside them.
func network(t testing.TB, f func(*graph.Node) *graph.Node) string {
	t.Helper()
	g := graph.New("features")
	x := g.Input("pictures", tensor.Float32, graph.Batch(3, 8, 8))
	means := graph.MeanPool(x, graph.Pool2D(4, 4, 0))
	flat := graph.Reshape(means, graph.Shape{x.Shape()[0], graph.Const(12)})
	g.Output("hidden", f(graph.Concat(1, flat, graph.Mul(flat, flat))))
	g.Output("logits", graph.Scale(flat, 9))
	path := filepath.Join(t.TempDir(), "features.onnx")
	if err := export.WriteFile(path, g, export.Options{}); err != nil {
		t.Fatal(err)
	}
	return path
}

func same(x *graph.Node) *graph.Node { return x }

// opened is the network of that file.
func opened(t testing.TB, path string) *features.Network {
	t.Helper()
	o, err := features.ONNXFile(features.ONNXOptions{Path: path, Output: "hidden", Logits: "logits"})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// npy writes an array.
func npy(t testing.TB, name string, x *tensor.Tensor) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if filepath.Ext(name) == ".npz" {
		err = npz.Write(f, map[string]*tensor.Tensor{"arr_0": x}, npz.Deflate)
	} else {
		err = npz.WriteNpy(f, x)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// samples writes pictures as samples are kept, uint8 [N H W C].
func drawnSamples(t testing.TB, x *tensor.Tensor) string {
	t.Helper()
	last, err := picture.NHWC(x)
	if err != nil {
		t.Fatal(err)
	}
	return npy(t, "samples.npz", last)
}

func folder(t testing.TB, x *tensor.Tensor) string {
	t.Helper()
	dir := t.TempDir()
	if err := picture.WriteFolder(dir, 0, x); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t testing.TB, ref string) *Source {
	t.Helper()
	s, err := Open(context.Background(), ref, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// compare runs a comparison that must succeed.
func compare(t testing.TB, rt *runtime.Runtime, o Options) *Result {
	t.Helper()
	r, err := Run(context.Background(), rt, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func value(t testing.TB, r *Result, metric string) Value {
	t.Helper()
	for _, v := range r.Metrics {
		if v.Metric == metric {
			return v
		}
	}
	t.Fatalf("no %s in %+v", metric, r.Metrics)
	return Value{}
}
