#!/usr/bin/env python3
"""What training by several ranks costs here, and on paper elsewhere.

  python3 cmd/internal/bench/python/clusters.py --bin bench/cluster [--quick]
      measures with the programs that make cluster-test builds: bytes and time of the sum of
      gradients over 1 to 4 ranks of this machine, and 2 ranks of a thread against a process
      of 2 threads, by turns
  python3 cmd/internal/bench/python/clusters.py --paper docs/pictures/clusters.svg
      prints the tables of docs/clusters.md that are computed, and draws their plot
"""
import argparse
import json
import math
import os
import pathlib
import random
import subprocess
import tempfile

ENV = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def train(binary, ranks, threads, flags):
    """A training's JSON, by one process without MPI where ranks is 0."""
    with tempfile.TemporaryDirectory() as out:
        command = [str(binary / "ebm")] if ranks == 0 else [
            "mpirun.openmpi", "--oversubscribe", "--bind-to", "none", "-n", str(ranks), str(binary / "ebm-openmpi")]
        done = subprocess.run(command + ["train", "--quiet", "--json", "--out", out, "--threads", str(threads)] + flags,
                              env=ENV, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def measure(binary, quick):
    dim, steps = (16, 4) if quick else (64, 8)
    flags = ["--preset", "mnist", "--dim", str(dim), "--steps", str(steps), "--batch", "32", "--checkpoint-every", "0"]
    print(f"res12 of {dim} channels on 32×32 digits, batch 32, {steps} steps, {os.cpu_count()} processors\n")
    print("| ranks | bytes sent a step by rank 0 | time in the sum a step |\n| ---: | ---: | ---: |")
    for ranks in (1, 2, 3, 4):
        r = train(binary, ranks, 1, flags + ["--shards", "4"])
        print(f"| {ranks} | {r['sum_bytes'] / r['made']:,.0f} | {1000 * r['sum_seconds'] / r['made']:.1f} ms |", flush=True)
    print("\nThe time in the sum has the wait for the slowest rank in it.\n")
    ratios = []
    for _ in range(1 if quick else 3):
        one = train(binary, 0, 2, flags + ["--shards", "2"])
        two = train(binary, 2, 1, flags + ["--shards", "2"])
        ratios.append(one["seconds"] / two["seconds"])
        print(f"1 process × 2 threads {one['seconds'] / steps:.3f} s a step, 2 ranks × 1 thread {two['seconds'] / steps:.3f} s, "
              f"efficiency {ratios[-1]:.3f}", flush=True)
    print(f"efficiency of 2 ranks, median of {len(ratios)}: {sorted(ratios)[len(ratios) // 2]:.3f}")


# On paper: the paper's CIFAR-10 network and its work, and machines by their data sheets.
PARAMETERS = 62_339_075        # Res18 of 128 channels on 3×32×32, float32
TRAIN_FLOP = 3 * 11.2e9        # of an image in a step: an energy's score, differentiated once more
STEPS, BATCH = 300_000, 128
SAMPLE_FLOP = 1.51e18          # 50,000 samples (docs/performance.md)
MACHINES = {
    # name: operations a second, bytes a second and seconds of a message, most devices
    "CPU node": (16 * 170e9, 12.5e9, 5e-6),      # 16 cores as measured, 100 Gbit/s Ethernet
    "H100": (0.5 * 67e12, 50e9, 3e-6),           # float32 at half of its peak, 400 Gbit/s a device
}
CHUNK = 4 << 16
MTBF_HOURS, RESTART, CHECKPOINT = 5 * 365 * 24, 120, 5.0  # of a node; seconds of a restart and of a checkpoint


def step_time(machine, ranks):
    """Seconds of a training step: the largest share of the batch, and the chain of the sum."""
    speed, link, latency = MACHINES[machine]
    compute = math.ceil(BATCH / ranks) * TRAIN_FLOP / speed
    if ranks == 1:
        return compute, 0.0
    size = 4 * PARAMETERS
    # Chunks go up the chain and come back: twice the vector, and the way of one chunk over all links.
    return compute, 2 * size / link + 2 * (ranks - 1) * (latency + CHUNK / link)


def young(mtbf, checkpoint):
    """Young's interval between checkpoints: √(2·C·M)."""
    return math.sqrt(2 * checkpoint * mtbf)


def with_failures(work, ranks, interval, seed=1):
    """Seconds that so much work takes with failures: simulated, the mean of 20 runs."""
    rng = random.Random(seed)
    mtbf = MTBF_HOURS * 3600 / ranks
    total = 0.0
    for _ in range(20):
        done = clock = 0.0
        failure = rng.expovariate(1 / mtbf)
        while done < work:
            piece = min(interval, work - done)
            if clock + piece + CHECKPOINT > failure:  # what is not kept is lost
                clock = failure + RESTART
                failure = clock + rng.expovariate(1 / mtbf)
                continue
            clock += piece + CHECKPOINT
            done += piece
        total += clock / 20
    return total


def hours(s):
    return f"{s / 3600:,.1f} h" if s < 48 * 3600 else f"{s / 86400:,.1f} d"


def paper(path):
    curves = {}
    for machine, counts in {"CPU node": [1, 8, 16, 32, 64, 128, 256, 1024], "H100": [1, 2, 4, 8, 16, 32, 64]}.items():
        print(f"\n| {machine}s | step | of it the sum | training | efficiency | every (Young) | with failures | 50,000 samples |")
        print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        alone = sum(step_time(machine, 1))
        for n in counts:
            used = min(n, BATCH)
            compute, total = step_time(machine, used)
            work = STEPS * (compute + total)
            every = young(MTBF_HOURS * 3600 / used, CHECKPOINT)
            samples = SAMPLE_FLOP / MACHINES[machine][0] / n
            note = "" if n <= BATCH else f" ({used} ranks at most)"
            print(f"| {n}{note} | {compute + total:.3g} s | {100 * total / (compute + total):.1f} % | {hours(work)} | "
                  f"{alone / (compute + total) / used:.2f} | {every / 60:.0f} min | {hours(with_failures(work, used, every))} | {hours(samples)} |")
            curves.setdefault(machine, []).append((n, work / 3600, samples / 3600))
    plot(path, curves)


def plot(path, curves):
    """Hours over machines, both logarithmic, as SVG."""
    w, h, left, bottom = 640, 400, 70, 50
    x = lambda n: left + (w - left - 20) * math.log2(n) / 10
    y = lambda v: 20 + (h - 20 - bottom) * (1 - (math.log10(v) + 1) / 6)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" font-family="sans-serif" font-size="12">',
           f'<rect width="{w}" height="{h}" fill="white"/>']
    for i in range(0, 11, 2):
        out.append(f'<line x1="{x(2 ** i):.1f}" y1="20" x2="{x(2 ** i):.1f}" y2="{h - bottom}" stroke="#ddd"/>'
                   f'<text x="{x(2 ** i):.1f}" y="{h - bottom + 16}" text-anchor="middle">{2 ** i}</text>')
    for e in range(-1, 6):
        out.append(f'<line x1="{left}" y1="{y(10 ** e):.1f}" x2="{w - 20}" y2="{y(10 ** e):.1f}" stroke="#ddd"/>'
                   f'<text x="{left - 6}" y="{y(10 ** e) + 4:.1f}" text-anchor="end">{10 ** e:g} h</text>')
    out.append(f'<text x="{(w + left) / 2}" y="{h - 12}" text-anchor="middle">machines (estimates: see the formulas)</text>')
    for (machine, points), colour in zip(curves.items(), ("#1b6ca8", "#b3541e")):
        for k, dash, what in ((1, "", "training"), (2, "5 4", "50,000 samples")):
            line = " ".join(f"{x(p[0]):.1f},{y(p[k]):.1f}" for p in points)
            out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
            out.append(f'<text x="{x(points[-1][0]) - 4:.1f}" y="{y(points[-1][k]) - 6:.1f}" text-anchor="end" fill="{colour}">{machine}, {what}</text>')
    pathlib.Path(path).write_text("\n".join(out + ["</svg>"]) + "\n")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", type=pathlib.Path, help="folder of ebm and ebm-openmpi")
    p.add_argument("--quick", action="store_true", help="a smaller network, fewer steps")
    p.add_argument("--paper", help="the plot to draw")
    o = p.parse_args()
    if o.bin:
        measure(o.bin.resolve(), o.quick)
    if o.paper:
        paper(o.paper)


if __name__ == "__main__":
    main()
