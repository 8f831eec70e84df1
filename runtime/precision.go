package runtime

import (
	"fmt"
	"slices"
)

// Precision is that of the factors of convolutions and matrix products on a device. What
// goes in and out, sums and everything else are float32.
type Precision string

// The precisions. TF32 is a setting of CUDA's libraries, off otherwise: they round factors
// to 10 bits by themselves. FP16 (10 bits, numbers up to 65504) and BF16 (7 bits, the range
// of float32) are in the models: whoever makes a model for a runtime asks Info.Precision.
const (
	FP32 Precision = "fp32"
	TF32 Precision = "tf32"
	FP16 Precision = "fp16"
	BF16 Precision = "bf16"
)

// Precisions returns the precisions, the most exact one first.
func Precisions() []Precision { return []Precision{FP32, TF32, FP16, BF16} }

// ParsePrecision returns the precision called name; "" is FP32.
func ParsePrecision(name string) (Precision, error) {
	p := Precision(name)
	if p == "" {
		return FP32, nil
	}
	if !slices.Contains(Precisions(), p) {
		return "", fmt.Errorf("precision %q, want fp32, tf32, fp16 or bf16", name)
	}
	return p, nil
}

// Half reports whether models have products of 16 bits.
func (p Precision) Half() bool { return p == FP16 || p == BF16 }

// checkPrecision refuses a precision that the provider in use does not have.
func (r *Runtime) checkPrecision(rounding bool) error {
	p := r.info.Precision
	has := map[Provider][]Precision{CUDA: Precisions(), WebGPU: {FP32, FP16}, CPU: {FP32}}[r.info.Provider]
	if r.info.Provider == CPU && rounding {
		has = []Precision{FP32, FP16, BF16}
	}
	if slices.Contains(has, p) {
		return nil
	}
	return &ProviderError{Provider: r.info.Provider, Library: r.info.Library,
		Problem: fmt.Sprintf("--precision %s, want %s", p, alternatives(has))}
}

// alternatives writes precisions as "fp32 or fp16".
func alternatives(list []Precision) string {
	text := string(list[0])
	for i, p := range list[1:] {
		if i == len(list)-2 {
			text += " or " + string(p)
		} else {
			text += ", " + string(p)
		}
	}
	return text
}
