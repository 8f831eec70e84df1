package ebm

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"ebm/mdsm"
	"ebm/mdsm/dataset"
	"ebm/mdsm/langevin"
	"ebm/mdsm/train"
)

// Meta is what a model's files say of it beside its weights.
type Meta struct {
	// Sigma0 is σ₀, the noise level that one denoising jump takes away from
	// samples at temperature 1, in units of x. It is 0 for an ONNX file that does
	// not say it: there is no jump then.
	Sigma0 float64
	// SigmaMin and SigmaMax are the least and the largest noise level of the
	// training, in units of x.
	SigmaMin, SigmaMax float64
	// Pad is the number of rows and columns of zeros on each side of the
	// pictures that were added to the data for training.
	Pad int
	// Mean and Deviation of the columns of points [N D] were taken away from the data
	// of the training and divided by; none where they were not.
	Mean, Deviation []float64
	// Data names the data set of the training, "" where that is not known.
	Data string
	// TrainedBy is what was minimised, "" where that is the paper's objective or not known.
	TrainedBy train.Objective
	// Flow is how a model of energy matching is sampled, nil for others.
	Flow *langevin.Flow
	// Chain is how a model of persistent chains is sampled, nil for others and for one
	// whose energy is −log p of smoothed data.
	Chain *langevin.Persistent
}

// PaperMeta returns the paper's numbers, which hold where nothing says
// otherwise: σ₀ = 0.1, levels from 0.1 to 3, no padding.
func PaperMeta() Meta { return Meta{Sigma0: 0.1, SigmaMin: 0.1, SigmaMax: 3} }

// ParseMeta reads the keys sigma0, sigma_min, sigma_max, pad and data of the
// metadata of a file or a run, for x of a shape. Where pad is missing it is that
// which the data set has at the pictures' size.
func ParseMeta(about map[string]string, shape []int) (Meta, error) {
	m := PaperMeta()
	for key, to := range map[string]*float64{"sigma0": &m.Sigma0, "sigma_min": &m.SigmaMin, "sigma_max": &m.SigmaMax} {
		text, ok := about[key]
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || !(v > 0) || math.IsInf(v, 0) {
			return m, fmt.Errorf("metadata say %s is %q, want a positive number", key, text)
		}
		*to = v
	}
	m.Data, m.TrainedBy = about["data"], train.Objective(about["objective"])
	if err := m.parseSampler(about); err != nil {
		return m, err
	}
	if err := m.parseStandard(about, shape); err != nil {
		return m, err
	}
	if len(shape) != 3 {
		return m, nil
	}
	text, ok := about["pad"]
	if !ok {
		m.Pad = dataset.PadOf(m.Data, shape[2])
		return m, nil
	}
	var err error
	if m.Pad, err = strconv.Atoi(text); err != nil || m.Pad < 0 || 2*m.Pad >= min(shape[1], shape[2]) {
		return m, fmt.Errorf("metadata say pad is %q, want a number of pixels", text)
	}
	return m, nil
}

// samplerKeys are the metadata of models with a sampler of their own.
func samplerKeys() []string {
	return []string{"start_mean", "start_sigma", "tau", "epsilon", "chain_step_size", "chain_temperature"}
}

// parseSampler reads those that the model's objective has.
func (m *Meta) parseSampler(about map[string]string) error {
	var flow langevin.Flow
	var chain langevin.Persistent
	to := make(map[string]*float64)
	switch {
	case m.TrainedBy == train.EnergyMatching:
		m.Sigma0, m.Flow = 0, &flow // nothing is smoothed
		to = map[string]*float64{"start_mean": &flow.Start.Mean, "start_sigma": &flow.Start.Sigma, "tau": &flow.Tau, "epsilon": &flow.Epsilon}
	case m.TrainedBy == train.Persistent && about["sigma0"] == "":
		m.Sigma0, m.Chain = 0, &chain
		to = map[string]*float64{"start_mean": &chain.Start.Mean, "start_sigma": &chain.Start.Sigma,
			"chain_step_size": &chain.Step.StepSize, "chain_temperature": &chain.Step.Temperature}
	}
	for _, key := range samplerKeys() {
		number := to[key]
		if number == nil {
			continue
		}
		v, err := strconv.ParseFloat(about[key], 64)
		if err != nil || !(v >= 0) || math.IsInf(v, 0) || key == "tau" && !(v > 0 && v <= 1) {
			return fmt.Errorf("metadata say %s is %q, want a number from 0, tau above 0 and up to 1", key, about[key])
		}
		*number = v
	}
	return nil
}

// parseStandard reads mean and deviation.
func (m *Meta) parseStandard(about map[string]string, shape []int) error {
	for key, to := range map[string]*[]float64{"mean": &m.Mean, "deviation": &m.Deviation} {
		for _, text := range strings.FieldsFunc(about[key], func(c rune) bool { return c == ',' }) {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || key == "deviation" && v <= 0 {
				return fmt.Errorf("metadata say %s is %q, want finite numbers, positive deviations", key, about[key])
			}
			*to = append(*to, v)
		}
		if n := len(*to); n > 0 && (len(shape) != 1 || n != shape[0]) {
			return fmt.Errorf("metadata say %s of %d columns, want those of %v", key, n, shape)
		}
	}
	if len(m.Mean) != len(m.Deviation) {
		return fmt.Errorf("metadata have %d means and %d deviations, want as many", len(m.Mean), len(m.Deviation))
	}
	return nil
}

// Levels returns n noise levels over the range of the training, geometrically.
func (m Meta) Levels(n int) ([]float64, error) {
	return mdsm.Geometric.Levels(m.SigmaMin, m.SigmaMax, n)
}

// formatSigma writes a noise level as metadata have it.
func formatSigma(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// Annealed reports whether samples are drawn by annealing, as the paper's are, or by
// samplers of few evaluations: the energy is a denoiser at any noise level. Others have
// a sampler of their own, see Suit.
func (m Meta) Annealed() bool {
	return m.TrainedBy != train.EnergyMatching && m.TrainedBy != train.NCSN && m.Chain == nil
}

// Suit gives settings the sampler of a model that is not annealed: of energy matching a
// langevin.Flow up to a time, 0 for its own, of NCSN langevin.PerLevel, and of persistent
// chains their own steps, in so many steps, 0 for their own. It leaves those of other models as they are.
func (m Meta) Suit(set *langevin.Settings, until float64, steps int) (err error) {
	switch m.TrainedBy {
	case train.EnergyMatching:
		until = cmp.Or(until, m.Flow.Until())
		set.Start, set.Raw, set.Watch.Snapshots = m.Flow.Start, true, nil
		set.Updates, err = m.Flow.Updates(until, cmp.Or(steps, int(math.Ceil(float64(m.Flow.Steps())*until))))
	case train.NCSN:
		set.Start.Sigma = m.SigmaMax
		set.Updates, err = langevin.PerLevel(m.SigmaMax, m.SigmaMin, cmp.Or(steps, 1000))
	}
	if m.Chain != nil {
		set.Start, set.Raw = m.Chain.Start, true
		set.Updates = slices.Repeat([]mdsm.Update{m.Chain.Step}, cmp.Or(steps, 1000))
	}
	return err
}

// denoises returns an error where the model was trained to another energy than one whose
// jump of σ₀ takes away noise of any level.
func (m *Model) denoises() error {
	if m.Annealed() {
		return nil
	}
	return fmt.Errorf("%s was trained by %s, want an energy that takes away noise of any level, as of %s", m.Name, m.TrainedBy,
		train.Denoising)
}

// KnowsSigma0 returns an error where the model does not say its σ₀, which a
// denoising jump takes.
func (m *Model) KnowsSigma0() error {
	if err := m.denoises(); err != nil {
		return err
	}
	if m.Sigma0 > 0 {
		return nil
	}
	return fmt.Errorf("%s: the model does not say its σ₀, want one for a denoising jump", m.Name)
}
