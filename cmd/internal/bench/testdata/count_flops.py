"""Counts what PyTorch's flop counter says of the energy networks' work.

    python count_flops.py > flops.json

Only convolutions and matrix products count, a multiply-add as two. The numbers follow from
shapes alone and do not depend on the machine.
"""

import json
import pathlib
import sys

import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "models/energy/testdata"))
import make_golden

CASES = [("res12", 1, 16, 32, 4), ("res12", 1, 64, 32, 2), ("res18", 3, 8, 32, 2), ("res6", 3, 3, 16, 5)]


def count(work):
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def counts(net_name, channels, dim, size, batch):
    net = make_golden.Energy(net_name, channels, dim, size)
    x, noise = torch.rand(batch, channels, size, size), torch.randn(batch, channels, size, size)
    sigma = torch.linspace(0.1, 3, batch)

    def energy():
        with torch.no_grad():
            net(x)

    def score():
        at = x.clone().requires_grad_(True).clone()  # the counter cannot do with a leaf
        torch.autograd.grad(net(at).sum(), at)

    def train():
        at = (x + sigma.view(-1, 1, 1, 1) * noise).requires_grad_(True).clone()
        (gradient,) = torch.autograd.grad(net(at).sum(), at, create_graph=True)
        loss = make_golden.objective(x, at.detach(), gradient, sigma)
        torch.autograd.grad(loss, list(net.parameters()), allow_unused=True)

    return {"net": net_name, "channels": channels, "dim": dim, "size": size, "batch": batch,
            "energy": count(energy), "score": count(score), "train": count(train)}


if __name__ == "__main__":
    print(json.dumps([counts(*case) for case in CASES], indent=1))
