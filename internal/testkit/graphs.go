package testkit

import (
	"context"
	"os"
	"strings"
	"testing"

	"ebm/export"
	"ebm/internal/npz"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/interp"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
)

// Values are tensors by the names of inputs or outputs.
type Values = map[string]*tensor.Tensor

// Open returns the runtime of the CPU with so many threads, all cores for 0,
// until the test ends.
func Open(t testing.TB, threads int) *runtime.Runtime {
	t.Helper()
	return opened(t, runtime.Config{Provider: runtime.CPU, Threads: threads})
}

// OpenDevices returns a runtime of so many devices, which the CPU plays with a thread
// each, until the test ends.
func OpenDevices(t testing.TB, devices int) *runtime.Runtime {
	t.Helper()
	c := runtime.Config{Provider: runtime.CPU, Threads: 1}
	for i := range devices {
		c.Devices = append(c.Devices, i)
	}
	return opened(t, c)
}

// Players returns runtimes on which models of devices are tested: the CPU with so many threads,
// which plays one, and the device that EBM_TEST_DEVICE names, if it does (make device-test-webgpu).
func Players(t testing.TB, threads int) []*runtime.Runtime {
	t.Helper()
	list := []*runtime.Runtime{Open(t, threads)}
	if name := os.Getenv("EBM_TEST_DEVICE"); name != "" {
		list = append(list, opened(t, runtime.Config{Provider: runtime.Provider(name)}))
	}
	return list
}

func opened(t testing.TB, c runtime.Config) *runtime.Runtime {
	t.Helper()
	rt, err := runtime.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close() })
	return rt
}

// Load returns a session of an ONNX model until the test ends.
func Load(t testing.TB, rt *runtime.Runtime, model []byte) *runtime.Session {
	t.Helper()
	s, err := rt.Load(model, runtime.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// Run returns the outputs of a session.
func Run(t testing.TB, s *runtime.Session, in Values) Values {
	t.Helper()
	out, err := s.Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// RunModel returns the outputs of an ONNX model.
func RunModel(t testing.TB, rt *runtime.Runtime, model []byte, in Values) Values {
	t.Helper()
	s, err := rt.Load(model, runtime.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return Run(t, s, in)
}

// Encode returns a graph as an ONNX file.
func Encode(t testing.TB, g *graph.Graph) []byte {
	t.Helper()
	b, err := export.Bytes(g, export.Options{})
	if err != nil {
		t.Fatalf("%v\n%v", err, g)
	}
	return b
}

// Interpret returns the outputs of a graph, computed in float64.
func Interpret(t testing.TB, g *graph.Graph, in Values) Values {
	t.Helper()
	out, err := interp.Run(g, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Arrays returns the arrays of a .npz file.
func Arrays(t testing.TB, path string) Values {
	t.Helper()
	arrays, err := npz.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return arrays
}

// Parameters returns the weights among the arrays of a golden file: those
// whose names begin with param/.
func Parameters(arrays Values) energy.Weights {
	w := make(energy.Weights)
	for name, v := range arrays {
		if p, ok := strings.CutPrefix(name, "param/"); ok {
			w[p] = v
		}
	}
	return w
}

// Network returns a small network with one channel and six residual blocks,
// and its first weights.
func Network(dim, size int, seed uint64) (energy.ResNet, energy.Weights) {
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: dim, Size: size}
	return n, energy.Init(n, rng.New(seed))
}
