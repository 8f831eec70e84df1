package langevin

import (
	"testing"
	"time"

	"ebm/internal/testkit"
	"ebm/mdsm"
	"ebm/models/energy"
	"ebm/models/rng"
	"ebm/models/tensor"
	"ebm/runtime"
)

// BenchmarkOverhead compares a step of the sampler, noise and all, with a bare
// run of the score's model on a batch of 64 with all threads, by turns, and
// reports the ratio of the fastest times for a sample's step.
func BenchmarkOverhead(b *testing.B) {
	for _, net := range []energy.ResNet{small, {Net: "res12", Channels: 1, Dim: 16, Size: 32}} {
		b.Run(net.Net, func(b *testing.B) {
			const count, steps = 64, 20
			w := energy.Init(net, rng.New(3))
			s := sampler(b, 0, models(b, net))
			score, err := testkit.Open(b, 0).Load(testkit.Encode(b, mdsm.ScoreGraph(net, w)), runtime.SessionOptions{})
			if err != nil {
				b.Fatal(err)
			}
			defer score.Close()
			x := tensor.New(tensor.Float32, append([]int{count}, net.InputShape()...)...)
			rng.New(1).Normal(tensor.Data[float32](x), rng.Probe, 0, 0)

			chain, bare := time.Hour, time.Hour
			for b.Loop() {
				begin := time.Now()
				all(b, s, short(count, steps))
				chain = min(chain, time.Since(begin))
				begin = time.Now()
				for range steps + 1 { // and the jump
					if _, err := score.Run(b.Context(), map[string]*tensor.Tensor{"x": x}); err != nil {
						b.Fatal(err)
					}
				}
				bare = min(bare, time.Since(begin))
			}
			b.ReportMetric(chain.Seconds()/bare.Seconds(), "chain/score")
			b.ReportMetric(bare.Seconds()/(count*(steps+1))*1e6, "µs/score")
		})
	}
}
