package export

import (
	"ebm/models/graph"
)

// lowerScan emits an ONNX Scan. The weights that its body uses are
// initialisers inside the body, where runtimes can lay them out once.
func lowerScan(l *lowering, n *graph.Node) string {
	a := n.Attr().(graph.ScanAttr)
	inner := newLowering(a.Body, l, l.blocks.channels())
	body := inner.graphProto(nil)
	outputs := l.emitN("Scan", len(n.Types()), l.values(n.Inputs()),
		graphAttr("body", body), intAttr("num_scan_inputs", len(n.Inputs())-a.Carried))
	l.scans[n] = outputs
	return outputs[0]
}

func lowerProject(l *lowering, n *graph.Node) string {
	scan := n.Inputs()[0]
	l.value(scan)
	return l.scans[scan][n.Attr().(graph.ProjectAttr).Index]
}
