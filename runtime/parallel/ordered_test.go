package parallel

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

func TestOrdered(t *testing.T) {
	for _, workers := range []int{1, 3, 20} {
		var started, delivered, most atomic.Int64
		work := func(_ context.Context, i int) (int, error) {
			if ahead := started.Add(1) - delivered.Load(); ahead > most.Load() {
				most.Store(ahead)
			}
			if i%5 == 0 {
				time.Sleep(2 * time.Millisecond)
			}
			return i * i, nil
		}
		var got []int
		err := Ordered(t.Context(), workers, 50, work, func(i, v int) error {
			delivered.Add(1)
			got = append(got, v)
			return nil
		})
		if err != nil || len(got) != 50 {
			t.Fatalf("%d workers: %d results, error %v", workers, len(got), err)
		}
		for i, v := range got {
			if v != i*i {
				t.Errorf("%d workers: result %d is %d", workers, i, v)
			}
		}
		if most.Load() > int64(3*workers+1) {
			t.Errorf("%d workers: %d results waited at once", workers, most.Load())
		}
	}
}

func TestOrderedErrors(t *testing.T) {
	bad := errors.New("bad")
	delivered := 0
	err := Ordered(t.Context(), 3, 100, func(_ context.Context, i int) (int, error) {
		if i == 20 {
			return 0, bad
		}
		return i, nil
	}, func(i, _ int) error {
		if i != delivered {
			t.Errorf("result %d after %d", i, delivered)
		}
		delivered++
		return nil
	})
	if !errors.Is(err, bad) || delivered > 20 {
		t.Errorf("error %v after %d results", err, delivered)
	}
	err = Ordered(t.Context(), 3, 100, func(_ context.Context, i int) (int, error) { return i, nil }, func(i, _ int) error {
		if i == 7 {
			return bad
		}
		return nil
	})
	if !errors.Is(err, bad) {
		t.Errorf("a failed delivery: error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Ordered(ctx, 3, 100, func(_ context.Context, i int) (int, error) { return i, nil },
		func(int, int) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: error %v", err)
	}
	if err := Ordered(t.Context(), 3, 0, func(_ context.Context, i int) (int, error) { return i, nil },
		func(int, int) error { return nil }); err != nil {
		t.Error(err)
	}
}

// BenchmarkOrdered hands out a thousand pieces of no work.
func BenchmarkOrdered(b *testing.B) {
	work := func(context.Context, int) (int, error) { return 0, nil }
	for b.Loop() {
		if err := Ordered(b.Context(), 2, 1000, work, func(int, int) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
