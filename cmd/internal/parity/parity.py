"""Judges exported ONNX files by the onnx package and by Python's ONNX Runtime.

    python parity.py FOLDER KIND... [--tolerance 1e-5]

For each KIND named (energy, score, hvp, train, sampler, denoise; steps/resnet18, steps/vit,
steps/gpt2, steps/lstm, steps/lora), FOLDER must hold KIND.onnx and
KIND.npz, the latter with arrays in/NAME and out/NAME: the inputs that the exporting
program ran the file on and the outputs that it got. Of each file is asked that

  - onnx.checker accepts it, shape inference included, and strict shape inference agrees
    with the shapes and types that it declares;
  - it uses the standard operators alone, in every subgraph, and no local functions;
  - its inputs and outputs have the names of its kind, and the .npz has exactly these;
  - ONNX Runtime, with its optimiser and without, gives the same outputs: equal shapes and
    types, finite, and max |difference| <= tolerance * max |expected| for each output;
  - the batch is symbolic, and the first example alone gives what it gives in its batch
    (all but training steps).

So that nothing passes for want of something to compare: a file that is missing or is not
named on the command line, a batch of one, a main output of zeros and a training step that
moves no parameter are failures. For the training step, give moments that are not zero:
Adam's first step from zero moments is the sign of the gradient, which rounding decides
where the gradient vanishes.

It prints one line for each output and exits with 0 when all passed, with 1 when something
failed and with 2 when it was called wrongly.
"""

import argparse
import pathlib
import sys
from dataclasses import dataclass, replace

import numpy as np
import onnx
import onnxruntime as ort

STANDARD_DOMAINS = ("", "ai.onnx")
MIN_OPSET = 17

# The state of the training step: parameter P and what is kept for it. Each is an
# input NAME and an output NAME.next.
STATE_SUFFIXES = (".m", ".v", ".ema")

# What batch normalisation keeps, without moments.
STATISTICS = (".running_mean", ".running_var")


@dataclass(frozen=True)
class Kind:
    """What a kind of file takes and gives.

    batch_axes holds the inputs and outputs that have a batch, with its axis, where the
    batch is symbolic. A file may give more outputs than these when more is set.
    """

    inputs: tuple
    outputs: tuple
    batch_axes: dict
    state: bool = False
    more: tuple = ()
    moments: tuple = (".m", ".v")


STEP = Kind(("x", "target", "learning_rate", "step"), ("loss", "grad_norm"), {}, state=True)
KINDS = {
    "energy": Kind(("x",), ("energy",), {"x": 0, "energy": 0}),
    "score": Kind(("x",), ("score",), {"x": 0, "energy": 0, "score": 0}, more=("energy",)),
    "hvp": Kind(("x", "v"), ("hvp",), {"x": 0, "v": 0, "energy": 0, "score": 0, "hvp": 0},
                more=("energy", "score")),
    "train": Kind(("x", "noise", "sigma", "learning_rate", "step"), ("loss", "grad_norm"), {}, state=True),
    "sampler": Kind(("x", "noise", "temperature", "step_size"), ("x_next", "energy"),
                    {"x": 0, "noise": 1, "x_next": 0, "energy": 1}),
    **{f"steps/{name}": STEP for name in ("vit", "gpt2", "lstm", "lora")},
    "steps/resnet18": replace(STEP, moments=(".m",)),
    "denoise": Kind(("x",), ("denoised",), {"x": 0, "energy": 0, "denoised": 0}, more=("energy",)),
}


class Failure(Exception):
    """Something about a file that is not as it must be."""


def require(condition, message):
    if not condition:
        raise Failure(message)


def check_structure(path):
    """Runs the onnx package's checks on a file and returns its model."""
    onnx.checker.check_model(str(path), full_check=True, check_custom_domain=True)
    model = onnx.load(path)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    opsets = [(o.domain, o.version) for o in model.opset_import]
    require(len(opsets) == 1 and opsets[0][0] in STANDARD_DOMAINS and opsets[0][1] >= MIN_OPSET,
            f"imports the operator sets {opsets}, want the standard one at {MIN_OPSET} or later, alone")
    require(not model.functions, f"has {len(model.functions)} local functions, want none")
    require(model.graph.node, "computes nothing")
    check_domains(model.graph)
    return model


def check_domains(graph):
    """Walks a graph and all that its nodes contain."""
    for node in graph.node:
        require(node.domain in STANDARD_DOMAINS,
                f"graph {graph.name!r} uses {node.domain}.{node.op_type}, want standard operators alone")
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                check_domains(inner)


def check_names(kind, inputs, outputs):
    """Holds a file's names against those of its kind."""
    lacking = sorted(set(kind.inputs) - inputs) + sorted(set(kind.outputs) - outputs)
    require(not lacking, f"lacks {', '.join(lacking)}; has inputs {sorted(inputs)}, outputs {sorted(outputs)}")
    extra_in, extra_out = inputs - set(kind.inputs), outputs - set(kind.outputs) - set(kind.more)
    if not kind.state:
        require(not extra_in and not extra_out, f"has unknown names {sorted(extra_in | extra_out)}")
        return
    expected = {name + ".next" for name in extra_in}
    require(expected == extra_out, f"state without its other side: {sorted(expected ^ extra_out)}")
    parameters = {name for name in extra_in if not name.endswith(STATE_SUFFIXES)}
    require(parameters, "has no parameters")
    kept = {p + suffix for p in parameters if not p.endswith(STATISTICS) for suffix in kind.moments}
    averages = {p + ".ema" for p in parameters}
    require(extra_in - averages == parameters | kept,
            f"parameters and moments do not match: {sorted((extra_in - averages) ^ (parameters | kept))}")
    require(not extra_in & averages or averages <= extra_in, "averages some parameters and not others")


def load_arrays(path):
    """Reads a .npz into its inputs and its outputs."""
    sides = {"in": {}, "out": {}}
    with np.load(path, allow_pickle=False) as archive:
        for key in archive.files:
            side, _, name = key.partition("/")
            require(side in sides and name, f"{path.name}: array {key!r}, want in/NAME or out/NAME")
            sides[side][name] = archive[key]
    return sides["in"], sides["out"]


def open_session(path, optimise):
    options = ort.SessionOptions()
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimise else level.ORT_DISABLE_ALL
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(session, inputs):
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


def difference(got, want, whole):
    """Returns max |got - want| and the same over max |whole| (0/0 counts as 0)."""
    if want.dtype.kind != "f":
        return (0.0, 0.0) if np.array_equal(got, want) else (np.inf, np.inf)
    error = np.abs(got.astype(np.float64) - want.astype(np.float64)).max()
    scale = np.abs(whole.astype(np.float64)).max()
    return error, error / scale if scale > 0 else (0.0 if error == 0 else np.inf)


def compare(table, title, got, want, whole, tolerance):
    """Adds one row for each output and returns whether all are within the tolerance.

    want may be a part of the expected outputs; whole is all of them and gives the scale.
    """
    passed = True
    for name in sorted(want):
        g, w = got[name], want[name]
        if g.shape != w.shape or g.dtype != w.dtype:
            table.append((title, name, f"{g.dtype}{list(g.shape)}, expected {w.dtype}{list(w.shape)}", "", "", "FAIL"))
            passed = False
            continue
        absolute, relative = difference(g, w, whole[name])
        ok = relative <= tolerance  # false for a NaN too
        passed &= bool(ok)
        table.append((title, name, f"{w.dtype}{list(w.shape)}", f"{absolute:.2e}", f"{relative:.2e}", "ok" if ok else "FAIL"))
    return passed


def check_expected(kind, inputs, outputs):
    """Refuses stored arrays with which a comparison would show nothing."""
    for name, a in {**inputs, **outputs}.items():
        require(a.size > 0, f"{name} is empty")
        require(a.dtype.kind != "f" or np.isfinite(a).all(), f"{name} is not finite")
    for name in kind.outputs:
        require(np.any(outputs[name]), f"{name} is zero everywhere")
    for name, axis in kind.batch_axes.items():
        a = inputs.get(name, outputs.get(name))
        require(a is None or a.ndim > axis and a.shape[axis] >= 2, f"{name} has not two examples or more along axis {axis}")
    if kind.state:
        parameters = [name for name in inputs if name + ".next" in outputs and not name.endswith(STATE_SUFFIXES)]
        require(any(not np.array_equal(inputs[p], outputs[p + ".next"]) for p in parameters), "no parameter moved")


def check_batch(table, kind_name, session, inputs, outputs, tolerance):
    """Runs the first example alone and compares it with its place in the batch."""
    axes = KINDS[kind_name].batch_axes
    for value in [*session.get_inputs(), *session.get_outputs()]:
        if value.name in axes:
            size = value.shape[axes[value.name]]
            require(not isinstance(size, int), f"{value.name} has a fixed batch of {size}, want a symbolic one")

    def first(arrays):
        return {n: a.take([0], axis=axes[n]) if n in axes else a for n, a in arrays.items()}

    return compare(table, f"{kind_name}, first alone", run(session, first(inputs)), first(outputs), outputs, tolerance)


def check_kind(table, folder, name, tolerance):
    """Runs every check on one kind and returns whether all passed."""
    path, arrays = folder / f"{name}.onnx", folder / f"{name}.npz"
    for p in (path, arrays):
        require(p.is_file(), f"{p.name} is missing")
    model = check_structure(path)
    initialisers = {t.name for t in model.graph.initializer}
    input_names = {v.name for v in model.graph.input} - initialisers
    output_names = {v.name for v in model.graph.output}
    check_names(KINDS[name], input_names, output_names)
    inputs, outputs = load_arrays(arrays)
    for side, stored, declared in (("in", inputs, input_names), ("out", outputs, output_names)):
        require(set(stored) == declared, f"{arrays.name} and {path.name} differ in {side}/{sorted(set(stored) ^ declared)}")
    check_expected(KINDS[name], inputs, outputs)

    passed = True
    for optimise, title in ((True, name), (False, f"{name}, as written")):
        session = open_session(path, optimise)
        passed &= compare(table, title, run(session, inputs), outputs, outputs, tolerance)
        if optimise and KINDS[name].batch_axes:
            passed &= check_batch(table, name, session, inputs, outputs, tolerance)
    return passed


def check_folder(folder, names, tolerance, out=sys.stdout):
    """Checks each kind of file in a folder, prints what ran, and returns whether all passed."""
    print(f"onnx {onnx.__version__}, onnxruntime {ort.__version__}, numpy {np.__version__}; "
          f"tolerance {tolerance:g} of each output's largest value", file=out)
    table, failures = [], {}
    strays = sorted(str(p.relative_to(folder)) for f in ("", "steps") for p in (folder / f).glob("*.onnx")
                    if str(p.relative_to(folder).with_suffix("")) not in names)
    if strays:
        failures["folder"] = f"holds {', '.join(strays)}, not named on the command line"
    for name in names:
        try:
            if not check_kind(table, folder, name, tolerance):
                failures[name] = "outputs differ"
        except Exception as e:  # whatever onnx or ONNX Runtime raise is a verdict on this file
            failures[name] = str(e) or repr(e)
    print_table([("file", "output", "type and shape", "max abs", "max rel", ""), *table], out)
    for name, message in failures.items():
        print(f"FAIL {name}: {message}", file=out)
    print(f"{len(set(names) - set(failures))} passed, {len(failures)} failed", file=out)
    return not failures


def print_table(rows, out):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip(), file=out)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("kinds", nargs="+", choices=list(KINDS), metavar="KIND")
    parser.add_argument("--tolerance", type=float, default=1e-5)
    options = parser.parse_args(arguments)
    if not 0 < options.tolerance < 1:
        parser.error(f"--tolerance {options.tolerance}, want a number between 0 and 1")
    return 0 if check_folder(options.folder, list(dict.fromkeys(options.kinds)), options.tolerance) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
