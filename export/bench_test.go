package export_test

import (
	"testing"

	"ebm/export"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/rng"
)

// BenchmarkPasses rewrites the training step of a small network.
func BenchmarkPasses(b *testing.B) {
	step := trainGraph()
	for b.Loop() {
		if _, err := export.Optimise(step, export.Passes(), nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBytes makes the file of a training step, and the score of a network
// with its weights, as standard ONNX and in blocks of channels.
func BenchmarkBytes(b *testing.B) {
	n := energy.ResNet{Net: "res12", Channels: 1, Dim: 32, Size: 16}
	score := mdsm.ScoreGraph(n, energy.Init(n, rng.New(1)))
	step := trainGraph()
	b.Run("train", func(b *testing.B) {
		for b.Loop() {
			if _, err := export.Bytes(step, export.Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, block := range map[string]int{"score": 0, "blocked score": 16} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := export.Bytes(score, export.Options{Block: block}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
