package export

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
)

// TestExternalData writes models with a low limit, so that their weights go
// to a second file, and compares what they compute with one-file models.
func TestExternalData(t *testing.T) {
	rt, err := runtime.Open(t.Context(), runtime.Config{Provider: runtime.CPU, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	net := energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 16}
	w := energy.Init(net, rng.New(3))
	fill := func(n int, shape ...int) *tensor.Tensor {
		x := tensor.New(tensor.Float32, shape...)
		rng.New(1).Normal(tensor.Data[float32](x), rng.Probe, uint64(n), 0)
		return x
	}
	x := fill(0, 2, 1, 16, 16)
	for name, c := range map[string]struct {
		graph  *graph.Graph
		inputs map[string]*tensor.Tensor
	}{
		"score": {mdsm.ScoreGraph(net, w), map[string]*tensor.Tensor{"x": x}},
		"sampler": {mdsm.SamplerGraph(net, w), map[string]*tensor.Tensor{"x": x, "noise": fill(1, 3, 2, 1, 16, 16),
			"temperature": tensor.Of([]float32{3, 2, 1}, 3), "step_size": tensor.Of([]float32{0.02}, 1)}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			one, two := filepath.Join(dir, "one.onnx"), filepath.Join(dir, "two.onnx")
			if err := WriteFile(one, c.graph, Options{}); err != nil {
				t.Fatal(err)
			}
			if err := writeFile(two, c.graph, Options{}, 1000); err != nil {
				t.Fatal(err)
			}
			var names []string
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				names = append(names, e.Name())
			}
			if want := []string{"one.onnx", "two.onnx", "two.onnx.data"}; !slices.Equal(names, want) {
				t.Errorf("the folder has %q, want %q", names, want)
			}
			checkExternal(t, two)

			results := make([]map[string]*tensor.Tensor, 2)
			for i, path := range []string{one, two} {
				session, err := rt.LoadFile(path, runtime.SessionOptions{})
				if err != nil {
					t.Fatal(err)
				}
				defer session.Close()
				if results[i], err = session.Run(t.Context(), c.inputs); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range slices.Sorted(maps.Keys(results[0])) {
				if !slices.Equal(results[0][name].Float64s(), results[1][name].Float64s()) {
					t.Errorf("%s differs with external data", name)
				}
			}
			damaged(t, rt, two)
			again := filepath.Join(dir, "again", "two.onnx")
			if err := os.Mkdir(filepath.Dir(again), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := writeFile(again, c.graph, Options{}, 1000); err != nil {
				t.Fatal(err)
			}
			for _, suffix := range []string{"", ".data"} {
				a, err := os.ReadFile(two + suffix)
				if err != nil {
					t.Fatal(err)
				}
				b, err := os.ReadFile(again + suffix)
				if err != nil || !bytes.Equal(a, b) {
					t.Errorf("two%s is written differently a second time (%v)", suffix, err)
				}
			}
		})
	}
}

// damaged flips bits of a model's second file, which whoever opens the model notices.
func damaged(t *testing.T, rt *runtime.Runtime, path string) {
	t.Helper()
	good, err := os.ReadFile(path + ".data")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(good); i += 1 + len(good)/20 {
		bad := bytes.Clone(good)
		bad[i] ^= 0x40
		if err := os.WriteFile(path+".data", bad, 0o666); err != nil {
			t.Fatal(err)
		}
		if s, err := rt.LoadFile(path, runtime.SessionOptions{}); err == nil || !strings.Contains(err.Error(), "damaged or changed") {
			t.Errorf("byte %d of the weights flipped: error %v", i, err)
			s.Close()
		}
	}
	if err := os.WriteFile(path+".data", good, 0o666); err != nil {
		t.Fatal(err)
	}
}

// checkExternal reads a model's file and checks that its larger tensors lie
// aligned and one after the other in the second file, and no others.
func checkExternal(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := new(onnxpb.ModelProto)
	if err := proto.Unmarshal(b, m); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path + ".data")
	if err != nil {
		t.Fatal(err)
	}
	var end int64
	for _, tensor := range initialisers(m.Graph, nil) {
		if tensor.GetDataLocation() != onnxpb.TensorProto_EXTERNAL {
			if len(tensor.RawData) >= 1024 {
				t.Errorf("%s of %d bytes is inside of the model", tensor.GetName(), len(tensor.RawData))
			}
			continue
		}
		values := make(map[string]string)
		for _, e := range tensor.ExternalData {
			values[e.GetKey()] = e.GetValue()
		}
		offset, length := number(t, values["offset"]), number(t, values["length"])
		size := int64(4)
		for _, d := range tensor.Dims {
			size *= d
		}
		if values["location"] != filepath.Base(path)+".data" || offset%4096 != 0 || offset < end || length != size || len(tensor.RawData) > 0 {
			t.Errorf("%s of %d bytes lies at %v after byte %d", tensor.GetName(), size, values, end)
		}
		end = offset + length
	}
	if end == 0 || end != info.Size() {
		t.Errorf("tensors end at byte %d of %d", end, info.Size())
	}
}

func number(t *testing.T, s string) int64 {
	t.Helper()
	var n int64
	for _, c := range s {
		if c < '0' || c > '9' {
			t.Fatalf("%q is no number", s)
		}
		n = 10*n + int64(c-'0')
	}
	return n
}

// TestWriteFails leaves nothing behind where a file cannot be written or a
// graph cannot be exported.
func TestWriteFails(t *testing.T) {
	f := graph.New("f")
	f.Output("y", graph.Exp(f.Input("x", tensor.Float32, graph.Dims(2))))
	dir := t.TempDir()
	for _, limit := range []int{0, maxProto} {
		if err := writeFile(filepath.Join(dir, "missing", "model.onnx"), f, Options{}, limit); err == nil {
			t.Error("a folder that does not exist was written to")
		}
	}
	f.Output("x", f.Inputs()[0])
	if err := WriteFile(filepath.Join(dir, "model.onnx"), f, Options{}); err == nil {
		t.Error("a graph that cannot be exported was")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v left behind", entries, err)
	}
}
