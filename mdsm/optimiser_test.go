package mdsm_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/tensor"
)

// plain is one update in loops: p and its states, in the order of the suffixes,
// become the next ones.
type plain func(step int, rate float64, p, d []float64, states [][]float64)

// TestOptimisersInPlainGo compares the rules, weight decay, clipping and
// accumulation with loops.
func TestOptimisersInPlainGo(t *testing.T) {
	adam := func(decay float64) plain {
		return func(step int, rate float64, p, d []float64, s [][]float64) {
			for i := range p {
				s[0][i] = 0.9*s[0][i] + 0.1*d[i]
				s[1][i] = 0.99*s[1][i] + 0.01*d[i]*d[i]
				n := float64(step)
				p[i] = p[i]*(1-rate*decay) - rate*(s[0][i]/(1-math.Pow(0.9, n)))/(math.Sqrt(s[1][i]/(1-math.Pow(0.99, n)))+1e-8)
			}
		}
	}
	sgd := func(o mdsm.SGD) plain {
		return func(_ int, rate float64, p, d []float64, s [][]float64) {
			for i := range p {
				d := d[i] + o.Decay*p[i]
				if o.Momentum > 0 {
					s[0][i] = o.Momentum*s[0][i] + d
					if o.Nesterov {
						d += o.Momentum * s[0][i]
					} else {
						d = s[0][i]
					}
				}
				p[i] -= rate * d
			}
		}
	}
	lion := func(_ int, rate float64, p, d []float64, s [][]float64) {
		for i := range p {
			p[i] *= 1 - rate*0.3
			if u := 0.9*s[0][i] + 0.1*d[i]; u != 0 {
				p[i] -= rate * math.Copysign(1, u)
			}
			s[0][i] = 0.99*s[0][i] + 0.01*d[i]
		}
	}
	nesterov := mdsm.SGD{Momentum: 0.8, Nesterov: true}
	for _, c := range []struct {
		o     mdsm.Optimiser
		rule  plain
		clip  float64
		calls int
	}{
		{o: mdsm.SGD{}, rule: sgd(mdsm.SGD{})},
		{o: mdsm.SGD{Momentum: 0.9, Decay: 0.1}, rule: sgd(mdsm.SGD{Momentum: 0.9, Decay: 0.1})},
		{o: nesterov, rule: sgd(nesterov)},
		{o: mdsm.Adam{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, Decay: 0.2}, rule: adam(0.2)},
		{o: mdsm.Lion{Beta1: 0.9, Beta2: 0.99, Decay: 0.3}, rule: lion},
		{o: mdsm.Clipped{Optimiser: mdsm.SGD{Momentum: 0.9}, Norm: 1.5}, rule: sgd(mdsm.SGD{Momentum: 0.9}), clip: 1.5},
		{o: mdsm.Accumulated{Optimiser: mdsm.Clipped{Optimiser: mdsm.Adam{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8}, Norm: 1}, Calls: 3},
			rule: adam(0), clip: 1, calls: 3},
	} {
		const size, rate = 5, 0.03
		if err := c.o.Validate(); err != nil {
			t.Error(err)
		}
		g := linearStep(c.o, tensor.Float64, 1, map[string][]int{"p": {size}}, []string{"p"})
		p, sum := normal(1, size).Float64s(), make([]float64, size)
		states := make([][]float64, len(c.o.StateSuffixes()))
		in := values{"p": f64([]int{size}, p...).Clone(), "learning_rate": f64([]int{1}, rate)}
		for i, suffix := range c.o.StateSuffixes() {
			states[i] = make([]float64, size)
			in["p"+suffix] = f64([]int{size}, states[i]...).Clone()
		}
		calls := max(c.calls, 1)
		for step := 1; step <= 12; step++ {
			in["step"], in["grad/p"] = tensor.Of([]int64{int64(step)}, 1), normal(uint64(10+step), size)
			for i, d := range in["grad/p"].Float64s() {
				sum[i] += d / float64(calls)
			}
			norm := 0.0
			for _, d := range sum {
				norm += d * d
			}
			norm = math.Sqrt(norm)
			if step%calls == 0 {
				if c.clip > 0 {
					for i := range sum {
						sum[i] *= math.Min(1, c.clip/(norm+1e-6))
					}
				}
				c.rule(step/calls, rate, p, sum, states)
				sum = make([]float64, size)
			}
			if c.calls > 0 {
				states[len(states)-1] = sum
			}
			out := testkit.Interpret(t, g, in)
			what := fmt.Sprintf("%v, step %d: ", c.o, step)
			testkit.Near(t, what+"norm", out["grad_norm"], []float64{norm}, 1e-12)
			testkit.Near(t, what+"p", out["p.next"], p, 1e-12)
			for i, suffix := range c.o.StateSuffixes() {
				testkit.Near(t, what+suffix, out["p"+suffix+".next"], states[i], 1e-12)
				in["p"+suffix] = out["p"+suffix+".next"]
			}
			in["p"] = out["p.next"]
			if t.Failed() {
				return
			}
		}
	}
}

// TestMomentsAreReadOnce holds what docs/training-onnx.md says of the steps of Adam and
// SGD: the next value of a moment can be written over it.
func TestMomentsAreReadOnce(t *testing.T) {
	for _, o := range []mdsm.Optimiser{
		mdsm.Adam{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, Decay: 0.2}, mdsm.SGD{Momentum: 0.9, Nesterov: true, Decay: 0.1},
		mdsm.Clipped{Optimiser: mdsm.PaperAdam(), Norm: 1},
	} {
		g := linearStep(o, tensor.Float64, 1, map[string][]int{"p": {5}}, []string{"p"})
		uses := g.Uses()
		for _, in := range g.Inputs() {
			if suffix := strings.TrimPrefix(in.InputName(), "p"); slices.Contains(o.StateSuffixes(), suffix) && uses[in] != 1 {
				t.Errorf("%v: %s is read by %d nodes, want one", o, in.InputName(), uses[in])
			}
		}
	}
}

func TestOptimiserSettings(t *testing.T) {
	for _, o := range []mdsm.Optimiser{
		mdsm.SGD{Momentum: 1}, mdsm.SGD{Decay: -1}, mdsm.SGD{Nesterov: true}, mdsm.Lion{Beta1: 2}, mdsm.Adam{Epsilon: 1, Decay: -1},
		mdsm.Clipped{Optimiser: mdsm.SGD{}}, mdsm.Clipped{Optimiser: mdsm.SGD{Momentum: 2}, Norm: 1},
		mdsm.Accumulated{Optimiser: mdsm.SGD{}}, mdsm.Accumulated{Optimiser: mdsm.SGD{Momentum: 2}, Calls: 2},
	} {
		if o.Validate() == nil {
			t.Errorf("%v is accepted", o)
		}
	}
}
