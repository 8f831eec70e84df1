"""Writes the onnx package's node tests to a folder, for coverage.go.

    python nodetests.py DIR

Makes DIR/node/NAME/model.onnx, tolerances.json and test_data_set_I/{input,output}_J.pb,
and copies the model tests that the package carries as files beside it
(simple, pytorch-converted, pytorch-operator, light).
"""

import json
import os
import shutil
import sys

import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases


def tensors(values, infos, folder, stem):
    for j, (value, info) in enumerate(zip(values, infos)):
        if value is None or isinstance(value, (list, dict)):
            continue  # the importer refuses such models before it needs data
        if not isinstance(value, TensorProto):
            value = numpy_helper.from_array(value, info.name)
        value.name = info.name
        with open(os.path.join(folder, f"{stem}_{j}.pb"), "wb") as f:
            f.write(value.SerializeToString())


def main(out):
    for case in collect_testcases(None):
        folder = os.path.join(out, "node", case.name)
        os.makedirs(folder, exist_ok=True)
        onnx.save(case.model, os.path.join(folder, "model.onnx"))
        with open(os.path.join(folder, "tolerances.json"), "w") as f:
            json.dump({"rtol": case.rtol, "atol": case.atol}, f)
        for i, (inputs, outputs) in enumerate(case.data_sets):
            data = os.path.join(folder, f"test_data_set_{i}")
            os.makedirs(data, exist_ok=True)
            tensors(inputs, case.model.graph.input, data, "input")
            tensors(outputs, case.model.graph.output, data, "output")
    packaged = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data")
    for kind in ["simple", "pytorch-converted", "pytorch-operator"]:
        shutil.copytree(os.path.join(packaged, kind), os.path.join(out, kind), dirs_exist_ok=True)
    print(onnx.__version__)


if __name__ == "__main__":
    main(sys.argv[1])
