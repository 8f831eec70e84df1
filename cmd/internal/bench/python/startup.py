"""A first sample from nothing, as a user of PyTorch draws it: load weights, run a short chain, write it.

    python startup.py WEIGHTS.pt OUT.npz [STEPS]      (writes WEIGHTS.pt when it is not there)

The network is that of the shipped model mnist16: res12, 32 channels wide, on 16x16 pictures.
"""

import pathlib
import sys

sys.dont_write_bytecode = True
import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[4] / "models/energy/testdata"))
import make_golden  # noqa: E402

NET, CHANNELS, DIM, SIZE = "res12", 1, 32, 16


def main():
    weights, out = pathlib.Path(sys.argv[1]), sys.argv[2]
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else 10
    net = make_golden.Energy(NET, CHANNELS, DIM, SIZE)
    if not weights.exists():
        torch.save(net.state_dict(), weights)
    net.load_state_dict(torch.load(weights, weights_only=True))
    net.requires_grad_(False)

    def gradient(x):
        at = x.detach().requires_grad_(True)
        return torch.autograd.grad(net(at).sum(), at)[0]

    x = 0.5 + torch.randn(1, CHANNELS, SIZE, SIZE)
    for _ in range(steps):
        x = x - 0.0002 * gradient(x) + 0.02 * torch.randn_like(x)
    x = x - make_golden.SIGMA0**2 * gradient(x)
    np.savez(out, (255 * x.clamp(0, 1)).round().to(torch.uint8).permute(0, 2, 3, 1).numpy())


if __name__ == "__main__":
    main()
