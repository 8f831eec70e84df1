package mpi

import (
	"context"
	"errors"
	"testing"
)

// TestOneRank adds up without others, in this build and in one with MPI.
func TestOneRank(t *testing.T) {
	w, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if w.Size() != 1 {
		t.Skip("started as one of several ranks")
	}
	total := make([]float32, 5)
	for range 2 {
		err := w.Sum(t.Context(), total, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				total[i] = float32(i)
			}
		})
		if err != nil || total[4] != 4 {
			t.Fatalf("sum %v, error %v", total, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Sum(ended, total, func(int, int) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the context's end: %v", err)
	}
}

// TestLaunched reads the number of ranks from what launchers set.
func TestLaunched(t *testing.T) {
	for name, value := range map[string]string{"OMPI_COMM_WORLD_SIZE": "4", "PMI_SIZE": "4", "SLURM_STEP_NUM_TASKS": "4"} {
		n, by := launched(func(v string) string {
			if v == name {
				return value
			}
			return ""
		})
		if n != 4 || by != name {
			t.Errorf("%s=%s: %d ranks by %s", name, value, n, by)
		}
	}
	if n, _ := launched(func(string) string { return "" }); n != 0 {
		t.Errorf("%d ranks without a launcher", n)
	}
	if !Built {
		t.Setenv("PMI_SIZE", "2")
		if _, err := Open(); err == nil {
			t.Error("one of two ranks without MPI: no error")
		}
	}
}
