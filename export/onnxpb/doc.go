// Package onnxpb holds the protobuf messages of ONNX files: ModelProto and all
// that is inside one, at intermediate representation version 14 (ONNX 1.23).
//
// The Go code is generated and never edited. Its source, ebm_onnx.proto, is the
// onnx.proto of the ONNX project (Apache-2.0, LICENSE.onnx) under another file
// name and the package ebm.onnx: the Go protobuf runtime has one registry per
// program, in which the original names belong to any other ONNX package that is
// linked in (onnx-go registers them), and a second registration under the same
// names stops the program at its start. Names of files and packages are not
// on the wire, so the messages read and write ordinary ONNX files.
//
// The schema is proto2: a scalar field is a pointer, nil when absent, and an
// attribute's zero is written out once it is set.
//
// To regenerate (protoc 3.21 on the PATH; the plug-in's version is that of
// google.golang.org/protobuf in go.mod), run go generate in this folder.
package onnxpb

//go:generate go build -o protoc-gen-go google.golang.org/protobuf/cmd/protoc-gen-go
//go:generate protoc --plugin=./protoc-gen-go --go_out=. --go_opt=paths=source_relative ebm_onnx.proto
//go:generate mv ebm_onnx.pb.go onnx.pb.go
//go:generate rm protoc-gen-go
