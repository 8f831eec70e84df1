package export

import (
	"ebm/export/onnxpb"
	"ebm/models/graph"
	"ebm/models/tensor"
)

// Arithmetic says how a model computes the products of its float32 convolutions and matrices,
// those of their derivatives among them; the zero value is float32. Others have their factors and
// results in Float16 or BFloat16. Everything else stays in float32: what goes in and out,
// sums, weights (which a training step rounds anew for each product), the update. Products
// with a vector are sums, and stay too.
//
// A device adds up products of 16 bits in float32, and rounds the sum. BFloat16 has no
// transposed convolution in ONNX Runtime's CUDA provider, so that this stays in float32.
type Arithmetic struct {
	DType tensor.DType // Float16 or BFloat16, or Invalid for float32
	// Rounding computes in float32 with values that are rounded to DType, where a device
	// would have them: for a processor, which has no arithmetic of 16 bits.
	Rounding bool
}

// opset returns the version of the default domain whose convolutions take the products'
// type: BFloat16 came with 22.
func (p Arithmetic) opset() (version, ir int64) {
	if p.DType == tensor.BFloat16 && !p.Rounding {
		return 22, 10
	}
	return opset, irVersion
}

// narrows reports whether n's products have 16 bits.
func (p Arithmetic) narrows(n *graph.Node) bool {
	if p.DType == tensor.Invalid || n.DType() != tensor.Float32 {
		return false
	}
	switch n.Op() {
	case graph.OpConv, graph.OpConvInputGrad, graph.OpConvFilterGrad:
		return true
	case graph.OpMatMul:
		a, b := n.Inputs()[0].Shape(), n.Inputs()[1].Shape()
		for _, d := range []graph.Dim{a[len(a)-2], a[len(a)-1], b[len(b)-1]} {
			if size, fixed := d.Constant(); fixed && size == 1 {
				return false
			}
		}
		return true
	}
	return false
}

// takes reports whether an ONNX operator is a product with a form of 16 bits.
func (p Arithmetic) takes(op string) bool {
	return op == "Conv" || op == "MatMul" || op == "ConvTranspose" && p.DType == tensor.Float16
}

// emitNarrow emits a product of values that are rounded to the products' type.
func (l *lowering) emitNarrow(op string, inputs []string, attrs []*onnxpb.AttributeProto) string {
	p := l.products
	cast := func(value string, to tensor.DType) string {
		return l.emitIn("", "Cast", 1, []string{value}, intAttr("to", int(onnxTypes[to])))[0]
	}
	narrow := make([]string, len(inputs))
	for i, value := range inputs {
		if l.narrowed[value] == "" { // each value once
			n := cast(value, p.DType)
			if p.Rounding {
				n = cast(n, tensor.Float32)
			}
			l.narrowed[value] = n
		}
		narrow[i] = l.narrowed[value]
	}
	out := l.emitIn("", op, 1, narrow, attrs...)[0]
	if p.Rounding {
		out = cast(out, p.DType)
	}
	return cast(out, tensor.Float32)
}
