"""Makes objectives.json: what PyTorch and SciPy say of the objectives, in float64.

    pip install -r requirements.txt
    python make_objectives.py [FOLDER]        (the folder of this file by default)

The energy is a perceptron of 3 values with hidden layers of 5 and 4 units, softplus and the quadratic
head. For each objective the file has its inputs, as a training step has them, the loss, and the gradient
that the optimiser sees by each parameter. Losses are written from their formulas, not from the program.
assign has tables of costs and the least sum that scipy.optimize.linear_sum_assignment finds.
"""

import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment

torch.set_default_dtype(torch.float64)
N, D, M, K, DATA, SIGMA0 = 6, 3, 9, 5, 20, 0.3
WIDTHS = [5, 4]
rng = np.random.default_rng(20)


def parameters():
    p, last = {}, D
    for i, width in enumerate(WIDTHS):
        p[f"fc{i + 1}"] = (width, last)
        last = width
    for head in ("ln1", "ln2", "lq"):
        p[head] = (1, last)
    out = {}
    for name, shape in p.items():
        out[name + ".weight"] = torch.tensor(rng.normal(size=shape) * 0.7, requires_grad=True)
        out[name + ".bias"] = torch.tensor(rng.normal(size=shape[:1]) * 0.3, requires_grad=True)
    return out


P = parameters()


def energy(x):
    h = x
    for i in range(len(WIDTHS)):
        h = F.softplus(F.linear(h, P[f"fc{i + 1}.weight"], P[f"fc{i + 1}.bias"]))
    e = F.linear(h, P["ln1.weight"], P["ln1.bias"]) * F.linear(h, P["ln2.weight"], P["ln2.bias"])
    return (e + F.linear(h * h, P["lq.weight"], P["lq.bias"]))[:, 0]


def slope(x, graph=True):
    x = x.detach().requires_grad_(True)
    return torch.autograd.grad(energy(x).sum(), x, create_graph=graph)[0]


def normal(*shape):
    return torch.tensor(rng.normal(size=shape))


def posterior(scale):
    """Targets by a loop over all the x's that count for one x̃."""
    data = normal(DATA, D)
    of = rng.permutation(DATA)
    places = of[:M].tolist()  # the neighbours' numbers in the data
    index = of[M - 3 : M - 3 + N].tolist()  # three of the x's are among them
    x, neighbours = data[index], data[places]
    own = [places.index(i) if i in places else -1 for i in index]
    noise, sigma = normal(N, D), torch.tensor([0.05, 0.2, 0.4, 0.8, 1.5, 3.0])
    noisy = x + sigma[:, None] * noise
    targets = []
    for n in range(N):
        others = [neighbours[k] for k in range(M) if k != own[n]]
        each = (DATA - 1) / len(others)
        points = torch.stack([x[n]] + others)
        counts = torch.tensor([1.0] + [each] * len(others))
        square = ((noisy[n] - points) ** 2).sum(1)
        w = counts * torch.exp(-(square - square.min()) / (2 * SIGMA0**2))
        targets.append((w[:, None] * points).sum(0) / w.sum())
    residual = torch.stack(targets) - noisy + SIGMA0**2 * slope(noisy)
    loss = ((residual**2).sum(1) / sigma**2).mean()
    return dict(x=x, noise=noise, sigma=sigma, neighbours=neighbours, own=torch.tensor(own)), loss, scale


def ncsn():
    x, noise, sigma = normal(N, D), normal(N, D), torch.tensor([0.05, 0.2, 0.4, 0.8, 1.5, 3.0])
    noisy = x + sigma[:, None] * noise
    difference = -slope(noisy) + (noisy - x) / sigma[:, None] ** 2
    return dict(x=x, noise=noise, sigma=sigma), (sigma**2 / 2 * (difference**2).sum(1)).mean(), 1.0


def score_matching(projections):
    """The Hessian of each x by rows; random numbers of its own, so that those of the others stay."""
    own = np.random.default_rng(21 + projections)
    x, noise = torch.tensor(own.normal(size=(N, D))), torch.tensor(own.normal(size=(N, D)))
    noisy = (x + SIGMA0 * noise).requires_grad_(True)
    first = torch.autograd.grad(energy(noisy).sum(), noisy, create_graph=True)[0]
    hessian = torch.stack([torch.autograd.grad(first[:, i].sum(), noisy, create_graph=True)[0] for i in range(D)], 1)
    inputs = dict(x=x, noise=noise)
    if projections == 0:
        curvature = torch.stack([torch.trace(h) for h in hessian])
    else:
        v = inputs["direction"] = torch.tensor(own.choice([-1.0, 1.0], size=(N, projections, D)))
        curvature = torch.einsum("npi,nij,npj->np", v, hessian, v).mean(1)
    return inputs, ((first**2).sum(1) / 2 - curvature).mean(), 1.0


def persistent():
    own = np.random.default_rng(31)
    x, noise, start = (torch.tensor(own.normal(size=(N, D))) for _ in range(3))
    kicks, step, temperature, sigma, weight = torch.tensor(own.normal(size=(N, K, D))), 0.4, 0.6, 0.2, 0.05
    ends = start
    for k in range(K):
        ends = (ends - step**2 / 2 * slope(ends, False) + step * temperature**0.5 * kicks[:, k]).detach()
    plus, minus = energy(x + sigma * noise), energy(ends)
    loss = (plus - minus + weight * (plus**2 + minus**2)).mean()
    return dict(x=x, noise=noise, start=start, chain_noise=kicks), loss, 1.0, {"chain_end": ends}


def transport(tau, epsilon, contrast, dt, floor):
    x, start0, time = normal(N, D), normal(N, D), torch.tensor([0.02, 0.3, 0.5, 0.7, 0.9, 0.99])
    inputs, ends = {}, None
    if contrast > 0:
        start, begin, kicks = normal(N, D), torch.tensor([0.0, 1.0] * (N // 2)), normal(N, K, D)
        ends = start
        for k in range(K):
            heat = []
            for t in (begin + k * dt).tolist():
                if t > 1 - 1e-9:
                    heat.append(epsilon)
                else:
                    heat.append(0.0 if t <= tau else epsilon * (t - tau) / (1 - tau))
            size = torch.sqrt(2 * torch.tensor(heat) * dt)[:, None]
            ends = (ends - dt * slope(ends, False) + size * kicks[:, k]).detach()
        inputs.update(start=start, start_time=begin, chain_noise=kicks)
    if 0 < floor < 1:  # data that lie lower than the ends of chains, so that the floor counts
        x = ends
        for _ in range(5):
            x = (x - 0.02 * slope(x, False)).detach()
    at = (1 - time)[:, None] * start0 + time[:, None] * x
    weight = torch.ones(N) if tau == 1 else torch.clamp((1 - time) / (1 - tau), max=1)
    loss = (weight * ((slope(at) + x - start0) ** 2).mean(1)).mean()
    inputs.update({"x": x, "time": time, "from": start0})
    if contrast > 0:
        term = contrast * (energy(x).mean() - energy(ends).mean())
        assert not 0 < floor < 1 or term < -floor, "the floor is not reached"
        loss = loss + (torch.clamp(term, min=-floor) if floor > 0 else term)
    return inputs, loss, 1.0


def array(t):
    return {"shape": list(t.shape), "values": t.detach().flatten().tolist()}


def main(folder):
    cases = {
        "posterior": posterior(1 / SIGMA0**4),
        "ncsn": ncsn(),
        "transport": transport(1.0, 0.0, 0.0, 0.25, 0.0),
        "contrast": transport(1.0, 0.5, 0.7, 0.25, 0.0),
        "contrast from tau": transport(0.4, 0.5, 0.7, 0.25, 1000.0),
        "contrast at the floor": transport(1.0, 0.5, 0.7, 0.25, 1e-6),
        "score matching": score_matching(0),
        "sliced score matching": score_matching(2),
        "persistent": persistent(),
    }
    out = {"parameters": {name: array(p) for name, p in P.items()}, "sigma0": SIGMA0, "data": DATA, "cases": {}}
    for name, (inputs, loss, scale, *outputs) in cases.items():
        grads = torch.autograd.grad(scale * loss, list(P.values()), allow_unused=True)
        grads = [torch.zeros_like(p) if g is None else g for g, p in zip(grads, P.values())]
        out["cases"][name] = {
            "inputs": {k: array(v) for k, v in inputs.items()},
            "loss": loss.item(),
            "gradient": {k: array(g) for k, g in zip(P, grads)},
        }
        if outputs:
            out["cases"][name]["outputs"] = {k: array(v) for k, v in outputs[0].items()}
        print(name, loss.item())
    out["assign"] = []
    for n, low in ((1, 0), (2, 0), (5, -3), (17, 0), (40, -100)):
        cost = rng.uniform(low, 1, size=(n, n))
        if n == 17:  # many that are equal
            cost = np.round(cost * 4)
        row, column = linear_sum_assignment(cost)
        out["assign"].append({"n": n, "cost": cost.flatten().round(6).tolist(), "least": cost.round(6)[row, column].sum()})
    with open(os.path.join(folder, "objectives.json"), "w") as f:
        json.dump(out, f, indent=None, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__)))
