package onnximport_test

import (
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"ebm/export"
	"ebm/export/onnximport"
	"ebm/export/onnxpb"
	"ebm/internal/testkit"
)

// FuzzParse looks for bytes that make the importer panic, hang or take
// memory without end. What imports is also differentiated.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.onnx")
	if err != nil || len(files) == 0 {
		f.Fatalf("seeds: %v, %v", files, err)
	}
	for _, path := range files {
		b := testkit.Read(f, path)
		f.Add(b)
		f.Add(b[:len(b)/2])
		// The nodes alone: mutations of weights teach nothing.
		m := &onnxpb.ModelProto{}
		if err := proto.Unmarshal(b, m); err != nil {
			f.Fatal(err)
		}
		for _, t := range m.Graph.Initializer {
			if len(t.RawData) > 64 {
				t.RawData, t.Dims = t.RawData[:16], []int64{4}
			}
		}
		if b, err = proto.Marshal(m); err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	if b, err := export.Bytes(network(), export.Options{}); err == nil {
		f.Add(b)
	}
	for _, b := range handmade() {
		f.Add(b)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		m, err := onnximport.Parse(b, onnximport.Options{Sizes: map[string]int{"batch": 2}})
		if err != nil {
			return
		}
		if err := m.Graph.Verify(); err != nil {
			t.Errorf("an imported graph does not verify: %v", err)
		}
		var wrt []string
		for _, in := range m.Graph.Inputs() {
			wrt = append(wrt, in.InputName())
		}
		if len(m.Graph.Outputs()) > 0 {
			m.Differentiate(onnximport.Derivatives{Of: []string{m.Graph.Outputs()[0].Name}, Wrt: wrt, Parameters: true})
		}
	})
}
