"""The other side of the comparison: the jobs of `ebm bench` as a user of PyTorch writes them.

    python torchside.py --job score --form channels_last --net res12 --dim 16 --batch 128 --threads 2

It speaks the protocol of `ebm bench --turns`: a line of JSON when it is warm, then a run and a
line of milliseconds for every line of standard input, and a last line of JSON when that ends.

Forms: eager; channels_last (weights and pictures in that memory format); compile (torch.compile
with its defaults). Scores and samples freeze the weights, so that no gradient of them is
computed. Training makes a batch of pictures and noise in every step, as `ebm train` does, and
uses the faster of Adam's fused and foreach forms. What a form computes is held to eager's result
before it is timed.
"""

import argparse
import json
import pathlib
import resource
import sys
import time

import torch
import torch._inductor.config

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[4] / "models/energy/testdata"))
import make_golden  # noqa: E402  the energy networks and the objective, which tests hold ours to
import make_unet  # noqa: E402

FORMS = ("eager", "channels_last", "compile")
STEP_SIZE, HOT = 0.02, 100.0
# How far a form may be from eager's result, as a part of its largest element.
TOLERANCES = {"fp32": 1e-3, "tf32": 2e-2, "bf16": 1e-1}


def memory_format(form):
    return torch.channels_last if form == "channels_last" else torch.contiguous_format


class Halved(torch.nn.Module):
    """A network whose products are in bfloat16, by PyTorch's own rules of what may be."""

    def __init__(self, net, device):
        super().__init__()
        self.net, self.device = net, device

    def forward(self, x):
        with torch.autocast(self.device, torch.bfloat16):
            return self.net(x).float()


def network(o):
    torch.manual_seed(1)
    if o.net == "unet":
        net = make_unet.UNet(o.channels, o.dim, o.size)
    else:
        net = make_golden.Energy(o.net, o.channels, o.dim, o.size)
    net = net.to(memory_format=memory_format(o.form))
    return Halved(net, o.device) if o.precision == "bf16" else net


def picture_batch(o, n):
    return torch.rand(n, o.channels, o.size, o.size).to(memory_format=memory_format(o.form))


def gradient(energy, x):
    """E and dE/dx at x, without a graph that outlives the call."""
    at = x.detach().requires_grad_(True)
    e = energy(at)
    (g,) = torch.autograd.grad(e.sum(), at)
    return e.detach(), g


def check(o, what, got, want):
    error = ((got - want).abs().max() / want.abs().max()).item()
    if not error < TOLERANCES[o.precision]:
        raise RuntimeError(f"{what} differs by {error:g} of the largest element from eager's")


def score(o):
    net = network(o).requires_grad_(False)
    energy = torch.compile(net) if o.form == "compile" else net
    x = picture_batch(o, o.batch)
    check(o, "score", gradient(energy, x)[1], gradient(net, x)[1])
    return lambda: gradient(energy, x), {}


def sample(o):
    """Annealed Langevin chains from noise, and the denoising jump."""
    net = network(o).requires_grad_(False)
    energy = torch.compile(net) if o.form == "compile" else net
    picture = picture_batch(o, o.batch)
    check(o, "score", gradient(energy, picture)[1], gradient(net, picture)[1])

    def chains(steps=o.steps):
        x = 0.5 + torch.randn_like(picture)
        for k in range(steps):
            temperature = HOT ** max(1 - k / max(0.8 * steps, 1), 0)
            _, g = gradient(energy, x)
            x = x - STEP_SIZE**2 / 2 * g + STEP_SIZE * temperature**0.5 * torch.randn_like(x)
        _, g = gradient(energy, x)
        return x - make_golden.SIGMA0**2 * g

    return chains, {"warm": lambda: chains(2), "steps": o.steps}


def loss_of(net, x, noise, sigma):
    at = x + sigma.view(-1, 1, 1, 1) * noise
    _, g = make_golden.gradient_of_energy(net, at)
    return make_golden.objective(x, at, g, sigma)


def functional_loss(net, x, noise, sigma):
    """The same with torch.func's gradient, since torch.compile has no double backward."""
    at = x + sigma.view(-1, 1, 1, 1) * noise
    g = torch.func.grad(lambda y: net(y).sum())(at)
    return make_golden.objective(x, at, g, sigma)


def gradients(net, loss):
    net.zero_grad(set_to_none=True)
    loss.backward(inputs=list(net.parameters()))
    return torch.cat([torch.zeros(p.numel()) if p.grad is None else p.grad.flatten() for p in net.parameters()])


def train(o):
    net = network(o)
    data = picture_batch(o, 4 * o.batch)
    sigma = torch.logspace(-1, 0.4771, o.batch)
    loss = torch.compile(functional_loss) if o.form == "compile" else loss_of

    x, noise = data[: o.batch].clone(), torch.randn_like(data[: o.batch])
    want = gradients(net, loss_of(net, x, noise, sigma))
    check(o, "gradient of the loss", gradients(net, loss(net, x, noise, sigma)), want)

    parameters = list(net.parameters())
    optimiser, kind = fastest_adam(parameters)

    def step():
        x = data[torch.randint(len(data), (o.batch,))].contiguous(memory_format=memory_format(o.form))
        noise = torch.randn_like(x)
        optimiser.zero_grad(set_to_none=True)
        loss(net, x, noise, sigma).backward(inputs=parameters)
        optimiser.step()

    return step, {"adam": kind}


def fastest_adam(parameters):
    best = None
    for kind in ("fused", "foreach"):
        optimiser = torch.optim.Adam(parameters, lr=5e-5, betas=(0.9, 0.95), **{kind: True})
        times = []
        for _ in range(4):
            begin = time.perf_counter()
            optimiser.step()
            times.append(time.perf_counter() - begin)
        if best is None or min(times) < best[0]:
            best = min(times), optimiser, kind
    return best[1], best[2]


def features(o):
    """pytorch-fid's network, with the resizing from small pictures, and random weights."""
    from pytorch_fid import inception

    template = inception.torchvision.models.inception_v3(
        num_classes=1008, aux_logits=False, weights=None, init_weights=False)
    inception.load_state_dict_from_url = lambda *a, **k: template.state_dict()
    net = inception.InceptionV3([3]).eval().requires_grad_(False).to(memory_format=memory_format(o.form))
    torch._inductor.config.freezing = True  # weights as constants, laid out ahead, for torch.compile
    compiled = torch.compile(net) if o.form == "compile" else net
    pictures = torch.randint(0, 256, (o.batch, 3, o.size, o.size), dtype=torch.uint8)

    def prepared(i, n):
        return pictures[i : i + n].to(memory_format=memory_format(o.form)).float() / 255

    def run(net=compiled):
        with torch.inference_mode():
            return torch.cat([net(prepared(i, o.chunk))[0][:, :, 0, 0] for i in range(0, o.batch, o.chunk)])

    if o.form == "compile":
        check(o, "features", run(), run(net))
    return run, {"chunk": o.chunk}


JOBS = {"score": score, "train": train, "sample": sample, "features": features}


def peak_bytes():
    """The largest resident memory; Linux's own count begins anew when a program is executed."""
    try:
        for line in pathlib.Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--job", choices=JOBS, required=True)
    p.add_argument("--form", choices=FORMS, default="eager")
    p.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    p.add_argument("--precision", choices=TOLERANCES, default="fp32", help="of products; CUDA alone has TF32")
    p.add_argument("--net", default="res12")
    for name, value in (("dim", 16), ("channels", 1), ("size", 32), ("batch", 128), ("steps", 2700),
                        ("chunk", 16), ("threads", 0)):
        p.add_argument("--" + name, type=int, default=value)
    return p.parse_args()


def main():
    o = arguments()
    if o.threads:
        torch.set_num_threads(o.threads)
    torch.set_default_device(o.device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = o.precision == "tf32"
    finish = torch.cuda.synchronize if o.device == "cuda" else lambda: None
    run, notes = JOBS[o.job](o)
    warm = notes.pop("warm", run)
    for _ in range(2):
        warm()
    finish()
    report = {"job": o.job, "form": o.form, "torch": torch.__version__, "threads": torch.get_num_threads(), "device": o.device, **notes}
    print(json.dumps(report), flush=True)
    times = []
    for _ in sys.stdin:
        begin = time.perf_counter()
        run()
        finish()
        times.append(1000 * (time.perf_counter() - begin))
        print(f"{times[-1]:.6f}", flush=True)
    if o.device == "cuda":
        report["device_peak_bytes"] = torch.cuda.max_memory_allocated()
    print(json.dumps(report | {"runs": len(times), "peak_bytes": peak_bytes()}), flush=True)


if __name__ == "__main__":
    main()
