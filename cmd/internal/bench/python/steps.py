"""Training steps written by `ebm training-step` beside PyTorch eager, by turns, on four networks with AdamW.

    pip install torch torchvision onnx onnxruntime numpy
    python steps.py EBM [--threads N] [--rounds N] [--only NAME…] [--fit]

A step is the loss, its gradient by every weight and the update, over the same batch. PyTorch runs in its better memory
format of two, and with the faster of its fused and foreach AdamW. The file runs in ONNX Runtime's Python package, with
weights and moments handed from output to input without a copy, and with the two settings of `session` that keep memory
small. With --fit the program trains the network itself, by `ebm fit` over the same number of examples at a time: a step
is then a tenth of ten, with the reading of examples, as the run's metrics have it. Memory is what a process of its own
has at most above what it has before its first step. Run it on a machine that does nothing else.
"""

import argparse
import copy
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnxruntime
import torch
import torchvision
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[4] / "mdsm/train/testdata"))
from make_steps import GPT2, Recurrent, ResNet18, export  # noqa: E402
from turns import timed  # noqa: E402

warnings.filterwarnings("ignore")


def networks():
    """Yields the name, the module, the loss, its name for ebm, an input and a target."""
    cross = nn.CrossEntropyLoss()
    pictures, labels = torch.randn(16, 3, 32, 32), torch.randint(0, 10, (16,))
    yield "resnet18", ResNet18(64, 10), cross, "cross-entropy", pictures, labels
    vit = dict(image_size=32, patch_size=4, num_layers=6, num_heads=6, hidden_dim=192, mlp_dim=768)
    yield "vit", torchvision.models.VisionTransformer(num_classes=10, **vit), cross, "cross-entropy", pictures, labels
    ids = torch.randint(0, 1000, (8, 65))
    text = lambda y, t: nn.functional.cross_entropy(y.flatten(0, 1), t.flatten())
    yield "gpt2", GPT2(256, 4, 8, 1000, 64), text, "cross-entropy", ids[:, :-1], ids[:, 1:].contiguous()
    yield "lstm", Recurrent(64, 256), nn.MSELoss(), "mse", torch.randn(16, 100, 64), torch.randn(16, 2)


class Theirs:
    def __init__(self, module, loss, x, target, layout, fused):
        self.module = copy.deepcopy(module).train()
        if x.dim() == 4:
            self.module, x = self.module.to(memory_format=layout), x.to(memory_format=layout)
        self.loss, self.x, self.target = loss, x, target
        self.optimiser = torch.optim.AdamW(self.module.parameters(), lr=1e-4, fused=fused, foreach=not fused)

    def step(self):
        self.optimiser.zero_grad()
        value = self.loss(self.module(self.x), self.target)
        value.backward()
        self.optimiser.step()
        return value.item()


def session(path, threads):
    """Opens a step in a memory arena that takes what is asked for, not the next power of two, and plans nothing ahead."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.use_env_allocators", "1")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Ours:
    def __init__(self, program, folder, module, loss, x, target, threads):
        export(copy.deepcopy(module), x, folder / "model.onnx")
        subprocess.run([program, "training-step", folder / "model.onnx", "--loss", loss, "--optimizer", "adamw", "--out", folder / "step.onnx",
                        "--weights", folder / "first.npz", "--quiet"], check=True, capture_output=True)
        self.session = session(folder / "step.onnx", threads)
        value = onnxruntime.OrtValue.ortvalue_from_numpy
        first = np.load(folder / "first.npz")
        given = {"x": x.numpy(), "target": target.numpy(), "learning_rate": np.array([1e-4], np.float32), "step": np.array([1], np.int64)}
        self.values = {}
        for i in self.session.get_inputs():
            shape = [d if isinstance(d, int) else len(x) for d in i.shape]
            stored = re.sub(r"\.(m|v)$", "", i.name)
            zeros = np.zeros(shape, np.int64 if i.type == "tensor(int64)" else np.float32)
            self.values[i.name] = value(given[i.name] if i.name in given else first[i.name] if i.name in first.files else zeros)
            assert i.name in given or stored in first.files or i.name in first.files or i.name == "dropout_seed", i.name
        self.outputs = [o.name for o in self.session.get_outputs()]

    def step(self):
        bound = self.session.io_binding()
        for name, value in self.values.items():
            bound.bind_ortvalue_input(name, value)
        for name in self.outputs:
            if (stored := name.removesuffix(".next")).endswith((".m", ".v")):
                bound.bind_ortvalue_output(name, self.values[stored])  # in place: a moment is read once, before it is written
            else:
                bound.bind_output(name, "cpu")
        self.session.run_with_iobinding(bound)
        out = dict(zip(self.outputs, bound.get_outputs()))
        for name in self.values:
            if name + ".next" in out and not name.endswith((".m", ".v")):
                self.values[name] = out[name + ".next"]
        return float(out["loss"].numpy()[0])


class Fit:
    """`ebm fit` of a network: each step is a run of 31, of which the least time over ten is taken."""

    def __init__(self, program, folder, module, loss, x, target, threads):
        export(copy.deepcopy(module), x, folder / "model.onnx")
        np.savez(folder / "examples.npz", x=torch.cat([x] * 4).numpy(), target=torch.cat([target] * 4).numpy())
        self.command = [program, "fit", folder / "model.onnx", "--data", folder / "examples.npz", "--loss", loss, "--optimizer", "adamw", "--batch", str(len(x)),
                        "--steps", "31", "--threads", str(threads), "--validation", "0.25", "--quiet", "--out"]

    def seconds(self):
        with tempfile.TemporaryDirectory() as run:
            subprocess.run([*self.command, run + "/run"], check=True, capture_output=True)
            lines = [json.loads(line) for line in pathlib.Path(run, "run/metrics.jsonl").read_text().splitlines()]
        return min(1 / line["steps_per_second"] for line in lines if line.get("step", 0) > 10 and "steps_per_second" in line)


def memory():
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1024


def side(a, name):
    """Prints the memory that one side's steps take."""
    for found, module, loss, ebms, x, target in networks():
        if found == name:
            break
    with tempfile.TemporaryDirectory() as folder:
        if a.side == "ours":
            run = Ours(a.program, pathlib.Path(folder), module, ebms, x, target, a.threads)
        else:
            run = Theirs(module, loss, x, target, torch.contiguous_format, True)
        pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = memory()
        for _ in range(3):
            run.step()
        print(memory() - before)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--fit", action="store_true", help="time `ebm fit` in place of the file in ONNX Runtime's Python package")
    parser.add_argument("--side", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    processor = onnxruntime.OrtMemoryInfo("Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT)
    onnxruntime.create_and_register_allocator(processor, onnxruntime.OrtArenaCfg(0, 1, -1, -1))
    if a.side:
        return side(a, a.only[0])
    columns = ["network", "ours, ms", "PyTorch, ms", "ratio", *([] if a.fit else ["memory of ours, MB", "PyTorch's", "first loss off by"])]
    print("|", " | ".join(columns), "|")
    print("| ---", "| ---: " * (len(columns) - 1) + "|")
    for name, module, loss, ebms, x, target in networks():
        if a.only and name not in a.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            ours = (Fit if a.fit else Ours)(a.program, pathlib.Path(folder), module, ebms, x, target, a.threads)
            layouts = (torch.contiguous_format, torch.channels_last) if x.dim() == 4 else (torch.contiguous_format,)
            theirs = [Theirs(module, loss, x, target, layout, fused) for layout in layouts for fused in (True, False)]
            if name == "vit":
                theirs[0].module.eval()  # no dropout either way: its rate is 0
            apart = None if a.fit else abs(ours.step() / theirs[0].step() - 1)
            own, their = [], [[] for _ in theirs]
            for _ in range(a.rounds):
                for t, times in zip(theirs, their):
                    times.append(timed(t.step))
                own.append(ours.seconds() if a.fit else timed(ours.step))
        best = min(their, key=min)
        used = [] if a.fit else [float(subprocess.run([sys.executable, __file__, a.program, "--side", s, "--only", name, "--threads", str(a.threads)],
                                     check=True, capture_output=True, text=True).stdout) for s in ("ours", "theirs")]
        cells = [f"{1000 * min(own):.1f} ({1000 * statistics.median(own):.1f})", f"{1000 * min(best):.1f} ({1000 * statistics.median(best):.1f})",
                 f"{min(best) / min(own):.2f}", *(f"{u:.0f}" for u in used), *([] if a.fit else [f"{apart:.1e}"])]
        print("|", " | ".join([name, *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
