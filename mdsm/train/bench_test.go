package train_test

import (
	"testing"

	"ebm/internal/testkit"
	"ebm/mdsm/dataset"
	"ebm/mdsm/train"
)

// demoProblem is the problem of the demo's settings with a narrow network.
func demoProblem(b *testing.B) train.Problem {
	b.Helper()
	s, err := train.Preset("demo")
	if err != nil {
		b.Fatal(err)
	}
	s.Net.Dim = 8
	p, err := train.NewProblem(s, &dataset.Set{Channels: 1, Height: 16, Width: 16, Pixels: make([]uint8, 1000*256)}, nil)
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// BenchmarkUpdate makes updates of a narrow Res12 on batches of 32.
func BenchmarkUpdate(b *testing.B) {
	trial, err := train.NewTrial(testkit.Open(b, 0), demoProblem(b), 1e-4)
	if err != nil {
		b.Fatal(err)
	}
	defer trial.Close()
	for b.Loop() {
		if err := trial.Step(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBatch makes the pictures and the noise of batches of 32.
func BenchmarkBatch(b *testing.B) {
	p, t := demoProblem(b), 0
	for b.Loop() {
		t++
		p.Fill(t)
	}
}
