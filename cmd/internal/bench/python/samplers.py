#!/usr/bin/env python3
"""How good samplers are for how many evaluations: the table and the plot of docs/sampling.md.

  python3 cmd/internal/bench/python/samplers.py EBM --out FOLDER [--model mnist16] [--reference mnist:test]
      [--features classifier] [--count 288] [--only REGEX] [--plot docs/pictures/sampling.svg]
      [NAME@EVALUATIONS=SAMPLES.npz …]

draws --count samples by every sampler and budget, each a folder below --out that goes on where it
was stopped, and measures them, and the sets of samples that are named, against the reference.
Wants NumPy.
"""
import argparse
import json
import math
import pathlib
import re
import subprocess

import numpy as np

# Steps of the paper's schedule and their size; levels of the predictors are half the evaluations of
# methods that take two a level.
ANNEALED = {60: 0.13, 100: 0.1, 135: 0.09, 300: 0.06}
PREDICTORS = {"ancestral": 1, "ddim": 1, "heun": 2, "edm": 2, "adaptive": 1}
BUDGETS = [16, 30, 70]
FAST = [16, 30, 70]


def rows():
    """Name, evaluations without the jump, and flags of each row."""
    for steps, size in ANNEALED.items():
        yield "langevin", steps, ["--steps", str(steps), "--step-size", str(size)]
    for method, each in PREDICTORS.items():
        for budget in BUDGETS:
            yield method, budget, ["--sampler", method, "--levels", str((budget - 1) // each)]
    for budget in FAST:
        yield "--fast", budget, ["--fast", "--evaluations", str(budget)]


def sample(o, name, evaluations, flags):
    folder = o.out / f"{name.lstrip('-')}-{evaluations}"
    command = [o.ebm, "sample", "-q", "--run", o.model, "--count", str(o.count), "--seed", "21", "--chains", "0", "--grid", "0",
               "--out", str(folder)] + flags
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "samples.npz"


def measure(o, file):
    """The numbers of a file of samples, kept beside it."""
    kept = file.with_suffix(".json.measured")
    if not kept.exists():
        command = [o.ebm, "evaluate", "-q", "--samples", str(file), "--reference", o.reference, "--features", o.features,
                   "--metrics", "fid,pr,balance", "--bootstrap", "100", "--bootstrap-fid", "--cache", str(o.out / "features"), "--json"]
        kept.write_text(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    numbers = {m["quantity"]: m for m in json.loads(kept.read_text())["metrics"]}
    with np.load(file) as f:
        x = f["arr_0"]
    x = x / 255 if x.dtype == np.uint8 else x
    numbers["faint"] = float((x.reshape(len(x), -1).max(1) < 0.5).mean())
    return numbers


def line(name, evaluations, n):
    low, high = n["frechet"]["interval_95"]
    shares = " | ".join(f"{n[k]['value']:.3f}" for k in ("precision", "recall", "density", "coverage"))
    print(f"| {name} | {evaluations} | {n['frechet']['samples']:,} | {n['frechet']['value']:.1f} ({low:.0f} to {high:.0f}) | {shares} | "
          f"{n['balance']['value']:.0f} ({n['balance']['parts']['p']:.2g}) | {100 * n['faint']:.1f} % |", flush=True)


def plot(path, curves, reference):
    """Distance over evaluations, both logarithmic, as SVG."""
    w, h, left, bottom, right = 720, 420, 60, 50, 110
    xs = [e for c in curves.values() for e, _ in c]
    ys = [d for c in curves.values() for _, d in c]
    x0, x1, y0, y1 = math.log(min(xs) / 1.1), math.log(max(xs) * 1.1), math.log(min(ys) / 1.15), math.log(max(ys) * 1.1)
    x = lambda v: left + (w - left - right) * (math.log(v) - x0) / (x1 - x0)
    y = lambda v: 20 + (h - 20 - bottom) * (y1 - math.log(v)) / (y1 - y0)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" font-family="sans-serif" font-size="12">',
           f'<rect width="{w}" height="{h}" fill="white"/>']
    for v in [16, 30, 45, 70, 100, 135, 300, 1000, 2700]:
        if x0 < math.log(v) < x1:
            out.append(f'<line x1="{x(v):.1f}" y1="20" x2="{x(v):.1f}" y2="{h - bottom}" stroke="#ddd"/>'
                       f'<text x="{x(v):.1f}" y="{h - bottom + 16}" text-anchor="middle">{v}</text>')
    for v in [20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000]:
        if y0 < math.log(v) < y1:
            out.append(f'<line x1="{left}" y1="{y(v):.1f}" x2="{w - right}" y2="{y(v):.1f}" stroke="#ddd"/>'
                       f'<text x="{left - 6}" y="{y(v) + 4:.1f}" text-anchor="end">{v}</text>')
    out.append(f'<text x="{(w + left - right) / 2}" y="{h - 12}" text-anchor="middle">evaluations a sample</text>'
               f'<text x="{left}" y="14">Fréchet distance to {reference}</text>')
    colours = ["#1b6ca8", "#b3541e", "#3d8a40", "#8a3d86", "#7a6a12", "#5c5c5c", "#000000", "#b01030"]
    labels = []  # from the top down, each below the one before
    for (name, points), colour in zip(curves.items(), colours, strict=True):
        line = " ".join(f"{x(e):.1f},{y(d):.1f}" for e, d in sorted(points))
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x(e):.1f}" cy="{y(d):.1f}" r="3" fill="{colour}"/>' for e, d in points]
        e, d = max(points)
        labels.append((y(d) + 4, x(e) + 7, name, colour))
    least = 0
    for at, left, name, colour in sorted(labels):
        least = max(at, least + 14)
        out.append(f'<text x="{left:.1f}" y="{least:.1f}" fill="{colour}">{name}</text>')
    pathlib.Path(path).write_text("\n".join(out + ["</svg>"]) + "\n")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("ebm")
    p.add_argument("samples", nargs="*", metavar="NAME@EVALUATIONS=SAMPLES.npz")
    p.add_argument("--out", type=pathlib.Path, required=True)
    p.add_argument("--model", default="mnist16")
    p.add_argument("--reference", default="mnist:test")
    p.add_argument("--features", default="classifier")
    p.add_argument("--count", type=int, default=288)
    p.add_argument("--only", default="", help="rows whose name and budget, such as 'heun 30', match this expression")
    p.add_argument("--plot", help="the plot to draw")
    o = p.parse_intermixed_args()
    o.out.mkdir(parents=True, exist_ok=True)
    print("| sampler | evaluations | samples | Fréchet | precision | recall | density | coverage | χ² of classes (p) | faint |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    curves = {}
    for name, evaluations, flags in rows():
        if not re.search(o.only, f"{name} {evaluations}"):
            continue
        n = measure(o, sample(o, name, evaluations, flags))
        line(f"`{name}`", evaluations, n)
        curves.setdefault(name, []).append((evaluations, n["frechet"]["value"]))
    for named in o.samples:
        name, _, file = named.rpartition("=")
        name, _, evaluations = name.partition("@")
        n = measure(o, pathlib.Path(file))
        line(name, evaluations, n)
        curves.setdefault(name, []).append((int(evaluations), n["frechet"]["value"]))
    if o.plot:
        plot(o.plot, curves, o.reference)


if __name__ == "__main__":
    main()
