package mcmc

import (
	"context"
	"fmt"
	"path/filepath"

	"ebm/internal/npz"
	"ebm/mdsm/samples"
	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// Write draws the samples of the settings into a folder, see samples.Folder:
// sample i is draw i%Draws of chain i/Draws. The folder also has chains.npz, which
// Report reads. Draws must be pictures [C H W] with one channel or three.
func (s *Sampler) Write(ctx context.Context, set Settings, f samples.Folder) (samples.Written, error) {
	if err := s.check(set); err != nil {
		return samples.Written{}, err
	}
	size := s.kernel.Layout(set.Batch).Size
	j := samples.Job{
		Record: s.record(set, size), Shape: s.Shape(), Chains: true,
		Stage: func(groups []int, done int) progress.Stage {
			chains := done / set.Draws
			for _, g := range groups {
				part := set.group(g, size)
				chains += part.Count
			}
			stage := progress.Begin(s.Progress, string(set.Method), int64(chains)*int64(set.Transitions()), "transitions")
			stage.Skip(int64(done / set.Draws * set.Transitions()))
			return stage
		},
		Run: func(ctx context.Context, groups []int, stage progress.Stage, states samples.States, deliver func(samples.Batch) error) error {
			return s.run(ctx, set, groups, stage, states, func(c Chains) error {
				return deliver(samples.Batch{First: c.First * set.Draws, X: c.X, Chains: c.arrays()})
			})
		},
	}
	return f.Write(ctx, j, s.Progress)
}

// record describes the samples of chains that are computed so many at a time.
func (s *Sampler) record(set Settings, size int) samples.Record {
	r := samples.Record{
		Schedule: "constant", Steps: set.Transitions(), Cool: set.Temperature,
		StepSize: set.StepSize, StartMean: set.Start.Mean, StartSigma: set.Start.Sigma, Jump: !set.Raw,
		Seed: set.Seed, First: set.First * set.Draws, Count: set.Count * set.Draws,
		Model: s.kernel.Hash(), Engine: s.kernel.Engine(), Group: size * set.Draws,
		Sampler: string(set.Method), Leapfrog: set.Leapfrog, Target: set.Target, Warmup: set.Warmup, Draws: set.Draws, Thin: set.Thin,
	}
	if len(set.Anneal) > 0 {
		r.Schedule, r.Hot = "exp", set.Anneal[0]
		r.Anneal = samples.HashOf(tensor.Of(set.Anneal, len(set.Anneal)))
	}
	if set.Start.From != nil {
		r.StartFrom = samples.HashOf(set.Start.From)
	}
	return r
}

// seriesMost bounds the values of a draw that are diagnosed, evenly spaced.
const seriesMost = 64

// arrays returns what chains.npz has of the chains, with a row for each.
func (c Chains) arrays() map[string]*tensor.Tensor {
	n, each := c.Len(), tensor.Volume(c.X.Shape()[1:])
	some := min(each, seriesMost)
	energy, divergent := tensor.New(tensor.Float64, n, c.Draws), tensor.New(tensor.Int64, n)
	values := tensor.New(tensor.Float64, n, c.Draws, some)
	x := tensor.Data[float32](c.X)
	for i := range n {
		copy(tensor.Data[float64](energy)[i*c.Draws:], c.Energy[i])
		tensor.Data[int64](divergent)[i] = int64(c.Divergent[i])
		for k := range c.Draws {
			for j := range some {
				tensor.Data[float64](values)[(i*c.Draws+k)*some+j] = float64(x[(i*c.Draws+k)*each+j*each/some])
			}
		}
	}
	return map[string]*tensor.Tensor{
		"energy": energy, "values": values, "divergent": divergent,
		"step_size": tensor.Of(c.StepSize, n), "acceptance": tensor.Of(c.Acceptance, n),
	}
}

// Report says how a folder's chains did.
type Report struct {
	Chains     int     `json:"chains"`
	Draws      int     `json:"draws"`      // of each chain
	Acceptance float64 `json:"acceptance"` // mean over chains
	StepSize   float64 `json:"step_size"`  // mean ε over chains
	Divergent  int     `json:"divergent"`  // transitions
	// Energy has the diagnostics of E(x), before the denoising jump; nil for fewer
	// draws of a chain than say anything.
	Energy *Diagnostics `json:"energy,omitempty"`
	// Of single values (pixels, after the jump), up to 64 of them evenly spaced:
	// the largest R̂ and the smallest effective sample sizes. Values that do not vary
	// do not count.
	Values   int     `json:"values,omitempty"`
	RHat     float64 `json:"values_r_hat,omitempty"`
	Bulk     float64 `json:"values_ess_bulk,omitempty"`
	Tail     float64 `json:"values_ess_tail,omitempty"`
	Constant int     `json:"values_constant,omitempty"`
}

// ReadReport makes the report of a folder's chains.npz.
func ReadReport(dir string) (Report, error) {
	path := filepath.Join(dir, samples.ChainsFile)
	arrays, err := npz.ReadFile(path)
	if err != nil {
		return Report{}, err
	}
	r, err := report(arrays)
	if err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func report(arrays map[string]*tensor.Tensor) (Report, error) {
	energy, values := arrays["energy"], arrays["values"]
	if energy == nil || energy.Rank() != 2 || energy.DType() != tensor.Float64 || energy.Len() == 0 {
		return Report{}, fmt.Errorf("energy is %v, want float64 [chains draws]", energy)
	}
	n, draws := energy.Shape()[0], energy.Shape()[1]
	r := Report{Chains: n, Draws: draws}
	for _, name := range []string{"step_size", "acceptance", "divergent"} {
		if t := arrays[name]; t == nil || t.Len() != n {
			return r, fmt.Errorf("%s is %v, want %d numbers", name, t, n)
		}
	}
	if values == nil || values.Rank() != 3 || values.Shape()[0] != n || values.Shape()[1] != draws || values.DType() != tensor.Float64 {
		return r, fmt.Errorf("values are %v, want float64 [%d %d values]", values, n, draws)
	}
	for i := range n {
		r.StepSize += arrays["step_size"].Float64s()[i] / float64(n)
		r.Acceptance += arrays["acceptance"].Float64s()[i] / float64(n)
		r.Divergent += int(arrays["divergent"].Float64s()[i])
	}
	if draws < leastDraws {
		return r, nil
	}
	series := func(v []float64, some, j int) [][]float64 {
		out := make([][]float64, n)
		for i := range n {
			for k := range draws {
				out[i] = append(out[i], v[(i*draws+k)*some+j])
			}
		}
		return out
	}
	d, err := Diagnose(series(tensor.Data[float64](energy), 1, 0))
	if err != nil {
		return r, err
	}
	r.Energy = &d
	return r, r.pixels(func(j int) [][]float64 { return series(tensor.Data[float64](values), values.Shape()[2], j) }, values.Shape()[2])
}

// pixels fills in the worst of some values' diagnostics.
func (r *Report) pixels(series func(j int) [][]float64, some int) error {
	for j := range some {
		d, err := Diagnose(series(j))
		if err != nil {
			return err
		}
		if d.StdDev == 0 || !(d.RHat > 0) {
			r.Constant++
			continue
		}
		if r.Values++; r.Values == 1 {
			r.RHat, r.Bulk, r.Tail = d.RHat, d.Bulk, d.Tail
		}
		r.RHat, r.Bulk, r.Tail = max(r.RHat, d.RHat), min(r.Bulk, d.Bulk), min(r.Tail, d.Tail)
	}
	return nil
}
