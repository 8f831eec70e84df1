"""Times `ebm bench` and PyTorch at the same jobs, run by run in turns, on this machine.

    python compare.py --ebm PROGRAM [--quick] [--only NAME...] [--threads N] [--out FILE.json]

A round is one run of every side: ours, and PyTorch as it is written (eager), with channels_last
and with torch.compile, each in a process of its own that waits while another computes. What
counts is the least time of many rounds; the median stands beside it. PyTorch is taken at the
form that is fastest for the job. The result is a file of JSON and a table (table.py); a ratio
below its floor in ../floors.json is exit status 1.

Of the chains, a short one is timed on both sides; a step costs the same wherever it is in the
schedule, and 2700 of them are what the table says.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import side
import table

HERE = pathlib.Path(__file__).resolve().parent
FORMS = ("eager", "channels_last", "compile")
PAUSE = 0.05  # seconds between turns, for the threads of the last one to go to sleep
PAPER_STEPS = 2700

SMALL = {"net": "res12", "channels": 1, "dim": 16, "size": 32}
MIDDLE = {"net": "res12", "channels": 1, "dim": 64, "size": 32}
LARGE = {"net": "res18", "channels": 3, "dim": 128, "size": 32}
UNET = {"net": "unet", "channels": 1, "dim": 32, "size": 16}


def cases(quick):
    """The jobs, by name, with the number of rounds."""
    few = (lambda n: min(n, 3)) if quick else (lambda n: n)
    steps = 9 if quick else 54
    every = {
        "score-d16": {"job": "score", **SMALL, "batch": 128, "rounds": few(20)},
        "score-d64": {"job": "score", **MIDDLE, "batch": 64, "rounds": few(12)},
        "score-d128": {"job": "score", **LARGE, "batch": 8, "rounds": few(8)},
        "train-d16": {"job": "train", **SMALL, "batch": 128, "rounds": few(12)},
        "train-d64": {"job": "train", **MIDDLE, "batch": 64, "rounds": few(6)},
        "train-d128": {"job": "train", **LARGE, "batch": 8, "shards": 1, "rounds": few(5)},
        "score-unet": {"job": "score", **UNET, "batch": 64, "rounds": few(12)},
        "train-unet": {"job": "train", **UNET, "batch": 32, "rounds": few(10)},
        "sample-d16": {"job": "sample", **SMALL, "batch": 64, "steps": steps, "rounds": few(5)},
        "features": {"job": "features", "net": "res12", "channels": 3, "dim": 1, "size": 32, "batch": 32, "rounds": few(4)},
    }
    if quick:
        return {k: v for k, v in every.items() if not k.endswith(("d64", "d128"))}
    return every


def options(case, *names):
    return [text for name in names if name in case for text in ("--" + name, str(case[name]))]


# How each side is asked for the precision of products; results of both are float32.
PRECISIONS = {"fp32": [], "tf32": ["--tf32"], "bf16": ["--precision", "bf16"]}


def ours_on(o):
    return ["--provider", o.device, "--threads", str(o.threads), *PRECISIONS[o.precision]]


def our_command(o, case):
    return [*o.ebm, "bench", "--turns", "--quiet", *ours_on(o),
            *options(case, "job", "net", "channels", "dim", "size", "batch", "steps", "shards")]


def torch_command(o, case, form):
    return [sys.executable, str(HERE / "torchside.py"), "--form", form, "--threads", str(o.threads), "--device", o.device,
            "--precision", o.precision, *options(case, "job", "net", "channels", "dim", "size", "batch", "steps")]


def take_turns(sides, rounds, say=lambda done: None):
    """Has every side do its job once a round, in another order each round."""
    names = list(sides)
    for i in range(rounds):
        first = i % len(names)
        for name in names[first:] + names[:first]:
            time.sleep(PAUSE)
            sides[name].turn()
        say(i + 1)


def compare(o, name, case):
    """One job on all sides. A form of PyTorch that fails is left out with a note."""
    result = {"name": name, "case": case, "torch": {}}
    with contextlib.ExitStack() as stack:
        sides = {}

        def begin(key, command):
            log(f"{name}: {key} starts")
            sides[key] = side.Side(command)
            stack.callback(sides[key].stop)

        begin("here", our_command(o, case))
        for form in o.forms:
            try:
                begin(form, torch_command(o, case, form))
            except side.Failed as e:
                result["torch"][form] = {"note": str(e)}
                log(f"{name}: {form} left out: {e}")
        take_turns(sides, case["rounds"], lambda done: log(f"{name}: round {done}/{case['rounds']}"))
        for key, s in sides.items():
            report = s.finish()
            if key == "here":
                result["here"] = report
            else:
                result["torch"][key] = report
    return result | ratios(result)


def ratios(result):
    """PyTorch's least time, of its fastest form, over ours; and the medians of the same two."""
    timed = {form: r for form, r in result["torch"].items() if "min_ms" in r}
    if not timed:
        return {"best_form": None}
    best = min(timed, key=lambda form: timed[form]["min_ms"])
    here = result["here"]
    return {"best_form": best, "ratio": timed[best]["min_ms"] / here["min_ms"],
            "ratio_of_medians": timed[best]["median_ms"] / here["median_ms"]}


def startup(o, rounds):
    """From nothing to a sample in a file, a fresh process each time: 10 steps of mnist16, one chain."""
    result = {"here": [], "torch": []}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        torch_command = [sys.executable, str(HERE / "startup.py"), str(folder / "w.pt"), str(folder / "t.npz"), "10"]
        for i in range(rounds + 1):  # the first is for the files to be in memory
            ours = [*o.ebm, "sample", "--quiet", *ours_on(o), "--run", "mnist16",
                    "--count", "1", "--steps", "10", "--grid", "0", "--chains", "0", "--out", str(folder / f"s{i}")]
            for key, command in (("here", ours), ("torch", torch_command)):
                time.sleep(PAUSE)
                measured = side.run_measured(command)
                if i > 0:
                    result[key].append(measured)
            log(f"startup: round {i}/{rounds}")
    summary = {}
    for key, runs in result.items():
        times = side.least_and_median([1000 * r["seconds"] for r in runs])
        summary[key] = times | {"peak_bytes": max(r["peak_bytes"] for r in runs), "runs": len(runs)}
    return {"name": "startup", **summary,
            "ratio": summary["torch"]["min_ms"] / summary["here"]["min_ms"],
            "ratio_of_medians": summary["torch"]["median_ms"] / summary["here"]["median_ms"]}


def chain_over_score(o, quick):
    """Our chain's step over a bare score, as `ebm bench` finds it."""
    command = [*o.ebm, "bench", "--json", "--quiet", *ours_on(o), "--job", "sample",
               *options(SMALL, "net", "channels", "dim", "size"), "--batch", "64",
               "--steps", "9" if quick else "135", "--runs", "2" if quick else "4"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise side.Failed(f"ebm bench: {done.stderr.strip()[-300:]}")
    return json.loads(done.stdout)


def below(result, floors):
    """The ratios below their floors, in words."""
    measured = {r["name"]: r.get("ratio") for r in result["cases"]}
    if result.get("startup"):
        measured["startup"] = result["startup"]["ratio"]
    return [f"{name}: PyTorch's time over ours is {measured[name]:.2f}, the floor is {floor:g}"
            for name, floor in floors.items() if measured.get(name) is not None and measured[name] < floor]


def log(text):
    print(text, file=sys.stderr, flush=True)


def arguments(argv):
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--ebm", required=True, nargs=1, help="the program ebm")
    p.add_argument("--quick", action="store_true", help="the smaller jobs, a few rounds, without torch.compile")
    p.add_argument("--only", nargs="+", default=[], help="names of jobs, startup and chain among them")
    p.add_argument("--forms", nargs="+", choices=FORMS, help="forms of PyTorch (default: all)")
    p.add_argument("--rounds", type=int, default=0, help="rounds of every job (default: by job)")
    p.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of both sides (default: all cores)")
    p.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="what both sides compute on")
    p.add_argument("--precision", choices=PRECISIONS, default="fp32", help="of products on both sides (default: fp32)")
    p.add_argument("--out", help="file of JSON (default bench/comparison-TIME.json)")
    o = p.parse_args(argv)
    o.forms = o.forms or (FORMS[:2] if o.quick else FORMS)
    known = [*cases(False), "startup", "chain"]
    if unknown := [name for name in o.only if name not in known]:
        p.error(f"no job {', '.join(unknown)}; there are {', '.join(known)}")
    return o


def main(argv=None):
    o = arguments(argv)
    wanted = lambda name: not o.only or name in o.only
    begin = datetime.datetime.now(datetime.timezone.utc)
    result = {"kind": "comparison", "date": begin.isoformat(timespec="seconds"), "commit": side.commit(), "quick": o.quick,
              "threads": o.threads, "device": o.device, "precision": o.precision, "machine": side.machine(), "load_before": side.load(), "cases": []}
    if result["load_before"] and result["load_before"][0] > 0.5:
        log(f"the load average is {result['load_before'][0]:g}: other programs compute, and the times will be noisy")
    peak = side.Peak(o.threads)
    peak.measure()
    chosen = cases(o.quick) if not o.only else {k: c for k, c in cases(False).items() if k in o.only}
    for name, case in chosen.items():
        if o.rounds:
            case["rounds"] = o.rounds
        result["cases"].append(compare(o, name, case))
        peak.measure()
    if wanted("chain"):
        log("chain: starts")
        result["chain"] = chain_over_score(o, o.quick)
    if wanted("startup") and o.device == "cpu":  # the script on PyTorch's side is of the CPU
        result["startup"] = startup(o, 2 if o.quick else 5)
    peak.measure()
    peak.close()
    result |= {"peak_gflops": peak.best(), "peaks_seen": peak.seen, "peak_note": peak.note, "load_after": side.load(),
               "minutes": (datetime.datetime.now(datetime.timezone.utc) - begin).total_seconds() / 60}

    out = pathlib.Path(o.out or f"bench/comparison-{begin:%Y-%m-%dT%H-%M-%S}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(table.comparison(result))
    log(f"written to {out}")
    low = below(result, json.loads((HERE.parent / "floors.json").read_text())) if o.device == "cpu" else []
    for text in low:
        log(text)
    return 1 if low else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except side.Failed as e:
        sys.exit(f"compare.py: {e}")
    except KeyboardInterrupt:
        sys.exit(130)
