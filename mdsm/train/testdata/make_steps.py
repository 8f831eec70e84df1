"""Trains small networks of four kinds in PyTorch for twenty steps each with three
optimisers, and writes what TestStepsAgreeWithPyTorch compares:

  steps_NAME.onnx  the network as PyTorch exports it for training
  steps_NAME.npz   x, target [3, batch, ...], used in turn; names, those of the
                   initialisers; OPTIMISER/loss [steps]; and after the last step
                   OPTIMISER/weights, 16 elements of each initialiser, evenly
                   spaced, and OPTIMISER/largest, its largest magnitude
  fit.onnx         a small network with batch normalisation and dropout

With --full the networks have the sizes that people use. They are written to the
folder FULL in place of this one, for a comparison by hand.
"""

import argparse
import pathlib
import warnings

import numpy as np
import onnx
import torch
import torchvision
from torch import nn

STEPS, BATCHES = 20, 3
OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, weight_decay=1e-3),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-3, betas=(0.9, 0.99)),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1),
}


class Block(nn.Module):
    def __init__(self, inputs, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = None
        if stride != 1 or inputs != planes:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    """The network of He et al. with another number of channels."""

    def __init__(self, width, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        blocks, inputs = [], width
        for i in range(4):
            for stride in (2 if i else 1, 1):
                blocks.append(Block(inputs, width << i, stride))
                inputs = width << i
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        return self.fc(self.blocks(torch.relu(self.bn1(self.conv1(x)))).mean((2, 3)))


class Recurrent(nn.Module):
    def __init__(self, inputs, hidden):
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, 2, batch_first=True)
        self.out = nn.Linear(hidden, 2)

    def forward(self, x):
        return self.out(self.lstm(x)[0][:, -1])


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = (p.reshape(n, t, self.heads, c // self.heads).transpose(1, 2) for p in self.qkv(x).split(c, 2))
        a = q @ k.transpose(2, 3) / (c // self.heads) ** 0.5
        a = a.masked_fill(torch.ones(t, t, dtype=torch.bool).triu(1), float("-inf")).softmax(-1)
        return self.out((a @ v).transpose(1, 2).reshape(n, t, c))


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1, self.attn, self.ln_2 = nn.LayerNorm(width), Attention(width, heads), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT2(nn.Module):
    """The network of Radford et al., whose logits come from the embedding of ids."""

    def __init__(self, width, layers, heads, ids, positions):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(ids, width), nn.Embedding(positions, width)
        self.h = nn.Sequential(*(Layer(width, heads) for _ in range(layers)))
        self.ln_f = nn.LayerNorm(width)

    def forward(self, x):
        h = self.wte(x) + self.wpe(torch.arange(x.shape[1]))
        return self.ln_f(self.h(h)) @ self.wte.weight.T


def networks(full):
    g = torch.Generator().manual_seed(3)
    normal = lambda *shape: torch.randn(shape, generator=g)
    whole = lambda most, *shape: torch.randint(0, most, shape, generator=g)
    image, batch = (32, 16) if full else (12, 8)
    vit = dict(image_size=32, patch_size=4, num_layers=6, num_heads=6, hidden_dim=384, mlp_dim=1536) if full else dict(
        image_size=12, patch_size=6, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=32)
    gpt = (768, 12, 12, 50257, 1024) if full else (16, 2, 2, 40, 12)
    ids = whole(gpt[3], BATCHES, 4, (64 if full else 12) + 1)
    pictures, labels = normal(BATCHES, batch, 3, image, image), whole(10, BATCHES, batch)
    yield "resnet18", ResNet18(64 if full else 2, 10), nn.CrossEntropyLoss(), pictures, labels
    yield "vit", torchvision.models.VisionTransformer(num_classes=10, **vit), nn.CrossEntropyLoss(), pictures, labels
    yield "gpt2", GPT2(*gpt), lambda y, t: nn.functional.cross_entropy(y.flatten(0, 1), t.flatten()), ids[:, :, :-1], ids[:, :, 1:]
    yield "lstm", Recurrent(5, 256 if full else 12), nn.MSELoss(), normal(BATCHES, batch, 9, 5), normal(BATCHES, batch, 2)


def export(model, x, path):
    model.train()
    torch.onnx.export(model, (x,), path, dynamo=False, training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
                      input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "N"}, "y": {0: "N"}})


def fit(model, make, loss, x, target):
    o, losses = make(model.parameters()), []
    for i in range(STEPS):
        o.zero_grad()
        value = loss(model(x[i % BATCHES]), target[i % BATCHES])
        value.backward()
        o.step()
        losses.append(value.item())
    return np.array(losses)


def start(model, loss, x, target, full):
    """Gives the model weights from which its losses in float32 do not hang on rounding.

    Where an activation is near 0 at some step, a ReLU passes it with one rounding and
    not with another, and small networks part for good."""
    parameters = {k: v.clone() for k, v in model.state_dict().items()}
    for seed in range(100):
        torch.manual_seed(seed)
        model.load_state_dict(parameters)
        for p in model.parameters():  # equal ones become one initialiser where the exporter sees that
            p.data += 0.02 * torch.randn(p.shape)
        if full:
            return
        initial = {k: v.clone() for k, v in model.state_dict().items()}
        model.train()
        apart = 0
        for make in OPTIMISERS.values():
            runs = []
            for rounding in range(3):  # nothing else differs between the three
                torch.manual_seed(rounding)
                model.load_state_dict({n: v * (1 + 2e-7 * rounding * torch.randn(v.shape)) if v.is_floating_point() else v for n, v in initial.items()})
                runs.append(fit(model, make, loss, x, target))
            apart = max(apart, *(np.abs(r / runs[0] - 1).max() for r in runs))
            if apart > 1e-5:
                break
        model.load_state_dict(initial)
        if apart < 5e-6:
            print("seed", seed, "apart by", apart)
            return
    raise SystemExit("no seed whose losses do not hang on rounding")


def small(folder):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, 2))
    export(model, torch.randn(4, 4), folder / "fit.onnx")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", type=pathlib.Path)
    parser.add_argument("--only")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    folder = args.full or pathlib.Path(__file__).parent
    if not args.full:
        small(folder)
    for name, model, loss, x, target in networks(args.full):
        if args.only and name != args.only:
            continue
        start(model, loss, x, target, args.full)
        export(model, x[0], folder / f"steps_{name}.onnx")
        first = {i.name: i for i in onnx.load(folder / f"steps_{name}.onnx").graph.initializer}
        names = [n for n, i in first.items() if i.data_type == onnx.TensorProto.FLOAT and i.dims]
        # Tracing renews running means: those of the file count.
        initial = {k: torch.tensor(onnx.numpy_helper.to_array(first[k])) if "running" in k else v.clone() for k, v in model.state_dict().items()}
        arrays = {"x": x.numpy(), "target": target.numpy(), "names": np.frombuffer("\n".join(names).encode(), np.uint8)}
        for kind, make in OPTIMISERS.items():
            model.load_state_dict(initial)
            model.train()
            losses = fit(model, make, loss, x, target)
            arrays[f"{kind}/loss"] = np.array(losses, np.float32)
            if args.full:
                export(model, x[0], folder / f"after_{kind}_{name}.onnx")
                continue
            trained = {k: v.numpy().copy() for k, v in model.state_dict().items()}
            export(model, x[0], folder / "after.onnx")
            after = {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load(folder / "after.onnx").graph.initializer}
            (folder / "after.onnx").unlink()
            kept = [trained.get(p, after[p]).reshape(-1) for p in names]
            arrays[f"{kind}/weights"] = np.array([v[np.linspace(0, v.size - 1, 16).astype(int)] for v in kept])
            arrays[f"{kind}/largest"] = np.array([np.abs(v).max() for v in kept])
        np.savez_compressed(folder / f"steps_{name}.npz", **arrays)
        print(name, sum(p.numel() for p in model.parameters()), "parameters", arrays["adam/loss"][[0, -1]])


if __name__ == "__main__":
    main()
