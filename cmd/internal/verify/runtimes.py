"""Runs an ONNX file in the runtimes that this Python has.

    python runtimes.py MODEL IN.npz OUT.npz

IN.npz holds the inputs by name, with one axis more in front: the runs. OUT.npz gets
RUNTIME/OUTPUT, the outputs of all runs one after the other. Standard output is a line of
JSON: the versions of what there is, and why the others were not run.
"""

import json
import platform
import sys

ABSENT = "absent"
FAILED = "failed"


def with_onnxruntime(model):
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return onnxruntime.__version__, lambda inputs: dict(zip(names, session.run(names, inputs)))


def with_onnx(model):
    import onnx
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(model)
    return onnx.__version__, lambda inputs: dict(zip(evaluator.output_names, evaluator.run(None, inputs)))


RUNTIMES = {"onnxruntime": with_onnxruntime, "onnx": with_onnx}


def run(load, model, batches):
    """Returns what a runtime is and its outputs, or why there are none."""
    try:
        version, compute = load(model)
    except ImportError as e:
        return {"status": ABSENT, "reason": str(e)}, {}
    except Exception as e:
        return {"status": FAILED, "reason": f"{type(e).__name__}: {e}"}, {}
    try:
        parts = [compute(inputs) for inputs in batches]
        outputs = {name: numpy.concatenate([p[name] for p in parts]) for name in parts[0]}
    except Exception as e:
        return {"status": FAILED, "version": version, "reason": f"{type(e).__name__}: {e}"}, {}
    return {"status": "ran", "version": version}, outputs


def main(model, given, wanted):
    with numpy.load(given, allow_pickle=False) as archive:
        inputs = {name: archive[name] for name in archive.files}
    runs = len(next(iter(inputs.values())))
    batches = [{name: array[i] for name, array in inputs.items()} for i in range(runs)]
    report, arrays = {}, {}
    for name, load in RUNTIMES.items():
        report[name], outputs = run(load, model, batches)
        arrays |= {f"{name}/{output}": array for output, array in outputs.items()}
    numpy.savez(wanted, **arrays)
    return report


if __name__ == "__main__":
    result = {"python": platform.python_version()}
    try:
        import numpy
    except ImportError as error:
        result["runtimes"] = {name: {"status": ABSENT, "reason": str(error)} for name in RUNTIMES}
    else:
        result["runtimes"] = main(*sys.argv[1:])
    print(json.dumps(result))
