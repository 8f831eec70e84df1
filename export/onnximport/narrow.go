package onnximport

import (
	bin "encoding/binary"
	"fmt"

	"ebm/export/onnxpb"
	"ebm/models/tensor"
)

// Constants of types that nodes lack, as the zero points and weights of quantised files
// have, are held in wider ones.

// heldIn returns the type of nodes that holds the numbers of a constant.
func heldIn(t onnxpb.TensorProto_DataType) (tensor.DType, error) {
	switch t {
	case onnxpb.TensorProto_UINT16:
		return tensor.Int32, nil
	case onnxpb.TensorProto_UINT32:
		return tensor.Int64, nil
	case onnxpb.TensorProto_UINT4:
		return tensor.Uint8, nil
	case onnxpb.TensorProto_INT4:
		return tensor.Int8, nil
	}
	return dtypeOf(t)
}

// narrowKind returns a type that is held in a wider one, UNDEFINED for all others.
func narrowKind(t onnxpb.TensorProto_DataType) onnxpb.TensorProto_DataType {
	if _, err := dtypeOf(t); err != nil {
		return t
	}
	return onnxpb.TensorProto_UNDEFINED
}

// rawSize returns the bytes of count elements in raw data; two of 4 bits share one.
func rawSize(t onnxpb.TensorProto_DataType, count int) int {
	if t == onnxpb.TensorProto_UINT4 || t == onnxpb.TensorProto_INT4 {
		return (count + 1) / 2
	}
	return count * elementSize(t)
}

// widen reads little-endian elements of a type that is held in a wider one.
func widen(out *tensor.Tensor, kind onnxpb.TensorProto_DataType, raw []byte) {
	switch kind {
	case onnxpb.TensorProto_UINT16:
		for i := range tensor.Data[int32](out) {
			tensor.Data[int32](out)[i] = int32(bin.LittleEndian.Uint16(raw[2*i:]))
		}
	case onnxpb.TensorProto_UINT32:
		for i := range tensor.Data[int64](out) {
			tensor.Data[int64](out)[i] = int64(bin.LittleEndian.Uint32(raw[4*i:]))
		}
	case onnxpb.TensorProto_UINT4:
		for i := range tensor.Data[uint8](out) {
			tensor.Data[uint8](out)[i] = raw[i/2] >> (4 * (i % 2)) & 15
		}
	case onnxpb.TensorProto_INT4:
		for i := range tensor.Data[int8](out) {
			tensor.Data[int8](out)[i] = int8(raw[i/2]>>(4*(i%2))<<4) >> 4
		}
	}
}

// widenList reads elements that stand in a list: of 4 bits two to a number.
func widenList(p *onnxpb.TensorProto, dtype tensor.DType, shape []int, count int) (*tensor.Tensor, error) {
	kind := onnxpb.TensorProto_DataType(p.GetDataType())
	var raw []byte
	for _, v := range p.Int32Data {
		switch kind {
		case onnxpb.TensorProto_UINT16:
			raw = bin.LittleEndian.AppendUint16(raw, uint16(v))
		case onnxpb.TensorProto_UINT4, onnxpb.TensorProto_INT4:
			raw = append(raw, byte(v))
		}
	}
	if kind == onnxpb.TensorProto_UINT32 {
		for _, v := range p.Uint64Data {
			raw = bin.LittleEndian.AppendUint32(raw, uint32(v))
		}
	}
	if len(raw) != rawSize(kind, count) {
		return nil, fmt.Errorf("%d bytes in lists for shape %v of %v, want %d", len(raw), p.Dims, kind, rawSize(kind, count))
	}
	out := tensor.New(dtype, shape...)
	widen(out, kind, raw)
	return out, nil
}
