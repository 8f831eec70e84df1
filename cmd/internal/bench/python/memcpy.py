"""Counts what a CUDA session copies between host and device inside a run.

    python memcpy.py [--provider cuda|cpu] FILE.onnx...

ONNX Runtime puts Memcpy nodes where an operator has no CUDA kernel and its values lie on the
device. The count is of its own profile of one run, with the operators that ran on the CPU. It is
exit status 1 when a file that should stay on the device has any.
"""

import argparse
import collections
import json
import pathlib
import sys
import tempfile

import numpy as np
import onnxruntime as ort

PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
SIZES = {"N": 8, "K": 3}
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


def examine(path, provider):
    """The number of copies in a run, and the names of operators by the provider that ran them."""
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.enable_profiling = True
        options.profile_file_prefix = str(pathlib.Path(folder) / "profile")
        session = ort.InferenceSession(str(path), options, providers=[PROVIDERS[provider], "CPUExecutionProvider"])
        if session.get_providers()[0] != PROVIDERS[provider]:
            raise SystemExit(f"memcpy.py: ONNX Runtime has no {PROVIDERS[provider]} here, only {session.get_providers()}")
        feed = {}
        for i in session.get_inputs():
            shape = [SIZES.get(d, d) for d in i.shape]
            feed[i.name] = np.full(shape, 1 if i.type == "tensor(int64)" else 0.5, TYPES[i.type])
        session.run(None, feed)
        events = json.loads(pathlib.Path(session.end_profiling()).read_text())
    ran = collections.defaultdict(collections.Counter)
    copies = 0
    for e in events:
        if e.get("cat") != "Node" or not e["name"].endswith("_kernel_time"):
            continue
        op = e["args"]["op_name"]
        copies += op.startswith("Memcpy")
        ran[e["args"].get("provider", "?")][op] += 1
    return copies, ran


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--provider", choices=PROVIDERS, default="cuda")
    p.add_argument("files", nargs="+", type=pathlib.Path)
    o = p.parse_args()
    total = 0
    for path in o.files:
        copies, ran = examine(path, o.provider)
        total += copies
        where = "; ".join(f"{provider}: {sum(ops.values())} nodes" for provider, ops in sorted(ran.items()))
        print(f"{path.name}\t{copies} copies\t{where}")
        if o.provider == "cuda" and (on_cpu := ran.get(PROVIDERS["cpu"])):
            print(f"\ton the CPU: {', '.join(f'{op} {n}' for op, n in on_cpu.most_common())}")
    sys.exit(1 if total else 0)


if __name__ == "__main__":
    main()
