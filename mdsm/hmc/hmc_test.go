package hmc

import (
	"math"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime/parallel"
)

// TestAdapter adapts to a response that is known: a transition of size h is taken
// with probability exp(−3h), so that a target δ is met by −log(δ)/3, from a first
// size that is a hundred times off either way.
func TestAdapter(t *testing.T) {
	for _, target := range []float64{TargetMALA, TargetHMC} {
		want := -math.Log(target) / 3
		for _, first := range []float64{want / 100, want * 100} {
			a := NewAdapter(first, target)
			if got := a.Adapted(); math.Abs(got/first-1) > 1e-12 {
				t.Errorf("without a warm-up the size is %g, want the first, %g", got, first)
			}
			for range 2000 {
				a.Add(math.Exp(-3 * a.StepSize()))
			}
			if got := a.Adapted(); math.Abs(got/want-1) > 0.03 {
				t.Errorf("target %g from %g: the size is %g, want %g", target, first, got, want)
			}
		}
	}
	if Target(1) != TargetMALA || Target(2) != TargetHMC || Jitter(1) != 0 || Jitter(5) != 0.5 {
		t.Error("targets and jitter are other ones than the documented")
	}
}

// TestAdapterInPlainFormulas follows the three lines of the package's comment.
func TestAdapterInPlainFormulas(t *testing.T) {
	const h0, target = 0.3, 0.7
	a := NewAdapter(h0, target)
	miss, log, average := 0.0, 0.0, 0.0
	for i, p := range []float64{0.1, 0.9, 0.75, 0, 1, 0.6} {
		n := float64(i + 1)
		miss = (1-1/(n+10))*miss + (target-p)/(n+10)
		log = math.Log(10*h0) - math.Sqrt(n)/0.05*miss
		w := math.Pow(n, -0.75)
		average = w*log + (1-w)*average
		a.Add(p)
		if math.Abs(math.Log(a.StepSize())-log) > 1e-12 || math.Abs(math.Log(a.Adapted())-average) > 1e-12 {
			t.Errorf("after %d transitions: %g and %g, want %g and %g", i+1, a.StepSize(), a.Adapted(), math.Exp(log), math.Exp(average))
		}
	}
}

func TestNumbers(t *testing.T) {
	l := parallel.Layout{Shape: []int{3}, Size: 5, Workers: 1}
	k := &Kernel{}
	n := k.Numbers(l, rng.New(8), 100, 1, 4, 8)
	n.Jitter = 0.5
	n.Draw(7, func(place int) float64 { return float64(place) })
	momentum := func(n *Numbers) []float32 { return tensor.Data[float32](n.momentum.In["momentum"]) }
	// A chain's numbers are its own, wherever it is.
	moved := k.Numbers(l, rng.New(8), 98, 3, 4, 8)
	moved.Jitter = 0.5
	moved.Draw(7, func(int) float64 { return 1 })
	for j := range 3 {
		if momentum(n)[1*3+j] != momentum(moved)[3*3+j] {
			t.Error("the momentum of chain 101 depends on its place")
		}
	}
	sizes := tensor.Data[float32](n.stepSize)
	if tensor.Data[float32](n.uniform)[1] != tensor.Data[float32](moved.uniform)[3] || sizes[1] != tensor.Data[float32](moved.stepSize)[3] {
		t.Error("the decision or the step size of chain 101 depends on its place")
	}
	for place, size := range sizes {
		if used := place >= 1 && place < 4; used != (size > 0) || used && math.Abs(float64(size)/float64(place)-1) > 0.5 {
			t.Errorf("place %d has step size %g", place, size)
		}
	}
	n.Always = true
	n.Draw(7, func(int) float64 { return 1 })
	if tensor.Data[float32](n.uniform)[2] >= 0 {
		t.Error("with Always, a trajectory may be refused")
	}
}

// TestModelsThatDoNotFit has models of two shapes, and the wrong way round.
func TestModelsThatDoNotFit(t *testing.T) {
	rt := testkit.Open(t, 1)
	of := func(dim int) Files {
		d, err := energy.Toy("gaussian", dim)
		if err != nil {
			t.Fatal(err)
		}
		f, err := NewFiles(energy.Known{Density: d}, nil, mdsm.Reference{Sigma: 1}, 2)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	two, three := of(2), of(3)
	if two.Hash() == three.Hash() {
		t.Error("two models have one hash")
	}
	for name, bad := range map[string]Files{
		"none": {}, "swapped": {State: two.Trajectory, Trajectory: two.State},
		"two shapes": {State: two.State, Trajectory: three.Trajectory},
	} {
		if k, err := Load(rt, bad); err == nil {
			k.Close()
			t.Errorf("%s: no error", name)
		}
	}
	k, err := Load(rt, two)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if k.Hash() != two.Hash() || k.Layout(0).Size != 256 || len(k.Shape()) != 1 {
		t.Errorf("hash %s, layout %+v, shape %v", k.Hash(), k.Layout(0), k.Shape())
	}
}
