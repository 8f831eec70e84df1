package export

import (
	"slices"

	"ebm/export/onnxpb"
	"ebm/models/graph"
)

// lowerScan emits an ONNX Scan. The weights that its body uses are
// initialisers inside the body, where runtimes can lay them out once.
func lowerScan(l *lowering, n *graph.Node) string {
	a := n.Attr().(graph.ScanAttr)
	inner := newLowering(a.Body, l, l.blocks.channels(), l.products)
	operands := n.Inputs()[:len(n.Inputs())-a.Shared]
	for i, x := range n.Inputs()[len(operands):] {
		inner.names[a.Body.Inputs()[len(operands)+i]] = l.value(x) // a body sees the values around it
	}
	body := inner.graphProto(nil)
	scanned := len(operands) - a.Carried
	attrs := []*onnxpb.AttributeProto{graphAttr("body", body), intAttr("num_scan_inputs", scanned)}
	if a.Reverse {
		stacks := len(n.Types()) - a.Carried
		attrs = append(attrs, intsAttr("scan_input_directions", slices.Repeat([]int{1}, scanned)...))
		if stacks > 0 {
			attrs = append(attrs, intsAttr("scan_output_directions", slices.Repeat([]int{1}, stacks)...))
		}
	}
	outputs := l.emitN("Scan", len(n.Types()), l.values(operands), attrs...)
	l.scans[n] = outputs
	return outputs[0]
}

func lowerProject(l *lowering, n *graph.Node) string {
	scan := n.Inputs()[0]
	l.value(scan)
	return l.scans[scan][n.Attr().(graph.ProjectAttr).Index]
}
