package train_test

import (
	"bytes"
	"math"
	"path/filepath"
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm/train"
	"ebm/models/weights"
)

// trained trains with the settings and returns the folder of the last
// checkpoint.
func trained(t *testing.T, s train.Settings, threads int) string {
	t.Helper()
	rt := testkit.Open(t, threads)
	_, data := tiny()
	r, err := train.Train(t.Context(), rt, s, data, train.Options{Dir: filepath.Join(t.TempDir(), "run")})
	if err != nil {
		t.Fatal(err)
	}
	return r.Checkpoint
}

// A batch in shards gives the weights of a whole one but for rounding, and
// not because nothing was learned.
func TestShardsAddUpToTheWholeStep(t *testing.T) {
	testkit.Long(t)
	s, _ := tiny()
	s.Steps = 10
	load := func(shards int) *weights.Set {
		s.Shards = shards
		set, err := weights.Load(filepath.Join(trained(t, s, 2), "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	_, data := tiny()
	first, err := train.NewProblem(s, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	whole := load(1)
	for _, n := range []int{2, 3, 4} { // 3 does not divide the batch of 4 and becomes 2
		var worst, moved float64
		for name, a := range load(n).All() {
			b, _ := whole.Get(name)
			x, y, z := a.Float64s(), b.Float64s(), first.Initial[name].Float64s()
			for i := range x {
				worst = math.Max(worst, math.Abs(x[i]-y[i]))
				moved = math.Max(moved, math.Abs(y[i]-z[i]))
			}
		}
		if !(worst < 0.02*moved) || moved == 0 {
			t.Errorf("%d shards: weights differ by %g after they moved by %g", n, worst, moved)
		}
	}
}

// The threads that there are change no bit of a sharded run.
func TestShardsDoNotDependOnThreads(t *testing.T) {
	testkit.Long(t)
	s, _ := tiny()
	s.Steps, s.Shards = 10, 2
	var first []byte
	for _, threads := range []int{1, 2} {
		b := testkit.Read(t, filepath.Join(trained(t, s, threads), "model.safetensors"))
		if first == nil {
			first = b
		} else if !bytes.Equal(first, b) {
			t.Errorf("weights differ between 1 and %d threads", threads)
		}
	}
}
