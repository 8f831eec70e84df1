#!/usr/bin/env python3
"""Builds the program for other platforms and runs it there, as far as this machine can.

    python3 platforms.py FOLDER [linux-arm64 windows musl bare darwin]

linux-arm64  by gcc-aarch64-linux-gnu, run under qemu-user 8 or newer (7.2 crashes while it loads
             ONNX Runtime; Debian 12 has a newer one among its backports, which is unpacked here)
windows      the archive of the release, by mingw, run under wine 10 of Debian 13, which is unpacked
             here; tests of what meets the system too
musl         by musl-gcc: the program says why ONNX Runtime cannot be loaded
bare         in a folder with the program, ONNX Runtime, glibc and libstdc++ and nothing else:
             no /proc, no /dev, no shell
darwin       compiled by zig's compiler, which is fetched from PyPI; nothing runs

Packages of Debian that are missing are installed where this runs as root. What ran is said, what
did not run is said, and numbers are compared with those of this machine.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import zipfile

import debian
import outputs
from debian import Missing, command, packages

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
ZIG = "0.15.1"
# What meets the system, or is killed and goes on, tested on Windows; one test calls Go and a compiler.
TESTED = ("runtime", "runtime/parallel", "internal/atomicfile", "internal/files", "internal/memory", "internal/metrics", "internal/npz", "models/weights",
          "export/session", "mdsm/samples", "mdsm/langevin", "mdsm/hmc", "mdsm/restore", "mdsm/train")
WANTS_GO = "TestCallsMatchTheHeader"


def module(goos):
    """The folder of the Go module that carries ONNX Runtime for an operating system."""
    name = {"linux": "linux", "windows": "windows", "darwin": "macos"}[goos]
    path = f"github.com/k2-fsa/sherpa-onnx-go-{name}"
    command("go", "mod", "download", path, cwd=ROOT)
    return pathlib.Path(command("go", "list", "-m", "-f", "{{.Dir}}", path, cwd=ROOT).strip())


def build(out, goos, goarch, compiler, *args, verb="build", packages=("./cmd/ebm",)):
    environment = dict(os.environ, CGO_ENABLED="1", GOOS=goos, GOARCH=goarch, CC=compiler)
    command("go", verb, *args, *(["-o", str(out)] if out else []), *packages, cwd=ROOT, env=environment)


def place(folder, program, library):
    """A folder with the program and ONNX Runtime's library beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(library, folder / library.name)
    return folder / program


def here(folder):
    """Builds and runs everything on this machine: what others are compared with."""
    ebm = place(folder / "here", "ebm", module("linux") / "lib" / f"{platform.machine()}-unknown-linux-gnu/libonnxruntime.so")
    build(ebm, "linux", {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()], os.environ.get("CC", "cc"))
    return ebm


def compare(name, program, folder, want):
    """Runs everything and says how far it is from this machine's numbers."""
    arrays, files = outputs.outputs(program, folder)
    worst = 0.0
    for key, values in want[0].items():
        d = outputs.difference(arrays[key], values)
        worst = max(worst, d)
        print(f"  {key}: {'equal bits' if d == 0 else f'{d:.1e} of the largest element apart'}")
    different = [key for key in want[1] if files.get(key) != want[1][key]]
    print(f"  exported files: {'equal bytes' if not different else ', '.join(different) + ' differ'}")
    if different:
        raise outputs.Failed(f"{name}: exported files differ")
    if worst > 1e-3:
        raise outputs.Failed(f"{name}: {worst:.1e} of the largest element apart, want at most 1e-3")


def emulator(folder):
    """qemu's user emulator for arm64, 8 or newer."""
    for name in ("qemu-aarch64", "qemu-aarch64-static"):
        found = shutil.which(name)
        if found and int(re.search(r"version (\d+)", command(found, "--version"))[1]) >= 8:
            return found
    return str(debian.unpack(folder / "qemu", debian.codename() + "-backports", "qemu-user") / "usr/bin/qemu-aarch64")


def linux_arm64(folder, want):
    packages("gcc-aarch64-linux-gnu", "g++-aarch64-linux-gnu", "libc6-dev-arm64-cross")
    ebm = place(folder / "linux-arm64", "ebm", module("linux") / "lib/aarch64-unknown-linux-gnu/libonnxruntime.so")
    build(ebm, "linux", "arm64", "aarch64-linux-gnu-gcc")
    qemu = emulator(folder)
    print("  " + command(qemu, "--version").splitlines()[0])
    program = outputs.Program([qemu, "-L", "/usr/aarch64-linux-gnu", str(ebm)])
    print("  " + program.run("runtime", "info").replace("\n", "\n  ").rstrip())
    compare("linux-arm64", program, folder / "linux-arm64/outputs", want)


def windows(folder, want):
    packages("gcc-mingw-w64-x86-64")
    wine = debian.unpack(folder / "wine", "trixie", "wine64", "libz-mingw-w64")
    target, prefix = folder / "windows", folder / "windows/prefix"
    for old in ("archive", "prefix"):
        shutil.rmtree(target / old, ignore_errors=True)
    # The program is that of the archive that people get, beside its library.
    command(sys.executable, str(HERE.parent / "release.py"), str(target / "archive"), "0", "windows-amd64")
    with zipfile.ZipFile(target / "archive/ebm-0-windows-amd64.zip") as archive:
        archive.extractall(target / "archive")
    unpacked = target / "archive/ebm-0-windows-amd64"
    under = [*debian.inside(wine, ROOT, folder), "/usr/lib/wine/wine64"]
    environment = {"WINESERVER": "/usr/lib/wine/wineserver64", "WINEPREFIX": str(prefix), "WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree,mshtml="}
    there = lambda path: "Z:" + str(path).replace("/", "\\")
    program = outputs.Program([*under, there(unpacked / "ebm.exe")], environment, there)
    print("  " + command(*under, "--version", env=program.environment).strip())
    system = prefix / "drive_c/windows/system32"
    system.mkdir(parents=True)
    shutil.copy2(wine / "usr/x86_64-w64-mingw32/lib/zlib1.dll", system)  # Debian's wine looks for it in vain
    subprocess.run([*under, "wineboot", "--init"], capture_output=True, env=program.environment)
    print("  " + program.run("runtime", "info").replace("\n", "\n  ").rstrip())
    compare("windows", program, target / "outputs", want)
    program.environment["EBM_ORT_LIBRARY"] = there(unpacked / "onnxruntime.dll")
    for package in TESTED:
        tests = target / "tests" / (package.replace("/", "-") + ".exe")
        build(tests, "windows", "amd64", "x86_64-w64-mingw32-gcc", "-c", verb="test", packages=("./" + package,))
        done = subprocess.run([*under, "cmd", "/c", f"cd /d {there(ROOT / package)} && {there(tests)} -test.v -test.short -test.skip {WANTS_GO}"],
                              capture_output=True, text=True, errors="replace", env=program.environment)
        count = lambda verdict: len(re.findall(rf"^--- {verdict}", done.stdout, re.MULTILINE))
        print(f"  tests of {package}: {count('PASS')} passed, {count('SKIP')} skipped, {count('FAIL')} failed")
        if done.returncode != 0:
            raise outputs.Failed(f"tests of {package}: " + ", ".join(re.findall(r"^--- FAIL: (\S+)", done.stdout, re.MULTILINE)) + (done.stderr or done.stdout)[-600:])


def musl(folder, _):
    packages("musl-tools")
    ebm = place(folder / "musl", "ebm", module("linux") / "lib" / f"{platform.machine()}-unknown-linux-gnu/libonnxruntime.so")
    build(ebm, "linux", {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()], "musl-gcc")
    done = subprocess.run([ebm, "runtime", "info"], capture_output=True, text=True)
    print("  " + done.stderr.strip())
    if done.returncode != 1 or "musl" not in done.stderr or len(done.stderr.strip().splitlines()) != 1:
        raise outputs.Failed(f"exit status {done.returncode}, want 1 and one line that names musl")


def bare(folder, _):
    chroot = shutil.which("chroot")
    if os.geteuid() != 0 or not chroot:
        raise Missing("chroot wants root")
    root = folder / "bare"
    shutil.rmtree(root, ignore_errors=True)
    (root / "tmp").mkdir(parents=True)
    ebm, library = folder / "here/ebm", folder / "here/libonnxruntime.so"
    (root / "ebm").mkdir()
    for path in (ebm, library):
        shutil.copy2(path, root / "ebm" / path.name)
    for needed in set(re.findall(r"(/\S+)", command("ldd", str(ebm)) + command("ldd", str(library)))):
        if needed.startswith(str(folder)):
            continue
        (root / needed[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(os.path.realpath(needed), root / needed[1:])
    size = sum(p.stat().st_size for p in root.rglob("*") if p.is_file())
    for started in ("/ebm/ebm", "ebm"):
        found = subprocess.run([chroot, str(root), started, "runtime", "info", "--json"], capture_output=True, text=True,
                               env={"HOME": "/tmp", "PATH": "/ebm"})
        if found.returncode != 0:
            raise outputs.Failed(found.stderr.strip())
        if json.loads(found.stdout)["source"] != "beside the program":
            raise outputs.Failed(f"the library was found in {found.stdout}")
    done = subprocess.run([chroot, str(root), "/ebm/ebm", "sample", "--quiet", "--run", "mnist16", "--count", "2", "--steps", "5", "--out", "/tmp/s"],
                          capture_output=True, text=True, env={"HOME": "/tmp"})
    if done.returncode != 0:
        raise outputs.Failed(done.stderr.strip())
    print(f"  a folder of {size / 1e6:.0f} MB, without /proc: the library beside the program is found, and samples are drawn")


def darwin(folder, _):
    tools = folder / "zig"
    if not (tools / "ziglang/zig").is_file():
        try:
            command(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target", str(tools), f"ziglang=={ZIG}")
        except outputs.Failed as e:
            raise Missing(f"ziglang {ZIG}: {e}") from None
    for arch, target in (("arm64", "aarch64-macos"), ("amd64", "x86_64-macos")):
        compiler = folder / f"zig-cc-{arch}"
        compiler.write_text(f'#!/bin/sh\nexec "{tools}/ziglang/zig" cc -target {target} "$@"\n')
        compiler.chmod(0o755)
        listed = command("go", "list", "-f", "{{if ne .Name \"main\"}}{{.ImportPath}}{{end}}", "./...", cwd=ROOT).split()
        build(None, "darwin", arch, str(compiler), packages=listed)
        print(f"  {arch}: all {len(listed)} packages but the programs themselves compile, cgo included; linking wants Apple's libraries")


PLATFORMS = {"linux-arm64": linux_arm64, "windows": windows, "musl": musl, "bare": bare, "darwin": darwin}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("platforms", nargs="*", help="(default: all)")
    o = p.parse_args()
    folder = o.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if unknown := [name for name in o.platforms if name not in PLATFORMS]:
        p.error(f"unknown platforms {', '.join(unknown)}, want some of {', '.join(PLATFORMS)}")
    for old in folder.glob("*/outputs"):
        shutil.rmtree(old)
    ebm = here(folder)
    want = outputs.outputs(outputs.Program([str(ebm)]), folder / "here/outputs")
    ran, left, failed = [], [], []
    for name in o.platforms or PLATFORMS:
        print(f"{name}:", flush=True)
        try:
            PLATFORMS[name](folder, want)
            ran.append(name)
        except Missing as e:
            print(f"  not run: {e}")
            left.append(name)
        except outputs.Failed as e:
            print(f"  FAILED: {e}")
            failed.append(name)
        sys.stdout.flush()
    print(f"ran: {', '.join(ran) or 'none'}; not run: {', '.join(left) or 'none'}; failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
