package onnximport_test

import (
	"ebm/models/tensor"
)

// byteValues and signedBytes are inputs of 8 bits.
func byteValues(shape ...int) arg {
	t := tensor.New(tensor.Uint8, shape...)
	for i := range tensor.Data[uint8](t) {
		tensor.Data[uint8](t)[i] = uint8(37*i + 11)
	}
	return arg{value: t}
}

func signedBytes(shape ...int) arg {
	t := tensor.New(tensor.Int8, shape...)
	for i := range tensor.Data[int8](t) {
		tensor.Data[int8](t)[i] = int8(29*i - 60)
	}
	return arg{value: t}
}

// fewBits leaves out large numbers, whose sums of products some processors cut off.
func fewBits(shape ...int) arg {
	a := signedBytes(shape...)
	for i, n := range tensor.Data[int8](a.value) {
		tensor.Data[int8](a.value)[i] = n / 4
	}
	return a
}

func zeroPoint(n uint8) arg { return arg{value: tensor.Of([]uint8{n}), fixed: true} }

func zeroPoints(n ...int8) arg { return arg{value: tensor.Of(n, len(n)), fixed: true} }

func counts32(values ...int32) arg { return arg{value: tensor.Of(values, len(values)), fixed: true} }

func pictureRows() []row {
	// Places that reach over the edges, but lie on no element and on no edge.
	places := small(2, 4, 3, 2)
	for i := range tensor.Data[float32](places.value) {
		tensor.Data[float32](places.value)[i] *= 1.31
	}
	solid := small(1, 2, 2, 3, 3)
	grid := func(pairs ...any) row { return r("GridSample", 20, v(2, 3, 5, 6), places).with(pairs...) }
	offsets := whole([]int{1, 1, 2, 2}, 5, 7, 13, 15)
	return []row{
		grid(), grid("align_corners", 1), grid("padding_mode", "border"), grid("padding_mode", "reflection"),
		grid("padding_mode", "reflection", "align_corners", 1), grid("mode", "nearest").jumps(),
		grid("mode", "nearest", "padding_mode", "reflection").jumps(),
		grid("mode", "cubic"), grid("mode", "cubic", "padding_mode", "border"),
		grid("mode", "cubic", "padding_mode", "reflection"), grid("mode", "cubic", "align_corners", 1),
		r("GridSample", 16, v(2, 3, 5, 6), places).with("mode", "bilinear"),
		r("GridSample", 20, v(1, 2, 3, 4, 5), solid), r("GridSample", 20, v(1, 2, 3, 4, 5), solid).with("padding_mode", "border"),
		r("AffineGrid", 20, v(2, 2, 3), ints(2, 3, 4, 5)), r("AffineGrid", 20, v(2, 3, 4), ints(2, 3, 2, 4, 5)).with("align_corners", 1),
		r("Col2Im", 18, v(2, 8, 9), ints(5, 5), ints(2, 2)).with("strides", []int{2, 2}, "pads", []int{1, 1, 0, 0}),
		r("Col2Im", 18, v(1, 12, 16), ints(5, 6), ints(2, 3)).with("dilations", []int{1, 1}),
		r("MaxUnpool", 11, v(1, 1, 2, 2), offsets).with("kernel_shape", []int{2, 2}, "strides", []int{2, 2}),
		r("CenterCropPad", 18, v(5, 4, 3), ints(3, 7)).with("axes", []int{0, 1}), r("CenterCropPad", 18, v(4, 4), ints(2, 3)),
	}
}

func sortRows() []row {
	return []row{
		r("BatchNormalization", 15, v(4, 3, 2), v(3), v(3), weight(v(3)), weight(positive(3))).with("training_mode", 1).outs(3),
		r("TensorScatter", 24, v(2, 5, 3), v(2, 2, 3), weight(whole([]int{2}, 1, 3))),
		r("TensorScatter", 24, v(2, 3, 5), v(2, 3, 2), weight(whole([]int{2}, 1, 4))).with("axis", -1, "mode", "circular"),
		r("TopK", 11, apart(3, 6), ints(4)).with("axis", 1).outs(2), r("TopK", 11, apart(3, 6), ints(2)).with("axis", 0, "largest", 0).outs(2),
		r("TopK", 11, whole([]int{6}, 4, 9, 4, 1, 9, 3), ints(6)).outs(2), r("TopK", 1, apart(2, 5)).with("k", 2).outs(2),
		r("ReverseSequence", 10, v(4, 3, 2), weight(whole([]int{3}, 1, 4, 2))),
		r("ReverseSequence", 10, v(3, 4), weight(whole([]int{3}, 1, 4, 2))).with("batch_axis", 0, "time_axis", 1),
		r("Compress", 11, v(3, 4), arg{value: tensor.Of([]bool{false, true, true}, 3), fixed: true}).with("axis", 0),
		r("Compress", 11, v(2, 2), arg{value: tensor.Of([]bool{true, false, false, true}, 4), fixed: true}),
		r("ScatterElements", 18, v(5, 2), whole([]int{3, 2}, 1, 1, 4, 1, 1, 0), apart(3, 2)).with("reduction", "max"),
		r("ScatterElements", 18, v(5, 2), whole([]int{3, 2}, 1, 1, 4, 1, 1, 0), apart(3, 2)).with("reduction", "min"),
		r("ScatterElements", 18, v(5, 2), whole([]int{3, 2}, 1, 1, 4, 1, 1, 0), apart(3, 2)).with("reduction", "mul"),
		r("ScatterND", 18, v(4, 2), whole([]int{3, 1}, 1, 3, 1), apart(3, 2)).with("reduction", "max"),
		r("Det", 11, v(4, 4)), r("Det", 11, v(2, 3, 3, 3)), r("Det", 11, v(2, 1, 1)),
		r("Det", 11, weight(arg{value: tensor.Of([]float32{0, 2, 1, 1}, 2, 2)})), // whose first pivot is below
	}
}

func spectralRows() []row {
	return []row{
		r("DFT", 17, v(2, 5, 1)), r("DFT", 17, v(2, 5, 2)), r("DFT", 17, v(2, 6, 1)).with("onesided", 1),
		r("DFT", 17, v(2, 5, 2)).with("inverse", 1), r("DFT", 17, v(2, 3, 4, 2)).with("axis", 2),
		r("DFT", 17, v(2, 5, 1), scalarInt(8)), r("DFT", 17, v(2, 5, 1), scalarInt(3)),
		r("STFT", 17, v(2, 20, 1), scalarInt(4), weight(positive(8)), scalarInt(8)),
		r("STFT", 17, v(1, 17, 1), scalarInt(3), none, scalarInt(6)).with("onesided", 0),
		r("HannWindow", 17, scalarInt(8)), r("HammingWindow", 17, scalarInt(7)).with("periodic", 0), r("BlackmanWindow", 17, scalarInt(9)),
		r("MelWeightMatrix", 17, scalarInt(4), scalarInt(32), scalarInt(8192), scalar(0), scalar(4096)),
	}
}

func quantizedRows() []row {
	ms := func(op string, args ...arg) row { return r("com.microsoft."+op, 17, args...) }
	scales := floats(0.02, 0.05, 0.03)
	return []row{
		r("MatMulInteger", 10, byteValues(2, 4), signedBytes(4, 3), zeroPoint(12)),
		r("ConvInteger", 10, byteValues(1, 2, 5, 5), weight(byteValues(3, 2, 3, 3)), zeroPoint(9), zeroPoint(100)),
		r("QLinearMatMul", 21, byteValues(2, 4), scalar(0.03), zeroPoint(12), signedBytes(4, 3), scalar(0.05), arg{
			value: tensor.Of([]int8{3}), fixed: true}, scalar(0.9), zeroPoint(128)),
		r("QLinearConv", 10, byteValues(1, 2, 5, 5), scalar(0.03), zeroPoint(12), weight(fewBits(3, 2, 3, 3)), scales, zeroPoints(0, 0, 0),
			scalar(0.7), zeroPoint(120), counts32(300, -200, 10)).with("pads", []int{1, 1, 1, 1}),
		r("DynamicQuantizeLinear", 11, weight(v(3, 4))).outs(3), r("DynamicQuantizeLinear", 11, positive(3, 4)).outs(3).jumps(),
		ms("MatMulIntegerToFloat", byteValues(2, 4), weight(signedBytes(4, 3)), scalar(0.1), scalar(0.2), zeroPoint(7), none, v(3)),
		ms("DynamicQuantizeMatMul", v(2, 4), weight(signedBytes(4, 3)), scalar(0.2), none, v(3)).jumps(),
		ms("QGemm", byteValues(2, 4), scalar(0.1), zeroPoint(7), weight(signedBytes(4, 3)), scalar(0.2), arg{
			value: tensor.Of([]int8{0}), fixed: true}, counts32(5, 6, 7), scalar(2), zeroPoint(128)),
		ms("QLinearAdd", byteValues(2, 4), scalar(0.11), zeroPoint(7), byteValues(4), scalar(0.23), zeroPoint(3), scalar(0.37), zeroPoint(99)),
		ms("QLinearMul", byteValues(2, 4), scalar(0.1), zeroPoint(7), byteValues(4), scalar(0.2), zeroPoint(3), scalar(4), zeroPoint(99)),
		ms("QLinearConcat", scalar(0.2), zeroPoint(50), byteValues(2, 3), scalar(0.1), zeroPoint(7), byteValues(2, 2), scalar(0.2),
			zeroPoint(3)).with("axis", 1),
		ms("QLinearLeakyRelu", byteValues(2, 4), scalar(0.11), zeroPoint(127), scalar(0.13), zeroPoint(100)).with("alpha", 0.07),
		ms("QLinearSigmoid", byteValues(2, 4), scalar(0.1), zeroPoint(127), scalar(0.004), zeroPoint(0)),
		ms("QLinearGlobalAveragePool", byteValues(1, 2, 3, 3), scalar(0.1), zeroPoint(127), scalar(0.1), zeroPoint(100)),
		ms("QuantizeLinear", v(3, 4), scalar(0.1), zeroPoint(100)).jumps(), ms("DequantizeLinear", byteValues(3, 4), scalar(0.1), zeroPoint(9)),
		r("DequantizeLinear", 21, signedBytes(2, 6), weight(positive(2, 2))).with("axis", 1, "block_size", 3),
		ms("GroupQueryAttention", v(2, 5, 32), v(2, 5, 16), v(2, 5, 16), none, none, counts32(4, 4),
			arg{value: tensor.Of([]int32{5}, 1), fixed: true}).with("num_heads", 4, "kv_num_heads", 2).outs(3),
		ms("GroupQueryAttention", v(1, 6, 64), v(1, 6, 32), v(1, 6, 32), none, none, counts32(5),
			arg{value: tensor.Of([]int32{6}, 1), fixed: true}, weight(small(8, 8)), weight(v(8, 8))).with("num_heads", 4, "kv_num_heads", 2,
			"do_rotary", 1, "local_window_size", 3).outs(3),
		r("RotaryEmbedding", 23, v(2, 3, 8), weight(small(9, 2)), weight(v(9, 2)), weight(whole([]int{2, 3}, 0, 1, 2, 4, 5, 6))).with(
			"num_heads", 2),
		r("RotaryEmbedding", 23, v(2, 2, 3, 6), weight(small(2, 3, 2)), weight(v(2, 3, 2))).with("interleaved", 1, "rotary_embedding_dim", 4),
	}
}

func machineLearningRows() []row {
	ml := func(op string, args ...arg) row { return r("ai.onnx.ml."+op, 17, args...) }
	support := []float64{0.1, -0.4, 0.3, 1, 0.5, -1, 0.2, 0.7, -0.3}
	machine := func(kind string) row {
		return ml("SVMRegressor", small(4, 3)).with("kernel_type", kind, "kernel_params", []float64{0.6, 0.4, 3}, "n_supports", 3,
			"support_vectors", support, "coefficients", []float64{0.5, -0.8, 1.1}, "rho", []float64{0.25})
	}
	return []row{
		ml("Scaler", v(4, 3)).with("offset", []float64{1, 2, 3}, "scale", []float64{0.5, 2, 1}),
		ml("LinearRegressor", v(4, 3)).with("coefficients", []float64{1, 2, 3, -1, 0, 1}, "intercepts", []float64{0.5, -1}, "targets", 2),
		machine("LINEAR"), machine("RBF"), machine("POLY"), machine("SIGMOID"),
		ml("Normalizer", apart(4, 3)).with("norm", "L2"), ml("Normalizer", apart(4, 3)).with("norm", "L1"),
		ml("Imputer", v(4, 3)).with("imputed_value_floats", []float64{1, 2, 3}, "replaced_value_float", 9.0),
		ml("FeatureVectorizer", v(4, 3), v(4, 2)).with("inputdimensions", []int{3, 2}),
		ml("ArrayFeatureExtractor", v(4, 3), ints(2, 0)),
	}
}
