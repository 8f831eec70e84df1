package main

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ebm/export"
	"ebm/export/onnximport"
	"ebm/models/graph"
	"ebm/models/tensor"
)

func newGradient(a *app) *cobra.Command {
	var (
		d       onnximport.Derivatives
		sizes   []string
		values  []string
		choose  []string
		names   string
		out     string
		check   bool
		through bool
		asJSON  bool
	)
	cmd := &cobra.Command{
		Use:   "gradient MODEL.onnx --wrt NAME… --out FILE.onnx",
		Short: "Give any ONNX model a gradient: a new ONNX file that computes it too",
		Long: `gradient reads an ONNX model, differentiates the sum of one of its values, and
writes a new file of standard ONNX operators (opset 17) with the outputs of the
model and, for every value X that was asked for,

  grad/X      the derivative of Σ OUTPUT by X, in the shape of X; with --seed
              that of Σ seed/OUTPUT · OUTPUT, where seed/OUTPUT is an input
  jvp/OUTPUT  with --jvp, how OUTPUT changes along the inputs tangent/X
  hvp/X       with --hvp, the part for X of the Hessian times a vector, whose
              parts are the inputs v/X
  jac/X       with --jacobian, the derivative of every element of OUTPUT by X
  hess/X/Y    with --hessian, the derivative of every element of grad/X by Y

jac and hess have in front the axes of constant size of OUTPUT or X; over
symbolic ones, such as a batch, they are sums. The gradient is left out beside
--jvp, --jacobian and --hessian unless --grad, --seed or --hvp asks for it. With
several --of, all of them have one seed each, or else grad/OUTPUT/X and likewise.

Names are those of inputs, outputs, initialisers or any value between. Only
what OUTPUT depends on has to be read: other outputs are dropped where they
cannot be. --check writes nothing and lists all that stands in the way of the
file, or with --of of that value: node, operator, version, and what may help.
docs/onnx-import.md lists the operators that are read.`,
		Example: `  ebm gradient --check classifier.onnx
  ebm gradient classifier.onnx --of logits --wrt input --out classifier.grad.onnx
  ebm gradient classifier.onnx --of logits --select logits=@label --wrt input --out class.grad.onnx
  ebm gradient arm.onnx --wrt q --jacobian --names casadi --out arm.jac.onnx
  ebm gradient model.onnx --wrt x --wrt-parameters --size batch=8 --out model.grad.onnx`,
		Args: exactArgs(1, "an ONNX file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o := onnximport.Options{Of: d.Of, StraightThrough: through}
			var err error
			if o.Sizes, err = parseSizes(sizes); err != nil {
				return err
			}
			if o.Values, err = parseValues(values); err != nil {
				return err
			}
			if d.Select, err = parseSelections(choose); err != nil {
				return err
			}
			switch names {
			case "default":
			case "casadi":
				d.Names = onnximport.CasADiNames()
			default:
				return usagef("--names %q, want default or casadi", names)
			}
			if check {
				return checkGradient(a, args[0], o, asJSON)
			}
			if out == "" {
				return usagef("want --out FILE.onnx")
			}
			if len(d.Wrt) == 0 && !d.Parameters {
				return usagef("want --wrt NAME or --wrt-parameters")
			}
			return writeGradient(a, args[0], out, d, o, asJSON)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&d.Of, "of", nil, "a value whose sum is differentiated (default: the only output); may be given several times")
	f.StringSliceVar(&d.Wrt, "wrt", nil, "a value to differentiate by; may be given several times")
	f.BoolVar(&d.Parameters, "wrt-parameters", false, "also differentiate by every floating-point initialiser")
	f.BoolVar(&d.HVP, "hvp", false, "also compute the product of the Hessian and a vector")
	f.BoolVar(&d.Seed, "seed", false, "vector-Jacobian products: weights for the elements of OUTPUT are inputs")
	f.BoolVar(&d.JVP, "jvp", false, "Jacobian-vector products: directions of every X are inputs")
	f.BoolVar(&d.Jacobian, "jacobian", false, "all derivatives of OUTPUT's elements")
	f.BoolVar(&d.Hessian, "hessian", false, "all second derivatives")
	f.BoolVar(&d.Gradient, "grad", false, "the gradient also beside --jvp, --jacobian and --hessian")
	f.StringArrayVar(&choose, "select", nil, "elements along the last axis, such as logits=1,3, or logits=@label for an input with one for "+
		"each row")
	f.StringVar(&names, "names", "default", "how derivatives are called: default, or casadi for adj_y, fwd_x, jac_y_x")
	f.StringSliceVar(&sizes, "size", nil, "fix a symbolic dimension, such as N=1; may be given several times")
	f.StringArrayVar(&values, "value", nil, "make an input of whole numbers a constant, such as shape=1,16 or rate=16000; may be given "+
		"several times")
	f.StringVar(&out, "out", "", "the file to write")
	f.BoolVar(&through, "straight-through", false, "the derivative of quantisation and Round is 1, where it would be 0")
	f.BoolVar(&check, "check", false, "write nothing, list what stands in the way")
	f.BoolVar(&asJSON, "json", false, "print what was written or found as JSON")
	return cmd
}

// parseSizes reads NAME=NUMBER pairs.
func parseSizes(list []string) (map[string]int, error) {
	sizes := make(map[string]int)
	for _, s := range list {
		at := strings.LastIndex(s, "=")
		n, err := strconv.Atoi(s[at+1:])
		if at < 1 || err != nil || n < 1 {
			return nil, usagef("--size %q, want NAME=NUMBER", s)
		}
		sizes[s[:at]] = n
	}
	return sizes, nil
}

// parseValues reads NAME=NUMBER for inputs without an axis, and
// NAME=NUMBER,NUMBER… or NAME=NUMBER, for those with one.
func parseValues(list []string) (map[string]*tensor.Tensor, error) {
	values := make(map[string]*tensor.Tensor)
	for _, s := range list {
		at := strings.LastIndex(s, "=")
		var numbers []int64
		parts := strings.Split(s[at+1:], ",")
		vector := len(parts) > 1
		if vector && parts[len(parts)-1] == "" {
			parts = parts[:len(parts)-1]
		}
		for _, p := range parts {
			n, err := strconv.ParseInt(p, 10, 64)
			if at < 1 || err != nil {
				return nil, usagef("--value %q, want NAME=NUMBER or NAME=NUMBER,NUMBER…", s)
			}
			numbers = append(numbers, n)
		}
		if vector {
			values[s[:at]] = tensor.Of(numbers, len(numbers))
		} else {
			values[s[:at]] = tensor.Of(numbers)
		}
	}
	return values, nil
}

// parseSelections reads OUTPUT=NUMBER,NUMBER… and OUTPUT=@INPUT.
func parseSelections(list []string) (map[string]onnximport.Selection, error) {
	selections := make(map[string]onnximport.Selection)
	for _, s := range list {
		at := strings.LastIndex(s, "=")
		var c onnximport.Selection
		ok := at > 0
		if label, found := strings.CutPrefix(s[at+1:], "@"); found {
			c.Label = label
			ok = ok && label != ""
		} else {
			for _, p := range strings.Split(s[at+1:], ",") {
				n, err := strconv.Atoi(p)
				ok = ok && err == nil
				c.Indices = append(c.Indices, n)
			}
		}
		if !ok {
			return nil, usagef("--select %q, want OUTPUT=NUMBER,NUMBER… or OUTPUT=@INPUT", s)
		}
		selections[s[:at]] = c
	}
	return selections, nil
}

// gradientReport is what gradient prints.
type gradientReport struct {
	Path     string               `json:"path"`
	Inputs   []describedType      `json:"inputs"`
	Outputs  []describedType      `json:"outputs"`
	Dropped  []onnximport.Dropped `json:"dropped,omitempty"`
	Assumes  []string             `json:"assumes,omitempty"`
	Warnings []string             `json:"warnings,omitempty"`
}

type describedType struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// describe enters the inputs and outputs of a graph.
func (r *gradientReport) describe(g *graph.Graph) {
	for _, n := range g.Inputs() {
		r.Inputs = append(r.Inputs, describedType{n.InputName(), n.Type().String()})
	}
	for _, o := range g.Outputs() {
		r.Outputs = append(r.Outputs, describedType{o.Name, o.Node.Type().String()})
	}
}

// checkGradient lists what stands in the way of reading a file, and fails if
// anything does.
func checkGradient(a *app, path string, o onnximport.Options, asJSON bool) error {
	problems, err := onnximport.Check(path, o)
	if err != nil {
		return err
	}
	if asJSON {
		err = a.printJSON(append([]onnximport.Problem{}, problems...))
	} else {
		for _, p := range problems {
			a.printf("%s\n", p)
		}
	}
	if len(problems) > 0 && err == nil {
		return fmt.Errorf("%s: %d things stand in the way", path, len(problems))
	}
	return err
}

func writeGradient(a *app, in, out string, d onnximport.Derivatives, o onnximport.Options, asJSON bool) error {
	m, err := onnximport.Read(in, o)
	if err != nil {
		return err
	}
	if _, err := m.Differentiate(d); err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	metadata := maps.Clone(m.Metadata)
	metadata["gradient_of"] = strings.Join(d.Of, ",")
	if len(d.Of) == 0 {
		metadata["gradient_of"] = m.Graph.Outputs()[0].Name
	}
	if len(m.Assumes) > 0 {
		metadata["assumes"] = strings.Join(m.Assumes, ", ")
	}
	file := export.Options{Doc: m.Doc, Docs: m.Docs, Metadata: metadata, Version: version(),
		Passes: append(export.Passes(), export.Products())}
	if err := export.WriteFile(out, m.Graph, file); err != nil {
		return err
	}
	report := gradientReport{Path: out, Dropped: m.Dropped, Assumes: m.Assumes, Warnings: m.Warnings}
	report.describe(m.Graph)
	if asJSON {
		return a.printJSON(report)
	}
	for _, v := range report.Inputs {
		a.printf("in\t%s\t%s\n", v.Name, v.Type)
	}
	for _, v := range report.Outputs {
		a.printf("out\t%s\t%s\n", v.Name, v.Type)
	}
	for _, text := range report.Warnings {
		a.printf("warning\t%s\n", text)
	}
	for _, text := range report.Assumes {
		a.printf("assumes\t%s\n", text)
	}
	for _, d := range report.Dropped {
		a.printf("dropped\t%s\t%s\n", d.Name, d.Reason)
	}
	return nil
}
