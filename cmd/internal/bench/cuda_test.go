//go:build device

package bench

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ebm"
	"ebm/export"
	"ebm/export/session"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/graph"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
)

// These tests want a CUDA build of ONNX Runtime over the stub libraries of cuda/stubs.py, which
// count into the file that EBM_CUDA_COUNTS names: cuda/test.sh makes all of that. Kernels do
// nothing there, so that nothing here looks at a value.

// counters are those of cuda/counts.h, in its order.
type counters struct {
	Up, Ups, Down, Downs, Inside, Insides, Launches, Graphs, Library, Memory, Peak uint64
}

func seenSoFar(t *testing.T) (c counters) { return seenOn(t, -1) }

// seenOn returns the counters of a device, of all for −1.
func seenOn(t *testing.T, device int) (c counters) {
	t.Helper()
	path := os.Getenv("EBM_CUDA_COUNTS")
	f, err := os.Open(path)
	if err != nil {
		t.Fatalf("the counters of EBM_CUDA_COUNTS: %v", err)
	}
	defer f.Close()
	if _, err := f.Seek(int64((1+device)*binary.Size(c)), io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if err := binary.Read(f, binary.LittleEndian, &c); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return c
}

// since returns what was counted after c, memory apart.
func since(t *testing.T, c counters) counters { return seenSoFar(t).after(c) }

func (now counters) after(c counters) counters {
	return counters{Up: now.Up - c.Up, Ups: now.Ups - c.Ups, Down: now.Down - c.Down, Downs: now.Downs - c.Downs,
		Inside: now.Inside - c.Inside, Insides: now.Insides - c.Insides, Launches: now.Launches - c.Launches,
		Graphs: now.Graphs - c.Graphs, Library: now.Library - c.Library}
}

func cuda(t *testing.T, devices ...int) *runtime.Runtime {
	t.Helper()
	rt, err := runtime.Open(t.Context(), runtime.Config{Provider: runtime.CUDA, Devices: devices})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close() })
	return rt
}

// place is where ONNX Runtime ran the nodes of a file, by its own profile.
type place struct {
	device, host int
	onHost       map[string]int // operators on the CPU
	copies       int            // nodes that copy between them
}

func placed(t *testing.T, prefix string) (p place) {
	t.Helper()
	found, err := filepath.Glob(prefix + "*")
	if err != nil || len(found) != 1 {
		t.Fatalf("profiles %v (%v), want one", found, err)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	var events []struct {
		Cat, Name string
		Args      struct{ Op_name, Provider, Node_index string }
	}
	if err := json.Unmarshal(data, &events); err != nil {
		t.Fatal(err)
	}
	p.onHost = map[string]int{}
	seen := map[string]bool{}
	for _, e := range events {
		if e.Cat != "Node" || !strings.HasSuffix(e.Name, "_kernel_time") || seen[e.Name] {
			continue
		}
		seen[e.Name] = true // each node once, however often it ran
		switch {
		case strings.HasPrefix(e.Args.Op_name, "Memcpy"):
			p.copies++
		case e.Args.Provider == "CUDAExecutionProvider":
			p.device++
		default:
			p.host++
			p.onHost[e.Args.Op_name]++
		}
	}
	return p
}

func (p place) String() string {
	var names []string
	for _, op := range slices.Sorted(maps.Keys(p.onHost)) {
		names = append(names, fmt.Sprintf("%s %d", op, p.onHost[op]))
	}
	return fmt.Sprintf("%d nodes on the device, %d on the CPU (%s), %d copies", p.device, p.host, strings.Join(names, ", "), p.copies)
}

const cudaBatch, cudaSteps = 4, 3

// feeds makes the inputs of a session, and counts their bytes.
func feeds(s *runtime.Session) (in map[string]*tensor.Tensor, bytes int) {
	in = map[string]*tensor.Tensor{}
	for _, v := range s.Inputs() {
		t := tensor.New(v.DType, shaped(v)...)
		if v.DType == tensor.Int64 {
			for i := range t.Len() {
				tensor.Data[int64](t)[i] = int64(i + 1)
			}
		}
		in[v.Name] = t
		bytes += t.Len() * t.DType().Size()
	}
	return in, bytes
}

func shaped(v runtime.ValueInfo) []int {
	shape := slices.Clone(v.Shape)
	for i, d := range shape {
		switch {
		case d >= 0:
		case v.Symbols[i] == "K":
			shape[i] = cudaSteps
		default:
			shape[i] = cudaBatch
		}
	}
	return shape
}

// Every kind of file runs on the device: the CPU has at most what finds out shapes, nothing once
// the batch is fixed, no node copies, and a run sends its inputs and fetches its outputs: no weight.
func TestCUDAFiles(t *testing.T) {
	rt := cuda(t)
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 8}
	seed := uint64(1)
	for _, kind := range ebm.Kinds() {
		for _, draw := range []bool{false, true} {
			if draw && kind != ebm.SamplerKind {
				continue
			}
			for _, batch := range []int{0, cudaBatch} {
				m := &ebm.Model{Name: "random", Network: n, Weights: energy.Init(n, rng.New(1)), Meta: ebm.PaperMeta()}
				name := fmt.Sprintf("%s, batch %d", kind, batch)
				if draw {
					m.NoiseSeed = &seed
					name = fmt.Sprintf("%s with noise of its own, batch %d", kind, batch)
				}
				g, err := m.Graph(kind)
				if err != nil {
					t.Fatal(err)
				}
				model, err := export.Bytes(g, m.ExportOptions(kind, batch))
				if err != nil {
					t.Fatal(err)
				}
				checkCUDAFile(t, rt, name, kind, batch, model)
			}
		}
	}
}

func checkCUDAFile(t *testing.T, rt *runtime.Runtime, name string, kind ebm.Kind, batch int, model []byte) {
	t.Helper()
	prefix := filepath.Join(t.TempDir(), "profile")
	s, err := rt.Load(model, runtime.SessionOptions{Profile: prefix})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	in, sent := feeds(s)
	fetched := 0
	for _, v := range s.Outputs() {
		fetched += tensor.Volume(shaped(v)) * v.DType.Size()
	}
	var each counters
	for range 2 { // the first also sets up what stays
		before := seenSoFar(t)
		if _, err := s.Run(t.Context(), in); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		each = since(t, before)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	p := placed(t, prefix)

	captured := true
	if graphs, err := rt.Load(model, runtime.SessionOptions{CUDA: map[string]string{"enable_cuda_graph": "1"}}); err != nil {
		captured = false
	} else {
		graphs.Close()
	}
	t.Logf("%s: %v; a run: %d B up, %d B down, %d B inside, %d launches, %d of libraries; as a CUDA graph: %v",
		name, p, each.Up, each.Down, each.Inside, each.Launches, each.Library, captured)

	if p.copies > 0 {
		t.Errorf("%s: %d nodes copy between host and device, want none", name, p.copies)
	}
	if batch > 0 && p.host > 0 {
		t.Errorf("%s: %v, want all on the device", name, p)
	}
	for op := range p.onHost {
		if op != "Slice" {
			t.Errorf("%s: %s on the CPU, want nothing but the Slice of a shape there", name, op)
		}
	}
	if each.Down != uint64(fetched) {
		t.Errorf("%s: a run brings %d bytes to the host, want the %d of its outputs", name, each.Down, fetched)
	}
	// A product of one matrix with many sends tables of their places, some hundred bytes each, in
	// files for all; sessions of ours have another form.
	if tables := 4096; each.Up < uint64(sent) || each.Up > uint64(sent+tables) {
		t.Errorf("%s: a run takes %d bytes to the device, want the %d of its inputs and tables of at most %d", name, each.Up, sent, tables)
	}
	if want := kind != ebm.SamplerKind; captured != want { // a Scan is control flow
		t.Errorf("%s: CUDA graphs %v, want %v", name, captured, want)
	}
}

// What jobs cost on the bus, as the program makes them: a score sends x and fetches energies and
// scores; a training step sends its batch and fetches two numbers, a chain sends noise and fetches
// samples. The runtime's own count is the stub's.
func TestCUDASteps(t *testing.T) {
	rt := cuda(t)
	const batch = 4
	for _, job := range []Job{Score, Train, Sample} {
		spec := tiny(t, job, batch)
		spec.Settings = spec.Settings.ShardsFor(rt.Info())
		w := ready(t, rt, spec)
		if _, err := w.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		x := uint64(4 * batch * tensor.Volume(w.Settings.Network().InputShape()))
		var wantUp, wantDown uint64
		switch job {
		case Score:
			wantUp, wantDown = x, x+4*batch
		case Train: // x, noise, sigma, learning rate and step; loss and norm of the gradient
			wantUp, wantDown = 2*x+4*batch+4+8, 8
		case Sample:
			// A group of chains, of which some are wanted: x, the samples' indices and the key once; a
			// step's number, size and temperature each; at the end the samples and their energies.
			const group, steps = 128, 7
			wantUp, wantDown = x/batch*group+8*group+8+steps*(8+4+4), x/batch*group+4*group
		}
		crosses(t, rt, string(job), func() error { _, err := w.Run(t.Context()); return err }, wantUp, wantDown)
	}
}

// crosses runs what takes and brings so many bytes, by the stub's count and the runtime's own.
func crosses(t *testing.T, rt *runtime.Runtime, name string, run func() error, wantUp, wantDown uint64) {
	t.Helper()
	before, up, down := seenSoFar(t), rt.Traffic().ToDevice(), rt.Traffic().FromDevice()
	if err := run(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	each := since(t, before)
	up, down = rt.Traffic().ToDevice()-up, rt.Traffic().FromDevice()-down
	t.Logf("%s: %d B up in %d copies, %d B down in %d, %d B inside; %d launches, %d of libraries", name,
		each.Up, each.Ups, each.Down, each.Downs, each.Inside, each.Launches, each.Library)
	if each.Down != wantDown || each.Up != wantUp {
		t.Errorf("%s: %d B up and %d B down, want %d and %d", name, each.Up, each.Down, wantUp, wantDown)
	}
	if uint64(up) != each.Up || uint64(down) != each.Down {
		t.Errorf("%s: the runtime counts %d B up and %d B down, the stub %d and %d", name, up, down, each.Up, each.Down)
	}
}

// Two devices share what there is to do. Models and the state of a training go to each once; groups
// of chains, and the shards of a batch, to one of them; gradients come to the host, and their sum
// goes to both.
func TestCUDADevices(t *testing.T) {
	one, two := cuda(t), cuda(t, 0, 1)
	exactly := func(name string, got, want uint64) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d bytes to the device, want %d", name, got, want)
		}
	}
	both := func() [2]counters { return [2]counters{seenOn(t, 0), seenOn(t, 1)} }
	each := func(before [2]counters) [2]counters {
		now := both()
		return [2]counters{now[0].after(before[0]), now[1].after(before[1])}
	}

	model, err := export.Bytes(mdsm.ScoreGraph(tiny(t, Score, 1).Settings.Network(), tiny(t, Score, 1).Weights), export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	loaded := func(rt *runtime.Runtime) [2]counters {
		before := both()
		s, err := rt.Load(model, runtime.SessionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return each(before)
	}
	alone, shared := loaded(one), loaded(two)
	if alone[0].Up == 0 || alone[1].Up != 0 || shared[0].Up != alone[0].Up || shared[1].Up != alone[0].Up {
		t.Errorf("a model takes %d bytes to the devices, want the %d of one device to each of two", []uint64{shared[0].Up, shared[1].Up},
			alone[0].Up)
	}

	const group, groups, steps, chains = 128, 4, 7, 128 * 4
	work := ready(t, two, tiny(t, Sample, chains))
	if _, err := work.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := both()
	if _, err := work.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	sampled := each(before)
	x := uint64(4 * tensor.Volume(work.Settings.Network().InputShape()))
	up, down := x*group+8*group+8+steps*(8+4+4), x*group+4*group // as TestCUDASteps has them
	for i, c := range sampled {
		t.Logf("%d chains, device %d: %d B up, %d B down, %d launches", chains, i, c.Up, c.Down, c.Launches)
		if c.Down == 0 || c.Down%down != 0 {
			t.Errorf("device %d: %d bytes of samples, want those of one group or more, of %d", i, c.Down, down)
		}
		exactly(fmt.Sprintf("device %d: chains", i), c.Up, c.Down/down*up)
	}
	if all := sampled[0].Down + sampled[1].Down; all != groups*down {
		t.Errorf("%d bytes of samples, want %d", all, groups*down)
	}

	const batch, constants = 4, 512
	spec := tiny(t, Train, batch)
	spec.Settings = spec.Settings.ShardsFor(two.Info())
	var weights uint64
	for _, w := range spec.Weights {
		weights += uint64(4 * w.Len())
	}
	// Weights and two moments, and the first step.
	step := batch/2*(2*x+4) + 4 + 8 + weights
	before = both()
	work = ready(t, two, spec)
	for i, c := range each(before) {
		if at := 3*weights + step; c.Up < at || c.Up > at+constants {
			t.Errorf("device %d: a training begins with %d bytes to it, want %d and at most %d of the graphs' constants", i, c.Up, at, constants)
		}
	}
	before = both()
	if _, err := work.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, c := range each(before) {
		t.Logf("training, device %d: %d B up, %d B down, %d launches", i, c.Up, c.Down, c.Launches)
		exactly(fmt.Sprintf("device %d: a training step", i), c.Up, step)
		if want := weights + 4 + 4; c.Down != want { // gradients, loss, and their norm
			t.Errorf("device %d: a training step brings %d bytes to the host, want %d", i, c.Down, want)
		}
	}

	var wrong *runtime.ProviderError
	_, err = runtime.Open(t.Context(), runtime.Config{Provider: runtime.CUDA, Devices: []int{0, 7}})
	if !errors.As(err, &wrong) || !strings.Contains(err.Error(), "--device 0,7: there are 2 devices") {
		t.Errorf("device 7 of 2: error %v, want how many there are", err)
	}
}

// Models of each precision: their products are the device's, and nothing else goes to the CPU for
// them. In each product's place there are as many as in float32, and casts beside.
func TestCUDAPrecisions(t *testing.T) {
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 4, Size: 8}
	weights := energy.Init(n, rng.New(1))
	objective := tiny(t, Train, cudaBatch).Settings
	for _, precision := range runtime.Precisions() {
		rt, err := runtime.Open(t.Context(), runtime.Config{Provider: runtime.CUDA, Precision: precision})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { rt.Close() })
		criterion, optimiser := mdsm.Criterion(objective.Denoising()), objective.Adam()
		if precision == runtime.FP16 {
			criterion, optimiser = mdsm.Float16(criterion, optimiser, cudaBatch)
		}
		for _, g := range []*graph.Graph{mdsm.ScoreGraph(n, weights), mdsm.TrainGraph(n, criterion, optimiser)} {
			if g.Name() == "train" && !precision.Half() {
				continue // TestCUDAFiles has it in float32
			}
			prefix := filepath.Join(t.TempDir(), "profile")
			s, err := session.Load(rt, g, map[string]int{"N": cudaBatch}, runtime.SessionOptions{Profile: prefix})
			if err != nil {
				t.Errorf("%s in %s: %v", g.Name(), precision, err)
				continue
			}
			in, _ := feeds(s)
			_, err = s.Run(t.Context(), in)
			if err = errors.Join(err, s.Close()); err != nil {
				t.Errorf("%s in %s: %v", g.Name(), precision, err)
				continue
			}
			p := placed(t, prefix)
			t.Logf("%s in %s: %v", g.Name(), precision, p)
			if p.host > 0 || p.copies > 0 {
				t.Errorf("%s in %s: %v, want all on the device", g.Name(), precision, p)
			}
		}
	}
}
