"""How the cost of our side grows with the batch, the width, the number of samples, threads and processes.

    python growth.py --ebm PROGRAM [--quick] [--only AXIS...] [--out FILE.json]

Every row is a fresh process of `ebm bench` (for samples, of `ebm sample`), so that its memory is
its own. It prints tables and writes JSON, which `table.py --into` puts into a page.
"""

import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import side
import table

NETWORK = {"net": "res12", "channels": 1, "dim": 16, "size": 32}


def bench(o, job, runs, threads=None, **options):
    """The report of one `ebm bench`."""
    command = bench_command(o, job, threads or o.threads, options) + ["--json", "--runs", str(runs)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise side.Failed(f"{' '.join(command[1:])}: {done.stderr.strip()[-300:]}")
    return json.loads(done.stdout)


def bench_command(o, job, threads, options):
    return [o.ebm, "bench", "--quiet", "--provider", "cpu", "--threads", str(threads), "--job", job,
            *(text for name, value in (NETWORK | options).items() for text in ("--" + name, str(value)))]


def both(o, runs, **options):
    """A score and a training step of the same size, as columns of a row."""
    score, train = bench(o, "score", runs, **options), bench(o, "train", runs, **options)
    return {"score_ms": score["min_ms"], "score_picture_ms": score["picture_ms"], "score_gflops": score["gflops_computed"],
            "score_bytes": score["peak_bytes"], "train_ms": train["min_ms"], "train_picture_ms": train["picture_ms"],
            "train_gflops": train["gflops_computed"], "train_bytes": train["peak_bytes"]}


BOTH = [{"title": "score, ms", "key": "score_ms"}, {"title": "an image", "key": "score_picture_ms"},
        {"title": "GFLOP/s", "key": "score_gflops"}, {"title": "MB", "key": "score_bytes", "times": 1e-6},
        {"title": "training step, ms", "key": "train_ms"}, {"title": "an image", "key": "train_picture_ms"},
        {"title": "GFLOP/s", "key": "train_gflops"}, {"title": "MB", "key": "train_bytes", "times": 1e-6}]


def batch(o):
    sizes = [1, 4, 16] if o.quick else [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    return {"title": "Batch (Res12 d=16, 1x32x32)", "label": "images", "columns": BOTH,
            "rows": [{"label": n} | both(o, runs=3 if n > 64 else 5, batch=n) for n in say(o, "batch", sizes)]}


def dim(o):
    widths = [8, 16] if o.quick else [8, 16, 32, 64, 128]
    return {"title": "Width (Res12, 1x32x32, B=16)", "label": "d", "columns": BOTH,
            "rows": [{"label": d} | both(o, runs=3, batch=16, dim=d) for d in say(o, "dim", widths)]}


def count(o):
    """Whole runs of `ebm sample`: one step and the jump, so that writing counts as much as it can."""
    numbers = [64, 256] if o.quick else [64, 1024, 8192, 50000]
    found = []
    for n in say(o, "count", numbers):
        with tempfile.TemporaryDirectory() as folder:
            r = side.run_measured([o.ebm, "sample", "--quiet", "--provider", "cpu", "--threads", str(o.threads), "--run", "mnist16",
                                   "--count", str(n), "--steps", "1", "--out", folder])
        found.append({"label": f"{n:,}", "seconds": r["seconds"], "image_ms": 1000 * r["seconds"] / n, "bytes": r["peak_bytes"]})
    return {"title": "Samples in a folder (ebm sample, mnist16, one step and the jump)", "label": "samples", "rows": found,
            "columns": [{"title": "s", "key": "seconds"}, {"title": "ms an image", "key": "image_ms"},
                        {"title": "MB", "key": "bytes", "times": 1e-6}]}


def threads(o):
    images = 16 if o.quick else 128
    numbers = sorted({1, min(2, o.threads), o.threads})
    return {"title": f"Threads (Res12 d=16, 1x32x32, B={images})", "label": "threads", "columns": BOTH,
            "rows": [{"label": n} | both(o, runs=3, batch=images, threads=n) for n in say(o, "threads", numbers)]}


def processes(o):
    """The same cores in one process, or in a process each that work at the same time."""
    images, turns = (8, 2) if o.quick else (64, 5)
    found = []
    for n in say(o, "processes", sorted({1, min(2, o.threads)})):
        each = o.threads // n
        row = {"label": f"{n} of {each} thread{'s' if each > 1 else ''}"}
        for job in ("score", "train"):
            row[job] = n * images / abreast(o, job, n, images, turns)
        found.append(row)
    return {"title": f"Processes at once (Res12 d=16, 1x32x32, B={images} each)", "label": "processes", "rows": found,
            "columns": [{"title": "scores, images a second", "key": "score"}, {"title": "training, images a second", "key": "train"}]}


def abreast(o, job, n, images, turns):
    """The least seconds in which n processes that begin together have each done a run."""
    sides = []
    try:
        for _ in range(n):
            sides.append(side.Side(bench_command(o, job, max(o.threads // n, 1), {"batch": images}) + ["--turns"]))
        return min(side.together(sides) for _ in range(turns)) / 1000
    finally:
        for s in sides:
            s.stop()


AXES = {"batch": batch, "dim": dim, "count": count, "threads": threads, "processes": processes}


def say(o, axis, values):
    for v in values:
        print(f"{axis}: {v}", file=sys.stderr, flush=True)
        yield v


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--ebm", required=True, help="the program ebm")
    p.add_argument("--quick", action="store_true", help="a few small points of every axis")
    p.add_argument("--only", nargs="+", choices=AXES, default=list(AXES))
    p.add_argument("--threads", type=int, default=os.cpu_count(), help="threads (default: all cores)")
    p.add_argument("--out", help="file of JSON (default bench/growth-TIME.json)")
    o = p.parse_args()
    begin = datetime.datetime.now(datetime.timezone.utc)
    result = {"kind": "growth", "date": begin.isoformat(timespec="seconds"), "commit": side.commit(), "quick": o.quick,
              "threads": o.threads, "machine": side.machine(), "load_before": side.load(),
              "axes": [AXES[name](o) for name in o.only], "load_after": side.load()}
    out = pathlib.Path(o.out or f"bench/growth-{begin:%Y-%m-%dT%H-%M-%S}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(table.growth(result))
    print(f"written to {out}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except side.Failed as e:
        sys.exit(f"growth.py: {e}")
    except KeyboardInterrupt:
        sys.exit(130)
