//go:build device

package bench

import "testing"

// TestCUDATraffic compares what the program says crossed with what the stubs counted, and
// that with what a step is given and gives: no weight, moment or x of a chain is in it.
func TestCUDATraffic(t *testing.T) {
	rt := cuda(t)
	const batch = 4
	for _, job := range []Job{Train, Sample} {
		w := ready(t, rt, tiny(t, job, batch))
		if _, err := w.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		before, runs := seenSoFar(t), rt.Traffic().Runs()
		up, down := rt.Traffic().ToDevice(), rt.Traffic().FromDevice()
		if _, err := w.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		each := since(t, before)
		runs, up, down = rt.Traffic().Runs()-runs, rt.Traffic().ToDevice()-up, rt.Traffic().FromDevice()-down
		t.Logf("%s: %d runs, %d B up and %d B down as counted here, %d and %d by the stubs", job, runs, up, down, each.Up, each.Down)
		// Concat sends tables of its operands' places, some hundred bytes each.
		if tables := uint64(4096 * runs); each.Up < uint64(up) || each.Up > uint64(up)+tables || each.Down != uint64(down) {
			t.Errorf("%s: %d B up and %d B down by the stubs, want %d and tables of at most %d, and %d", job, each.Up, each.Down, up, tables, down)
		}
		if job == Train && down != 8*runs {
			t.Errorf("%d B down in %d training steps, want two numbers each", down, runs)
		}
	}
}
