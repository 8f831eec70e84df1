"""Gradients written by `ebm gradient` beside PyTorch eager, by turns, on the networks people export.

    pip install torch torchvision transformers onnx onnxscript onnxruntime numpy
    python gradients.py EBM [--threads N] [--rounds N] [--only NAME…]

Forward and backward of the sum of the output: by the input, and by all parameters. PyTorch runs in its better memory
format of two. The file's gradients run in ONNX Runtime's Python package, as its users run them. Run it on a machine
that does nothing else. The table goes to standard output: least seconds, their ratio (above 1 we are faster), and the
largest error of the gradient by the input over its largest magnitude, against PyTorch in float64.
"""

import argparse
import copy
import os
import pathlib
import statistics
import subprocess
import tempfile
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
import torchvision
import transformers as tf
from torch import nn

from turns import timed

warnings.filterwarnings("ignore")


class OverEmbeddings(nn.Module):
    """GPT-2 as a function of its input embeddings, so that there is an input to differentiate by."""

    def __init__(self):
        super().__init__()
        config = tf.GPT2Config(n_embd=256, n_layer=4, n_head=8, vocab_size=1000, attn_implementation="eager")
        self.model, self.head = tf.GPT2Model(config), nn.Linear(256, 1000)

    def forward(self, x):
        return self.head(self.model(inputs_embeds=x, use_cache=False)[0])


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.rnn, self.head = kind(64, 128, batch_first=True), nn.Linear(128, 10)

    def forward(self, x):
        return self.head(self.rnn(x)[0])


def networks():
    """Yields the name, the module and an input."""
    picture = torch.randn(8, 3, 64, 64)
    yield "MLP", nn.Sequential(nn.Linear(256, 1024), nn.GELU(), nn.Linear(1024, 1024), nn.GELU(), nn.Linear(1024, 10)), torch.randn(128, 256)
    yield "resnet18", torchvision.models.resnet18(), picture
    yield "MobileNetV3-small", torchvision.models.mobilenet_v3_small(), picture
    vit = torchvision.models.VisionTransformer(image_size=64, patch_size=8, num_layers=6, num_heads=6, hidden_dim=192, mlp_dim=768)
    nn.init.normal_(vit.heads.head.weight)  # zero at first: no gradient to compare
    yield "ViT", vit, picture
    stack = []
    for i in range(4):
        stack += [nn.Conv2d(32 if i else 3, 32, 3, padding=1), nn.GroupNorm(8, 32), nn.SiLU()]
    yield "conv + GroupNorm", nn.Sequential(*stack, nn.Conv2d(32, 3, 3, padding=1)), picture
    yield "GPT-2, 4 layers", OverEmbeddings(), torch.randn(4, 64, 256)
    yield "LSTM, 100 steps", Recurrent(nn.LSTM), torch.randn(16, 100, 64)
    yield "GRU, 100 steps", Recurrent(nn.GRU), torch.randn(16, 100, 64)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="*")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = a.threads
    print("| network | by input: ours, ms | PyTorch, ms | ratio | by parameters: ours, ms | PyTorch, ms | ratio | nodes | error |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    torch.manual_seed(0)
    for name, module, x in networks():
        if a.only and name not in a.only:
            continue
        module.eval()
        with tempfile.TemporaryDirectory() as folder:
            row(pathlib.Path(folder), name, module, x, options, a)


def row(folder, name, module, x, options, a):
    path = folder / "model.onnx"
    newer = isinstance(module, OverEmbeddings)  # the older exporter lacks operators of the masks
    torch.onnx.export(module, (x,), path, input_names=["x"], output_names=["y"], dynamo=newer, external_data=False, verbose=False,
                      opset_version=18 if newer else 17)
    model_parameters = [p for p in module.parameters() if p.requires_grad]
    cells, nodes, error = [], 0, 0.0
    for kind in ("input", "parameters"):
        out = folder / f"{kind}.onnx"
        subprocess.run([a.program, "gradient", path, "--wrt", "x", "--out", out, "--quiet"] if kind == "input" else
                       [a.program, "gradient", path, "--wrt-parameters", "--out", out, "--quiet"], check=True, capture_output=True)
        session = onnxruntime.InferenceSession(str(out), options, providers=["CPUExecutionProvider"])
        feed = {"x": x.numpy()}
        theirs = []
        for layout in (torch.contiguous_format, torch.channels_last):
            if layout == torch.channels_last and x.dim() != 4:
                continue
            m, xs = module.to(memory_format=layout), x.clone().to(memory_format=layout) if x.dim() == 4 else x.clone()
            xs.requires_grad_(kind == "input")
            wrt = [xs] if kind == "input" else model_parameters
            for p in model_parameters:
                p.requires_grad_(kind == "parameters")
            theirs.append([lambda m=m, xs=xs, wrt=wrt: torch.autograd.grad(m(xs).sum(), wrt, allow_unused=True), []])
            if kind == "input" and layout == torch.contiguous_format:
                wide, leaf = copy.deepcopy(module).double(), x.double().requires_grad_()
                want = torch.autograd.grad(wide(leaf).sum(), leaf)[0].numpy()
                got = session.run(["grad/x"], feed)[0]
                error = np.abs(got - want).max() / np.abs(want).max()
        ours = []
        for i in range(a.rounds + 1):
            for run, times in theirs:
                times.append(timed(run))
            ours.append(timed(lambda: session.run(None, feed)))
        best = min(theirs, key=lambda t: min(t[1][1:]))[1][1:]
        ours = ours[1:]
        cells += [f"{1000 * min(ours):.1f} ({1000 * statistics.median(ours):.1f})", f"{1000 * min(best):.1f} ({1000 * statistics.median(best):.1f})",
                  f"{min(best) / min(ours):.2f}"]
        if kind == "input":
            nodes = len(onnx.load(out).graph.node)
        for p in model_parameters:
            p.requires_grad_(True)
    print("|", " | ".join([name, *cells, str(nodes), f"{error:.1e}"]), "|", flush=True)


if __name__ == "__main__":
    main()
