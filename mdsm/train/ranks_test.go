package train_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ebm/internal/testkit"
	"ebm/mdsm/train"
	"ebm/models/tensor"
	"ebm/runtime"
)

// chain is a rank of several in one process: vectors go from each to the next, and the
// sum comes back.
type chain struct {
	rank, size int
	up, down   []chan []float32 // from rank i to i+1, and from i+1 to i
}

func newChains(size int) []*chain {
	up, down := make([]chan []float32, size), make([]chan []float32, size)
	for i := range size {
		up[i], down[i] = make(chan []float32, 1), make(chan []float32, 1)
	}
	var list []*chain
	for i := range size {
		list = append(list, &chain{i, size, up, down})
	}
	return list
}

func (c *chain) Rank() int { return c.rank }
func (c *chain) Size() int { return c.size }

func (c *chain) Sum(ctx context.Context, total []float32, add func(lo, hi int)) error {
	take := func(from chan []float32) error {
		select {
		case v := <-from:
			copy(total, v)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if c.rank > 0 {
		if err := take(c.up[c.rank-1]); err != nil {
			return err
		}
	}
	half := len(total) / 2 // chunks of a vector are added by themselves
	add(0, half)
	add(half, len(total))
	if c.rank < c.size-1 {
		c.up[c.rank] <- bytesOf(total)
		if err := take(c.down[c.rank]); err != nil {
			return err
		}
	}
	if c.rank > 0 {
		c.down[c.rank-1] <- bytesOf(total)
	}
	return nil
}

func bytesOf(v []float32) []float32 { return append([]float32(nil), v...) }

// together trains with so many ranks in one folder, and returns their errors.
func together(t *testing.T, s train.Settings, dir string, size int, stop func(rank int) train.Hook) []error {
	t.Helper()
	errs := make([]error, size)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var wait sync.WaitGroup
	for _, c := range newChains(size) {
		rt := testkit.Open(t, 1)
		_, data := tiny()
		wait.Go(func() {
			o := train.Options{Dir: dir, Resume: true, Ranks: c}
			if stop != nil {
				o.Hook = stop(c.rank)
			}
			_, errs[c.rank] = train.Train(ctx, rt, s, data, o)
		})
	}
	wait.Wait()
	return errs
}

// Weights and optimiser state are the same for any number of ranks, and for none, and a
// run goes on with another number.
func TestRanksChangeNoBit(t *testing.T) {
	testkit.Long(t)
	s, _ := tiny()
	s.Steps, s.Shards, s.Output.CheckpointEvery = 6, 4, 2
	alone := trained(t, s, 2)
	same := func(dir, what string) {
		t.Helper()
		for _, file := range []string{"model.safetensors", "state.safetensors"} {
			other := filepath.Join(dir, "checkpoints", filepath.Base(alone), file)
			if !bytes.Equal(testkit.Read(t, filepath.Join(alone, file)), testkit.Read(t, other)) {
				t.Errorf("%s: %s differs from that of one process", what, file)
			}
		}
	}
	for _, size := range []int{1, 2, 3, 4} {
		dir := filepath.Join(t.TempDir(), "run")
		if err := errors.Join(together(t, s, dir, size, nil)...); err != nil {
			t.Fatalf("%d ranks: %v", size, err)
		}
		same(dir, string(rune('0'+size))+" ranks")
	}
	dir := filepath.Join(t.TempDir(), "run")
	after := func(int) train.Hook {
		return func(_ context.Context, u train.Update) error {
			if u.Step == 3 {
				return train.ErrStop
			}
			return nil
		}
	}
	if err := errors.Join(together(t, s, dir, 4, after)...); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(together(t, s, dir, 2, nil)...); err != nil {
		t.Fatal(err)
	}
	same(dir, "4 ranks, then 2")

	// Chains that go on are those of all ranks.
	s = s.Choose(train.Persistent)
	s.Steps, s.Shards, s.Chains.Steps, s.Chains.Replay = 4, 2, 1, 6
	alone, dir = trained(t, s, 2), filepath.Join(t.TempDir(), "run")
	if err := errors.Join(together(t, s, dir, 2, nil)...); err != nil {
		t.Fatal(err)
	}
	same(dir, "2 ranks with persistent chains")
}

// Devices, which the CPU plays, share the shards of a batch: how many there are changes no
// bit, and a run goes on with another number.
func TestDevicesChangeNoBit(t *testing.T) {
	testkit.Long(t)
	s, data := tiny()
	s.Steps, s.Shards, s.Output.CheckpointEvery = 6, 4, 2
	alone := trained(t, s, 2)
	on := func(dir string, devices int, hook train.Hook) error {
		_, err := train.Train(t.Context(), testkit.OpenDevices(t, devices), s, data, train.Options{Dir: dir, Resume: true, Hook: hook})
		return err
	}
	same := func(dir, what string) {
		t.Helper()
		for _, file := range []string{"model.safetensors", "state.safetensors"} {
			other := filepath.Join(dir, "checkpoints", filepath.Base(alone), file)
			if !bytes.Equal(testkit.Read(t, filepath.Join(alone, file)), testkit.Read(t, other)) {
				t.Errorf("%s: %s differs from that of one device", what, file)
			}
		}
	}
	for _, n := range []int{2, 3} {
		dir := filepath.Join(t.TempDir(), "run")
		if err := on(dir, n, nil); err != nil {
			t.Fatal(err)
		}
		same(dir, fmt.Sprint(n, " devices"))
	}
	dir := filepath.Join(t.TempDir(), "run")
	stop := func(_ context.Context, u train.Update) error {
		if u.Step == 3 {
			return train.ErrStop
		}
		return nil
	}
	if err := errors.Join(on(dir, 2, stop), on(dir, 1, nil)); err != nil {
		t.Fatal(err)
	}
	same(dir, "2 devices, then 1")

	err := on(filepath.Join(t.TempDir(), "run"), 5, nil)
	testkit.WantError(t, "5 devices for 4 shards", err, "5 devices, want 4 at most", "--shards")
}

// More ranks than shards, ranks that begin at different steps, and a time are refused.
func TestRanksThatCannotBe(t *testing.T) {
	testkit.Long(t)
	s, _ := tiny()
	s.Steps, s.Shards = 2, 2
	for _, err := range together(t, s, filepath.Join(t.TempDir(), "run"), 3, nil) {
		testkit.WantError(t, "3 ranks for 2 shards", err, "3 ranks, want 2 at most", "--shards")
	}
	chains := newChains(2)
	errs := make([]error, 2)
	var wait sync.WaitGroup
	for i, c := range chains {
		rt := testkit.Open(t, 1)
		_, data := tiny()
		own := s
		own.Steps += i
		dir := t.TempDir()
		wait.Go(func() { _, errs[i] = train.Train(t.Context(), rt, own, data, train.Options{Dir: dir, Ranks: c}) })
	}
	wait.Wait()
	for _, err := range errs {
		testkit.WantError(t, "ranks of other settings", err, "rank 1 begins after step 0", "one set of flags")
	}
}

// rows are examples with an array for each input.
type rows map[string]*tensor.Tensor

func (r rows) Len() int { return r["x"].Shape()[0] }

func (r rows) Fill(batch map[string]*tensor.Tensor, index []int) {
	for name, x := range r {
		var list []*tensor.Tensor
		for _, i := range index {
			list = append(list, x.Rows(i, i+1))
		}
		batch[name].CopyFrom(tensor.Concat(list...))
	}
}

// TestRanksOfFit trains an ONNX model by one process and by two ranks, of which the first
// measures and writes: to the same model, and the same best one.
func TestRanksOfFit(t *testing.T) {
	testkit.Long(t)
	arrays, data := testkit.Arrays(t, "testdata/steps_lstm.npz"), rows{}
	for name, of := range map[string]string{"x": "x", train.TargetInput: "target"} {
		shape := arrays[of].Shape()
		data[name] = arrays[of].Reshape(append([]int{shape[0] * shape[1]}, shape[2:]...)...)
	}
	s := train.DefaultFit()
	s.Model.Path, s.Data.Path = filepath.Join("testdata", "steps_lstm.onnx"), "arrays"
	s.Loss.Name = train.MSE
	s.Steps, s.Batch, s.Shards, s.Output.ValidateEvery = 4, arrays["x"].Shape()[1], 2, 2
	fit := func(dir string, rt *runtime.Runtime, r train.Ranks) error {
		_, err := train.Fit(t.Context(), rt, s, train.FitOptions{Options: train.Options{Dir: dir, Ranks: r}, Train: data, Held: data})
		return err
	}
	alone, shared := t.TempDir(), t.TempDir()
	if err := fit(alone, testkit.Open(t, 2), nil); err != nil {
		t.Fatal(err)
	}
	errs := make([]error, 2)
	var wait sync.WaitGroup
	for i, c := range newChains(2) {
		rt := testkit.Open(t, 1)
		wait.Go(func() { errs[i] = fit(shared, rt, c) })
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	testkit.SameFiles(t, shared, alone, train.FitModelFile, train.FitBestFile, train.FitBestScore)
}
