package onnximport_test

import (
	"slices"

	"ebm/models/tensor"
)

// row is one form of an operator: its operands, attributes and number of
// results. kinks marks functions whose gradient is not compared, because it
// jumps or because nothing flows through them.
type row struct {
	op      string
	version int
	args    []arg
	attrs   attrs
	results int // 1 where it is 0
	kinks   bool
}

func r(op string, version int, args ...arg) row { return row{op: op, version: version, args: args} }

func (r row) with(pairs ...any) row {
	a := attrs{}
	for k, v := range r.attrs {
		a[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		a[pairs[i].(string)] = pairs[i+1]
	}
	r.attrs = a
	return r
}

func (r row) outs(n int) row { r.results = n; return r }

func (r row) jumps() row { r.kinks = true; return r }

// rows has every operator of the table, in every form that it distinguishes
// and ONNX Runtime has.
func rows() []row {
	return slices.Concat(elementwiseRows(), activationRows(), linearRows(), poolRows(), normRows(), layoutRows(), indexRows(), reductionRows(),
		otherRows(), microsoftRows(), pictureRows(), sortRows(), spectralRows(), quantizedRows(), machineLearningRows(),
		measuredRows(), bitRows())
}

func elementwiseRows() []row {
	a := []int{2, 3}
	return []row{
		r("Abs", 13, apart(a...)), r("Abs", 13, whole([]int{3}, -2, 0, 5)),
		r("Acos", 7, small(a...)), r("Asin", 7, small(a...)), r("Atan", 7, v(a...)),
		r("Asinh", 9, v(a...)), r("Acosh", 9, weight(floats(1.5, 2, 7))).jumps(), r("Atanh", 9, small(a...)),
		r("Sin", 7, v(a...)), r("Cos", 7, v(a...)), r("Tan", 7, small(a...)), r("Sinh", 9, v(a...)), r("Cosh", 9, v(a...)),
		r("Add", 14, v(2, 3), v(3)), r("Sub", 14, v(2, 1), v(1, 3)), r("Mul", 14, v(2, 3), v()), r("Div", 14, v(2, 3), positive(2, 1)),
		r("Add", 14, whole([]int{2}, 1, 2), whole([]int{1}, 3)), r("Div", 14, whole([]int{3}, 7, -7, 8), ints(2)),
		r("And", 7, truth(2, 3), truth(3)).jumps(), r("Or", 7, truth(2, 3), truth(2, 1)).jumps(), r("Xor", 7, truth(6), truth(6)).jumps(),
		r("Not", 1, truth(5)).jumps(),
		r("Cast", 13, v(a...)).with("to", 11), r("Cast", 13, apart(a...)).with("to", 7).jumps(),
		r("Cast", 13, whole([]int{3}, 0, 2, -1)).with("to", 9).jumps(),
		r("CastLike", 15, whole([]int{3}, 0, 2, -1), weight(v(1))).jumps(),
		r("Ceil", 13, apart(a...)).jumps(), r("Floor", 13, apart(a...)).jumps(), r("Round", 11, floats(0.5, 1.5, -0.5, 2.2)).jumps(),
		r("Clip", 13, apart(8), scalar(-2), scalar(2)), r("Clip", 13, apart(8), none, scalar(2)), r("Clip", 13, apart(8)),
		r("Clip", 10, apart(8)).with("min", -1.0), r("Clip", 12, whole([]int{3}, 1, 5, 9), scalarInt(2), scalarInt(6)),
		r("Erf", 13, v(a...)), r("Exp", 13, v(a...)), r("Log", 13, positive(a...)), r("Sqrt", 13, positive(a...)),
		r("Reciprocal", 13, positive(a...)), r("Neg", 13, v(a...)), r("Neg", 13, whole([]int{2}, 3, -4)),
		r("Equal", 13, whole([]int{3}, 1, 2, 3), ints(2)).jumps(), r("Equal", 13, truth(5), truth(5)).jumps(),
		r("Greater", 13, v(2, 3), v(3)).jumps(), r("Less", 13, v(2, 3), v(3)).jumps(),
		r("GreaterOrEqual", 16, whole([]int{3}, 1, 2, 3), ints(2)).jumps(), r("LessOrEqual", 16, whole([]int{3}, 1, 2, 3), ints(2)).jumps(),
		r("IsNaN", 13, v(a...)).jumps(), r("IsInf", 10, v(a...)).with("detect_negative", 0).jumps(),
		r("Max", 13, v(2, 3), v(3), v(2, 1)), r("Min", 13, v(2, 3), v(3)), r("Sum", 13, v(2, 3), v(3), v(1)), r("Mean", 13, v(2, 3), v(3)),
		r("Max", 13, whole([]int{2}, 1, 9), ints(4)),
		r("Mod", 13, whole([]int{4}, 7, -7, 7, -7), whole([]int{4}, 3, 3, -3, -3)), r("Mod", 13, apart(4), positive(4)).with("fmod", 1).jumps(),
		r("Mod", 13, whole([]int{2}, 7, -7), ints(3)).with("fmod", 1),
		r("Pow", 15, positive(2, 3), v(3)), r("Pow", 15, v(2, 3), scalar(2)), r("Pow", 15, v(2, 3), scalar(3)),
		r("Pow", 15, positive(2, 3), scalar(0.5)), r("Pow", 15, positive(2, 3), scalar(-1)), r("Pow", 15, v(2, 3), scalarInt(2)),
		r("Pow", 15, whole([]int{2}, 3, -2), scalarInt(3)), r("Pow", 13, v(2, 3), scalar(1)),
		r("Sign", 13, apart(a...)).jumps(), r("Where", 16, truth(2, 3), v(3), v(2, 1)),
	}
}

func activationRows() []row {
	a := []int{2, 3, 4}
	return []row{
		r("Relu", 14, apart(a...)), r("LeakyRelu", 16, apart(a...)), r("LeakyRelu", 16, apart(a...)).with("alpha", 0.3),
		r("PRelu", 16, apart(2, 3, 4), v(3, 1)),
		r("Elu", 6, apart(a...)), r("Elu", 6, apart(a...)).with("alpha", 2.0), r("Selu", 6, apart(a...)),
		r("Celu", 12, apart(a...)).with("alpha", 0.7),
		r("ThresholdedRelu", 10, apart(a...)).with("alpha", 0.5).jumps(), r("HardSigmoid", 6, apart(a...)), r("HardSwish", 14, apart(a...)),
		r("Shrink", 9, apart(a...)).with("lambd", 0.6, "bias", 0.4).jumps(),
		r("Sigmoid", 13, v(a...)), r("Tanh", 13, v(a...)), r("Softplus", 1, v(a...)), r("Softsign", 1, apart(a...)), r("Mish", 18, v(a...)),
		r("Gelu", 20, v(a...)), r("Gelu", 20, v(a...)).with("approximate", "tanh"),
		r("Softmax", 13, v(a...)), r("Softmax", 13, v(a...)).with("axis", 1), r("Softmax", 11, v(a...)),
		r("Softmax", 11, v(a...)).with("axis", -1), r("LogSoftmax", 13, v(a...)).with("axis", 0), r("LogSoftmax", 11, v(a...)).with("axis", 0),
		r("Hardmax", 13, apart(a...)).with("axis", 1).jumps(), r("Hardmax", 11, apart(a...)).with("axis", 1).jumps(),
		r("Swish", 24, v(a...)).with("alpha", 1.3),
	}
}

func linearRows() []row {
	return []row{
		r("Gemm", 13, v(2, 3), v(3, 4), v(4)), r("Gemm", 13, v(3, 2), v(4, 3), v(2, 1)).with("transA", 1, "transB", 1, "alpha", 0.5, "beta", 2.0),
		r("Gemm", 13, v(2, 3), v(3, 4)),
		r("MatMul", 13, v(2, 3), v(3, 4)), r("MatMul", 13, v(3), v(3, 4)), r("MatMul", 13, v(2, 3), v(3)), r("MatMul", 13, v(3), v(3)),
		r("MatMul", 13, v(2, 2, 3), v(3)), r("MatMul", 13, v(2, 2, 3), v(3, 4)), r("MatMul", 13, v(2, 1, 2, 3), v(3, 3, 2)),
		r("MatMul", 13, v(3), v(2, 3, 4)),
		r("Conv", 11, v(1, 2, 5, 5), v(3, 2, 3, 3), v(3)).with("pads", []int{1, 0, 1, 2}, "strides", []int{2, 1}),
		r("Conv", 11, v(2, 4, 6), v(4, 2, 3)).with("group", 2, "dilations", []int{2}, "kernel_shape", []int{3}),
		r("Conv", 11, v(1, 1, 5, 6), v(2, 1, 3, 2)).with("auto_pad", "SAME_UPPER", "strides", []int{2, 2}),
		r("Conv", 11, v(1, 1, 5, 6), v(2, 1, 3, 2)).with("auto_pad", "SAME_LOWER"),
		r("Conv", 11, v(1, 1, 5, 6), v(2, 1, 3, 2)).with("auto_pad", "VALID"), r("Conv", 11, v(1, 1, 3, 3, 3), v(2, 1, 2, 2, 2)),
		r("Attention", 23, v(2, 2, 3, 4), v(2, 2, 5, 4), v(2, 2, 5, 3)),
		r("Attention", 23, v(1, 3, 8), v(1, 3, 4), v(1, 3, 4)).with("q_num_heads", 4, "kv_num_heads", 2, "is_causal", 1, "scale", 0.3),
		r("Attention", 23, v(1, 1, 3, 4), v(1, 1, 5, 4), v(1, 1, 5, 4), v(3, 5)).with("softcap", 2.0),
		r("Attention", 23, v(1, 2, 2, 4), v(1, 2, 2, 4), v(1, 2, 2, 4),
			arg{value: tensor.Of([]bool{true, false, true, true, true, true, false, true, true, true}, 2, 5)},
			v(1, 2, 3, 4), v(1, 2, 3, 4)).outs(3),
		r("Einsum", 12, v(2, 3), v(3, 4)).with("equation", "ij,jk->ik"), r("Einsum", 12, v(2, 3, 4), v(2, 5, 4)).with("equation", "bid,bjd->bij"),
		r("Einsum", 12, v(2, 3, 3)).with("equation", "...ii->...i"), r("Einsum", 12, v(3, 3)).with("equation", "ii"),
		r("Einsum", 12, v(2, 3)).with("equation", "ji"), r("Einsum", 12, v(2, 1, 3), v(4, 3), v(3)).with("equation", "...i, ji, i -> ...j"),
		r("Einsum", 12, v(2, 3), v(2, 3)).with("equation", "ij,ij->"), r("Einsum", 12, v(2), v(3)).with("equation", "i,j->ji"),
		r("DequantizeLinear", 13, arg{value: tensor.Of([]int32{1, -2, 3, 4}, 2, 2), fixed: true}, positive(2)),
		r("QuantizeLinear", 13, apart(2, 3), positive(3), weight(arg{value: tensor.Of([]uint8{3, 100, 7}, 3)})).with("axis", 1).jumps(),
		r("QuantizeLinear", 10, apart(2, 3), scalar(0.04), weight(arg{value: tensor.Of([]int8{-5})})).jumps(),
		r("QuantizeLinear", 10, apart(2, 3), scalar(0.04)).jumps(),
		r("ConvTranspose", 11, v(1, 2, 3, 3), v(2, 3, 3, 3), v(3)).with("strides", []int{2, 2}, "pads", []int{1, 1, 1, 1}, "output_padding",
			[]int{1, 1}), r("ConvTranspose", 11, v(1, 4, 5), v(4, 2, 3)).with("group", 2, "dilations", []int{2}),
		r("ConvTranspose", 11, v(1, 1, 3, 3), v(1, 1, 3, 3)).with("strides", []int{2, 2}, "output_shape", []int{6, 6}),
		r("ConvTranspose", 11, v(1, 1, 3, 3), v(1, 1, 3, 3)).with("strides", []int{2, 2}, "auto_pad", "SAME_UPPER"),
		r("ConvTranspose", 11, v(1, 1, 3), v(1, 1, 2)).with("strides", []int{3}, "output_padding", []int{2}),
	}
}

func poolRows() []row {
	k := []int{2, 3}
	return []row{
		r("MaxPool", 12, apart(1, 2, 5, 6)).with("kernel_shape", k),
		r("MaxPool", 12, apart(1, 2, 5, 6)).with("kernel_shape", k, "strides", []int{2, 2}, "pads", []int{1, 1, 0, 2}, "ceil_mode", 1),
		r("MaxPool", 12, apart(1, 1, 7, 7)).with("kernel_shape", []int{2, 2}, "dilations", []int{2, 3}, "pads", []int{1, 0, 1, 0}),
		r("MaxPool", 12, apart(1, 2, 5)).with("kernel_shape", []int{3}, "auto_pad", "SAME_UPPER", "strides", []int{2}),
		r("MaxPool", 12, apart(2, 2, 4, 4)).with("kernel_shape", []int{2, 2}).outs(2),
		r("AveragePool", 19, v(1, 2, 5, 6)).with("kernel_shape", k),
		r("AveragePool", 19, v(1, 2, 5, 6)).with("kernel_shape", k, "pads", []int{1, 1, 0, 2}),
		r("AveragePool", 19, v(1, 2, 5, 6)).with("kernel_shape", k, "pads", []int{1, 1, 0, 2}, "count_include_pad", 1),
		r("AveragePool", 19, v(1, 2, 6, 6)).with("kernel_shape", []int{3, 3}, "strides", []int{2, 2}, "ceil_mode", 1),
		r("AveragePool", 19, v(1, 1, 7, 7)).with("kernel_shape", []int{2, 2}, "dilations", []int{2, 2}),
		r("AveragePool", 11, v(1, 2, 5)).with("kernel_shape", []int{2}, "auto_pad", "SAME_LOWER"),
		r("GlobalAveragePool", 1, v(2, 3, 2, 4)), r("GlobalMaxPool", 1, apart(2, 3, 2, 4)), r("GlobalLpPool", 2, positive(2, 3, 4)).with("p", 3),
		r("LpPool", 11, positive(1, 2, 4, 4)).with("kernel_shape", []int{2, 2}, "p", 3),
		r("LpPool", 11, positive(1, 2, 4)).with("kernel_shape", []int{2}, "pads", []int{1, 0}),
	}
}

func normRows() []row {
	return []row{
		r("BatchNormalization", 15, v(2, 3, 4), v(3), v(3), v(3), positive(3)).with("epsilon", 0.01),
		r("BatchNormalization", 9, v(2, 3), v(3), v(3), v(3), positive(3)),
		r("Dropout", 13, v(2, 3)), r("Dropout", 10, v(2, 3)).with("ratio", 0.3), r("InstanceNormalization", 6, v(2, 3, 4), v(3), v(3)),
		r("LayerNormalization", 17, v(2, 3, 4), v(4), v(4)), r("LayerNormalization", 17, v(2, 3, 4), v(3, 4)).with("axis", 1, "epsilon", 0.1),
		r("LayerNormalization", 17, v(2, 4), v(4), v(4)).outs(3),
		r("GroupNormalization", 21, v(2, 4, 3), v(4), v(4)).with("num_groups", 2),
		r("GroupNormalization", 18, v(2, 4, 3), v(2), v(2)).with("num_groups", 2), r("RMSNormalization", 23, v(2, 4), v(4)),
		r("MeanVarianceNormalization", 13, v(2, 3, 2, 2)),
		r("LpNormalization", 1, v(2, 3)).with("axis", 1), r("LpNormalization", 1, apart(2, 3)).with("axis", 0, "p", 1),
		r("LRN", 13, v(1, 4, 2, 2)).with("size", 3, "alpha", 0.5), r("LRN", 13, v(1, 4, 2, 2)).with("size", 5, "bias", 2.0),
	}
}

func layoutRows() []row {
	return []row{
		r("Concat", 13, v(2, 1), v(2, 3)).with("axis", -1), r("Constant", 13).with("value_float", 2.5),
		r("Constant", 13).with("value_ints", []int{1, 2}), r("Constant", 13).with("value", tensor.Of([]float32{1, 2}, 1, 2)),
		r("ConstantOfShape", 9, ints(2, 3)).with("value", tensor.Of([]float32{7}, 1)), r("ConstantOfShape", 9, ints(2)),
		r("DepthToSpace", 13, v(1, 8, 2, 3)).with("blocksize", 2), r("DepthToSpace", 13, v(1, 8, 2, 3)).with("blocksize", 2, "mode", "CRD"),
		r("SpaceToDepth", 13, v(1, 2, 4, 6)).with("blocksize", 2),
		r("Expand", 13, v(3, 1), ints(2, 1, 4)), r("EyeLike", 9, v(2, 3)).with("k", 1, "dtype", 1).jumps(),
		r("Flatten", 13, v(2, 3, 4)).with("axis", 2), r("Flatten", 13, v(2, 3, 4)).with("axis", 0), r("Identity", 16, v(3)),
		r("Pad", 13, v(2, 3), ints(1, 0, 0, 2)), r("Pad", 13, v(2, 3), ints(1, 0, 0, 2), scalar(5)), r("Pad", 13, v(2, 4), ints(0, -1, 1, -1)),
		r("Pad", 13, v(2, 3), ints(1, 2, 0, 1)).with("mode", "reflect"), r("Pad", 13, v(2, 3), ints(1, 2, 0, 1)).with("mode", "edge"),
		r("Pad", 19, v(2, 3), ints(1, 2, 0, 1)).with("mode", "wrap"), r("Pad", 18, v(2, 3), ints(1, 1), none, ints(1)),
		r("Pad", 10, v(2, 3)).with("pads", []int{0, 1, 0, 1}, "value", 1.5),
		r("Range", 11, scalarInt(2), scalarInt(9), scalarInt(3)), r("Range", 11, scalar(1), scalar(-1), scalar(-0.5)).jumps(),
		r("Reshape", 14, v(2, 3, 4), ints(0, -1)), r("Reshape", 14, v(2, 3, 4), ints(4, 6)), r("Shape", 15, v(2, 3)).with("start", 1).jumps(),
		r("Size", 13, v(2, 3)).jumps(),
		r("Slice", 13, v(5, 6), ints(1, -4), ints(5, 6), ints(0, 1), ints(2, 3)), r("Slice", 13, v(5, 6), ints(-1), ints(-9), ints(1), ints(-2)),
		r("Slice", 9, v(5, 6)).with("starts", []int{1}, "ends", []int{100}, "axes", []int{1}), r("Slice", 13, v(5, 6), ints(1), ints(3)),
		r("Split", 13, v(2, 6)).with("axis", 1).outs(3), r("Split", 13, v(2, 6), ints(1, 5)).with("axis", -1).outs(2),
		r("Split", 11, v(2, 6)).with("axis", 1, "split", []int{4, 2}).outs(2), r("Split", 18, v(5)).with("num_outputs", 2).outs(2),
		r("Squeeze", 13, v(1, 3, 1)), r("Squeeze", 13, v(1, 3, 1), ints(-1)), r("Squeeze", 11, v(1, 3, 1)).with("axes", []int{0}),
		r("Unsqueeze", 13, v(3), ints(0, -1)), r("Unsqueeze", 11, v(3)).with("axes", []int{1}),
		r("Tile", 13, v(2, 3), ints(2, 3)), r("Transpose", 13, v(2, 3, 4)), r("Transpose", 13, v(2, 3, 4)).with("perm", []int{1, 0, 2}),
		r("Trilu", 14, v(3, 4)), r("Trilu", 14, v(2, 3, 3), scalarInt(-1)).with("upper", 0),
		r("Resize", 13, v(1, 1, 2, 3), none, floats(1, 1, 2, 3)).with("coordinate_transformation_mode", "asymmetric", "nearest_mode", "floor"),
		r("Resize", 13, v(1, 1, 4, 4), none, none, ints(1, 1, 3, 6)).with("mode", "linear"),
		r("Resize", 13, v(1, 1, 4, 4), none, none, ints(1, 1, 3, 6)).with("mode", "linear", "coordinate_transformation_mode", "align_corners"),
		r("Resize", 13, v(1, 1, 4, 4), none, floats(1, 1, 2, 2)).with("mode", "cubic"),
		r("Resize", 13, v(1, 1, 4, 4), none, none, ints(1, 1, 7, 3)),
		r("Resize", 13, v(1, 1, 4, 4), none, floats(1, 1, 1.5, 2)).with("mode", "linear", "coordinate_transformation_mode",
			"pytorch_half_pixel"), r("Resize", 10, v(1, 1, 2, 2), floats(1, 1, 2, 2)).with("mode", "linear"),
		r("Resize", 18, v(1, 1, 4, 5), none, floats(0.6, 0.7), none).with("mode", "linear", "antialias", 1, "axes", []int{2, 3}),
		r("Resize", 18, v(1, 1, 6, 6), none, none, ints(1, 1, 3, 3)).with("mode", "cubic", "antialias", 1),
		r("Resize", 13, v(1, 1, 4, 4), none, floats(1, 1, 0.6, 0.6)).with("mode", "linear", "coordinate_transformation_mode",
			"align_corners"), r("Resize", 13, v(1, 1, 4, 4), floats(0, 0, 0.2, 0.4, 1, 1, 0.9, 1.2), none, ints(1, 1, 3, 3)).with("mode",
			"linear", "coordinate_transformation_mode", "tf_crop_and_resize", "extrapolation_value", 3.0),
		r("Resize", 19, v(1, 1, 5, 5), none, floats(1, 1, 0.7, 1.3)).with("mode", "linear", "coordinate_transformation_mode",
			"half_pixel_symmetric"), r("Resize", 13, v(1, 1, 4, 4), none, floats(1, 1, 0.8, 1.7)).with("mode", "cubic",
			"exclude_outside", 1), r("Resize", 18, v(1, 1, 4, 6), none, none, ints(7, 8)).with("keep_aspect_ratio_policy",
			"not_larger", "axes", []int{2, 3}),
		r("Upsample", 9, v(1, 1, 2, 3), floats(1, 1, 2, 2)), r("Upsample", 7, v(1, 1, 2, 3)).with("scales", []float64{1, 1, 2, 3}),
	}
}

func indexRows() []row {
	return []row{
		r("Gather", 13, v(3, 4), whole([]int{2, 2}, 0, 2, -1, 1)), r("Gather", 13, v(3, 4), scalarInt(-1)).with("axis", 1),
		r("GatherElements", 13, v(2, 3), whole([]int{2, 2}, 0, 2, -1, 1)).with("axis", 1),
		r("GatherND", 13, v(2, 3, 2), whole([]int{2, 2}, 0, 2, -1, 0)),
		r("GatherND", 13, v(2, 3, 2), whole([]int{2, 1}, 2, -1)).with("batch_dims", 1),
		r("OneHot", 11, whole([]int{3}, 0, 2, -1), scalarInt(4), floats(0.5, 2)),
		r("OneHot", 11, whole([]int{3}, 0, 2, 7), scalarInt(4), floats(0, 1)).with("axis", 0),
		r("ScatterElements", 16, v(3, 3), whole([]int{2, 2}, 0, 2, 1, -3), v(2, 2)),
		r("ScatterElements", 16, v(3, 3), whole([]int{2, 2}, 0, 2, 0, -1), v(2, 2)).with("axis", 1, "reduction", "add"),
		r("Scatter", 9, v(3, 3), whole([]int{1, 2}, 0, 2), v(1, 2)), r("ScatterND", 16, v(3, 2), whole([]int{2, 1}, 2, 0), v(2, 2)),
		r("ScatterND", 16, v(3, 2), whole([]int{2, 2}, 2, 0, 2, 0), v(2)).with("reduction", "add"),
	}
}

func reductionRows() []row {
	var all []row
	for _, op := range []string{"ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
		"ReduceProd", "ReduceSumSquare"} {
		all = append(all, r(op, 18, apart(2, 3, 2), ints(1)), r(op, 13, apart(2, 3, 2)).with("axes", []int{0, -1}, "keepdims", 0),
			r(op, 18, apart(2, 3)), r(op, 18, apart(2, 3)).with("noop_with_empty_axes", 1))
	}
	return append(all,
		r("ReduceLogSum", 18, positive(2, 3, 2), ints(1)), r("ReduceSum", 13, v(2, 3, 2), ints(1)),
		r("ReduceSum", 11, v(2, 3, 2)).with("axes", []int{0, -1}, "keepdims", 0), r("ReduceSum", 13, v(2, 3)),
		r("ReduceSum", 13, whole([]int{2, 2}, 1, 2, 3, 4), ints(0)),
		r("ReduceMax", 18, whole([]int{2, 2}, 1, 2, 3, 4), ints(0)), r("ReduceMin", 18, whole([]int{2, 2}, 1, 2, 3, 4), ints(0)),
		r("ArgMax", 13, apart(3, 4)).with("axis", 1).jumps(), r("ArgMin", 13, apart(3, 4)).with("keepdims", 0).jumps(),
		r("ArgMax", 13, whole([]int{4}, 1, 5, 5, 2)).with("select_last_index", 1),
		r("CumSum", 14, v(2, 4), scalarInt(1)), r("CumSum", 14, v(3, 2), scalarInt(0)).with("exclusive", 1, "reverse", 1),
		r("CumSum", 14, whole([]int{4}, 1, 2, 3, 4), scalarInt(0)),
	)
}

func otherRows() []row {
	lengths := arg{value: tensor.Of([]int32{3, 1}, 2), fixed: true}
	return []row{
		r("RNN", 14, v(3, 2, 2), v(1, 3, 2), v(1, 3, 3)).with("hidden_size", 3).outs(2),
		r("GRU", 14, v(3, 2, 2), v(1, 9, 2), v(1, 9, 3), v(1, 18), none, v(1, 2, 3)).with("hidden_size", 3).outs(2),
		r("GRU", 14, v(3, 1, 2), v(2, 9, 2), v(2, 9, 3), v(2, 18)).with("hidden_size", 3, "linear_before_reset", 1, "direction",
			"bidirectional").outs(2),
		r("LSTM", 14, v(3, 2, 2), v(1, 12, 2), v(1, 12, 3), v(1, 24), none, v(1, 2, 3), v(1, 2, 3), v(1, 9)).with("hidden_size", 3).outs(3),
		r("LSTM", 14, v(3, 1, 2), v(1, 12, 2), v(1, 12, 3)).with("hidden_size", 3, "direction", "reverse").outs(3),
		r("LSTM", 14, v(3, 2, 2), v(1, 12, 2), v(1, 12, 3), none, lengths).with("hidden_size", 3).outs(3),
		r("GRU", 14, v(20, 2, 2), v(2, 9, 2), v(2, 9, 3), none, lengths).with("hidden_size", 3, "direction", "bidirectional").outs(2),
		r("NegativeLogLikelihoodLoss", 13, v(3, 4, 2), whole([]int{3, 2}, 0, 3, 1, 1, 2, 0), positive(4)),
		r("NegativeLogLikelihoodLoss", 13, v(3, 4), whole([]int{3}, 0, 3, 1)).with("reduction", "none", "ignore_index", 3),
		r("SoftmaxCrossEntropyLoss", 13, v(3, 4), whole([]int{3}, 0, 3, 1)).outs(2),
		r("SoftmaxCrossEntropyLoss", 13, v(3, 4), whole([]int{3}, 0, 3, 1), positive(4)).with("reduction", "sum", "ignore_index", 0),
	}
}

func microsoftRows() []row {
	ms := func(op string, args ...arg) row { return r("com.microsoft."+op, 17, args...) }
	masks := whole([]int{2, 5}, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1)
	masks.value = tensor.Of([]int32{1, 1, 1, 0, 0, 1, 1, 1, 1, 1}, 2, 5)
	return []row{
		r("LayerNormalization", 14, v(2, 3, 4), v(4), v(4)), r("SimplifiedLayerNormalization", 14, v(2, 3, 4), v(4)),
		ms("Gelu", v(2, 3)), ms("FastGelu", v(2, 4), v(4)), ms("FastGelu", v(2, 4)), ms("BiasGelu", v(2, 3, 4), v(4)),
		ms("QuickGelu", v(2, 3)), ms("QuickGelu", v(2, 3)).with("alpha", 1.5),
		ms("FusedMatMul", v(2, 3, 4), v(4, 5)).with("alpha", 0.5), ms("FusedMatMul", v(2, 4, 3), v(2, 5, 4)).with("transA", 1, "transB", 1),
		ms("FusedGemm", v(3, 4), v(4, 2), v(2)).with("activation", "Relu", "alpha", 0.5),
		ms("FusedGemm", v(3, 4), v(4, 2), v(2)).with("activation", "LeakyRelu", "activation_alpha", 0.2),
		ms("FusedConv", v(1, 2, 5, 5), v(3, 2, 3, 3), v(3)).with("activation", "Relu"),
		ms("FusedConv", v(1, 2, 5, 5), v(3, 2, 3, 3)).with("activation", "Clip", "activation_params", []float64{-0.5, 0.5}).jumps(),
		ms("SkipLayerNormalization", v(2, 3, 4), small(2, 3, 4), v(4), v(4)),
		ms("SkipLayerNormalization", v(2, 3, 4), small(2, 3, 4), v(4), v(4), v(4)).with("epsilon", 1e-3),
		ms("SkipSimplifiedLayerNormalization", v(2, 3, 4), small(2, 3, 4), v(4)),
		ms("Attention", v(2, 5, 8), v(8, 24), v(24)).with("num_heads", 2),
		ms("Attention", v(2, 5, 8), v(8, 24), v(24)).with("num_heads", 2, "unidirectional", 1),
		ms("Attention", v(2, 5, 8), v(8, 24), v(24), masks).with("num_heads", 2),
		ms("MultiHeadAttention", v(2, 5, 8), v(2, 6, 8), v(2, 6, 8)).with("num_heads", 2),
		ms("MultiHeadAttention", v(2, 5, 8), v(2, 5, 8), v(2, 5, 8), v(24)).with("num_heads", 4),
		ms("RotaryEmbedding", v(2, 3, 8), weight(whole([]int{2, 3}, 0, 1, 2, 4, 5, 6)), weight(v(8, 2)),
			weight(small(8, 2))).with("num_heads", 2),
		ms("RotaryEmbedding", v(1, 2, 3, 4), weight(whole([]int{1}, 1)), weight(v(8, 2)), weight(small(8, 2))).with("interleaved", 1),
	}
}
