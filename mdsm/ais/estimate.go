package ais

import (
	"errors"
	"math"
	"slices"

	"ebm/models/rng"
)

// bootstraps is the number of resamples that intervals are taken from.
const bootstraps = 2000

// Estimate is what chains say about a log normaliser or a log density, in
// nats.
type Estimate struct {
	Value float64 `json:"value"`
	// The bootstrap, chains resampled with replacement, gives StdErr and the 95 %
	// interval from Low to High. They say nothing of what no chain
	// has met; see ESS.
	StdErr float64 `json:"std_err"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// LogZ is what chains say about log Z of the model, in nats.
type LogZ struct {
	Chains int `json:"chains"`
	// Estimate is log Z₀ + log mean w, for reverse chains log Z₀ − log mean 1/w.
	Estimate Estimate `json:"estimate"`
	// Mean is log Z₀ + mean log w: forward a lower bound of log Z in expectation,
	// in reverse an upper one if the chains began with exact draws of the model.
	Mean Estimate `json:"mean"`
	// ESS is the effective number of chains, (Σw)²/Σw² of the weights of the
	// estimate. When it is near 1, one chain decides, and only the mean is to be
	// believed.
	ESS        float64 `json:"ess"`
	StdDev     float64 `json:"std_dev"` // of log w
	Acceptance float64 `json:"acceptance"`
	// Pareto is the shape k̂ of the largest weights, see ParetoShape; nil for chains
	// that are too few to tell.
	Pareto *float64 `json:"pareto_k"`
}

// Doubtful reports whether the estimate and its interval are not to be believed:
// the largest weights fall so slowly that a few chains decide, or there are too
// few chains to tell.
func (z LogZ) Doubtful() bool { return z.Pareto == nil || *z.Pareto > Doubtful }

// ForwardLogZ estimates log Z from forward chains.
func (e *Estimator) ForwardLogZ(w Weights) (LogZ, error) { return e.logZ(w, 1) }

// ReverseLogZ estimates log Z from reverse chains.
func (e *Estimator) ReverseLogZ(w Weights) (LogZ, error) { return e.logZ(w, -1) }

func (e *Estimator) logZ(w Weights, sign float64) (LogZ, error) {
	if len(w.Log) == 0 {
		return LogZ{}, errors.New("log Z of no chains, want one or more")
	}
	signed := make([]float64, len(w.Log))
	for i, v := range w.Log {
		signed[i] = sign * v
	}
	z0 := e.LogZ0()
	r := LogZ{Chains: len(w.Log), ESS: ess(signed), StdDev: stdDev(w.Log), Acceptance: w.Acceptance}
	if k := ParetoShape(signed); !math.IsInf(k, 0) && !math.IsNaN(k) {
		r.Pareto = &k
	}
	r.Estimate = e.bootstrap(w.Log, func(pick func(i int) int) float64 {
		return z0 + sign*logMeanExp(signed, pick)
	})
	r.Mean = e.bootstrap(w.Log, func(pick func(i int) int) float64 { return z0 + mean(w.Log, pick) })
	return r, nil
}

// Density is the mean log density of points, in nats.
type Density struct {
	Points int `json:"points"`
	// LogDensity is the mean of log p(x).
	LogDensity Estimate `json:"log_density"`
	// LogMean is the log of the mean of p(x), which a few points can decide.
	LogMean float64 `json:"log_mean_density"`
	// BitsPerDim is the mean of −log₂ of the density of pixel values from 0 to 255,
	// divided by the number of pixel values.
	BitsPerDim Estimate `json:"bits_per_dim"`
}

// ReverseDensity is the paper's measure: log p(x) = −E(x)/T − log Z with, for
// each point, the log Z of the reverse chain from that point.
func (e *Estimator) ReverseDensity(w Weights) (Density, error) {
	logs := make([]float64, len(w.Log))
	for i, v := range w.Log {
		logs[i] = -w.Energy[i]/e.set.Temperature - e.LogZ0() - v
	}
	return e.density(logs)
}

// DensityOf is that of points with known energies, with one log Z for all.
func (e *Estimator) DensityOf(energies []float64, logZ float64) (Density, error) {
	logs := make([]float64, len(energies))
	for i, v := range energies {
		logs[i] = -v/e.set.Temperature - logZ
	}
	return e.density(logs)
}

func (e *Estimator) density(logs []float64) (Density, error) {
	if len(logs) == 0 {
		return Density{}, errors.New("density of no points, want one or more")
	}
	d := Density{Points: len(logs), LogMean: logMeanExp(logs, func(i int) int { return i })}
	d.LogDensity = e.bootstrap(logs, func(pick func(i int) int) float64 { return mean(logs, pick) })
	v, dim := d.LogDensity, e.layout.Each()
	d.BitsPerDim = Estimate{BitsPerDim(v.Value, dim), v.StdErr / float64(dim) / math.Ln2, BitsPerDim(v.High, dim), BitsPerDim(v.Low, dim)}
	return d, nil
}

// BitsPerDim converts a log density in nats of dim pixel values x from 0 to 1
// to bits per pixel value of y = 255x: p(y) = p(x)/255^dim.
func BitsPerDim(logDensity float64, dim int) float64 {
	return (math.Log(255) - logDensity/float64(dim)) / math.Ln2
}

// bootstrap returns a statistic of chains with its error. The statistic gets
// the number of the chain for each place.
func (e *Estimator) bootstrap(values []float64, statistic func(pick func(i int) int) float64) Estimate {
	n := len(values)
	r := Estimate{Value: statistic(func(i int) int { return i })}
	r.Low, r.High = r.Value, r.Value
	if n < 2 {
		return r
	}
	resampled := make([]float64, bootstraps)
	picks := make([]int, n)
	for b := range resampled {
		stream := e.source.Stream(rng.Resample, uint64(b), 0)
		for i := range picks {
			picks[i] = int(stream.Uint64() % uint64(n))
		}
		resampled[b] = statistic(func(i int) int { return picks[i] })
	}
	r.StdErr = stdDev(resampled)
	slices.Sort(resampled)
	r.Low, r.High = resampled[bootstraps/40], resampled[bootstraps-1-bootstraps/40]
	return r
}

func mean(v []float64, pick func(i int) int) float64 {
	sum := 0.0
	for i := range v {
		sum += v[pick(i)]
	}
	return sum / float64(len(v))
}

// logMeanExp returns log (1/n) Σ exp v without overflow.
func logMeanExp(v []float64, pick func(i int) int) float64 {
	most := math.Inf(-1)
	for i := range v {
		most = max(most, v[pick(i)])
	}
	sum := 0.0
	for i := range v {
		sum += math.Exp(v[pick(i)] - most)
	}
	return most + math.Log(sum/float64(len(v)))
}

// ess returns (Σw)²/Σw² for weights w = exp v.
func ess(v []float64) float64 {
	most := slices.Max(v)
	var sum, square float64
	for _, x := range v {
		w := math.Exp(x - most)
		sum += w
		square += w * w
	}
	return sum * sum / square
}

func stdDev(v []float64) float64 {
	if len(v) < 2 {
		return 0
	}
	m := mean(v, func(i int) int { return i })
	sum := 0.0
	for _, x := range v {
		sum += (x - m) * (x - m)
	}
	return math.Sqrt(sum / float64(len(v)-1))
}
