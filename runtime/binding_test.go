package runtime

import (
	"errors"
	goruntime "runtime"
	"testing"

	"ebm/export/onnxpb"
	"ebm/models/tensor"
)

// step is a training step in small: w.next = w − rate·x, loss = Σ w·x.
func step(tb testing.TB) []byte {
	return model(tb, infos{val("x", f32, 3), val("w", f32, 3), val("rate", f32)},
		infos{val("w.next", f32, 3), val("loss", f32)}, nil,
		node("Mul", []string{"x", "rate"}, "d"), node("Sub", []string{"w", "d"}, "w.next"),
		node("Mul", []string{"w", "x"}, "wx"),
		node("ReduceSum", []string{"wx"}, "loss", &onnxpb.AttributeProto{
			Name: str("keepdims"), Type: onnxpb.AttributeProto_INT.Enum(), I: new(int64)}))
}

func str(s string) *string { return &s }

func TestBindingRunsInPlaceBackAndForth(t *testing.T) {
	s := load(t, open(t), step(t))
	x := tensor.Of([]float32{1, 2, 3}, 3)
	rate := tensor.New(tensor.Float32)
	loss := tensor.New(tensor.Float32)
	w := [2]*tensor.Tensor{tensor.Of([]float32{10, 10, 10}, 3), tensor.New(tensor.Float32, 3)}
	var turns [2]*Binding
	for i := range turns {
		b, err := s.Bind(tensors{"x": x, "w": w[i], "rate": rate}, tensors{"w.next": w[1-i], "loss": loss})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		turns[i] = b
	}
	tensor.Data[float32](rate)[0] = 1
	goruntime.GC()
	for i, want := range []float32{60, 46, 32} {
		if err := turns[i%2].Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := tensor.Data[float32](loss)[0]; got != want {
			t.Errorf("step %d: loss %v, want %v", i, got, want)
		}
	}
	wantData[float32](t, w[1], "[3]", 7, 4, 1)
	// Inputs are read anew by every run, scalars too.
	tensor.Data[float32](rate)[0] = 0.5
	copy(tensor.Data[float32](x), []float32{2, 2, 2})
	if err := turns[1].Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantData[float32](t, w[0], "[3]", 6, 3, 0)
	wantData[float32](t, loss, "[]", 24)
}

func TestBindRefuses(t *testing.T) {
	s := load(t, open(t), step(t))
	data := make([]float32, 8)
	x, w := tensor.Of(data[:3], 3), tensor.Of(data[3:6], 3)
	rate, loss := tensor.New(tensor.Float32), tensor.New(tensor.Float32)
	overlap := tensor.Of(data[5:8], 3)
	in := tensors{"x": x, "w": w, "rate": rate}
	for name, c := range map[string]struct {
		out  tensors
		want ValueError
	}{
		"the same tensor": {tensors{"w.next": w, "loss": loss},
			ValueError{"output", "w.next", `float32[3] in the memory of input "w"`, "memory of its own"}},
		"overlapping memory": {tensors{"w.next": overlap, "loss": loss},
			ValueError{"output", "w.next", `float32[3] in the memory of input "w"`, "memory of its own"}},
		"a scalar": {tensors{"w.next": tensor.New(tensor.Float32, 3), "loss": rate},
			ValueError{"output", "loss", `float32[] in the memory of input "rate"`, "memory of its own"}},
		"missing": {tensors{"w.next": tensor.New(tensor.Float32, 3)},
			ValueError{"output", "loss", "nothing", "float32[]"}},
		"shape": {tensors{"w.next": tensor.New(tensor.Float32, 4), "loss": loss},
			ValueError{"output", "w.next", "float32[4]", "float32[3]"}},
	} {
		_, err := s.Bind(in, c.out)
		var got *ValueError
		if !errors.As(err, &got) || *got != c.want {
			t.Errorf("%s: error %v, want %v", name, err, &c.want)
		}
	}
}

func TestBindRefusesOutputsThatShareMemory(t *testing.T) {
	s := load(t, open(t), model(t, infos{val("x", f32, 2)}, infos{val("a", f32, 2), val("b", f32, 2)}, nil,
		node("Neg", []string{"x"}, "a"), node("Abs", []string{"x"}, "b")))
	out := tensor.New(tensor.Float32, 2)
	_, err := s.Bind(tensors{"x": tensor.New(tensor.Float32, 2)}, tensors{"a": out, "b": out})
	var got *ValueError
	if !errors.As(err, &got) || got.Name != "b" {
		t.Errorf("error %v, want a *ValueError of b", err)
	}
}

func TestAfterClose(t *testing.T) {
	r, err := Open(t.Context(), Config{Provider: CPU})
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Load(step(t), SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	v := func() *tensor.Tensor { return tensor.New(tensor.Float32, 3) }
	in := tensors{"x": v(), "w": v(), "rate": tensor.New(tensor.Float32)}
	b, err := s.Bind(in, tensors{"w.next": v(), "loss": tensor.New(tensor.Float32)})
	if err != nil {
		t.Fatal(err)
	}
	// A closed runtime loads nothing, but what it has loaded goes on.
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Load(step(t), SessionOptions{}); !errors.Is(err, ErrClosed) {
		t.Errorf("load: %v", err)
	}
	if err := b.Run(t.Context()); err != nil {
		t.Errorf("binding of an open session: %v", err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), in); !errors.Is(err, ErrClosed) {
		t.Errorf("run: %v", err)
	}
	if _, err := s.Bind(in, tensors{"w.next": v(), "loss": tensor.New(tensor.Float32)}); !errors.Is(err, ErrClosed) {
		t.Errorf("bind: %v", err)
	}
	if err := b.Run(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("binding of a closed session: %v", err)
	}
	if err := errors.Join(b.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	if err := b.Run(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("closed binding: %v", err)
	}
	process.mu.Lock()
	defer process.mu.Unlock()
	if process.users != 0 {
		t.Errorf("%d users of the library are left", process.users)
	}
}

func BenchmarkBindingRun(b *testing.B) {
	s := load(b, open(b), step(b))
	v := func() *tensor.Tensor { return tensor.New(tensor.Float32, 3) }
	binding, err := s.Bind(tensors{"x": v(), "w": v(), "rate": tensor.New(tensor.Float32)},
		tensors{"w.next": v(), "loss": tensor.New(tensor.Float32)})
	if err != nil {
		b.Fatal(err)
	}
	defer binding.Close()
	b.ReportAllocs()
	for b.Loop() {
		if err := binding.Run(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
