package runtime

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
	"ebm/models/tensor"
)

type tensors = map[string]*tensor.Tensor

func TestRun(t *testing.T) {
	s := load(t, open(t), affine(t))
	if got := fmt.Sprint(s.Inputs(), s.Outputs()); got != "[float32[N 2]] [float32[N 3]]" {
		t.Errorf("inputs and outputs %s", got)
	}
	for n, want := range map[int][]float32{1: {11, 22, 33}, 2: {11, 22, 33, 14, 25, 36}} {
		x := tensor.Of([]float32{1, 0, 0, 1}[:2*n], n, 2)
		out, err := s.Run(t.Context(), tensors{"x": x})
		if err != nil {
			t.Fatal(err)
		}
		wantData(t, out["y"], fmt.Sprint([]int{n, 3}), want...)
	}
}

func TestRunRefusesWhatDoesNotFit(t *testing.T) {
	two := model(t, infos{val("a", f32, "N", 2), val("b", f32, "N", 2)}, infos{val("y", f32, "N", 2)}, nil,
		node("Add", []string{"a", "b"}, "y"))
	s := load(t, open(t), two)
	a := tensor.New(tensor.Float32, 4, 2)
	for name, c := range map[string]struct {
		in   tensors
		want ValueError
	}{
		"missing": {tensors{"a": a}, ValueError{"input", "b", "nothing", "float32[N 2]"}},
		"type": {tensors{"a": a, "b": tensor.New(tensor.Float64, 4, 2)},
			ValueError{"input", "b", "float64[4 2]", "float32[N 2]"}},
		"rank": {tensors{"a": a, "b": tensor.New(tensor.Float32, 8)},
			ValueError{"input", "b", "float32[8]", "float32[N 2]"}},
		"dimension": {tensors{"a": a, "b": tensor.New(tensor.Float32, 4, 3)},
			ValueError{"input", "b", "float32[4 3]", "float32[N 2]"}},
		"symbol": {tensors{"a": a, "b": tensor.New(tensor.Float32, 5, 2)},
			ValueError{"input", "b", "float32[5 2]", `float32[N 2] with N = 4 as in "a"`}},
		"unknown": {tensors{"a": a, "b": a, "c": a},
			ValueError{"input", "c", "float32[4 2]", "only the inputs of the model: a, b"}},
	} {
		_, err := s.Run(t.Context(), c.in)
		var got *ValueError
		if !errors.As(err, &got) || *got != c.want {
			t.Errorf("%s: error %v, want %v", name, err, &c.want)
		}
	}
}

// TestRunTypes passes every element type through Identity, with an output
// shape that is known ahead, one that is not, a scalar and an empty tensor.
func TestRunTypes(t *testing.T) {
	r := open(t)
	identity := func(t *testing.T, typ onnxpb.TensorProto_DataType, in *tensor.Tensor, inDims, outDims []any) *tensor.Tensor {
		t.Helper()
		s := load(t, r, model(t, infos{val("x", typ, inDims...)}, infos{val("y", typ, outDims...)}, nil,
			node("Identity", []string{"x"}, "y")))
		out, err := s.Run(t.Context(), tensors{"x": in})
		if err != nil {
			t.Fatal(err)
		}
		return out["y"]
	}
	for _, c := range []struct {
		typ  onnxpb.TensorProto_DataType
		data *tensor.Tensor
	}{
		{onnxpb.TensorProto_FLOAT, tensor.Of([]float32{1, -2}, 2)},
		{onnxpb.TensorProto_DOUBLE, tensor.Of([]float64{1, -2}, 2)},
		{onnxpb.TensorProto_FLOAT16, tensor.Of([]tensor.Float16Bits{0x3c00, 0xc000}, 2)},
		{onnxpb.TensorProto_BFLOAT16, tensor.Of([]tensor.BFloat16Bits{0x3f80, 0xc000}, 2)},
		{onnxpb.TensorProto_INT8, tensor.Of([]int8{1, -2}, 2)},
		{onnxpb.TensorProto_INT16, tensor.Of([]int16{1, -2}, 2)},
		{onnxpb.TensorProto_INT32, tensor.Of([]int32{1, -2}, 2)},
		{onnxpb.TensorProto_INT64, tensor.Of([]int64{1, -2}, 2)},
		{onnxpb.TensorProto_UINT8, tensor.Of([]uint8{1, 200}, 2)},
		{onnxpb.TensorProto_BOOL, tensor.Of([]bool{true, false}, 2)},
	} {
		t.Run(c.data.DType().String(), func(t *testing.T) {
			same := func(got, want *tensor.Tensor) {
				t.Helper()
				if fmt.Sprint(got.Shape(), got.Raw()) != fmt.Sprint(want.Shape(), want.Raw()) {
					t.Errorf("got %v %v, want %v %v", got, got.Raw(), want, want.Raw())
				}
			}
			same(identity(t, c.typ, c.data, []any{2}, []any{2}), c.data)
			same(identity(t, c.typ, c.data, []any{"N"}, []any{"N"}), c.data)
			if c.data.DType() == tensor.Float16 || c.data.DType() == tensor.BFloat16 {
				return
			}
			same(identity(t, c.typ, c.data, []any{"N"}, []any{"M"}), c.data)
			empty := tensor.New(c.data.DType(), 0, 3)
			same(identity(t, c.typ, empty, []any{"N", 3}, []any{"N", 3}), empty)
			scalar := tensor.New(c.data.DType())
			switch d := scalar.Raw().(type) {
			case []float32:
				d[0] = 7
			case []int64:
				d[0] = 7
			case []bool:
				d[0] = true
			}
			same(identity(t, c.typ, scalar, []any{}, []any{}), scalar)
		})
	}
}

func TestRunWithoutInputs(t *testing.T) {
	s := load(t, open(t), model(t, nil, infos{val("y", f32, 2)},
		[]*onnxpb.TensorProto{weights("w", []int64{2}, 3, 4)}, node("Neg", []string{"w"}, "y")))
	out, err := s.Run(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantData[float32](t, out["y"], "[2]", -3, -4)
}

func TestRunFromManyGoroutines(t *testing.T) {
	s := load(t, open(t), affine(t))
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for range 50 {
				out, err := s.Run(t.Context(), tensors{"x": tensor.Of([]float32{float32(i), 0}, 1, 2)})
				if err != nil {
					t.Error(err)
					return
				}
				if got, want := tensor.Data[float32](out["y"])[0], float32(10+i); got != want {
					t.Errorf("y[0] = %v, want %v", got, want)
				}
			}
		})
	}
	wait.Wait()
}

// Two devices, which the CPU plays, share runs: each takes those that the other has no
// time for, and tensors are held on the one that has less to do.
func TestDevicesShareTheWork(t *testing.T) {
	r, err := Open(t.Context(), Config{Provider: CPU, Devices: []int{4, 2}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	each := r.Each()
	if len(each) != 2 || each[0].Info().Device != 4 || each[1].Info().Device != 2 || r.Info().Device != 4 {
		t.Fatalf("%+v of %+v, want the devices 4 and 2", each, r.Info())
	}
	s := load(t, r, affine(t))
	for i, want := range []int{0, 1, 1} {
		at, done := s.turn()
		if got := at.runtime.place; got != want {
			t.Errorf("a run on device %d, want %d", got, want)
		}
		if i == 1 { // it is free again
			done()
		}
	}
	clear(r.share.busy)
	w := [2]*tensor.Tensor{tensor.Of([]float32{10, 10, 10}, 3), tensor.New(tensor.Float32, 3)}
	var held []*Held
	for _, want := range []*Runtime{each[0], each[1], each[0]} {
		h, err := r.Hold(w[0])
		if err != nil {
			t.Fatal(err)
		}
		if h.runtime != want || s.beside(h).runtime != want {
			t.Errorf("tensors of device %d are bound to a session of %d, want %d", h.runtime.place, s.beside(h).runtime.place, want.place)
		}
		held = append(held, h)
	}
	if err := errors.Join(held[0].Close(), held[0].Close(), held[2].Close(), held[1].Close()); err != nil {
		t.Error(err)
	}
	if busy := r.share.busy; busy[0] != 0 || busy[1] != 0 {
		t.Errorf("devices have %v to do in the end, want nothing", busy)
	}
	heldSteps(t, r, load(t, r, step(t)), w)
	out, err := s.Run(t.Context(), tensors{"x": tensor.Of([]float32{1, 0}, 1, 2)})
	if err != nil {
		t.Fatal(err)
	}
	wantData[float32](t, out["y"], "[1 3]", 11, 22, 33)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := each[1].Load(affine(t), SessionOptions{}); !errors.Is(err, ErrClosed) {
		t.Errorf("a load on a device of a closed runtime: error %v, want %v", err, ErrClosed)
	}
}

func TestRunStopsWithTheContext(t *testing.T) {
	s := load(t, open(t), affine(t))
	ctx, cancel := context.WithCancel(t.Context())
	x := tensors{"x": tensor.New(tensor.Float32, 1, 2)}
	if _, err := s.Run(ctx, x); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := s.Run(ctx, x); !errors.Is(err, context.Canceled) {
		t.Errorf("run after cancel: %v", err)
	}
	if _, err := s.Run(t.Context(), x); err != nil {
		t.Errorf("run with another context: %v", err)
	}
}

// endless is a Loop of a billion additions: y = x + 1 + 1 …
func endless(tb testing.TB) []byte {
	body := &onnxpb.GraphProto{
		Name:   str("body"),
		Input:  infos{val("i", i64), val("go", onnxpb.TensorProto_BOOL), val("in", f32, 2)},
		Output: infos{val("on", onnxpb.TensorProto_BOOL), val("out", f32, 2)},
		Node: []*onnxpb.NodeProto{
			node("Identity", []string{"go"}, "on"), node("Add", []string{"in", "one"}, "out")},
		Initializer: []*onnxpb.TensorProto{weights("one", []int64{1}, 1)},
	}
	trips := &onnxpb.TensorProto{Name: str("trips"), DataType: proto.Int32(int32(i64)), Int64Data: []int64{1e9}}
	loop := node("Loop", []string{"trips", "", "x"}, "y",
		&onnxpb.AttributeProto{Name: str("body"), Type: onnxpb.AttributeProto_GRAPH.Enum(), G: body})
	return model(tb, infos{val("x", f32, 2)}, infos{val("y", f32, 2)}, []*onnxpb.TensorProto{trips}, loop)
}

func TestRunIsStoppedInTheMiddle(t *testing.T) {
	s := load(t, open(t), endless(t))
	x, y := tensor.New(tensor.Float32, 2), tensor.New(tensor.Float32, 2)
	b, err := s.Bind(tensors{"x": x}, tensors{"y": y})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for name, run := range map[string]func(context.Context) error{
		"run": func(ctx context.Context) error {
			_, err := s.Run(ctx, tensors{"x": x})
			return err
		},
		"binding": b.Run,
		"again":   b.Run,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- run(ctx) }()
		time.Sleep(20 * time.Millisecond) // most likely in the loop by now; right either way
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoadFileFindsExternalWeights(t *testing.T) {
	dir := t.TempDir()
	raw := make([]byte, 8)
	binary.LittleEndian.PutUint32(raw, math.Float32bits(5))
	binary.LittleEndian.PutUint32(raw[4:], math.Float32bits(7))
	if err := os.WriteFile(filepath.Join(dir, "weights.bin"), raw, 0o666); err != nil {
		t.Fatal(err)
	}
	w := &onnxpb.TensorProto{Name: str("w"), Dims: []int64{2}, DataType: proto.Int32(int32(f32)),
		DataLocation: onnxpb.TensorProto_EXTERNAL.Enum(),
		ExternalData: []*onnxpb.StringStringEntryProto{{Key: str("location"), Value: str("weights.bin")}}}
	path := filepath.Join(dir, "model.onnx")
	data := model(t, infos{val("x", f32, 2)}, infos{val("y", f32, 2)}, []*onnxpb.TensorProto{w}, node("Add", []string{"x", "w"}, "y"))
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	s, err := open(t).LoadFile(path, SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Run(t.Context(), tensors{"x": tensor.Of([]float32{1, 2}, 2)})
	if err != nil {
		t.Fatal(err)
	}
	wantData[float32](t, out["y"], "[2]", 6, 9)
}

func TestLoadFileErrors(t *testing.T) {
	r := open(t)
	for _, path := range []string{filepath.Join(t.TempDir(), "none.onnx"), t.TempDir()} {
		_, err := r.LoadFile(path, SessionOptions{})
		var e *ModelError
		if !errors.As(err, &e) || e.Path != path {
			t.Errorf("%s: error %v, want a *ModelError", path, err)
		}
	}
}

func TestSessionOptions(t *testing.T) {
	r := open(t)
	dir := t.TempDir()
	s, err := r.Load(affine(t), SessionOptions{Optimization: OptimizeNone, Threads: 1, MemoryPattern: true, NoArena: true,
		Profile: filepath.Join(dir, "profile"), Entries: map[string]string{"session.set_denormal_as_zero": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Run(t.Context(), tensors{"x": tensor.New(tensor.Float32, 1, 2)})
	if err != nil {
		t.Fatal(err)
	}
	wantData[float32](t, out["y"], "[1 3]", 10, 20, 30)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "profile*.json")); len(files) != 1 {
		t.Errorf("profiles %v, want one", files)
	}
	for _, o := range []SessionOptions{{Threads: -1}, {Optimization: 9}} {
		if _, err := r.Load(affine(t), o); err == nil {
			t.Errorf("loaded with %+v", o)
		}
	}
}

// TestRunWithMisleadingOutputShape has a file that promises another shape than
// the model computes.
func TestRunWithMisleadingOutputShape(t *testing.T) {
	s := load(t, open(t), model(t, infos{val("x", f32, "N")}, infos{val("y", f32, "M")}, nil,
		node("Concat", []string{"x", "x"}, "y", &onnxpb.AttributeProto{
			Name: str("axis"), Type: onnxpb.AttributeProto_INT.Enum(), I: new(int64)})))
	x := tensor.Of([]float32{1, 2}, 2)
	out, err := s.Run(t.Context(), tensors{"x": x})
	if err != nil {
		t.Fatal(err)
	}
	wantData[float32](t, out["y"], "[4]", 1, 2, 1, 2)
	b, err := s.Bind(tensors{"x": x}, tensors{"y": tensor.New(tensor.Float32, 3)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Run(t.Context()); err == nil {
		t.Error("an output of the wrong size was filled")
	}
}

// TestRunRefusesOutputsThatCannotBeReturned has outputs of unknown shapes in
// forms that the binding does not return.
func TestRunRefusesOutputsThatCannotBeReturned(t *testing.T) {
	r := open(t)
	half := load(t, r, model(t, infos{val("x", onnxpb.TensorProto_FLOAT16, "N")}, infos{val("y", onnxpb.TensorProto_FLOAT16, "M")}, nil,
		node("Identity", []string{"x"}, "y")))
	_, err := half.Run(t.Context(), tensors{"x": tensor.New(tensor.Float16, 2)})
	var e *ValueError
	if !errors.As(err, &e) || e.Role != "output" || e.Name != "y" {
		t.Errorf("16-bit floats: %v, want a *ValueError of y", err)
	}
	free := val("sum", f32)
	free.Type.GetTensorType().Shape = nil
	scalar := load(t, r, model(t, infos{val("x", f32, "N")}, infos{val("y", f32, "M"), free}, nil,
		node("Neg", []string{"x"}, "y"), node("ReduceSum", []string{"x"}, "sum", &onnxpb.AttributeProto{
			Name: str("keepdims"), Type: onnxpb.AttributeProto_INT.Enum(), I: new(int64)})))
	if _, err := scalar.Run(t.Context(), tensors{"x": tensor.New(tensor.Float32, 2)}); err == nil || !strings.Contains(err.Error(), "shape") {
		t.Errorf("scalar of no declared shape: %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	r := open(t)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":    {nil, "not an ONNX model"},
		"text":     {[]byte("hello, this is no model"), "ONNX model"},
		"cut":      {affine(t)[:60], "ONNX model"},
		"operator": {model(t, nil, infos{val("y", f32, 2)}, nil, node("NoSuchOperator", nil, "y")), "NoSuchOperator"},
		"string":   {model(t, infos{val("x", onnxpb.TensorProto_STRING, 2)}, infos{val("y", f32, 2)}, nil), `"x"`},
	} {
		_, err := r.Load(c.data, SessionOptions{})
		var got *ModelError
		if !errors.As(err, &got) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want a *ModelError with %q", name, err, c.want)
		}
	}
}

// BenchmarkRun is what a run of a model costs beside its arithmetic: names and
// shapes checked, tensors taken in and given back.
func BenchmarkRun(b *testing.B) {
	s := load(b, open(b), affine(b))
	in := tensors{"x": tensor.New(tensor.Float32, 8, 2)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Run(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}
