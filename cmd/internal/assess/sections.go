package assess

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"ebm/cmd/internal/report"
	"ebm/evaluate"
	"ebm/evaluate/features"
	"ebm/evaluate/sets"
	"ebm/internal/picture"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
	"ebm/runtime"
)

// grey is the level between the pictures of a grid.
const grey = 96

// Grid draws pictures [n C H W] in columns, scaled, with a wider gap after the
// first apart columns.
func Grid(caption, alt string, columns, scale, apart int, x *tensor.Tensor) (report.Picture, error) {
	var b bytes.Buffer
	err := picture.Grid{Columns: columns, Padding: 1, Scale: scale, Background: grey, Apart: apart}.WritePNG(&b, x)
	return report.Picture{Caption: caption, Alt: alt, Data: b.Bytes()}, err
}

// First returns the first n rows of a tensor, all if it has no more.
func First(x *tensor.Tensor, n int) *tensor.Tensor { return x.Rows(0, min(n, x.Shape()[0])) }

// Where says by what the numbers of a report were computed.
func Where(rt *runtime.Runtime) []report.Fact {
	info := rt.Info()
	return []report.Fact{
		{Name: "ONNX Runtime", Value: info.Version, Note: fmt.Sprintf("%s, %d threads", info.Provider, info.Threads)},
		{Name: "machine", Value: runtime.Machine()},
	}
}

// MetricsOf returns the metrics of a comparison with pictures of a set.
func MetricsOf(r *sets.Result, against string) []report.Metric {
	made := "unknown features"
	if r.Features != nil {
		made = r.Features.String()
	}
	var list []report.Metric
	for _, v := range r.Metrics {
		m := report.Metric{
			Key: v.Key(), Name: v.Label, Quantity: string(v.Quantity), Family: string(v.Family),
			Value: v.Value, Deviation: math.NaN(), Better: v.Better,
			Samples: v.Samples, Reference: v.Reference, Against: against, Features: made, Warnings: append(slices.Clone(r.Warnings), v.Warnings...),
		}
		switch {
		case v.Deviation != nil:
			m.Deviation = *v.Deviation
		case v.Error != nil:
			m.Deviation = *v.Error
		}
		list = append(list, m)
	}
	return list
}

// Numbers is the section of metrics of samples.
func Numbers(items []report.Metric) report.Metrics {
	return report.Metrics{
		ID: idNumbers, Title: "How good the samples are", Items: items,
		Note: "Numbers compare only between equal features, equal reference pictures and equal numbers of samples. Those in features of a " +
			"classifier or in pixels are not FID.",
	}
}

// ModeNumbers is the section of what a classifier says of samples.
func ModeNumbers(m evaluate.ModeResult, maker features.Maker) report.Metrics {
	items := []report.Metric{
		{Key: "modes_covered", Name: fmt.Sprintf("modes covered, of %d", m.Modes), Value: float64(m.Covered),
			Better: "higher", Warnings: m.Warnings},
		{Key: "modes_kl", Name: "relative entropy of the modes to the uniform distribution", Unit: "nats", Value: m.KL,
			Better: "lower", Warnings: m.Warnings},
		{Key: "modes_confident", Name: fmt.Sprintf("share of samples that the classifier is sure of (%g or more)", m.Threshold),
			Value: m.Confident, Better: "higher"},
	}
	for i := range items {
		items[i].Deviation, items[i].Samples, items[i].Features = math.NaN(), m.Samples, maker.String()
	}
	return report.Metrics{
		ID: idModeNumbers, Title: "Classes of the samples, in numbers", Items: items,
		Note: fmt.Sprintf("A perfect model would cover %.1f modes and have a relative entropy of %.3f nats with as many samples. Mistakes of "+
			"the classifier count too.", m.ExpectedCovered, m.ExpectedKL),
	}
}

// ModesChart shows the share of each class.
func ModesChart(name, note string, counts []int) report.Chart {
	return report.Chart{
		ID: idModes, Title: "Classes of the samples", X: report.Axis{Label: "class"},
		Panels: []report.Panel{{Y: report.Axis{Label: "share of the samples"}, Series: []report.Series{classShares(name, note, counts)}}},
	}
}

// classShares outlines counts divided by their sum.
func classShares(name, note string, counts []int) report.Series {
	total := 0
	for _, c := range counts {
		total += c
	}
	edges, shares := []float64{-0.5}, []float64{}
	for k, c := range counts {
		edges, shares = append(edges, float64(k)+0.5), append(shares, float64(c)/float64(max(total, 1)))
	}
	return report.Outline(name, note, edges, shares)
}

// NoiseSections show energy and error of sets over the noise level, σ₀ marked, as
// a chart and as a table.
func NoiseSections(levels []LevelsOf, sigma0 float64) (report.Chart, report.Table) {
	energy := report.Panel{Y: report.Axis{Label: "energy", Unit: "nats", Log: true}}
	left := report.Panel{Y: report.Axis{Label: "noise left", Unit: "share", Log: true}}
	table := report.Table{ID: idNoiseNumbers, Title: "Energy against noise, in numbers",
		Note: "The slope is that of x − x̃ on the jump: 1 for the best denoiser of a level, more where jumps should be longer. The measured " +
			"level is the length of the jump a value over σ, which samplers that measure their level go by.", Columns: []report.Column{{Name: "σ"}}}
	hasEnergy := false
	for i, of := range levels {
		s := report.Series{Name: of.Name, Note: fmt.Sprintf("%d pictures", of.Pictures)}
		share := report.Series{Name: of.Name, Note: s.Note}
		for k, l := range of.List {
			s.X, s.Y = append(s.X, l.Sigma), append(s.Y, l.Energy)
			s.Low, s.High = append(s.Low, l.Energy-l.EnergyDeviation), append(s.High, l.Energy+l.EnergyDeviation)
			energy.Y.Log = energy.Y.Log && l.Energy > l.EnergyDeviation
			hasEnergy = hasEnergy || !math.IsNaN(l.Energy)
			share.Y = append(share.Y, l.Left)
			if i == 0 {
				table.Rows = append(table.Rows, []any{l.Sigma})
			}
			table.Rows[k] = append(table.Rows[k], l.Energy, l.EnergyDeviation, l.Left, l.Loss, l.Slope, l.Measured)
		}
		share.X = s.X
		energy.Series, left.Series = append(energy.Series, s), append(left.Series, share)
		for _, column := range []string{"energy", "deviation", "noise left", "loss", "slope", "measured level"} {
			table.Columns = append(table.Columns, report.Column{Name: of.Name + ": " + column})
		}
	}
	panels := []report.Panel{energy, left}
	if !hasEnergy {
		panels = panels[1:]
	}
	return report.Chart{
		ID: idNoise, Title: "Energy against noise",
		Note: "E(x + σ·n), its mean with one deviation on each side. It should rise with σ, about as its square where the noise is large. " +
			"Below, the part of the squared noise that the jump x̃ − σ₀²∇E(x̃) leaves: 0 is a perfect score, 1 is no denoising at all.",
		X: report.Axis{Label: "noise level σ", Log: true}, Panels: panels,
		Marks: []report.Mark{{At: sigma0, Label: "σ₀"}},
	}, table
}

// NeighbourSections show samples beside their nearest training pictures, in one
// space or several, and the distances in numbers.
func NeighbourSections(near []Near, training string) (report.Gallery, report.Table, error) {
	g := report.Gallery{
		ID: idNeighbours, Title: "Nearest training pictures",
		Note: fmt.Sprintf("The first samples in the first column, and the nearest of %d pictures of %s to the right of each, nearest first. A "+
			"sample that repeats a training picture would look like its neighbour.", near[0].Of, training),
	}
	table := report.Table{
		ID: idNeighbourNumbers, Title: "Nearest training pictures, in numbers",
		Note: "The median distance from a sample to its nearest training picture, and from a held-out picture to its. Samples that were " +
			"copies would be much nearer than held-out pictures are.",
		Columns: []report.Column{{Name: "space"}, {Name: "samples"}, {Name: "their median"}, {Name: "median of held-out pictures"},
			{Name: "exact copies"}},
	}
	for _, n := range near {
		p, err := Grid("nearest in "+n.Space, "samples and their nearest training pictures in "+n.Space, n.Columns, 2, 1, n.Shown)
		if err != nil {
			return g, table, err
		}
		p.Width = 380
		g.Pictures = append(g.Pictures, p)
		row := []any{n.Space, len(n.Samples.Index), n.Samples.Median(), nil, n.Samples.Copies}
		if n.HeldOut != nil {
			row[3] = n.HeldOut.Median()
		}
		table.Rows = append(table.Rows, row)
	}
	return g, table, nil
}

// ProcessChart shows how energy and temperature go along watched chains.
func ProcessChart(p *samples.Process) report.Chart {
	steps := make([]float64, len(p.Temperature))
	energy := report.Series{Name: "mean energy", X: steps, Y: p.MeanEnergy()}
	for i := range steps {
		steps[i] = float64(i)
		low, high := math.Inf(1), math.Inf(-1)
		for _, e := range p.Energy {
			low, high = min(low, float64(e[i])), max(high, float64(e[i]))
		}
		energy.Low, energy.High = append(energy.Low, low), append(energy.High, high)
	}
	return report.Chart{
		Title: "Energy and temperature along the chain",
		Note: fmt.Sprintf("Mean energy of %d chains, and its range over them. In the paper's figure A7B it follows the temperature, "+
			"which says that the chain stays close to equilibrium.", p.Chains),
		X: report.Axis{Label: "Langevin step"},
		Panels: []report.Panel{
			{Y: report.Axis{Label: "energy", Unit: "nats"}, Series: []report.Series{energy}},
			{Y: report.Axis{Label: "temperature"}, Series: []report.Series{{Name: "temperature", X: steps, Y: p.Temperature}}},
		},
	}
}

// sections show the checkpoints' distances, as a chart and as a table.
func (s *Selection) sections() (report.Chart, report.Table) {
	line := report.Series{Name: "distance", Note: fmt.Sprintf("least %.4g", s.Distance)}
	table := report.Table{ID: idSelectionNumbers, Title: "Checkpoints, in numbers",
		Columns: []report.Column{{Name: "checkpoint"}, {Name: "Fréchet distance"}, {Name: "best"}}}
	for _, c := range s.Candidates {
		line.X, line.Y = append(line.X, float64(c.Step)), append(line.Y, c.Distance)
		best := ""
		if c.Name == s.Best {
			best = "★"
		}
		table.Rows = append(table.Rows, []any{c.Name, c.Distance, best})
	}
	return report.Chart{
		ID: idSelection, Title: "Checkpoints",
		Note: fmt.Sprintf("Fréchet distance of %d samples of each checkpoint to %d training pictures (%s; %d Langevin steps, seed %d). The "+
			"best one is marked in checkpoints/best.json and exported into model/; --checkpoint best takes it. %s",
			s.Samples, s.Reference, s.Features, s.Steps, s.Seed, strings.Join(s.Warnings, "; ")),
		X: report.Axis{Label: "training step"}, Panels: []report.Panel{{Y: report.Axis{Label: "Fréchet distance"},
			Series: []report.Series{line}}},
		Marks: []report.Mark{{At: float64(s.Step), Label: "best"}},
	}, table
}
