package onnximport_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"ebm/export/onnximport"
	"ebm/internal/testkit"
)

var update = flag.Bool("update", false, "write the table of operators into the document")

// TestDocument holds the table in docs/onnx-import.md to the operators that
// are read.
func TestDocument(t *testing.T) {
	const path = "../../docs/onnx-import.md"
	b := testkit.Read(t, path)
	head, rest, ok1 := strings.Cut(string(b), "-update -->\n")
	_, tail, ok2 := strings.Cut(rest, "<!-- end -->")
	if !ok1 || !ok2 {
		t.Fatalf("%s has no place for the table", path)
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%d operators:\n\n| operator | since | |\n| --- | --- | --- |\n", len(onnximport.Operators()))
	for _, o := range onnximport.Operators() {
		fmt.Fprintf(&table, "| %s | %d | %s |\n", o.Name, o.Since, o.Note)
	}
	want := head + "-update -->\n" + table.String() + "<!-- end -->" + tail
	switch {
	case want == string(b):
	case *update:
		testkit.Write(t, path, []byte(want))
	default:
		t.Errorf("the table of operators in %s is not that of the code; run this test with -update", path)
	}
}
