package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"ebm/runtime"
)

// Certificate says what was compared, how far apart it was, and with which
// programs.
type Certificate struct {
	Subject string `json:"subject"`                  // what was certified, such as a network in words
	Weights string `json:"weights_sha256,omitempty"` // weights.Set.Hash of the weights
	Model   string `json:"model_sha256"`             // of the ONNX file's bytes
	Inputs  string `json:"inputs"`                   // what the comparisons ran on, in words
	Seed    uint64 `json:"seed"`                     // of the inputs and directions
	Program string `json:"program"`                  // this program's version
	Runtime string `json:"runtime"`                  // ONNX Runtime's version and provider
	// Precision is that of products on the device, or that the CPU rounds to as a device would.
	Precision runtime.Precision `json:"precision"`
	Others    []string          `json:"other_runtimes,omitempty"` // versions of the runtimes that Python has
	System    string            `json:"system"`                   // operating system, processor, Go version
	Files     []File            `json:"files,omitempty"`          // that were used
	Checks    []Check           `json:"checks"`                   // in the order in which they were made
	Notes     []string          `json:"notes,omitempty"`          // what was left out, and why
}

// Check is one comparison: what a subject computes with what a reference
// does.
type Check struct {
	Name      string       `json:"name"`      // such as "score"
	Subject   string       `json:"subject"`   // what is checked
	Reference string       `json:"reference"` // what it is held against
	Tolerance float64      `json:"tolerance"` // the largest relative error that passes
	Tensors   []Comparison `json:"tensors"`
	Passed    bool         `json:"passed"`
}

// Comparison is how far one tensor, or part of one, is from its reference.
type Comparison struct {
	Tensor    string `json:"tensor"` // name, and noise level where there are several
	Elements  int    `json:"elements"`
	MaxError  Number `json:"max_error"`  // largest |subject − reference|
	MeanError Number `json:"mean_error"` // mean |subject − reference|
	Largest   Number `json:"largest"`    // largest |reference|
	// Relative is MaxError over Largest, or over the Largest of all tensors of
	// the check where those are parts of one gradient. MeanRelative is
	// MeanError over the same.
	Relative     Number `json:"relative"`
	MeanRelative Number `json:"mean_relative"`
}

// Number is a float64 that may be infinite or not a number, which JSON writes
// as a string.
type Number float64

// MarshalJSON writes a number, or "NaN", "+Inf" or "-Inf".
func (n Number) MarshalJSON() ([]byte, error) {
	if v := float64(n); math.IsNaN(v) || math.IsInf(v, 0) {
		return json.Marshal(fmt.Sprint(v))
	}
	return json.Marshal(float64(n))
}

// Passed reports whether there are checks and all of them passed.
func (c Certificate) Passed() bool {
	for _, check := range c.Checks {
		if !check.Passed {
			return false
		}
	}
	return len(c.Checks) > 0
}

// Worst returns the largest relative error of a check's tensors, 0 when it
// has none; not a number counts as the largest.
func (c Check) Worst() float64 {
	worst := 0.0
	for _, t := range c.Tensors {
		if r := float64(t.Relative); r > worst || math.IsNaN(r) {
			worst = r
		}
		if math.IsNaN(worst) {
			break
		}
	}
	return worst
}

// WriteJSON writes the certificate as indented JSON, with "passed" first.
func (c Certificate) WriteJSON(w io.Writer) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(struct {
		Passed bool `json:"passed"`
		Certificate
	}{c.Passed(), c})
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	_, err = w.Write(b.Bytes())
	return err
}

// WriteText writes the certificate as a table for people.
func (c Certificate) WriteText(w io.Writer) error {
	var b strings.Builder
	head := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{
		{"certificate", c.Subject}, {"weights", c.Weights}, {"model", c.Model}, {"inputs", c.Inputs},
		{"program", c.Program}, {"runtime", c.Runtime}, {"others", strings.Join(c.Others, "; ")}, {"system", c.System},
	} {
		if line[1] != "" {
			fmt.Fprintf(head, "%s\t%s\n", line[0], line[1])
		}
	}
	for _, f := range c.Files {
		fmt.Fprintf(head, "%s\t%s  %s  %d bytes\n", f.Role, f.SHA256, f.Name, f.Bytes)
	}
	head.Flush()
	for _, check := range c.Checks {
		fmt.Fprintf(&b, "\n%s: %s\n  against %s\n", check.Name, check.Subject, check.Reference)
		table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprint(table, "  tensor\telements\tmax error\tmean error\tlargest\trelative\tmean relative\t\n")
		for _, t := range check.Tensors {
			fmt.Fprintf(table, "  %s\t%d\t%.2e\t%.2e\t%.4g\t%.2e\t%.2e\t\n", t.Tensor, t.Elements,
				float64(t.MaxError), float64(t.MeanError), float64(t.Largest), float64(t.Relative), float64(t.MeanRelative))
		}
		table.Flush()
		verdict := "passed"
		if !check.Passed {
			verdict = "FAILED"
		}
		fmt.Fprintf(&b, "  %s: relative error %.2e, at most %.0e is allowed\n", verdict, check.Worst(), check.Tolerance)
	}
	for _, note := range c.Notes {
		fmt.Fprintf(&b, "\nnote: %s\n", note)
	}
	if c.Passed() {
		b.WriteString("\nall checks passed\n")
	} else {
		b.WriteString("\nNOT PASSED\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
