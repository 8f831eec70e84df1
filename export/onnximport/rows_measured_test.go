package onnximport_test

import "ebm/models/tensor"

// measuredRows have shapes, places and axes as inputs, so that only values at run time
// say them.
func measuredRows() []row {
	list := func(values ...int64) arg { return whole([]int{len(values)}, values...) }
	at := func(n int64) arg { return whole(nil, n) }
	x := v(2, 3, 4)
	rows := []row{
		r("Reshape", 14, x, list(4, -1)), r("Reshape", 14, x, list(0, 0, 2, 2)), r("Reshape", 14, x, list(24)),
		r("Slice", 13, x, list(1, -1), list(9, 0), list(1, -1), list(1, -1)), r("Slice", 13, x, list(0, 1), list(2, 2)),
		r("Slice", 13, x, list(-3), list(1<<62), list(2), list(2)),
		r("Expand", 13, v(3, 1), list(2, 1, 5)), r("Expand", 13, v(3, 4), list(1)),
		r("Tile", 13, v(2, 3), list(2, 1)), r("Squeeze", 13, v(1, 3, 1, 2), list(-2)), r("Squeeze", 13, v(1, 3, 1, 2), list(2, 0)),
		r("Unsqueeze", 13, v(2, 3), list(0, -1)), r("Unsqueeze", 13, v(2, 3), list(1)),
		r("Pad", 18, v(3, 4), list(1, 0, 2, -1), weight(v())), r("Pad", 18, v(3, 4), list(1, 2), scalar(1), list(-1)),
		r("Pad", 18, v(3, 4), list(0, 2, 1, 3)).with("mode", "reflect"), r("Pad", 18, v(3, 4), list(0, 2, 1, 3)).with("mode", "edge"),
		r("Pad", 19, v(3, 4), list(0, 2, 1, 3)).with("mode", "wrap"),
		r("Split", 13, v(2, 5), list(2, 3)).with("axis", 1).outs(2), r("Split", 13, v(2, 5), list(5, 0)).with("axis", 1).outs(2),
		r("TopK", 11, apart(2, 5), list(3)).outs(2), r("OneHot", 11, whole([]int{3}, 0, -1, 2), at(4), v(2)),
		r("ConstantOfShape", 9, list(2, 3)), r("Range", 11, at(7), at(1), at(-2)), r("Range", 11, at(1), at(3), at(5)),
		r("Compress", 11, v(3, 4), weight(truth(3))).with("axis", 1), r("Compress", 11, v(3, 2), truth(3)).with("axis", 0),
		r("CumSum", 14, v(2, 3), at(-1)), r("CumSum", 14, v(2, 3), at(0)).with("reverse", 1, "exclusive", 1),
		r("Trilu", 14, v(3, 4), at(1)), r("Trilu", 14, v(3, 4), at(-1)).with("upper", 0),
		r("CenterCropPad", 18, v(5, 3), list(2, 6)), r("HannWindow", 17, at(6)), r("HammingWindow", 17, at(6)).with("periodic", 0),
		r("OptionalGetElement", 18, v(2, 3)), r("OptionalHasElement", 18, v(2, 3)).jumps(), r("DFT", 20, v(2, 5, 1), none, at(1)),
		r("AffineGrid", 20, v(2, 2, 3), list(2, 1, 3, 4)),
	}
	picture, half := v(1, 1, 3, 4), arg{value: tensor.Of([]float32{1.7, 0.55}, 2)}
	for _, mode := range []string{"nearest", "linear", "cubic"} {
		rows = append(rows, r("Resize", 18, picture, none, none, list(1, 1, 5, 6)).with("mode", mode),
			r("Resize", 18, picture, none, half).with("mode", mode, "axes", []int{2, 3}, "coordinate_transformation_mode", "half_pixel_symmetric"),
			r("Resize", 18, picture, none, none, list(4, 2)).
				with("mode", mode, "axes", []int{2, 3}, "coordinate_transformation_mode", "align_corners"))
	}
	rows = append(rows, r("Resize", 18, picture, none, half).with("mode", "cubic", "exclude_outside", 1, "axes", []int{2, 3}),
		r("Resize", 18, picture, floats(0, 0, 0.2, 0.1, 1, 1, 0.9, 1.2), none, list(1, 1, 2, 5)).
			with("mode", "linear", "coordinate_transformation_mode", "tf_crop_and_resize", "extrapolation_value", 7.0),
		r("Resize", 18, picture, none, none, list(5, 6)).with("axes", []int{2, 3}, "keep_aspect_ratio_policy", "not_larger"))
	for _, op := range []string{"ReduceSum", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
		"ReduceLogSumExp"} {
		rows = append(rows, r(op, 18, apart(2, 3, 2), list(1)), r(op, 18, apart(2, 3, 2), list(-1, 0)).with("keepdims", 0))
	}
	return append(rows, r("ReduceLogSum", 18, positive(2, 3), list(0)), r("ReduceMax", 18, whole([]int{2, 2}, 3, 1, 2, 5), list(-1)))
}

func bitRows() []row {
	a, b := whole([]int{4}, 12, -5, 1<<40, -1<<63), whole([]int{4}, 10, 7, -1, 3)
	shifted, by := arg{value: tensor.Of([]uint8{200, 3, 255}, 3)}, arg{value: tensor.Of([]uint8{1, 7, 4}, 3)}
	return []row{
		r("BitwiseAnd", 18, a, b), r("BitwiseOr", 18, a, b), r("BitwiseXor", 18, a, b), r("BitwiseNot", 18, a),
		r("BitShift", 11, shifted, by).with("direction", "LEFT"),
		r("BitShift", 11, shifted, by).with("direction", "RIGHT"),
	}
}
