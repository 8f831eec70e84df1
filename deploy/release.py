#!/usr/bin/env python3
"""Archives for people without Go: the program, ONNX Runtime's library beside it, licences, sums.

    python3 release.py FOLDER VERSION [linux-amd64 linux-arm64 windows-amd64]

The same sources and compilers give the same bytes. Compilers are gcc, gcc-aarch64-linux-gnu and
gcc-mingw-w64-x86-64 of Debian; a platform without one is left out and said so. The archive of this
machine's platform is unpacked and run, without Go in its environment. A program runs where glibc is
as new as here or newer.
"""

import argparse
import gzip
import hashlib
import io
import pathlib
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "deploy/platforms"))
import outputs  # noqa: E402
import platforms  # noqa: E402

TARGETS = {  # operating system, processor, compiler, library in the Go module that carries it
    "linux-amd64": ("linux", "amd64", "gcc", "x86_64-unknown-linux-gnu/libonnxruntime.so"),
    "linux-arm64": ("linux", "arm64", "aarch64-linux-gnu-gcc", "aarch64-unknown-linux-gnu/libonnxruntime.so"),
    "windows-amd64": ("windows", "amd64", "x86_64-w64-mingw32-gcc", "x86_64-pc-windows-gnu/onnxruntime.dll"),
}


def contents(name, work):
    """The files of an archive, by name."""
    goos, goarch, compiler, library = TARGETS[name]
    program = "ebm.exe" if goos == "windows" else "ebm"
    platforms.build(work / program, goos, goarch, compiler, "-trimpath")
    module = platforms.module(goos)
    files = {program: work / program, pathlib.Path(library).name: module / "lib" / library, "LICENSE": ROOT / "LICENSE",
             "README.md": ROOT / "README.md", "CHANGELOG.md": ROOT / "CHANGELOG.md"}
    licence = next((p for p in module.glob("LICENSE*")), None)
    if licence:
        files["LICENSE.sherpa-onnx"] = licence
    return files


def tar(path, folder, files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, source in sorted(files.items()):
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mode = source.stat().st_size, 0o755 if name in ("ebm", "ebm.exe") else 0o644
            with source.open("rb") as f:
                archive.addfile(member, f)
    with path.open("wb") as f, gzip.GzipFile("", "wb", fileobj=f, mtime=0) as out:
        out.write(packed.getvalue())


def zipped(path, folder, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, source in sorted(files.items()):
            member = zipfile.ZipInfo(f"{folder}/{name}")
            member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o755 << 16
            archive.writestr(member, source.read_bytes())


def try_out(path, folder):
    """Unpacks an archive and has it draw a sample, with nothing of Go about it."""
    with tempfile.TemporaryDirectory() as work:
        with tarfile.open(path) as archive:
            archive.extractall(work, filter="data")
        program = [f"{work}/{folder}/ebm"]
        environment = {"HOME": work, "PATH": "/nowhere"}
        for args in (["runtime", "info"], ["sample", "--quiet", "--run", "mnist16", "--count", "2", "--steps", "5", "--out", f"{work}/samples"]):
            done = subprocess.run(program + args, env=environment, capture_output=True, text=True)
            if done.returncode != 0 or args[0] == "runtime" and "beside the program" not in done.stdout:
                sys.exit(f"release.py: the archive's program failed at {' '.join(args[:2])}: {done.stderr or done.stdout}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("version")
    p.add_argument("targets", nargs="*", help="(default: all)")
    o = p.parse_args()
    if unknown := [name for name in o.targets if name not in TARGETS]:
        p.error(f"unknown targets {', '.join(unknown)}, want some of {', '.join(TARGETS)}")
    o.folder.mkdir(parents=True, exist_ok=True)
    sums = []
    for name in o.targets or TARGETS:
        goos, goarch, compiler, _ = TARGETS[name]
        if not shutil.which(compiler):
            print(f"{name}: left out, there is no {compiler}")
            continue
        folder = f"ebm-{o.version}-{name}"
        path = o.folder / (folder + (".zip" if goos == "windows" else ".tar.gz"))
        with tempfile.TemporaryDirectory() as work:
            (zipped if goos == "windows" else tar)(path, folder, contents(name, pathlib.Path(work)))
        mine = goos == "linux" and goarch == {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
        if mine:
            try_out(path, folder)
        sums.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
        print(f"{path}\t{path.stat().st_size} bytes{', runs' if mine else ''}", flush=True)
    (o.folder / "SHA256SUMS").write_text("".join(sums))


if __name__ == "__main__":
    try:
        main()
    except outputs.Failed as e:
        sys.exit(f"release.py: {e}")
