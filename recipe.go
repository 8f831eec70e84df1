package ebm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"ebm/mdsm"
	"ebm/mdsm/langevin"
	"ebm/models/graph"
	"ebm/models/zoo"
)

// SamplerFile names the file in a run's folder that holds the samplers of few
// evaluations which a search has found for it, see langevin.ParseTuned.
const SamplerFile = "sampler.json"

// Recipe returns a sampler of no more evaluations than a budget: what a search has
// found for the model, of those that the run's folder or the shipped model has, or
// where there is none langevin.Fast.
// The error names a model that was trained to no denoiser of any noise level.
func (m *Model) Recipe(budget int) (langevin.Recipe, error) {
	if err := m.denoises(); err != nil {
		return langevin.Recipe{}, err
	}
	found, err := m.tuned()
	if err != nil {
		return langevin.Recipe{}, err
	}
	if r, ok := found.Within(budget); ok {
		return r, nil
	}
	return langevin.Fast(budget)
}

// tuned returns the result of a search, without recipes where there was none.
func (m *Model) tuned() (found langevin.Tuned, err error) {
	if m.folder != "" {
		found, err = langevin.ReadTuned(filepath.Join(m.folder, SamplerFile))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return found, err
	}
	if data, ok := zoo.SamplerOf(m.Name); ok {
		if found, err = langevin.ParseTuned(data); err != nil {
			err = fmt.Errorf("shipped sampler of %s: %w", m.Name, err)
		}
	}
	return found, err
}

// Chain returns the chain of a recipe for the model, but for what is cut off its
// pictures.
func (m *Model) Chain(r langevin.Recipe) (mdsm.Chain, error) {
	updates, err := r.Updates(m.SigmaMax, m.Sigma0)
	if err != nil {
		return mdsm.Chain{}, fmt.Errorf("%s: %w", m.Name, err)
	}
	start := r.Start(m.SigmaMax)
	return mdsm.Chain{Mean: start.Mean, Sigma: start.Sigma, Updates: updates, Sigma0: m.Sigma0}, nil
}

func (m *Model) chainGraph(r langevin.Recipe) (*graph.Graph, error) {
	c, err := m.Chain(r)
	if err != nil {
		return nil, err
	}
	return mdsm.ChainGraph(m.Network, m.Weights, c)
}

// describeSampler adds what a file of the model's sampler says of it.
func (m *Model) describeSampler(meta map[string]string) {
	start := m.Sampler.Start(m.SigmaMax)
	meta["start_mean"], meta["start_sigma"] = formatSigma(start.Mean), formatSigma(start.Sigma)
	text, err := json.Marshal(m.Sampler) // numbers and a name
	if err == nil {
		meta["recipe"] = string(text)
	}
}
