"""Tries exported models in the programs that they are exported for.

    python runtimes.py FOLDER [--only NAME...] [--require NAME...]

FOLDER is what `go run ./cmd/internal/parity/writer FOLDER` wrote, and below it FOLDER/for/TARGET
is what `ebm export --weights FOLDER/model.safetensors --for TARGET` wrote, of every TARGET.
Each check takes files to the real program:

    onnx            the onnx package's checker: every file; its reference evaluator: float16,
                    whose arithmetic is NumPy's, rounded to float16 at every step
    onnxruntime     the variants against the plain files, the generator, the hub's files
    openvino        every kind of file, the training step too, the variants, the generator
    triton          configurations parsed as the server's protobuf message, and held against
                    the models
    hub             the card as huggingface_hub reads it, its Python examples, safetensors
    web             the page's own script and library (onnxruntime-web) under Node, and in it
                    the training steps in FOLDER/steps
    torch-fidelity  its command line, on the generator, with a feature network of random
                    weights (its own are not in a package)

A check whose program is not here is not run, and said to be so; that fails the whole
only for names given with --require. It prints a line for each check and exits with 0 when
none failed, with 1 when one did and with 2 when it was called wrongly.
"""

import argparse
import contextlib
import importlib.metadata
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort

from parity import Failure, check_structure, load_arrays, require, run

HERE = pathlib.Path(__file__).resolve().parent
TOLERANCE = 1e-5  # of each output's largest value, between float32 runtimes
KINDS = ("energy", "score", "hvp", "train", "sampler", "denoise")
VARIANTS = ("float16", "int8")
STEPS_DIFFER = 0.05  # correlation of two steps' noise of 4000 numbers, at most


class NotRun(Exception):
    """The program of a check is not here."""


def need(*distributions):
    """Returns the names with their versions, or raises NotRun."""
    try:
        return ", ".join(f"{d} {importlib.metadata.version(d)}" for d in distributions)
    except importlib.metadata.PackageNotFoundError as e:
        raise NotRun(f"{e.name} is not installed") from None


def open_session(path):
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def difference(got, want):
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    require(got.shape == want.shape, f"shape {got.shape}, wanted {want.shape}")
    require(np.isfinite(got).all(), "numbers that are not finite")
    return np.abs(got - want).max()


def relative(got, want):
    scale = np.abs(want).max()
    return difference(got, want) / (scale if scale > 0 else 1)


def agree(outputs, expected, tolerance, what):
    """Compares outputs by name and returns the largest relative error."""
    worst = 0.0
    for name, want in expected.items():
        error = relative(outputs[name], want)
        require(error <= tolerance, f"{what}: {name} differs by {error:.1e} of its largest value, {tolerance:.0e} is allowed")
        worst = max(worst, error)
    return worst


def check_variant(path, outputs, expected):
    """Holds a variant's outputs to the errors that its metadata state, which are of other
    pictures, and returns a text about the score or else the first output."""
    meta = {p.key: p.value for p in onnx.load(path).metadata_props}
    for name, want in expected.items():
        error, stated = difference(outputs[name], want), float(meta[name + "_error"].split()[1])
        require(error <= 4 * stated, f"{path.parent.name} {path.name}: {name} differs by {error:.1e}, {stated:.1e} is stated")
    name = "score" if "score" in expected else next(iter(expected))
    return f"{path.parent.name} {name} {relative(outputs[name], expected[name]):.1e}"


def start_of(path, count=4):
    """Returns z for the generator at path."""
    _, size = open_session(path).get_inputs()[0].shape
    return np.random.default_rng(1).standard_normal((count, size), dtype=np.float32)


def check_images(images, count, what):
    require(images.dtype == np.uint8 and images.ndim == 4 and images.shape[:2] == (count, 3),
            f"{what} gives {images.dtype}{list(images.shape)}, wanted uint8[{count} 3 H W]")
    require(all(len(np.unique(i)) > 8 for i in images), f"{what} gives pictures of hardly any levels")
    require(len({i.tobytes() for i in images}) == count, f"{what} gives equal pictures for different z")


def noise_model():
    """Returns the bytes of a Scan that shows what RandomNormalLike draws in each step."""
    h, F = onnx.helper, onnx.TensorProto.FLOAT
    value = h.make_tensor_value_info
    body = h.make_graph(
        [h.make_node("RandomNormalLike", ["x"], ["n"], seed=5.0), h.make_node("Mul", ["n", "t"], ["nt"]),
         h.make_node("Add", ["x", "nt"], ["next"]), h.make_node("Identity", ["n"], ["drawn"])],
        "body", [value("x", F, ["N", 4]), value("t", F, [])], [value("next", F, ["N", 4]), value("drawn", F, ["N", 4])])
    graph = h.make_graph(
        [h.make_node("Scan", ["start", "ts"], ["end", "all"], body=body, num_scan_inputs=1)], "noise",
        [value("start", F, ["N", 4]), value("ts", F, ["K"])], [value("end", F, ["N", 4]), value("all", F, ["K", "N", 4])])
    return h.make_model(graph, ir_version=8, opset_imports=[h.make_opsetid("", 17)]).SerializeToString()


NOISE_INPUTS = {"start": np.zeros((1000, 4), np.float32), "ts": np.ones(3, np.float32)}


def check_noise(drawn, what):
    """The steps of a Scan must not draw the same noise, seed or not."""
    a, b = drawn[0].ravel(), drawn[1].ravel()
    correlation = abs(np.corrcoef(a, b)[0, 1])
    require(correlation < STEPS_DIFFER, f"{what} draws noise with correlation {correlation:.2f} in two steps of a Scan")
    require(abs(a.std() - 1) < STEPS_DIFFER, f"{what} draws noise of deviation {a.std():.2f}")


def check_onnx(folder):
    files = sorted(folder.rglob("*.onnx"))
    files = [f for f in files if "node_modules" not in f.parts]
    for f in files:
        check_structure(f)
    from onnx.reference import ReferenceEvaluator
    inputs, expected = load_arrays(folder / "score.npz")
    half = folder / "for/float16/score.onnx"
    got = dict(zip(expected, ReferenceEvaluator(str(half)).run(list(expected), inputs)))
    return f"{len(files)} files pass the checker; {check_variant(half, got, expected)} in NumPy's arithmetic"


def check_onnxruntime(folder):
    said = []
    for variant in VARIANTS:
        for kind in ("energy", "score", "denoise"):
            path = folder / "for" / variant / f"{kind}.onnx"
            inputs, expected = load_arrays(folder / f"{kind}.npz")
            said.append(check_variant(path, run(open_session(path), inputs), expected))
    for kind in ("energy", "score", "denoise", "sampler"):
        inputs, expected = load_arrays(folder / f"{kind}.npz")
        agree(run(open_session(folder / f"for/huggingface/onnx/{kind}.onnx"), inputs), expected, TOLERANCE, f"the hub's {kind}")
    path = folder / "for/torch-fidelity/generator.onnx"
    z = start_of(path)
    first = open_session(path)
    images = first.run(None, {"z": z})[0]
    check_images(images, len(z), "the generator")
    require(np.array_equal(open_session(path).run(None, {"z": z})[0], images), "two sessions draw different pictures")
    require(not np.array_equal(first.run(None, {"z": z})[0], images), "a session draws its noise again in the second run")
    check_noise(ort.InferenceSession(noise_model()).run(["all"], NOISE_INPUTS)[0], "ONNX Runtime")
    return f"{', '.join(said)}, generator {list(images.shape)}"


def check_openvino(folder):
    need("openvino")
    import openvino as ov
    core = ov.Core()

    def outputs(model, inputs):
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        result = compiled(inputs)
        return {o.get_any_name(): np.array(result[o]) for o in compiled.outputs}

    said = []
    for kind in KINDS:
        inputs, expected = load_arrays(folder / f"{kind}.npz")
        worst = agree(outputs(str(folder / f"{kind}.onnx"), inputs), expected, TOLERANCE, kind)
        said.append(f"{kind} {worst:.1e}")
    for variant in VARIANTS:
        path = folder / "for" / variant / "score.onnx"
        inputs, expected = load_arrays(folder / "score.npz")
        said.append(check_variant(path, outputs(str(path), inputs), expected))
    path = folder / "for/torch-fidelity/generator.onnx"
    z = start_of(path)
    check_images(outputs(str(path), {"z": z})["images"], len(z), "the generator")
    with tempfile.TemporaryDirectory() as tmp:
        noise = pathlib.Path(tmp) / "noise.onnx"
        noise.write_bytes(noise_model())
        check_noise(outputs(str(noise), NOISE_INPUTS)["all"], "OpenVINO")
    return ", ".join(said) + ", generator"


def check_triton(folder):
    need("tritonclient", "grpcio")
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2
    types = {"tensor(float)": "TYPE_FP32", "tensor(int64)": "TYPE_INT64"}
    models = sorted((folder / "for/triton").iterdir())
    require(models, "the repository is empty")
    for model in models:
        config = text_format.Parse((model / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
        require(config.name == model.name and config.backend == "onnxruntime", f"{model.name} is configured as {config.name} of {config.backend}")
        versions = [v.name for v in model.iterdir() if v.is_dir()]
        require(versions == ["1"], f"{model.name} has the versions {versions}")
        session = open_session(model / "1/model.onnx")
        for side, real in ((config.input, session.get_inputs()), (config.output, session.get_outputs())):
            require([v.name for v in side] == [v.name for v in real], f"{model.name}: {[v.name for v in side]}, the model has {[v.name for v in real]}")
            for v, r in zip(side, real):
                dtype = model_config_pb2.DataType.Name(v.data_type)
                require(dtype == types[r.type], f"{model.name}: {v.name} is {dtype}, in the model {r.type}")
                # The server's shape: the reshape where there is one, else dims, behind the batch.
                dims = list(v.reshape.shape if v.HasField("reshape") else v.dims)
                dims = [-1] + dims if config.max_batch_size else dims
                actual = [d if isinstance(d, int) else -1 for d in r.shape]
                require(dims == actual, f"{model.name}: {v.name} has dims {dims}, in the model {actual}")
                require(len(v.dims) > 0, f"{model.name}: {v.name} has no dims, which the server refuses")
        require(config.HasField("dynamic_batching") == (config.max_batch_size > 0), f"{model.name}: batching without a batch")
    return f"{len(models)} models; the server itself is in no package registry and was not run"


def check_hub(folder):
    versions = need("huggingface_hub", "safetensors")
    from huggingface_hub import ModelCard
    from safetensors.numpy import load_file
    hub = folder / "for/huggingface"
    card = ModelCard.load(hub / "README.md")
    data = card.data.to_dict()
    require(data.get("library_name") == "onnx" and "energy-based-model" in data.get("tags", []), f"the card's data are {data}")
    require("license" not in data, "the card chooses a license")
    tensors = load_file(hub / "model.safetensors")
    model = onnx.load(hub / "onnx/score.onnx")
    found = 0
    for t in model.graph.initializer:
        if t.name in tensors:
            require(np.array_equal(onnx.numpy_helper.to_array(t), tensors[t.name]), f"{t.name} differs between safetensors and ONNX")
            found += 1
    require(found == len(tensors), f"{found} of {len(tensors)} weights are in the ONNX file")
    json.loads((hub / "config.json").read_text())
    blocks = re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)
    require(len(blocks) == 2, f"the card has {len(blocks)} examples, wanted two")
    names = {}
    with contextlib.chdir(hub):
        for block in blocks:
            exec(compile(block, "README.md", "exec"), names)
    require(names["score"].shape == names["x"].shape and names["pictures"].min() >= 0, "the card's examples give something else")
    return f"{versions}: card, {found} weights, {len(blocks)} examples"


def check_web(folder):
    if not shutil.which("node") or not shutil.which("npm"):
        raise NotRun("node and npm are not here")
    web = folder / "for/web"
    inputs, expected = load_arrays(folder / "denoise.npz")
    pictures = folder / "for/web-pictures.json"
    pictures.write_text(json.dumps({"x": inputs["x"].ravel().tolist(), **{n: a.ravel().tolist() for n, a in expected.items()}}))
    install = subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--silent"],
                             cwd=web, capture_output=True, text=True)
    if install.returncode:
        raise NotRun("npm could not install onnxruntime-web: " + install.stderr.strip()[:200])
    test = subprocess.run(["node", str(HERE / "web_test.mjs"), str(web), str(pictures)], capture_output=True, text=True)
    require(test.returncode == 0, (test.stderr or test.stdout).strip()[-800:])
    said = json.loads(test.stdout)
    return (f"onnxruntime-web {said['version']}: energy {said['errors']['energy']:.1e}, denoised {said['errors']['denoised']:.1e}; "
            f"training steps {steps_in_web(folder, web)}")


def steps_in_web(folder, web):
    """Runs the training steps of other programs' models in onnxruntime-web."""
    def side(arrays):
        return {n: {"type": str(a.dtype), "dims": a.shape, "data": a.ravel().tolist()} for n, a in arrays.items()}

    steps = []
    for path in sorted((folder / "steps").glob("*.onnx")):
        inputs, outputs = load_arrays(path.with_suffix(".npz"))
        steps.append({"name": path.stem, "path": str(path), "inputs": side(inputs), "outputs": side(outputs)})
    require(steps, "there are no training steps")
    arrays = folder / "for/web-steps.json"
    arrays.write_text(json.dumps(steps))
    test = subprocess.run(["node", str(HERE / "steps_test.mjs"), str(web), str(arrays)], capture_output=True, text=True)
    require(test.returncode == 0, (test.stderr or test.stdout).strip()[-800:])
    return ", ".join(f"{name} {error:.1e}" for name, error in json.loads(test.stdout).items())


RANDOM_INCEPTION = """
import sys, torch
from torch_fidelity import feature_extractor_inceptionv3 as f
class Random(f.FeatureExtractorInceptionV3):
    def load_state_dict(self, *_): pass
torch.manual_seed(0)
torch.save({}, sys.argv[1])
torch.save(Random("inception-v3-compat", ["64"], feature_extractor_weights_path=sys.argv[1]).state_dict(), sys.argv[1])
"""


def check_torch_fidelity(folder):
    versions = need("torch-fidelity", "torch")
    path = folder / "for/torch-fidelity/generator.onnx"
    size = start_of(path).shape[1]
    with tempfile.TemporaryDirectory() as tmp:
        weights = os.path.join(tmp, "inception.pth")
        subprocess.run([sys.executable, "-c", RANDOM_INCEPTION, weights], check=True, capture_output=True)
        generator = lambda i, count: [
            f"--input{i}", str(path), f"--input{i}-model-z-type", "normal", f"--input{i}-model-z-size", str(size), f"--input{i}-model-num-samples", str(count)]
        command = [sys.executable, "-m", "torch_fidelity.fidelity", *generator(1, 10), *generator(2, 8), "--fid", "--cpu", "--batch-size", "4", "--no-cache",
                   "--feature-extractor-weights-path", weights, "--feature-layer-fid", "64", "--json", "--silent"]
        result = subprocess.run(command, capture_output=True, text=True)
    require(result.returncode == 0, result.stderr.strip()[-800:])
    fid = json.loads(result.stdout[result.stdout.index("{"):])["frechet_inception_distance"]
    require(np.isfinite(fid) and fid >= 0, f"the distance is {fid}")
    return f"{versions}: command line, 10 and 8 pictures in batches of 4, distance of random features {fid:.2g}"


CHECKS = {
    "onnx": check_onnx, "onnxruntime": check_onnxruntime, "openvino": check_openvino, "triton": check_triton,
    "hub": check_hub, "web": check_web, "torch-fidelity": check_torch_fidelity,
}


def check_folder(folder, names, required, out=sys.stdout):
    """Runs the checks, prints a line for each, and returns whether none failed."""
    print(f"onnx {onnx.__version__}, onnxruntime {ort.__version__}, numpy {np.__version__}", file=out)
    count = {"ok": 0, "FAIL": 0, "not run": 0}
    for name in names:
        try:
            verdict, message = "ok", CHECKS[name](folder)
        except NotRun as e:
            verdict, message = ("FAIL" if name in required else "not run"), str(e)
        except Exception as e:  # whatever a program raises is its verdict
            verdict, message = "FAIL", str(e) if isinstance(e, Failure) else repr(e)
        count[verdict] += 1
        print(f"{verdict:8}{name}: {message}", file=out, flush=True)
    print(f"{count['ok']} passed, {count['FAIL']} failed, {count['not run']} skipped", file=out)
    return not count["FAIL"]


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    for flag in ("--only", "--require"):
        parser.add_argument(flag, nargs="+", choices=list(CHECKS), metavar="NAME", default=[])
    options = parser.parse_args(arguments)
    if not (options.folder / "model.safetensors").is_file():
        parser.error(f"{options.folder} was not written by cmd/internal/parity/writer")
    return 0 if check_folder(options.folder.resolve(), options.only or list(CHECKS), options.require) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
