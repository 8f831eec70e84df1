package onnximport

import (
	"fmt"
	"maps"
	"slices"

	"ebm/export/onnxpb"
	"ebm/models/graph"
)

// NameError says that a model has nothing of a name.
type NameError struct {
	What, Name string   // such as "value" and "energy"
	Has        []string // the names there are; nil where they are too many to list
}

func (e *NameError) Error() string {
	if e.Has == nil {
		return fmt.Sprintf("%s %q, want the name of one in the model", e.What, e.Name)
	}
	return fmt.Sprintf("%s %q, want one of %q", e.What, e.Name, e.Has)
}

// checkNames finds a size or a value of the options that is of nothing.
func (o Options) checkNames(g *onnxpb.GraphProto) error {
	inputs, sizes := make(map[string]bool), make(map[string]bool)
	for _, in := range g.Input {
		inputs[in.GetName()] = true
		for axis, d := range in.GetType().GetTensorType().GetShape().GetDim() {
			if v, ok := d.Value.(*onnxpb.TensorShapeProto_Dimension_DimValue); ok && v.DimValue != -1 {
				continue
			}
			param := d.GetDimParam()
			if param == "" || param == "?" {
				param = axisName(in.GetName(), axis)
			}
			sizes[param] = true
			for _, symbol := range graph.ParseDim(param).Symbols() {
				sizes[symbol] = true
			}
		}
	}
	for _, kind := range []struct {
		what  string
		asked []string
		has   map[string]bool
	}{
		{"size", slices.Sorted(maps.Keys(o.Sizes)), sizes},
		{"value of input", slices.Sorted(maps.Keys(o.Values)), inputs},
	} {
		for _, name := range kind.asked {
			if !kind.has[name] {
				return &NameError{kind.what, name, slices.Sorted(maps.Keys(kind.has))}
			}
		}
	}
	return nil
}

// axisName is the symbol of an axis whose size the file leaves without one.
func axisName(input string, axis int) string { return fmt.Sprintf("%s.%d", input, axis) }
