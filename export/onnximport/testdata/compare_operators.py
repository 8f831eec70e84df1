"""Gradients of operators, written by `ebm gradient` and run by ONNX Runtime in float32, against PyTorch's in float64.

    pip install torch onnx onnxruntime numpy
    EBM=path/to/ebm python export/onnximport/testdata/compare_operators.py

Prints the largest error over the largest magnitude, of the output and of each gradient, and fails above 1e-5.
"""

import os
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F

EBM = os.environ.get("EBM", "ebm")
torch.manual_seed(0)


class Module(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args):
        return self.function(*args)


def relative(got, want):
    want = want.detach().numpy()
    return float(np.abs(got - want).max() / max(np.abs(want).max(), 1e-9))


def errors(folder, function, args, opset):
    names = ["x", "g"][: len(args)]
    path, out = os.path.join(folder, "in.onnx"), os.path.join(folder, "out.onnx")
    torch.onnx.export(Module(function), args, path, input_names=names, output_names=["y"], opset_version=opset, dynamo=False)
    flags = [flag for name in names for flag in ("--wrt", name)]
    subprocess.run([EBM, "gradient", path, *flags, "--out", out, "-q"], check=True, stdout=subprocess.DEVNULL)
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    values = session.run(None, {name: a.numpy() for name, a in zip(names, args)})
    got = dict(zip([o.name for o in session.get_outputs()], values))
    leaves = [a.double().requires_grad_() for a in args]
    y = function(*leaves)
    y.sum().backward()
    return [relative(got["y"], y)] + [relative(got["grad/" + n], a.grad) for n, a in zip(names, leaves)]


def cases():
    x, rows = torch.randn(2, 3, 6, 6), torch.randn(3, 5, 8)
    grid = torch.rand(2, 5, 5, 2) * 2.6 - 1.3
    for mode in ("bilinear", "bicubic"):
        for padding in ("zeros", "border", "reflection"):
            for corners in (False, True):
                yield (f"grid_sample {mode} {padding} {corners}",
                       lambda x, g, m=mode, p=padding, c=corners: F.grid_sample(x, g, m, p, c), (x, grid), 20)
    yield ("affine_grid", lambda x, t: F.grid_sample(x, F.affine_grid(t, (2, 3, 6, 6), False), align_corners=False),
           (x, torch.randn(2, 2, 3) * 0.3), 20)
    yield "elements of a mask", lambda x: x[x > 0] ** 2, (rows,), 17
    yield "topk", lambda x: x.topk(3, 1)[0] ** 2, (rows,), 17
    yield "sort", lambda x: x.sort(-1)[0] ** 2 * torch.arange(8), (rows,), 17
    yield "logdet", lambda x: torch.logdet(x @ x.transpose(1, 2) + torch.eye(5)), (rows,), 17
    yield "det", torch.det, (torch.randn(4, 6, 6),), 17
    yield ("stft", lambda x: torch.stft(x, 16, 8, window=torch.hann_window(16).to(x.dtype), return_complex=False) ** 2,
           (torch.randn(2, 64),), 17)
    yield "fold", lambda x: F.fold(x, (6, 6), 3, padding=1) ** 2, (torch.randn(2, 27, 36),), 18
    places = torch.arange(120).reshape(3, 5, 8) * 7 % 9
    for how in ("amax", "amin", "prod", "sum"):
        yield (f"scatter_reduce {how}",
               lambda x, h=how: torch.ones(3, 9, 8).to(x.dtype).scatter_reduce(1, places, x, h) ** 2, (rows,), 18)


def main():
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name, function, args, opset in cases():
            e = errors(folder, function, args, opset)
            worst = max([worst] + e)
            print(f"{name:36}", " ".join(f"{v:.1e}" for v in e))
    print(f"largest: {worst:.1e}")
    return worst > 1e-5


if __name__ == "__main__":
    sys.exit(main())
