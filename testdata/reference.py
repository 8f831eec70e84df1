"""Writes what a PyTorch module says of its energy, for ebm verify --reference."""

import numpy as np
import torch


def reference(net, x, path, sigma=None, noise=None, sigma0=0.1):
    """net: [N C H W] -> energies [N]. With noise levels sigma [N] and noise [N C H W], the training loss too."""
    gradient = lambda x: torch.autograd.grad(net(x).sum(), x, create_graph=True)[0]
    x = x.clone().requires_grad_(True)
    out = {"x": x, "energy": net(x).flatten(), "score": -gradient(x)}
    if sigma is not None:
        noisy = x + sigma.view(-1, 1, 1, 1) * noise
        loss = ((x - noisy + sigma0**2 * gradient(noisy)).square().flatten(1).sum(1) / sigma**2).mean()
        params = {name: p for name, p in net.named_parameters() if p.requires_grad}
        grads = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
        out |= {"noise": noise, "sigma": sigma, "loss": loss}
        out |= {"grad/" + name: g for name, g in zip(params, grads) if g is not None}
    out = {name: t.detach().cpu().numpy() for name, t in out.items()}
    made_by = np.frombuffer(f"PyTorch {torch.__version__}".encode(), np.uint8)
    np.savez(path, sigma0=sigma0, made_by=made_by, **out)
