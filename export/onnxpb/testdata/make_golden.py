"""Makes affine.onnx.bin, the file that onnxpb's test reads.

    pip install -r requirements.txt
    python make_golden.py [FILE]        (affine.onnx.bin beside this file by default)

y = MatMul(x, w) + b with a symbolic batch, an attribute whose value is zero, a
subgraph, an int64 initialiser as a list of varints, and metadata: one of each
kind of field that the project writes or reads.
"""

import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def model() -> onnx.ModelProto:
    w = numpy_helper.from_array(np.array([[1, -2], [0.5, 3], [0, 0.25]], np.float32), "w")
    b = helper.make_tensor("b", TensorProto.FLOAT, [2], [0.125, -1])
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [-1])
    then_branch = helper.make_graph(
        [helper.make_node("Neg", ["s"], ["negated"])],
        "then", [], [helper.make_tensor_value_info("negated", TensorProto.FLOAT, None)])
    else_branch = helper.make_graph(
        [helper.make_node("Identity", ["s"], ["kept"])],
        "else", [], [helper.make_tensor_value_info("kept", TensorProto.FLOAT, None)])
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["xw"], name="product"),
        helper.make_node("Add", ["xw", "b"], ["y"], name="sum"),
        helper.make_node("ReduceSum", ["y", "axes"], ["s"], keepdims=0),
        helper.make_node("If", ["flip"], ["z"], then_branch=then_branch, else_branch=else_branch),
    ]
    graph = helper.make_graph(
        nodes, "affine",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3]),
         helper.make_tensor_value_info("flip", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2]),
         helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N"])],
        [w, b, axes])
    m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
                          producer_name="make_golden", doc_string="an affine map")
    helper.set_model_props(m, {"origin": "the onnx package"})
    onnx.checker.check_model(m, full_check=True)
    return m


if __name__ == "__main__":
    with open(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "affine.onnx.bin"), "wb") as f:
        f.write(model().SerializeToString(deterministic=True))
