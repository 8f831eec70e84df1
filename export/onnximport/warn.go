package onnximport

import (
	"fmt"
	"slices"

	"ebm/export/onnxpb"
	"ebm/models/graph"
)

// use is what the nodes of a file do with a value.
type use struct {
	maker      string // the operator that computes it, "" for none
	count      int    // of operands that it is
	statistics bool   // the mean or variance of a batch normalisation
	by         []usage
}

// usage is an operand of a node.
type usage struct {
	node  *onnxpb.NodeProto
	place int
}

func (m *Model) use(name string) *use {
	if m.uses[name] == nil {
		m.uses[name] = &use{}
	}
	return m.uses[name]
}

// noteUses keeps what warnings ask for, of the nodes of the file's own graph.
func (im *importer) noteUses(n *onnxpb.NodeProto) {
	if im.depth > 0 {
		return
	}
	for i, name := range n.Input {
		u := im.model.use(name)
		u.count++
		u.by = append(u.by, usage{n, i})
		if n.GetOpType() == "BatchNormalization" && i >= 3 {
			u.statistics = true
		}
	}
	for _, name := range n.Output {
		im.model.use(name).maker = n.GetOpType()
	}
}

// warn says what of a gradient may not be expected.
func (b *differentiation) warn(slopes []*graph.Node) {
	say := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(b.Warnings, text) {
			b.Warnings = append(b.Warnings, text)
		}
	}
	for _, text := range b.Model.held {
		say("%s", text)
	}
	for _, name := range b.of {
		maker := b.use(name).maker
		if _, chosen := b.Select[name]; !b.Seed && !chosen && maker == "Softmax" {
			say("%s is a %s, whose sum is constant, and its gradient 0: choose elements by Select, or give a Seed", name, maker)
		}
	}
	for i, name := range b.names {
		u := b.use(name)
		switch {
		case isZero(slopes[i]):
			say("the gradient of %s is 0: all of it goes through steps, such as those of quantisation, which StraightThrough would pass", name)
		case !slices.Contains(b.Model.Parameters, name):
		case u.statistics:
			say("%s is a running mean or variance, which training does not descend", name)
		case u.count > 1:
			say("%s is used in %d places, maybe several parameters that were merged as equal: its gradient is the sum", name, u.count)
		}
	}
}

// isZero reports whether n is 0 everywhere, as derivatives of nothing are.
func isZero(n *graph.Node) bool {
	for n.Op() == graph.OpBroadcast || n.Op() == graph.OpReshape || n.Op() == graph.OpCast {
		n = n.Inputs()[0]
	}
	v := n.ConstantValue()
	return v != nil && v.Len() == 1 && v.Float64s()[0] == 0
}
