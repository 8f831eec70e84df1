package report

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// rings returns a PNG of n x n grey pictures of 16x16 with a ring in each.
func rings(t testing.TB, n int, blur float64) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, n*18+2, n*18+2))
	r := rand.New(rand.NewPCG(1, 2))
	for row := range n {
		for col := range n {
			radius := 3 + 4*r.Float64()
			for y := range 16 {
				for x := range 16 {
					d := math.Hypot(float64(x)-7.5, float64(y)-7.5) - radius
					v := 255*math.Exp(-d*d/2)*(1-blur) + 255*blur*r.Float64()
					img.SetGray(col*18+2+x, row*18+2+y, color.Gray{Y: uint8(v)})
				}
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// fixture is a document with every kind of section, as a run would fill it.
func fixture(t testing.TB) *Document {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	var steps, loss []float64
	for i := range 4000 {
		steps = append(steps, float64(i+1))
		loss = append(loss, (40+900*math.Exp(-float64(i)/300))*math.Exp(0.15*r.NormFloat64()))
	}
	loss[1000], loss[1001] = math.NaN(), math.Inf(1)
	var chain, temperature, energy, low, high []float64
	for k := range 2700 {
		chain = append(chain, float64(k))
		temperature = append(temperature, 100*math.Pow(0.01, float64(k)/2699))
		e := -200 + 2500*math.Exp(-float64(k)/500) + 8*r.NormFloat64()
		energy, low, high = append(energy, e), append(low, e-60-e*e/3e4), append(high, e+60+e*e/3e4)
	}
	return &Document{
		Title: "MNIST, 16×16: an energy network trained, exported and sampled",
		Summary: "A Res12 network was trained for 300 more steps on top of the shipped weights, exported to ONNX, and checked against a slow " +
			"float64 interpreter. 64 samples were drawn with the annealed Langevin schedule from noise.",
		Created: time.Date(2026, 1, 2, 15, 4, 0, 0, time.UTC),
		Sections: []Section{
			Gallery{
				Title: "Samples", Note: "Drawn from noise with the denoising jump at the end; none were left out.",
				Pictures: []Picture{{Caption: "64 samples, seed 1", Alt: "a grid of 64 rings", Width: 436,
					File: "samples/grid.png", Data: rings(t, 8, 0)}},
			},
			Facts{Title: "Where the weights come from", Items: []Fact{
				{"Shipped weights", "trained for 6.2 hours", "",
					"Made once on two cores with: ebm train --preset demo --steps 60000 --seed 1. They are part of the program."},
				{"This run", "300 steps more", "", "From step 60,000 to step 60,300 on this machine, with averaged weights."},
			}},
			Facts{Title: "Settings", Items: []Fact{
				{"Network", "Res12", "", ""}, {"Width", 32, "channels", ""}, {"Parameters", 1_234_567, "", ""}, {"Batch", 64, "pictures", ""},
				{"Learning rate", float32(5e-5), "", ""}, {"σ₀", 0.1, "", ""}, {"Averaged weights", true, "", ""},
				{"Data", "MNIST, 60,000 pictures", "", ""},
			}},
			Chart{
				Title: "Loss", Note: "Multi-scale denoising score matching, mean over the batch.",
				X: Axis{Label: "training step"},
				Panels: []Panel{{Y: Axis{Label: "loss", Log: true}, Series: []Series{
					{Name: "each step", X: steps, Y: loss, Faint: true},
					{Name: "mean of 100 steps", X: steps, Y: Smooth(loss, 100)},
				}}},
				Marks: []Mark{{At: 3700, Label: "this run begins"}},
			},
			Chart{
				Title: "Along the chain", X: Axis{Label: "Langevin step"},
				Panels: []Panel{
					{Y: Axis{Label: "energy", Unit: "nats"}, Series: []Series{
						{Name: "mean, and 10 to 90 % of the samples", X: chain, Y: energy, Low: low, High: high},
						{Name: "half of the samples", X: chain[500:1500], Low: high[500:1500], High: Smooth(high, 1)[:1000]},
					}},
					{Y: Axis{Label: "temperature", Log: true}, Series: []Series{{Name: "T", X: chain, Y: temperature}}},
				},
			},
			Gallery{Title: "On the way", Pictures: []Picture{
				{Caption: "step 0, T = 100", Width: 148, Data: rings(t, 4, 0.9)}, {Caption: "step 900, T = 21", Width: 148, Data: rings(t, 4, 0.6)},
				{Caption: "step 1800, T = 4.6", Width: 148, Data: rings(t, 4, 0.3)}, {Caption: "step 2700, T = 1", Width: 148, Data: rings(t, 4, 0.05)},
			}},
			Metrics{Title: "How good the samples are", Note: "Lower and higher say which direction is better.", Items: []Metric{
				{Key: "frechet", Name: "Fréchet distance in features of the MNIST classifier", Value: 12.34, Deviation: math.NaN(), Better: "lower",
					Samples: 256, Reference: 60000, Against: "mnist train", Features: "mnist-classifier, weights 9f86d081884c, 64 features",
					Warnings: []string{"the first statistics are of 256 samples: the Fréchet distance is biased upward, want 10000 samples or more"}},
				{Key: "kid", Name: "Kernel distance", Value: 0.0123, Deviation: 0.0041, Better: "lower", Samples: 256, Reference: 60000,
					Against: "mnist train"},
				{Key: "auroc", Name: "AUROC of the energy for fashion-mnist", Value: 0.987, Deviation: 0.001, Better: "higher", Samples: 2000},
			}},
			Chart{Title: "Energy at x + σ₀·n", X: Axis{Label: "energy", Unit: "nats"}, Panels: []Panel{{Y: Axis{Label: "density"}, Series: []Series{
				Outline("mnist test", "held out", []float64{0, 1, 2, 3, 4, 5, 6}, []float64{0.1, 0.4, 0.3, 0.2, 0, 0}),
				Outline("fashion-mnist test", "AUROC 0.987 ± 0.001", []float64{0, 1, 2, 3, 4, 5, 6}, []float64{0, 0, 0.1, 0.2, 0.4, 0.3}),
			}}}},
			Checks{Title: "What was checked", Items: []Check{
				{"Exported score against central differences", 3.1e-7, 1e-6, false, "",
					"Largest error over largest magnitude, float32 in ONNX Runtime against float64 differences with step 1e-5, 8 pictures with noise."},
				{"Samples accepted by a classifier", 0.84, 0.5, true, "",
					"Share of 64 samples that an independent classifier takes for a digit with probability of at least 0.9."},
				{"Energy after a round trip", math.NaN(), 1e-6, false, "nats", "A failing check, for its looks."},
			}},
			Table{Title: "Exported files", Columns: []Column{{"File", ""}, {"Operator set", ""}, {"Nodes", ""}, {"Size", "MB"}}, Rows: [][]any{
				{"model/energy.onnx", 17, 112, 4.92}, {"model/score.onnx", 17, 431, 4.98}, {"model/train.onnx", 17, 2210, nil},
			}},
			Timings{Title: "Time", Items: []Timing{
				{"training", 312 * time.Second, "300 steps"}, {"export", 800 * time.Millisecond, ""}, {"checks", 14500 * time.Millisecond, ""},
				{"sampling", 143 * time.Second, "64 samples"},
			}},
			Commands{Title: "Again", Items: []Command{
				{"go run ./cmd/ebm demo --seed 1 --out runs/demo", "The whole run:"},
				{"ebm sample --run runs/demo --count 64 --seed 1 --out samples", "Its samples alone:"},
			}},
			Text{Title: "How to read this", Paragraphs: []string{"Energies are up to a constant: only their differences mean something."}},
		},
	}
}
