package session

import (
	"errors"
	"strings"
	"testing"

	"ebm/export"
	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
)

// TestRows holds batches that are cut into parts, evenly or not, and batches
// that are not, to the interpreter.
func TestRows(t *testing.T) {
	testkit.Long(t)
	rt := testkit.Open(t, 0)
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 16, Size: 16}
	g := mdsm.ScoreGraph(n, energy.Init(n, rng.New(1)))
	loaded := 0
	r := NewRows(rt, n.InputShape(), func(form Form) ([]byte, error) {
		loaded++
		return export.Bytes(g, form.In(export.Options{}))
	})
	if loaded != 0 {
		t.Error("want a session is made before one")
	}
	for _, batch := range []int{1, 2, 5, 3*r.part + 1, 4 * r.part, 2} {
		in := inputs(g, batch, nil)
		want := testkit.Interpret(t, g, in)
		got, err := r.Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range want {
			if e := difference(got[name], v.AsFloat32()); !(e < 1e-5) {
				t.Errorf("%d pictures: %s %v differs from %v by %g of its largest element", batch, name, got[name], v, e)
			}
		}
	}
	if loaded > 2 {
		t.Errorf("%d sessions, want one for parts and one for few pictures at most", loaded)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(t.Context(), inputs(g, 4, nil)); !errors.Is(err, runtime.ErrClosed) {
		t.Errorf("after Close: %v, want %v", err, runtime.ErrClosed)
	}
}

// TestRowsMistakes makes sure that errors speak of what was given, not of a
// part of it.
func TestRowsMistakes(t *testing.T) {
	rt := testkit.Open(t, 0)
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 8, Size: 16}
	g := mdsm.ScoreGraph(n, energy.Init(n, rng.New(1)))
	r := NewRows(rt, n.InputShape(), func(form Form) ([]byte, error) { return export.Bytes(g, form.In(export.Options{})) })
	defer r.Close()
	for want, in := range map[string]map[string]*tensor.Tensor{
		"[50 1 8 8]":  {"x": tensor.New(tensor.Float32, 50, 1, 8, 8)},
		"float64":     {"x": tensor.New(tensor.Float64, 50, 1, 16, 16)},
		`"y"`:         {"x": tensor.New(tensor.Float32, 50, 1, 16, 16), "y": tensor.New(tensor.Float32, 50)},
		"nothing":     {"x": nil},
		"float32[]":   {"x": tensor.New(tensor.Float32)},
		"[0 1 16 16]": {"x": tensor.New(tensor.Float32, 0, 1, 16, 16)},
	} {
		out, err := r.Run(t.Context(), in)
		if want == "[0 1 16 16]" && err == nil {
			if got := out["score"].Shape(); got[0] != 0 {
				t.Errorf("the score of no pictures is %v", got)
			}
			continue
		}
		var mistake *runtime.ValueError
		if !errors.As(err, &mistake) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want a ValueError with %s", in, err, want)
		}
	}
	broken := errors.New("no model")
	r = NewRows(rt, n.InputShape(), func(Form) ([]byte, error) { return nil, broken })
	if _, err := r.Run(t.Context(), inputs(g, 4, nil)); !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
}

// BenchmarkRows scores 64 pictures, cut into parts of a thread each.
func BenchmarkRows(b *testing.B) {
	rt := testkit.Open(b, 0)
	n := energy.ResNet{Net: "res6", Channels: 1, Dim: 16, Size: 16}
	g := mdsm.ScoreGraph(n, energy.Init(n, rng.New(1)))
	r := NewRows(rt, n.InputShape(), func(form Form) ([]byte, error) { return export.Bytes(g, form.In(export.Options{})) })
	defer r.Close()
	in := map[string]*tensor.Tensor{"x": tensor.New(tensor.Float32, 64, 1, 16, 16)}
	for b.Loop() {
		if _, err := r.Run(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}
