package onnxwire

import "google.golang.org/protobuf/encoding/protowire"

// The numbers of fields in the messages of onnx.proto.
const (
	ModelIRVersion       protowire.Number = 1
	ModelProducer        protowire.Number = 2
	ModelProducerVersion protowire.Number = 3
	ModelDoc             protowire.Number = 6
	ModelGraph           protowire.Number = 7
	ModelOpset           protowire.Number = 8
	ModelMetadata        protowire.Number = 14
	ModelFunction        protowire.Number = 25

	EntryKey   protowire.Number = 1
	EntryValue protowire.Number = 2

	GraphNode        protowire.Number = 1
	GraphName        protowire.Number = 2
	GraphInitializer protowire.Number = 5
	GraphInput       protowire.Number = 11
	GraphOutput      protowire.Number = 12
	GraphSparse      protowire.Number = 15

	NodeOp        protowire.Number = 4
	NodeAttribute protowire.Number = 5
	NodeDomain    protowire.Number = 7

	AttributeGraph  protowire.Number = 6
	AttributeGraphs protowire.Number = 11

	FunctionNode protowire.Number = 7
	SparseValues protowire.Number = 1

	TensorDims     protowire.Number = 1
	TensorType     protowire.Number = 2
	TensorStrings  protowire.Number = 6
	TensorName     protowire.Number = 8
	TensorRaw      protowire.Number = 9
	TensorExternal protowire.Number = 13
	TensorLocation protowire.Number = 14

	ValueName      protowire.Number = 1
	ValueType      protowire.Number = 2
	TypeTensor     protowire.Number = 1
	TensorElemType protowire.Number = 1
	TensorShape    protowire.Number = 2
	ShapeDim       protowire.Number = 1
	DimValue       protowire.Number = 1
	DimParam       protowire.Number = 2
)
