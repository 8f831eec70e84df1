"""Makes the golden files of this folder: models exported by PyTorch, and PyTorch's
outputs and gradients for them.

    pip install -r requirements.txt
    python make_golden.py [FOLDER]        (the folder of this file by default)

NAME.onnx   a seeded model with random weights in evaluation mode, its batch dynamic:
              mlp            Linear, GELU, LayerNorm, Linear
              cnn            BatchNorm, Conv, ReLU, MaxPool, a residual branch, ConvTranspose, average pool, Linear
              transformer    embedding, one block of attention and MLP, mean over positions
              torchscript    the transformer as the older exporter writes it: its Reshapes take
                             shapes that the model computes
NAME.npz    in/X           inputs, float32 or int64
            out/Y          outputs in float64, from the same float32 weights and inputs
            grad/X         d(sum of squares of the first output)/dX in float64, for float inputs and
                           for every parameter by its state_dict name
            hvp/X v/X      for the first float input: Hessian of the same sum times v
"""

import os
import sys
import tempfile

import numpy as np
import onnx
import torch
from torch import nn


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(5, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 3), nn.LogSoftmax(-1))

    def forward(self, x):
        return self.net(x)


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.block = nn.Sequential(nn.BatchNorm2d(8), nn.SiLU(), nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=2))
        self.up = nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1)
        self.pool = nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)
        self.head = nn.Linear(4 * 49, 4)
        for m in self.modules():
            if isinstance(m, nn.BatchNorm2d):
                nn.init.normal_(m.running_mean, std=0.3)
                nn.init.uniform_(m.running_var, 0.5, 2)

    def forward(self, x):
        h = self.stem(x)
        h = h + self.block(h)
        h = nn.functional.hardswish(self.up(h))
        return self.head(self.pool(h).flatten(1))


class Transformer(nn.Module):
    def __init__(self, words=11, width=16, heads=2, positions=6):
        super().__init__()
        self.heads = heads
        self.embed = nn.Embedding(words, width)
        self.position = nn.Parameter(torch.randn(positions, width) * 0.1)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 32), nn.GELU(approximate="tanh"), nn.Linear(32, width))
        self.head = nn.Linear(width, 2)
        for p in [*self.norm1.parameters(), *self.norm2.parameters()]:
            nn.init.normal_(p, 0.5)  # equal weights would be exported as one

    def forward(self, tokens, bias):
        n, t = tokens.shape
        h = self.embed(tokens) + self.position[:t]
        q, k, v = self.qkv(self.norm1(h)).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        a = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + bias[:, None, None, :]
        a = a.masked_fill(torch.ones(t, t, dtype=torch.bool).triu(1), float("-inf")).softmax(-1)
        h = h + self.out((a @ v).transpose(1, 2).reshape(n, t, -1))
        h = h + self.mlp(self.norm2(h))
        return self.head(h.mean(1)), a


def golden(folder, name, model, inputs, names, outputs, **export):
    model.eval()
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "model.onnx")
        batch = torch.export.Dim("batch")
        if export.get("dynamo"):
            shapes = dict(dynamic_shapes=tuple({0: batch} for _ in inputs), external_data=False)
        else:
            shapes = dict(dynamic_axes={n: {0: "batch"} for n in names + outputs})
        torch.onnx.export(model, tuple(inputs), path, input_names=names, output_names=outputs, **export, **shapes)
        m = onnx.load(path)
    for node in m.graph.node:  # source positions and traces of this machine
        node.ClearField("doc_string")
        del node.metadata_props[:]
    for value in list(m.graph.value_info) + list(m.graph.input) + list(m.graph.output):
        del value.metadata_props[:]
    del m.graph.metadata_props[:], m.metadata_props[:], m.graph.value_info[:]
    del m.functions[:]
    m.graph.doc_string = ""
    onnx.checker.check_model(m, full_check=True)
    onnx.save(m, os.path.join(folder, name + ".onnx"))

    double = model.double()
    xs = [x.double().requires_grad_() if x.is_floating_point() else x for x in inputs]
    results = double(*xs)
    results = results if isinstance(results, tuple) else (results,)
    data = {"in/" + n: x.detach().numpy() for n, x in zip(names, inputs)}
    data |= {"out/" + n: y.detach().numpy() for n, y in zip(outputs, results)}
    loss = (results[0] ** 2).sum()
    variables = {n: x for n, x in zip(names, xs) if x.is_floating_point()} | dict(double.named_parameters())
    grads = torch.autograd.grad(loss, list(variables.values()), create_graph=True)
    data |= {"grad/" + n: g.detach().numpy() for n, g in zip(variables, grads)}
    first = next(iter(variables))
    v = torch.randn(variables[first].shape, dtype=torch.float32)
    (hvp,) = torch.autograd.grad((grads[0] * v.double()).sum(), variables[first])
    data |= {"v/" + first: v.numpy(), "hvp/" + first: hvp.detach().numpy()}
    np.savez_compressed(os.path.join(folder, name + ".npz"), **data)


def main(folder):
    torch.set_num_threads(1)
    torch.manual_seed(1)
    golden(folder, "mlp", MLP(), [torch.randn(3, 5)], ["x"], ["y"], dynamo=True, opset_version=18)
    golden(folder, "cnn", CNN(), [torch.randn(2, 3, 13, 13)], ["x"], ["y"], dynamo=True, opset_version=18)
    tokens, bias = torch.randint(0, 11, (2, 6)), torch.randn(2, 6)
    names, outputs = ["tokens", "bias"], ["y", "attention"]
    golden(folder, "transformer", Transformer(), [tokens, bias], names, outputs, dynamo=True, opset_version=20)
    golden(folder, "torchscript", Transformer(), [tokens, bias], names, outputs, dynamo=False, opset_version=14)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__)))
