#!/usr/bin/env python3
"""Measures this program on a device beside the PyTorch that is on the machine.

    python3 run.py                       all parts, in their order, within --minutes
    python3 run.py --parts score         one part; those that results.json has are not repeated
    python3 run.py --device cpu          the same at sizes of a moment on the CPU, to try the script

It needs neither a network nor Go nor root: the program and ONNX Runtime lie beside it in
kit.part00 …, which it joins and unpacks; CUDA and cuDNN are those of PyTorch's packages or of the
system. Each part prints its numbers as it goes, and a part without time left is left out and said
so. The parts:

    where    the device, the libraries that were found, and whether the provider starts
    verify   the score of mnist16 on the device against the interpreter in float64
    score    energy and score, beside PyTorch: eager, channels_last and compiled; fp32, TF32, bf16
    train    a training step, likewise
    sample   a Langevin step of a chain, likewise
    count    bytes, copies and launches of a run, and device memory
    digits   50,000 digits of mnist16 by the paper's 2,700 steps, whole; a run that is stopped goes
             on where it was when it is given again
"""

import argparse
import concurrent.futures
import hashlib
import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PARTS = ("where", "verify", "score", "train", "sample", "count", "digits")
PRECISIONS = ("fp32", "tf32", "bf16")
FORMS = ("eager", "channels_last", "compile")

# Networks of the comparison, and how often each job is run.
NETS = {"Res12 d=64": {"net": "res12", "channels": 1, "dim": 64, "size": 32, "batch": 128},
        "Res18 d=128": {"net": "res18", "channels": 3, "dim": 128, "size": 32, "batch": 128}}
TINY = {"Res6 d=4": {"net": "res6", "channels": 1, "dim": 4, "size": 8, "batch": 4}}
ROUNDS = {"score": 30, "train": 15, "sample": 5}
CHAIN = 54  # steps of a timed chain; a step costs the same wherever it is


def say(text):
    print(text, flush=True)


FILTER = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Python before 3.11.4 has none


def unpack(kit, folder):
    """Joins the parts that kit has and unpacks them, unless that has been done."""
    sums = (kit / "SHA256SUMS").read_text()
    mark = folder / "unpacked"
    if mark.is_file() and mark.read_text() == sums:
        return
    say(f"unpacking into {folder}")
    joined = folder / "kit.tar.xz"
    folder.mkdir(parents=True, exist_ok=True)
    with joined.open("wb") as out:
        for line in sums.splitlines():
            want, name = line.split()
            data = (kit / name).read_bytes()
            if hashlib.sha256(data).hexdigest() != want:
                sys.exit(f"run.py: {name} is damaged: its SHA-256 is not that of SHA256SUMS")
            out.write(data)
    with tarfile.open(joined) as tar:
        tar.extractall(folder, **FILTER)
    joined.unlink()
    mark.write_text(sums)


def library_folders(extra):
    """Folders that may hold NVIDIA's libraries: named ones, those of Python's packages, the system's."""
    yield from extra
    spec = importlib.util.find_spec("nvidia")
    for place in (spec.submodule_search_locations if spec else None) or ():
        yield from sorted(str(p) for p in pathlib.Path(place).glob("*/lib"))
    for pattern in ("cuda*/lib64", "cuda*/targets/*/lib", "nvidia/lib64"):
        yield from sorted(str(p) for p in pathlib.Path("/usr/local").glob(pattern))
    yield from ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib/wsl/lib")


def find_libraries(needs, extra):
    """The folder of each library that the provider needs, None where it is in none."""
    folders = list(library_folders(extra))
    return {name: next((f for f in folders if os.path.exists(os.path.join(f, name))), None) for name in needs}


class Measurement:
    """What all parts share: the unpacked kit, the time there is, and the results so far."""

    def __init__(self, o):
        self.o, self.begin = o, time.monotonic()
        self.kit = json.loads((o.kit / "kit.json").read_text())
        self.nets = TINY if o.tiny else NETS
        self.path = o.out / "results.json"
        self.results = json.loads(self.path.read_text()) if self.path.is_file() else {}
        self.environment = dict(os.environ)
        self.libraries = find_libraries(self.kit["needs"], o.libraries) if o.device == "cuda" else {}
        folders = list(dict.fromkeys([f for f in self.libraries.values() if f] +
                                     [f for f in library_folders(o.libraries) if self.libraries and os.path.isdir(f) and "python" in f]))
        if folders:
            self.environment["LD_LIBRARY_PATH"] = ":".join(folders + [p for p in [os.environ.get("LD_LIBRARY_PATH")] if p])
        self.ebm = ["env", f"LD_LIBRARY_PATH={self.environment.get('LD_LIBRARY_PATH', '')}", str(o.kit / "ebm")]

    def left(self):
        """Seconds of --minutes that are left."""
        return 60 * self.o.minutes - (time.monotonic() - self.begin)

    def keep(self, key, value):
        self.results[key] = value
        self.path.write_text(json.dumps(self.results, indent=1) + "\n")

    def run(self, *args, **more):
        """Runs the program; its output, or the end of what it said of its failure."""
        done = subprocess.run([*self.ebm, *args], capture_output=True, text=True, timeout=max(self.left(), 1), **more)
        if done.returncode != 0:
            raise RuntimeError(" / ".join(done.stderr.strip().splitlines()[-3:]) or f"exit status {done.returncode}")
        return done.stdout


def where(m):
    """The device and the libraries."""
    for command in (["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"],):
        try:
            say("device: " + subprocess.run(command, capture_output=True, text=True).stdout.strip())
        except OSError:
            say("device: there is no nvidia-smi")
    say(f"kit: commit {m.kit['commit'] or 'unknown'}, ONNX Runtime {m.kit['onnxruntime']}, kernels of architecture {m.kit['architecture'] or 'all'}")
    for name, folder in m.libraries.items():
        say(f"  {name}: {folder or 'in none of the known folders: the loader may know it, or name its folder with --libraries'}")
    spec = importlib.util.find_spec("torch")
    version = pathlib.Path(spec.origin).with_name("version.py") if spec else None
    text = version.read_text() if version and version.is_file() else ""
    versions = [line.split("=", 1)[1].strip(" '\"") for line in text.splitlines() if line.startswith("__version__ =")]
    say(f"PyTorch: {versions[0] if versions else 'none: only our own numbers will be there'}")
    info = json.loads(m.run("runtime", "info", "--provider", m.o.device, "--json"))
    say(f"provider: {info['provider']}, ONNX Runtime {info['version']}")
    return {"provider": info["provider"], "onnxruntime": info["version"], "libraries": m.libraries, "torch": versions}


def verify(m):
    text = m.run("verify", "--provider", m.o.device, "--run", "mnist16")
    say(text.rstrip())
    return {"text": text}


def jobs(job):
    """A part that times a job beside PyTorch, at each precision, for each network."""

    def part(m):
        done = m.results.get(job, {})
        for name, net in m.nets.items():
            for precision in m.o.precisions:
                key = f"{name} {precision}"
                if key in done and "here" in done[key]:
                    continue
                if m.left() < 60 and not m.o.tiny:
                    say(f"  {key}: left out, no time is left")
                    continue
                done[key] = compare_job(m, job, net, precision)
                say("  " + line(job, key, net, done[key]))
                m.keep(job, done)
        return done

    return part


def compare_job(m, job, net, precision):
    """Our side and PyTorch's forms, started side by side, timed by turns."""
    import compare
    import side

    o = argparse.Namespace(ebm=m.ebm, device=m.o.device, precision=precision, threads=m.o.threads)
    case = {"job": job, **net, **({"steps": 9 if m.o.tiny else CHAIN} if job == "sample" else {})}
    commands = {"here": compare.our_command(o, case), **{form: compare.torch_command(o, case, form) for form in m.o.forms}}
    result, sides = {k: case[k] for k in ("steps",) if k in case}, {}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        started = {key: pool.submit(side.Side, command) for key, command in commands.items()}
    for key, s in started.items():
        try:
            sides[key] = s.result()
        except side.Failed as e:
            result[key] = {"note": str(e)}
    if not sides:
        return result
    try:
        compare.take_turns(sides, 2 if m.o.tiny else ROUNDS[job])
        for key, s in sides.items():
            report = s.finish()
            result[key] = {k: report[k] for k in ("min_ms", "median_ms", "peak_bytes", "device_peak_bytes", "flops_written") if k in report}
    finally:
        for s in sides.values():
            s.stop()
    return result


def line(job, key, net, result):
    """One row: our time, PyTorch's forms, the ratio to the fastest."""
    import table

    texts, best = [], None
    for side_name, r in result.items():
        if side_name == "steps":
            continue
        if "min_ms" not in r:
            texts.append(f"{side_name} none ({r.get('note', '')[:160]})")
            continue
        texts.append(f"{side_name} {table.number(r['min_ms'])} ms")
        if side_name != "here":
            best = min(best or r["min_ms"], r["min_ms"])
    here = result.get("here", {})
    if best and "min_ms" in here:
        texts.append(f"PyTorch's best over ours {best / here['min_ms']:.2f}")
    if "flops_written" in here and here["min_ms"] > 0:
        texts.append(f"{here['flops_written'] / here['min_ms'] / 1e9:.3g} TFLOP/s as written")
    steps = f", chains of {result['steps']} steps" if "steps" in result else ""
    return f"{job} of {key}, B={net['batch']}{steps}: " + "; ".join(texts)


def count(m):
    """Copies and launches of one run, by the difference of a run of few and one of more."""
    if m.o.device == "cpu":
        say("  nothing crosses to a device on the CPU")
        return {}
    import counts

    few, more = (1, 3) if m.o.tiny else (2, 12)
    done = {}
    for name, net in m.nets.items():
        for job in ("score", "train", "sample"):
            seen = []
            for runs in (few, more):
                path = m.o.out / "counts"
                path.unlink(missing_ok=True)
                env = dict(m.environment, EBM_CUDA_COUNTS=str(path))
                if not m.o.stub:  # stubs count by themselves
                    env["LD_PRELOAD"] = str(m.o.kit / "count.so")
                options = [text for k, v in net.items() for text in ("--" + k, str(v))]
                steps = ["--steps", "9"] if job == "sample" else []
                command = [str(m.o.kit / "ebm"), "bench", "--quiet", "--json", "--provider", m.o.device, "--job", job, *options, *steps,
                           "--runs", str(runs)]
                ran = subprocess.run(command, capture_output=True, text=True, env=env, timeout=max(m.left(), 1))
                if ran.returncode != 0:
                    raise RuntimeError(f"{job}: " + " / ".join(ran.stderr.strip().splitlines()[-3:]))
                seen.append(counts.read(path))
            each = {k: (seen[1][k] - seen[0][k]) / (more - few) for k in counts.NAMES[:9]}
            done[f"{job} {name}"] = each | {"peak": seen[1]["peak"]}
            what = "a chain of 9 steps and 10 scores" if job == "sample" else job
            say(f"  {what} of {name}, B={net['batch']}: {each['up']:,.0f} B up in {each['ups']:g} copies, {each['down']:,.0f} B down in "
                f"{each['downs']:g}, {each['inside']:,.0f} B inside in {each['insides']:g}; {each['launches']:g} launches of the provider's own, "
                f"{each['graphs']:g} of graphs; device memory {seen[1]['peak'] / 1e6:,.0f} MB at most")
            m.keep("count", done)
    return done


def digits(m):
    """All of 50,000 digits by 2,700 steps, from the start of the program to the archive."""
    number, steps, batch = (8, 20, 8) if m.o.tiny else (m.o.digits, 2700, m.o.digits_batch)
    out = m.o.out / "digits"
    command = [*m.ebm, "sample", "--provider", m.o.device, "--run", "mnist16", "--count", str(number), "--steps", str(steps),
               "--batch", str(batch), "--out", str(out), *(["--tf32"] if m.o.device == "cuda" else [])]
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        status = process.wait(timeout=max(m.left() - 15, 10))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        process.wait()
        spent = m.results.get("digits", {}).get("seconds", 0) + time.monotonic() - begin
        say(f"  stopped after {spent:.0f} s in all, for want of time; run.py --parts digits goes on from there")
        return {"count": number, "steps": steps, "seconds": spent, "whole": False}
    if status != 0:
        raise RuntimeError(f"ebm sample: exit status {status}")
    spent = m.results.get("digits", {}).get("seconds", 0) + time.monotonic() - begin
    say(f"  {number:,} digits of mnist16 by {steps:,} steps: {spent:.1f} s, {1000 * spent / number:.3g} ms each")
    return {"count": number, "steps": steps, "batch": batch, "seconds": spent, "whole": True}


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    p.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    p.add_argument("--precisions", nargs="+", choices=PRECISIONS, help="(default: all on a device, fp32 on the CPU)")
    p.add_argument("--forms", nargs="*", choices=FORMS, help="of PyTorch (default: all)")
    p.add_argument("--minutes", type=float, default=14, help="all that the parts may take (default 14)")
    p.add_argument("--threads", type=int, default=os.cpu_count(), help="of the CPU, for both sides")
    p.add_argument("--digits", type=int, default=50_000, help="how many are drawn")
    p.add_argument("--digits-batch", type=int, default=1024, help="how many chains at once")
    p.add_argument("--libraries", nargs="+", default=[], help="further folders of NVIDIA's libraries")
    p.add_argument("--kit", type=pathlib.Path, help="an unpacked kit, in place of unpacking the parts beside this script")
    p.add_argument("--out", type=pathlib.Path, default=pathlib.Path("cuda-results"), help="folder of results.json and the digits")
    p.add_argument("--tiny", action="store_true", help="sizes of a moment, also on a device")
    p.add_argument("--stub", action="store_true", help="the libraries are the stubs of stubs.py")
    o = p.parse_args()
    o.tiny = o.tiny or o.device == "cpu"
    o.precisions = o.precisions or (PRECISIONS if o.device == "cuda" else PRECISIONS[:1])
    o.forms = FORMS if o.forms is None else o.forms
    if o.kit is None:
        o.kit = HERE / "unpacked"
        unpack(HERE, o.kit)
    o.out.mkdir(parents=True, exist_ok=True)
    return o


def main():
    m = Measurement(arguments())
    sys.path[:0] = [str(m.o.kit / "cmd/internal/bench/python"), str(m.o.kit / "cmd/internal/bench/cuda")]
    functions = {"where": where, "verify": verify, "score": jobs("score"), "train": jobs("train"), "sample": jobs("sample"),
                 "count": count, "digits": digits}
    failed = []
    for name in m.o.parts:
        begin = time.monotonic()
        if m.left() < 20:
            say(f"{name}: left out, no time is left")
            continue
        say(f"{name}:")
        try:
            m.keep(name, functions[name](m))
        except Exception as e:  # the other parts are worth their time all the same
            say(f"  failed: {type(e).__name__}: {e}")
            failed.append(name)
        say(f"  ({time.monotonic() - begin:.0f} s; {m.left() / 60:.1f} minutes left)")
    say(f"the numbers are in {m.path}")
    return f"run.py: failed: {', '.join(failed)}" if failed else 0


if __name__ == "__main__":
    sys.exit(main())
