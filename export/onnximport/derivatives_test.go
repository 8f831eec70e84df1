package onnximport_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"ebm/export"
	"ebm/export/onnximport"
	"ebm/export/onnxpb"
	"ebm/internal/testkit"
	"ebm/models/tensor"
	"ebm/runtime"
)

// twoOutputs is tanh(x·w)·3 and its exponential, for x [N 4] and w [4 3].
func twoOutputs() *onnxpb.ModelProto {
	m, _ := model(13, map[string]arg{"x": v(2, 4), "w": weight(v(4, 3)), "three": scalar(3)}, []string{"y", "z"},
		node("MatMul", []string{"x", "w"}, []string{"h"}, nil),
		node("Tanh", []string{"h"}, []string{"t"}, nil),
		node("Mul", []string{"t", "three"}, []string{"y"}, nil),
		node("Exp", []string{"t"}, []string{"z"}, nil))
	symbolicInput(m, "x")
	return m
}

// derive imports twoOutputs, differentiates it, compares what the interpreter
// and ONNX Runtime make of it, and returns that.
func derive(t *testing.T, rt *runtime.Runtime, d onnximport.Derivatives, inputs map[string]*tensor.Tensor) map[string]*tensor.Tensor {
	t.Helper()
	m := parse(t, twoOutputs(), onnximport.Options{})
	if _, err := m.Differentiate(d); err != nil {
		t.Fatal(err)
	}
	out := testkit.Interpret(t, m.Graph, inputs)
	b := testkit.Encode(t, m.Graph)
	session := testkit.Load(t, rt, b)
	fast := testkit.Run(t, session, inputs)
	for name, want := range out {
		close(t, name+" in ONNX Runtime", fast[name], want, 1e-5)
	}
	return out
}

// TestKindsOfDerivative derives each kind from others: rows of a Jacobian by
// seeds, columns by tangents, and the same for the Hessian.
func TestKindsOfDerivative(t *testing.T) {
	rt := testkit.Open(t, 1)
	rng := rand.New(rand.NewPCG(1, 2))
	x, along := random(rng, 2, 4), random(rng, 2, 4)
	run := func(d onnximport.Derivatives, more map[string]*tensor.Tensor) map[string]*tensor.Tensor {
		t.Helper()
		d.Wrt = []string{"x"}
		inputs := map[string]*tensor.Tensor{"x": x}
		for name, v := range more {
			inputs[name] = v
		}
		return derive(t, rt, d, inputs)
	}
	y, both := []string{"y"}, []string{"y", "z"}

	jacobian := run(onnximport.Derivatives{Of: y, Jacobian: true}, nil)
	j := jacobian["jac/x"]
	if j == nil || j.String() != "float64[3 2 4]" || jacobian["grad/x"] != nil {
		t.Fatalf("the Jacobian is %v, and grad/x %v", j, jacobian["grad/x"])
	}
	// Class k of every row, in four ways.
	for k := range 3 {
		seed := tensor.New(tensor.Float32, 2, 3)
		tensor.Data[float32](seed)[k], tensor.Data[float32](seed)[3+k] = 1, 1
		want := tensor.Of(j.Float64s()[8*k:8*k+8], 2, 4)
		close(t, "a seed", run(onnximport.Derivatives{Of: y, Seed: true}, map[string]*tensor.Tensor{"seed/y": seed})["grad/x"], want, 1e-12)
		chosen := onnximport.Derivatives{Of: y, Select: map[string]onnximport.Selection{"y": {Indices: []int{k}}}}
		close(t, "a class", run(chosen, nil)["grad/x"], want, 1e-12)
		chosen.Select["y"] = onnximport.Selection{Label: "label"}
		label := map[string]*tensor.Tensor{"label": tensor.Of([]int64{int64(k), int64(k)}, 2)}
		close(t, "a label", run(chosen, label)["grad/x"], want, 1e-12)
	}

	// Rows do not mix, so that J·t of row n is that of its own block.
	jvp := run(onnximport.Derivatives{Of: both, JVP: true, Gradient: true}, map[string]*tensor.Tensor{"tangent/x": along})
	if jvp["jvp/z"] == nil || jvp["grad/y/x"] == nil || jvp["grad/z/x"] == nil {
		t.Fatalf("several outputs give %v", jvp)
	}
	for n := range 2 {
		for k := range 3 {
			sum := 0.0
			for i := range 4 {
				sum += j.Float64s()[8*k+4*n+i] * along.Float64s()[4*n+i]
			}
			if got := jvp["jvp/y"].Float64s()[3*n+k]; got-sum > 1e-12 || sum-got > 1e-12 {
				t.Errorf("J·t is %v at row %d, class %d, want %v", got, n, k, sum)
			}
		}
	}

	hessian := run(onnximport.Derivatives{Of: y, Hessian: true, HVP: true}, map[string]*tensor.Tensor{"v/x": along})
	h := hessian["hess/x/x"]
	if h == nil || h.String() != "float64[4 2 4]" {
		t.Fatalf("the Hessian is %v", h)
	}
	for n := range 2 {
		for i := range 4 {
			sum := 0.0
			for k := range 4 {
				sum += h.Float64s()[8*k+4*n+i] * along.Float64s()[4*n+k]
			}
			if got := hessian["hvp/x"].Float64s()[4*n+i]; got-sum > 1e-12 || sum-got > 1e-12 {
				t.Errorf("H·v is %v at %d, %d, want %v", got, n, i, sum)
			}
		}
	}
}

func TestNamesOfDerivatives(t *testing.T) {
	m := parse(t, twoOutputs(), onnximport.Options{})
	added, err := m.Differentiate(onnximport.Derivatives{
		Of: []string{"y"}, Wrt: []string{"x"}, Seed: true, JVP: true, Jacobian: true, Hessian: true, Names: onnximport.CasADiNames(),
	})
	if err != nil || strings.Join(added, " ") != "adj_x hess_x_x jac_y_x fwd_y" {
		t.Errorf("added %v, %v", added, err)
	}
	var inputs []string
	for _, in := range m.Graph.Inputs() {
		inputs = append(inputs, in.InputName())
	}
	if got := strings.Join(inputs, " "); got != "x adj_y fwd_x" {
		t.Errorf("inputs %s", got)
	}
	// What was added can be differentiated again.
	if added, err = m.Differentiate(onnximport.Derivatives{Of: []string{"adj_x"}, Wrt: []string{"x"}}); err != nil || len(added) != 1 {
		t.Errorf("added %v, %v", added, err)
	}
}

// TestThirdOrder differentiates a written gradient file twice more.
func TestThirdOrder(t *testing.T) {
	b := bytesOf(twoOutputs())
	of := "y"
	for range 3 {
		m, err := onnximport.Parse(b, onnximport.Options{})
		if err != nil {
			t.Fatal(err)
		}
		added, err := m.Differentiate(onnximport.Derivatives{Of: []string{of}, Wrt: []string{"x"},
			Names: onnximport.Names{Gradient: "d" + of, Separator: "_"}})
		if err != nil {
			t.Fatal(err)
		}
		of = added[0]
		if b, err = export.Bytes(m.Graph, export.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	m, err := onnximport.Parse(b, onnximport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	x := random(rng, 2, 4)
	run := func(h float64) map[string]*tensor.Tensor {
		moved := tensor.New(tensor.Float64, 2, 4)
		for i, v := range x.Float64s() {
			tensor.Data[float64](moved)[i] = v + h
		}
		out := testkit.Interpret(t, m.Graph, map[string]*tensor.Tensor{"x": moved})
		return out
	}
	const h = 1e-4
	sum := func(v *tensor.Tensor) (s float64) {
		for _, x := range v.Float64s() {
			s += x
		}
		return s
	}
	// Along (1, …, 1), the sum of a gradient is the derivative of the sum.
	lower := of[1 : len(of)-len("_x")]
	slope := (sum(run(h)[lower]) - sum(run(-h)[lower])) / (2 * h)
	if got := sum(run(0)[of]); got-slope > 1e-5 || slope-got > 1e-5 {
		t.Errorf("the third derivative is %v, by differences %v", got, slope)
	}
}

func TestSelectionsRefused(t *testing.T) {
	for want, d := range map[string]onnximport.Derivatives{
		`elements of "z" are selected, want one of ["y"]`: {Select: map[string]onnximport.Selection{"z": {Indices: []int{0}}}},
		`element 3 of "y", want 0 to 2`:                   {Select: map[string]onnximport.Selection{"y": {Indices: []int{3}}}},
		`label "w" of type float32[4 3]`:                  {Select: map[string]onnximport.Selection{"y": {Label: "w"}}},
	} {
		m := parse(t, twoOutputs(), onnximport.Options{})
		d.Of, d.Wrt = []string{"y"}, []string{"x"}
		if _, err := m.Differentiate(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
