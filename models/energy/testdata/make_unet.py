"""Makes unet.npz and unet_residual.npz: what PyTorch says of the U-Net-shaped energy.

    pip install -r requirements.txt
    python make_unet.py [FOLDER]        (the folder of this file by default)

The files have the arrays that make_golden.py describes, of the trained kind, and

  multipliers, blocks        int64       channels of each level over dim; residual blocks of a level
  head, activation           characters

The network is an ordinary module, whose state_dict's names are the graph's.
"""

import math
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import make_golden

ACTIVATIONS = {"elu": F.elu, "relu": F.relu, "softplus": F.softplus, "swish": F.silu, "tanh": torch.tanh}


def group_norm(channels):
    return nn.GroupNorm(math.gcd(8, channels), channels)


class Block(nn.Module):
    """shortcut(h) + conv2(act(conv1(act(norm(h)))))."""

    def __init__(self, c_in, c_out, act):
        super().__init__()
        self.act = act
        self.norm = group_norm(c_in)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.shortcut = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)

    def forward(self, h):
        return self.shortcut(h) + self.conv2(self.act(self.conv1(self.act(self.norm(h)))))


class Attention(nn.Module):
    """h + one head of scaled dot-product attention between the pixels of norm(h)."""

    def __init__(self, channels):
        super().__init__()
        self.norm = group_norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, h):
        q, k, v = self.qkv(self.norm(h)).flatten(2).chunk(3, dim=1)
        weights = torch.softmax(q.transpose(1, 2) @ k / math.sqrt(q.shape[1]), dim=2)
        return h + self.proj((v @ weights.transpose(1, 2)).view_as(h))


class UNet(nn.Module):
    """E(x): by the quadratic or the linear head of the last block, or ½‖x − f(x)‖² (residual)."""

    def __init__(self, in_channels, dim, size, multipliers=(1, 2, 2), blocks=1, head="quadratic", activation="elu"):
        super().__init__()
        self.head, self.act = head, ACTIVATIONS[activation]
        widths = [m * dim for m in multipliers]

        def level(c_in, c):
            return nn.ModuleList(Block(c_in if i == 0 else c, c, self.act) for i in range(blocks))

        self.conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList(level(widths[max(i - 1, 0)], c) for i, c in enumerate(widths))
        lowest = widths[-1]
        self.mid = nn.ModuleList([Block(lowest, lowest, self.act), Attention(lowest), Block(lowest, lowest, self.act)])
        # The 1x1 convolution of what comes from below and what comes across, as two.
        self.lift = nn.ModuleList(nn.Conv2d(low, c, 1) for c, low in zip(widths, widths[1:]))
        self.skip = nn.ModuleList(nn.Conv2d(c, c, 1, bias=False) for c in widths[:-1])
        self.up = nn.ModuleList(level(c, c) for c in widths[:-1])
        if head == "residual":
            self.conv_out = nn.Conv2d(widths[0], in_channels, 3, padding=1)
            return
        n = widths[0] * size**2
        self.ln1 = nn.Linear(n, 1)
        if head == "quadratic":
            self.ln2, self.lq = nn.Linear(n, 1), nn.Linear(n, 1)

    def forward(self, x):
        h, skips = self.conv_in(x), []
        for i, blocks in enumerate(self.down):
            h = F.avg_pool2d(h, 2) if i > 0 else h
            for block in blocks:
                h = block(h)
            skips.append(h)
        for part in self.mid:
            h = part(h)
        for i in reversed(range(len(self.up))):
            h = F.interpolate(self.lift[i](h), scale_factor=2) + self.skip[i](skips[i])
            for block in self.up[i]:
                h = block(h)
        if self.head == "residual":
            return (x - self.conv_out(self.act(h))).square().flatten(1).sum(1) / 2
        h = h.flatten(1)
        if self.head == "linear":
            return self.ln1(h).squeeze(1)
        return (self.ln1(h) * self.ln2(h) + self.lq(h * h)).squeeze(1)


# name -> what the network is built with, and a seed
CASES = {
    "unet": dict(in_channels=1, dim=2, size=8, multipliers=(1, 2, 2), blocks=1, head="quadratic", activation="elu", seed=20),
    "unet_residual": dict(in_channels=3, dim=2, size=8, multipliers=(2, 1), blocks=2, head="residual", activation="swish", seed=21),
}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for name, case in CASES.items():
        case = dict(case)
        torch.manual_seed(case["seed"])
        rng = torch.Generator().manual_seed(1000 + case.pop("seed"))
        print(name)
        net = UNet(**case)
        make_golden.train(net, case["in_channels"], rng, size=case["size"])
        arrays = make_golden.arrays_of(net, case["in_channels"], case["dim"], case["size"], rng)
        arrays |= {"multipliers": np.array(case["multipliers"]), "blocks": np.array([case["blocks"]])}
        arrays |= {key: np.frombuffer(case[key].encode(), np.uint8) for key in ("head", "activation")}
        make_golden.save(folder, name + ".npz", arrays)


if __name__ == "__main__":
    main()
