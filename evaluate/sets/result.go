package sets

import (
	"fmt"
	"io"
	"strings"

	"ebm/evaluate"
	"ebm/evaluate/features"
)

// Result holds the numbers of one comparison. Its JSON form is described in
// docs/evaluation.md.
type Result struct {
	Samples   Side            `json:"samples"`
	Reference *Side           `json:"reference,omitempty"`
	Features  *features.Maker `json:"features,omitempty"` // what made them; nil when nothing says
	Weights   string          `json:"weights_file,omitempty"`
	FileHash  string          `json:"weights_file_sha256,omitempty"`
	Metrics   []Value         `json:"metrics"`
	Warnings  []string        `json:"warnings,omitempty"` // about the sources and the network
	Seconds   float64         `json:"-"`                  // see Times
}

// Side describes the samples or the reference.
type Side struct {
	Source   string  `json:"source"`
	Kind     Kind    `json:"kind"`
	Count    int     `json:"count"`              // samples; 0 when statistics do not say
	Channels int     `json:"channels,omitempty"` // of pictures
	Height   int     `json:"height,omitempty"`
	Width    int     `json:"width,omitempty"`
	Computed int     `json:"-"` // pictures whose features were not in the cache
	Seconds  float64 `json:"-"` // that computing features took
}

// Quantity names what a number measures, whatever the features.
type Quantity string

// The quantities.
const (
	FrechetDistance  Quantity = "frechet"
	ClassScore       Quantity = "score" // the Inception score, and its like by other networks' logits
	KernelDistance   Quantity = "kernel"
	Precision        Quantity = "precision"
	Recall           Quantity = "recall"
	Density          Quantity = "density"
	Coverage         Quantity = "coverage"
	MemorizedMeasure Quantity = "mifid"
	VendiScore       Quantity = "vendi"
	MeanDiscrepancy  Quantity = "cmmd"
	BalanceTest      Quantity = "balance"
)

// describe returns the quantity's name in Inception features, "" where that is
// its own, what people call it there and elsewhere, and which of "lower" and
// "higher" is better.
func (q Quantity) describe() (name, there, elsewhere, better string) {
	switch q {
	case FrechetDistance:
		return Frechet, "FID", "Fréchet distance", "lower"
	case ClassScore:
		return InceptionScore, "Inception score", "score of its classes", "higher"
	case KernelDistance:
		return Kernel, "KID", "kernel distance", "lower"
	case MemorizedMeasure:
		return "", "MiFID", "Fréchet distance with a penalty of memorization", "lower"
	case VendiScore:
		return "", "Vendi score", "Vendi score", "higher"
	case MeanDiscrepancy:
		return "", "CMMD", "CMMD", "lower"
	case BalanceTest:
		return "", "χ² of the classes", "χ² of the classes", "lower"
	}
	return "", string(q), string(q), "higher"
}

// Variant says how a number differs from the plain quantity.
type Variant string

// The variants.
const (
	Infinity Variant = "infinity" // extrapolated to unlimited samples
	Unbiased Variant = "unbiased" // without the bias of few samples, to first order
	Gaussian Variant = "rbf"      // a kernel distance with a Gaussian kernel
	OfClass  Variant = "class"    // of the samples of Value.Class
	OfAll    Variant = "classes"  // the mean over classes
)

// Value is one number.
type Value struct {
	Metric     string             `json:"metric"` // for programs, such as fid or pixels_frechet
	Quantity   Quantity           `json:"quantity"`
	Variant    Variant            `json:"variant,omitempty"`
	Class      string             `json:"class,omitempty"`  // of a number of one class
	Family     features.Kind      `json:"family,omitempty"` // of features, "" where nothing says what made them
	Label      string             `json:"label"`            // for people
	Better     string             `json:"better"`           // lower or higher
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
	Seconds    float64            `json:"-"`
}

// Times says what one computation of a result took, which the result itself does not
// depend on.
type Times struct {
	Seconds   float64            `json:"seconds"` // of the whole
	Samples   SideTimes          `json:"samples"`
	Reference *SideTimes         `json:"reference,omitempty"`
	Metrics   map[string]float64 `json:"metrics"` // seconds by the key of the number
}

// SideTimes are those of one side's features.
type SideTimes struct {
	Computed int     `json:"computed"` // pictures whose features were not in the cache
	Seconds  float64 `json:"feature_seconds"`
}

// Times returns what computing the result took.
func (r *Result) Times() Times {
	t := Times{Seconds: r.Seconds, Samples: SideTimes{r.Samples.Computed, r.Samples.Seconds}, Metrics: make(map[string]float64)}
	if s := r.Reference; s != nil {
		t.Reference = &SideTimes{s.Computed, s.Seconds}
	}
	for _, v := range r.Metrics {
		t.Metrics[v.Key()] = v.Seconds
	}
	return t
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

// label gives a value its names and what it was computed from.
func (r *run) label(v *Value) {
	if v.Quantity != ClassScore && v.Quantity != VendiScore && v.Reference == 0 {
		v.Reference = r.reference.source.Count
	}
	if v.Samples == 0 {
		v.Samples = r.samples.source.Count
	}
	var network features.Identity
	if maker := r.result.Features; maker != nil {
		v.Preprocess, v.Weights, network = maker.Preprocess, maker.Weights, maker.Network
	}
	v.Name(network)
}

// Name fills in what follows from quantity, variant and the network of the
// features: metric, family, label and which is better.
func (v *Value) Name(network features.Identity) {
	name, there, elsewhere, better := v.Quantity.describe()
	v.Family, v.Better = network.Kind, better
	switch {
	case network.Kind == features.Inception:
		v.Metric, v.Label = name, there
	case network.Kind == "":
		v.Metric, v.Label = "features_"+string(v.Quantity), elsewhere
	default:
		v.Metric, v.Label = v.qualified(), elsewhere+" in "+network.Label()
	}
	if name == "" {
		v.Metric = string(v.Quantity)
	}
	if r, err := features.FindRecipe(network.Recipe); err == nil {
		switch {
		case v.Quantity == FrechetDistance && r.Frechet != "":
			v.Metric = r.Frechet
		case r.Layer != "":
			v.Metric += "_" + r.Layer
		}
		v.Label = elsewhere + " in " + network.Label()
	}
	switch v.Variant {
	case Gaussian:
		v.Label += ", Gaussian kernel"
	case OfClass:
		v.Label += ", class " + v.Class
	case OfAll:
		v.Label += ", mean over classes"
	case Infinity:
		v.Label += ", for unlimited samples"
	case Unbiased:
		v.Label += ", without its bias"
	}
	if v.Variant != "" {
		v.Metric += "_" + string(v.Variant)
	}
}

// qualified returns the quantity's name with the family before it.
func (v Value) qualified() string { return string(v.Family) + "_" + string(v.Quantity) }

// Key returns a name that no number in other features has: that of Metric, and
// of precision and its kin the family and the quantity.
func (v Value) Key() string {
	if v.Metric == string(v.Quantity) && v.Family != "" && v.Family != features.Inception {
		return v.qualified()
	}
	return v.Metric
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
		line := fmt.Sprintf("%-20s %-12.7g", strings.TrimRight(v.Metric+" "+v.Class, " "), v.Value)
		if v.Deviation != nil {
			line += fmt.Sprintf(" ± %.4g", *v.Deviation)
			if v.Subsets > 0 {
				line += fmt.Sprintf(" over %d subsets of %d", v.Subsets, v.SubsetSize)
			} else {
				line += fmt.Sprintf(" over %d splits", v.Splits)
			}
		}
		if v.Quantity == BalanceTest {
			line += fmt.Sprintf(" p = %.3g, %g degrees of freedom", v.Parts["p"], v.Parts["freedom"])
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
