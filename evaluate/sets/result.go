package sets

import (
	"fmt"
	"io"
	"strings"

	"ebm/evaluate"
)

// Result is what one comparison found. Its JSON form is described in
// docs/evaluation.md.
type Result struct {
	Samples   Side                   `json:"samples"`
	Reference *Side                  `json:"reference,omitempty"`
	Features  *evaluate.FeatureMaker `json:"features,omitempty"` // what made them; nil when nothing says
	Weights   string                 `json:"weights_file,omitempty"`
	FileHash  string                 `json:"weights_file_sha256,omitempty"`
	Metrics   []Value                `json:"metrics"`
	Warnings  []string               `json:"warnings,omitempty"` // about the sources and the network
	Seconds   float64                `json:"seconds"`
}

// Side describes the samples or the reference.
type Side struct {
	Source   string  `json:"source"`
	Kind     Kind    `json:"kind"`
	Count    int     `json:"count"`              // samples; 0 when statistics do not say
	Channels int     `json:"channels,omitempty"` // of pictures
	Height   int     `json:"height,omitempty"`
	Width    int     `json:"width,omitempty"`
	Computed int     `json:"computed,omitempty"` // pictures whose features were not in the cache
	Seconds  float64 `json:"feature_seconds,omitempty"`
}

// Value is one number.
type Value struct {
	Metric     string             `json:"metric"`
	Value      float64            `json:"value"`
	Deviation  *float64           `json:"deviation,omitempty"` // over splits or subsets
	Error      *float64           `json:"standard_error,omitempty"`
	Interval   *[2]float64        `json:"interval_95,omitempty"`
	Samples    int                `json:"samples"`
	Reference  int                `json:"reference,omitempty"`
	Splits     int                `json:"splits,omitempty"`
	Subsets    int                `json:"subsets,omitempty"`
	SubsetSize int                `json:"subset_size,omitempty"`
	Parts      map[string]float64 `json:"parts,omitempty"`
	Preprocess string             `json:"preprocess,omitempty"`
	Weights    string             `json:"weights_sha256,omitempty"`
	Warnings   []string           `json:"warnings,omitempty"`
	Seconds    float64            `json:"seconds"`
}

// describe fills in what the result says of the sources.
func (r *run) describe() {
	describe := func(s *side) Side {
		r.result.Warnings = append(r.result.Warnings, s.warnings...)
		for _, note := range s.source.Notes {
			r.warn("%s: %s", s.source.Name, note)
		}
		return Side{
			Source: s.source.Name, Kind: s.source.Kind, Count: s.source.Count,
			Channels: s.source.Channels, Height: s.source.Height, Width: s.source.Width,
			Computed: s.computed, Seconds: s.seconds,
		}
	}
	r.result.Samples = describe(r.samples)
	r.result.Features = r.samples.maker
	if r.reference != nil {
		side := describe(r.reference)
		r.result.Reference = &side
		if r.result.Features == nil {
			r.result.Features = r.reference.maker
		}
	}
	if n := r.o.Network; n != nil {
		r.result.Weights, r.result.FileHash = n.File, n.FileHash
		r.result.Warnings = append(r.result.Warnings, n.Warnings...)
	}
}

// label gives a value its full name and what it was computed from.
func (r *run) label(v *Value) {
	if !strings.HasPrefix(v.Metric, Score) {
		v.Reference = r.reference.source.Count
	}
	v.Samples = r.samples.source.Count
	maker := r.result.Features
	if maker != nil {
		v.Preprocess, v.Weights = maker.Preprocess, maker.Weights
	}
	v.Metric = metricName(v.Metric, maker)
}

// metricName calls the numbers of the FID Inception network FID, IS and KID,
// and others by the network.
func metricName(name string, maker *evaluate.FeatureMaker) string {
	group, variant, _ := strings.Cut(name, "_")
	general := map[string]string{Frechet: "frechet", Score: "score", Kernel: "kernel"}[group]
	if general == "" || maker != nil && maker.Network == "fid-inception" {
		return name
	}
	network := "features"
	if maker != nil && maker.Network != "" {
		network = maker.Network
		if strings.HasSuffix(network, "-classifier") { // mnist-classifier
			network = "classifier"
		}
	}
	if variant != "" {
		return network + "_" + general + "_" + variant
	}
	return network + "_" + general
}

// setInterval adds how far the value may be off.
func (v *Value) setInterval(i evaluate.Interval) {
	v.Error, v.Interval = &i.Error, &[2]float64{i.Low, i.High}
}

// normalInterval is the 95 % interval of a standard error.
func normalInterval(value, deviation float64) evaluate.Interval {
	return evaluate.Interval{Low: value - 1.96*deviation, High: value + 1.96*deviation, Error: deviation}
}

// WriteText writes a result for people: a line for each number.
func (r *Result) WriteText(w io.Writer) error {
	for _, v := range r.Metrics {
		line := fmt.Sprintf("%-20s %-12.7g", v.Metric, v.Value)
		if v.Deviation != nil {
			line += fmt.Sprintf(" ± %.4g", *v.Deviation)
			if v.Subsets > 0 {
				line += fmt.Sprintf(" over %d subsets of %d", v.Subsets, v.SubsetSize)
			} else {
				line += fmt.Sprintf(" over %d splits", v.Splits)
			}
		}
		if v.Interval != nil {
			line += fmt.Sprintf("  95 %% in %.5g … %.5g", v.Interval[0], v.Interval[1])
		} else if v.Error != nil {
			line += fmt.Sprintf("  standard error %.3g", *v.Error)
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}

// AllWarnings returns the warnings of the sources and of the numbers, each
// once.
func (r *Result) AllWarnings() (list []string) {
	seen := map[string]bool{}
	add := func(more []string) {
		for _, w := range more {
			if !seen[w] {
				seen[w] = true
				list = append(list, w)
			}
		}
	}
	add(r.Warnings)
	for _, v := range r.Metrics {
		add(v.Warnings)
	}
	return list
}
