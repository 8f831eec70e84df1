package onnximport

import (
	"fmt"

	"ebm/export/onnxpb"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Whole numbers of types that nodes lack are held in wider ones; uint64 in int64, as the
// same bits.

// narrowType is how a type that nodes lack is held.
type narrowType struct {
	bits   int
	signed bool
	held   tensor.DType
}

func narrowTypeOf(t onnxpb.TensorProto_DataType) (n narrowType, ok bool) {
	switch t {
	case onnxpb.TensorProto_UINT16:
		return narrowType{16, false, tensor.Int32}, true
	case onnxpb.TensorProto_UINT32:
		return narrowType{32, false, tensor.Int64}, true
	case onnxpb.TensorProto_UINT64:
		return narrowType{64, false, tensor.Int64}, true
	case onnxpb.TensorProto_UINT2:
		return narrowType{2, false, tensor.Uint8}, true
	case onnxpb.TensorProto_INT2:
		return narrowType{2, true, tensor.Int8}, true
	case onnxpb.TensorProto_UINT4:
		return narrowType{4, false, tensor.Uint8}, true
	case onnxpb.TensorProto_INT4:
		return narrowType{4, true, tensor.Int8}, true
	}
	return n, false
}

// limits returns the least and the largest number of the type.
func (n narrowType) limits() (low, high float64) {
	if n.signed {
		return -float64(int(1) << (n.bits - 1)), float64(int(1)<<(n.bits-1) - 1)
	}
	return 0, float64(uint64(1)<<n.bits - 1)
}

// narrowKind returns a type that is held in a wider one, UNDEFINED for all others.
func narrowKind(t onnxpb.TensorProto_DataType) onnxpb.TensorProto_DataType {
	if _, ok := narrowTypeOf(t); ok {
		return t
	}
	return onnxpb.TensorProto_UNDEFINED
}

// rawSize returns the bytes of count elements in raw data; several below 8 bits share one.
func rawSize(t onnxpb.TensorProto_DataType, count int) int {
	if n, ok := narrowTypeOf(t); ok {
		return (count*n.bits + 7) / 8
	}
	return count * elementSize(t)
}

// widen reads little-endian elements of a type that is held in a wider one.
func widen(n narrowType, shape []int, raw []byte) *tensor.Tensor {
	whole := tensor.New(tensor.Int64, shape...)
	for i := range tensor.Data[int64](whole) {
		at, v := i*n.bits, uint64(0)
		for k := 0; k < max(1, n.bits/8); k++ {
			v |= uint64(raw[at/8+k]) << (8 * k)
		}
		v = v >> (at % 8) << (64 - n.bits) // its sign in front
		if n.signed {
			tensor.Data[int64](whole)[i] = int64(v) >> (64 - n.bits)
		} else {
			tensor.Data[int64](whole)[i] = int64(v >> (64 - n.bits))
		}
	}
	return typed(whole, n.held)
}

// widenList reads elements that stand in a list: below 8 bits, several to a number.
func widenList(p *onnxpb.TensorProto, n narrowType, shape []int, count int) (*tensor.Tensor, error) {
	kind := onnxpb.TensorProto_DataType(p.GetDataType())
	var raw []byte
	add := func(v uint64) {
		for k := range max(1, n.bits/8) {
			raw = append(raw, byte(v>>(8*k)))
		}
	}
	for _, v := range p.Int32Data {
		add(uint64(v))
	}
	for _, v := range p.Uint64Data {
		add(v)
	}
	if len(raw) != rawSize(kind, count) {
		return nil, fmt.Errorf("%d bytes in lists for shape %v of %v, want %d", len(raw), p.Dims, kind, rawSize(kind, count))
	}
	return widen(n, shape, raw), nil
}

// wrapped keeps of whole numbers the bits that a type has.
func wrapped(x *graph.Node, n narrowType) *graph.Node {
	if n.bits == 64 {
		return graph.Cast(x, n.held)
	}
	x = graph.Cast(x, tensor.Int64)
	all, half := constantLike(x, float64(int(1)<<n.bits)), constantLike(x, 0)
	if n.signed {
		half = constantLike(x, float64(int(1)<<(n.bits-1)))
	}
	return graph.Cast(graph.Sub(floorMod(graph.Add(x, half), all), half), n.held)
}
