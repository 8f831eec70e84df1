package ebm

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"ebm/mdsm"
	"ebm/mdsm/dataset"
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
	m.Data = about["data"]
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

// KnowsSigma0 returns an error where the model does not say its σ₀, which a
// denoising jump takes.
func (m *Model) KnowsSigma0() error {
	if m.Sigma0 > 0 {
		return nil
	}
	return fmt.Errorf("%s: the model does not say its σ₀, want one for a denoising jump", m.Name)
}
