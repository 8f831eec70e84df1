"""Makes the golden files of this folder: what PyTorch says of the energy networks.

    pip install -r requirements.txt
    python make_golden.py [FOLDER]        (the folder of this file by default)

Everything is seeded and runs on one thread, so that the same torch on the same kind
of processor writes the same bytes. It prints how far PyTorch's own float32 is from
its float64 (largest error over largest magnitude): what a float32 test can ask for.

<net>_<weights>.npz, one for each of res6, res12, res18, res34 and each of
  random    the initialisation that PyTorch gives by default;
  trained   the same, 1.75 times as large, after 60 Adam steps of the MDSM loss on synthetic
            pictures: gradients and activations of the size that trained networks have.

  in_channels, dim, hw   int64 [1]      what the network was built with
  sigma0                 float64 [1]    0.1
  param/NAME             float32        weights, by their state_dict names
  x                      float32 [N,C,H,W]   clean pictures in [0,1]
  noise                  float32 [N,C,H,W]   standard normal n
  sigma                  float32 [N]         noise levels, 0.1 ... 3
  v                      float32 [N,C,H,W]   a direction for the Hessian-vector product

and, at xt = x + sigma*noise computed in the precision of the run,

  energy   energy64   [N]          E(xt)
  score    score64    [N,C,H,W]    -dE/dx at xt
  loss     loss64     [1]          sigma0^4/N * sum_i |(x_i-xt_i)/(sigma_i sigma0^2) + grad E(xt_i)/sigma_i|^2
           grad64/NAME             d loss / d NAME
           hvp64      [N,C,H,W]    (d2E/dx2) v at xt

where a plain name is the float32 run and a name with 64 is the float64 run from the
same float32 weights and inputs.

adam.npz, three steps of torch.optim.Adam on two tensors P = a, b:

  beta1, beta2, epsilon       float64 [1]
  learning_rate               float64 [3]
  param/P                     float32        before the first step
  grad/P                      float32 [3,...]  the gradient of each step
  next/P m/P v/P              float32 [3,...]  parameter and moments after each step
  next64/P m64/P v64/P        float64 [3,...]
"""

import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

SIGMA0 = 0.1
SIZE = 16
LEVELS = [0.1, 0.5, 1.2, 3.0]

# The blocks of each net by stage; the first of a stage halves the picture and doubles the channels.
NETS = {
    "res6": [["rb1"], ["rb2"], ["rb3"]],
    "res12": [["rb1", "rbc1"], ["rb2", "rbc2"], ["rb3", "rbc3"]],
    "res18": [["rb1", "rbc1", "rbc11"], ["rb2", "rbc2", "rbc22"], ["rb3", "rbc3", "rbc33"]],
    "res34": [["rb1", "rbc1", "rbc11"], ["rb2", "rbc2", "rbc22", "rbc222"],
              ["rb3", "rbc3", "rbc33", "rbc333", "rbc3333", "rbc33333"],
              ["rb4", "rbc4", "rbc44"]],
}

# net -> (in_channels, dim, seed)
CASES = {"res6": (3, 3, 6), "res12": (1, 3, 13), "res18": (3, 2, 18), "res34": (1, 2, 34)}


class Conv(nn.Module):
    """A convolution that keeps the size, under the name that checkpoints give it."""

    def __init__(self, c_in, c_out, kernel, bias=True):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, bias=bias)

    def forward(self, x):
        return self.conv(x)


class Block(nn.Module):
    """shortcut(x) + conv_2(ELU(conv_1(ELU(x)))), both branches halved when down."""

    def __init__(self, c_in, c_out, down):
        super().__init__()
        self.down = down
        self.conv_1 = Conv(c_in, c_in, 3, bias=False)
        self.conv_2 = Conv(c_in, c_out, 3)
        self.conv_shortcut = Conv(c_in, c_out, 1)

    def forward(self, x):
        y = self.conv_2(F.elu(self.conv_1(F.elu(x))))
        if self.down:
            return self.conv_shortcut(F.avg_pool2d(x, 2)) + F.avg_pool2d(y, 2)
        return self.conv_shortcut(x) + y


class Energy(nn.Module):
    """E(x) of one of NETS, with the quadratic head."""

    def __init__(self, net, in_channels, dim, size):
        super().__init__()
        self.conv1 = Conv(in_channels, dim, 3)
        self.blocks = []
        c = dim
        for stage in NETS[net]:
            for i, name in enumerate(stage):
                block = Block(c, 2 * c if i == 0 else c, down=i == 0)
                self.add_module(name, block)
                self.blocks.append(name)
                c = 2 * c if i == 0 else c
        n = c * (size >> len(NETS[net])) ** 2
        self.ln1, self.ln2, self.lq = nn.Linear(n, 1), nn.Linear(n, 1), nn.Linear(n, 1)

    def forward(self, x):
        h = self.conv1(x)
        for name in self.blocks:
            h = getattr(self, name)(h)
        h = h.flatten(1)
        return (self.ln1(h) * self.ln2(h) + self.lq(h * h)).squeeze(1)


def gradient_of_energy(net, xt):
    """E and dE/dx at xt, both differentiable."""
    xt = xt.requires_grad_(True)
    e = net(xt)
    (g,) = torch.autograd.grad(e.sum(), xt, create_graph=True)
    return e, g


def objective(x, xt, g, sigma):
    """sigma0^4 times the loss, with l(sigma) = 1/sigma^2."""
    s = sigma.view(-1, 1, 1, 1)
    residual = (x - xt) / (s * SIGMA0**2) + g / s
    return residual.square().flatten(1).sum(1).mean() * SIGMA0**4


def evaluate(net, x, noise, sigma, v):
    """Everything that a file holds of one run, in the precision of the arguments."""
    xt = x + sigma.view(-1, 1, 1, 1) * noise
    e, g = gradient_of_energy(net, xt)
    loss = objective(x, xt, g, sigma)
    grads = torch.autograd.grad(loss, list(net.parameters()), retain_graph=True, allow_unused=True)
    (hvp,) = torch.autograd.grad((g * v).sum(), xt)
    result = {"energy": e, "score": -g, "loss": loss.reshape(1), "hvp": hvp}
    for (name, p), d in zip(net.named_parameters(), grads):
        # The biases of the linear forms do not all reach dE/dx; their gradient is zero.
        result["grad/" + name] = torch.zeros_like(p) if d is None else d
    return {k: t.detach() for k, t in result.items()}


def pictures(n, channels, size, rng):
    """Pictures in [0,1] with edges and slopes: a few bright rectangles on a ramp."""
    ramp = torch.linspace(0, 0.4, size)
    x = torch.empty(n, channels, size, size)
    for i in range(n):
        tilt = torch.rand(2, generator=rng)
        x[i] = tilt[0] * ramp[:, None] + tilt[1] * ramp[None, :]
        for _ in range(3):
            top, left = torch.randint(0, size - 4, (2,), generator=rng).tolist()
            height, width = torch.randint(3, size // 2 + 1, (2,), generator=rng).tolist()
            x[i, :, top:top + height, left:left + width] = torch.rand(channels, 1, 1, generator=rng)
    return x


def train(net, channels, rng, steps=60, batch=32, size=SIZE):
    """Enlarges the weights, then lowers the loss for a few steps."""
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(1.75)
    sigma = torch.logspace(np.log10(0.1), np.log10(3), batch)
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-3, betas=(0.9, 0.95), foreach=False)
    losses = []
    for _ in range(steps):
        x = pictures(batch, channels, size, rng)
        xt = x + sigma.view(-1, 1, 1, 1) * torch.randn(x.shape, generator=rng)
        loss = objective(x, xt, gradient_of_energy(net, xt)[1], sigma)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    print(f"  trained: loss {losses[0]:.1f} -> {losses[-1]:.1f}")


def relative_error(a, b):
    return ((a.double() - b).abs().max() / b.abs().max()).item()


def network_file(net_name, trained):
    in_channels, dim, seed = CASES[net_name]
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(1000 + seed)
    net = Energy(net_name, in_channels, dim, SIZE)
    if trained:
        train(net, in_channels, rng)
    return arrays_of(net, in_channels, dim, SIZE, rng)


def arrays_of(net, in_channels, dim, size, rng):
    """What a file holds of a network."""
    x = pictures(len(LEVELS), in_channels, size, rng)
    noise = torch.randn(x.shape, generator=rng)
    v = torch.randn(x.shape, generator=rng)
    sigma = torch.tensor(LEVELS)

    params = {k: p.detach().clone() for k, p in net.state_dict().items()}
    single = evaluate(net, x, noise, sigma, v)
    double = evaluate(net.double(), x.double(), noise.double(), sigma.double(), v.double())

    scale = max(d.abs().max().item() for k, d in double.items() if k.startswith("grad/"))
    errors = {k: relative_error(single[k], double[k]) for k in ("energy", "score", "loss", "hvp")}
    errors["grad"] = max((single[k].double() - d).abs().max().item() / scale
                         for k, d in double.items() if k.startswith("grad/"))
    print("  largest: " + ", ".join(f"{k} {double[k].abs().max():.3g}" for k in ("energy", "score", "loss", "hvp"))
          + f", grad {scale:.3g}")
    print("  float32 against float64: " + ", ".join(f"{k} {e:.1e}" for k, e in errors.items()))

    arrays = {"in_channels": np.array([in_channels]), "dim": np.array([dim]), "hw": np.array([size]),
              "sigma0": np.array([SIGMA0]), "x": x, "noise": noise, "sigma": sigma, "v": v}
    arrays |= {"param/" + k: p for k, p in params.items()}
    arrays |= {k: single[k] for k in ("energy", "score", "loss")}
    for k, d in double.items():
        kind, _, name = k.partition("/")
        arrays[kind + "64" + ("/" + name if name else "")] = d
    return arrays


def adam_file():
    rng = torch.Generator().manual_seed(7)
    rates = [1e-3, 5e-4, 2e-4]
    params = {"a": torch.randn(3, 4, generator=rng), "b": torch.randn(5, generator=rng)}
    grads = {k: torch.randn(3, *p.shape, generator=rng) for k, p in params.items()}
    # From nothing at all, over gradients as small as epsilon, to very large ones.
    grads["b"][:] *= torch.tensor([0.0, 1e-9, 1e-7, 1.0, 1e4])
    arrays = {"beta1": np.array([0.9]), "beta2": np.array([0.95]), "epsilon": np.array([1e-8]),
              "learning_rate": np.array(rates)}
    arrays |= {"param/" + k: p for k, p in params.items()} | {"grad/" + k: g for k, g in grads.items()}
    for suffix, dtype in (("", torch.float32), ("64", torch.float64)):
        leaves = {k: p.to(dtype, copy=True).requires_grad_(True) for k, p in params.items()}
        optimiser = torch.optim.Adam(leaves.values(), betas=(0.9, 0.95), eps=1e-8, foreach=False)
        trace = {}
        for step, rate in enumerate(rates):
            optimiser.param_groups[0]["lr"] = rate
            for k, p in leaves.items():
                p.grad = grads[k][step].to(dtype)
            optimiser.step()
            for k, p in leaves.items():
                state = optimiser.state[p]
                for kind, t in (("next", p), ("m", state["exp_avg"]), ("v", state["exp_avg_sq"])):
                    trace.setdefault(f"{kind}{suffix}/{k}", []).append(t.detach().clone())
        arrays |= {k: torch.stack(t) for k, t in trace.items()}
    return arrays


def save(folder, name, arrays):
    path = os.path.join(folder, name)
    arrays = {k: a.numpy() if isinstance(a, torch.Tensor) else a for k, a in arrays.items()}
    for k, a in arrays.items():
        if not np.isfinite(a).all():
            raise ValueError(f"{path}: {k} is not finite")
    np.savez_compressed(path, **arrays)
    print(f"{name}: {len(arrays)} arrays, {os.path.getsize(path)} bytes")


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for net in NETS:
        for weights in ("random", "trained"):
            print(f"{net}, {weights}")
            save(folder, f"{net}_{weights}.npz", network_file(net, weights == "trained"))
    save(folder, "adam.npz", adam_file())


if __name__ == "__main__":
    main()
