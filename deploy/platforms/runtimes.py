#!/usr/bin/env python3
"""The same work with every version of ONNX Runtime from the oldest that is taken to the newest.

    python3 runtimes.py --ebm PROGRAM --out FOLDER [VERSION…]

Wheels come through the pip client (20 MB each), and `ebm runtime install FILE` takes the library
out of them. Numbers are compared with those of the pinned library: bits that differ are said, and
a difference above TOLERANCE is exit status 1.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import outputs

VERSIONS = ("1.24.1", "1.25.1", "1.26.0", "1.27.0", "1.28.0", "1.29.0", "1.30.0", "1.31.1", "1.32.0")
TOLERANCE = 1e-3  # of the largest element, after ten steps of chains and trainings


def library(ebm, version, folder):
    """Installs a version into a folder of its own; the environment that finds it there."""
    environment = {"XDG_CACHE_HOME": str(folder / "cache" / version)}
    program = outputs.Program([ebm], environment)
    installed = folder / "cache" / version / "ebm/onnxruntime" / f"{version}-cpu"
    if not installed.is_dir():
        with tempfile.TemporaryDirectory() as wheels:
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
                            "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--platform", "manylinux_2_28_x86_64",
                            "--dest", wheels, f"onnxruntime=={version}"], check=True)
            wheel, = pathlib.Path(wheels).glob("*.whl")
            program.run("runtime", "install", "--provider", "cpu", str(wheel))
    return outputs.Program([ebm], {"EBM_ORT_LIBRARY": str(installed)})


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--ebm", required=True)
    p.add_argument("--out", required=True, type=pathlib.Path)
    p.add_argument("versions", nargs="*", default=VERSIONS)
    o = p.parse_args()
    o.out = o.out.resolve()
    o.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=o.out) as work:
        work = pathlib.Path(work)
        pinned = outputs.Program([o.ebm], {"XDG_CACHE_HOME": str(work / "empty")})
        want, files = outputs.outputs(pinned, work / "pinned")
        print(f"| ONNX Runtime | {' | '.join(want)} | exported files |\n| --- |{' --- |' * (len(want) + 1)}")
        print(f"| the pinned one | {' | '.join('–' for _ in want)} | – |", flush=True)
        failed = False
        for version in o.versions:
            try:
                got, exported = outputs.outputs(library(o.ebm, version, o.out), work / version)
            except (outputs.Failed, subprocess.CalledProcessError) as e:
                print(f"| {version} | {e} |" + " |" * len(want), flush=True)
                failed = True
                continue
            cells = []
            for name in want:
                d = outputs.difference(got[name], want[name])
                failed |= not d <= TOLERANCE
                cells.append("equal bits" if d == 0 else f"{d:.1e}")
            failed |= exported != files
            cells.append("equal bytes" if exported == files else "DIFFERENT")
            print(f"| {version} | {' | '.join(cells)} |", flush=True)
    if failed:
        sys.exit(f"runtimes.py: a version failed, or differs by more than {TOLERANCE:g} of the largest element")


if __name__ == "__main__":
    main()
