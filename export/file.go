package export

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"ebm/export/onnxpb"
	"ebm/internal/atomicfile"
	"ebm/internal/onnxwire"
	"ebm/models/graph"
)

// maxProto is the largest message that protobuf allows, in bytes.
const maxProto = 1<<31 - 1

// sealSize is more than a seal adds to a file, in bytes.
const sealSize = 256

// WriteFile writes the ONNX model of g to path, completely or not at all.
// A model that is too large for one file keeps its weights in a second one
// beside it, path + ".data", as ONNX's external data. The file ends with a seal
// ([onnxwire.Seal]) and has one of the second file ([onnxwire.DataSeal]), which
// whoever reads them here compares.
func WriteFile(path string, g *graph.Graph, o Options) error {
	return writeFile(path, g, o, maxProto)
}

func writeFile(path string, g *graph.Graph, o Options, limit int) error {
	m, err := Model(g, o)
	if err != nil {
		return err
	}
	if proto.Size(m) > limit-sealSize {
		data := path + ".data"
		sum, err := writeExternal(data, m)
		if err != nil {
			return err
		}
		m.MetadataProps = append(m.MetadataProps, entry(onnxwire.DataKey, onnxwire.DataSeal(sum, filepath.Base(data))))
	}
	b, err := Marshal(m)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, onnxwire.Seal(b))
}

// writeExternal moves the data of all but small initialisers, those inside of
// Scans too, to a file of their own, and returns its SHA-256.
func writeExternal(path string, m *onnxpb.ModelProto) (sum string, err error) {
	const (
		small = 1024
		align = 4096 // so that a runtime can map each tensor
	)
	tensors := initialisers(m.Graph, nil)
	h := sha256.New()
	err = atomicfile.Write(path, func(file io.Writer) error {
		w, offset := io.MultiWriter(file, h), 0
		for _, t := range tensors {
			if len(t.RawData) < small {
				continue
			}
			gap := (align - offset%align) % align
			if _, err := w.Write(make([]byte, gap)); err != nil {
				return err
			}
			if _, err := w.Write(t.RawData); err != nil {
				return err
			}
			offset += gap
			t.DataLocation = onnxpb.TensorProto_EXTERNAL.Enum()
			t.ExternalData = []*onnxpb.StringStringEntryProto{
				entry("location", filepath.Base(path)),
				entry("offset", fmt.Sprint(offset)),
				entry("length", fmt.Sprint(len(t.RawData))),
			}
			offset += len(t.RawData)
			t.RawData = nil
		}
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

func initialisers(g *onnxpb.GraphProto, list []*onnxpb.TensorProto) []*onnxpb.TensorProto {
	list = append(list, g.Initializer...)
	for _, n := range g.Node {
		for _, a := range n.Attribute {
			if a.G != nil {
				list = initialisers(a.G, list)
			}
		}
	}
	return list
}

func entry(key, value string) *onnxpb.StringStringEntryProto {
	return &onnxpb.StringStringEntryProto{Key: proto.String(key), Value: proto.String(value)}
}
