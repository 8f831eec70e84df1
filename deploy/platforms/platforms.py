#!/usr/bin/env python3
"""Builds the program for other platforms and runs it there, as far as this machine can.

    python3 platforms.py FOLDER [linux-arm64 windows musl bare darwin]

linux-arm64  by gcc-aarch64-linux-gnu, run under qemu-user 8 or newer (7.2 crashes while it loads
             ONNX Runtime; Debian 12 has a newer one among its backports, which is unpacked here)
windows      by mingw, run under wine
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
import tempfile

import outputs

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
ZIG = "0.15.1"


class Missing(Exception):
    """What a platform wants is not to be had here."""


def command(*args, **more):
    done = subprocess.run(args, capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise outputs.Failed(f"{' '.join(map(str, args[:4]))} …: exit status {done.returncode}: {(done.stderr or done.stdout).strip()[-600:]}")
    return done.stdout


def packages(*names):
    """Installs Debian's packages that are missing."""
    missing = [n for n in names if subprocess.run(["dpkg", "-s", n], capture_output=True).returncode != 0]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Missing(f"Debian's packages {', '.join(missing)} are missing")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    subprocess.run(["apt-get", "update", "-q"], capture_output=True, env=environment)
    if subprocess.run(["apt-get", "install", "-qy", "--no-install-recommends", *missing], capture_output=True, env=environment).returncode != 0:
        raise Missing(f"Debian's packages {', '.join(missing)} cannot be installed")


def module(goos):
    """The folder of the Go module that carries ONNX Runtime for an operating system."""
    name = {"linux": "linux", "windows": "windows", "darwin": "macos"}[goos]
    path = f"github.com/k2-fsa/sherpa-onnx-go-{name}"
    command("go", "mod", "download", path, cwd=ROOT)
    return pathlib.Path(command("go", "list", "-m", "-f", "{{.Dir}}", path, cwd=ROOT).strip())


def build(out, goos, goarch, compiler, *args, packages=("./cmd/ebm",)):
    environment = dict(os.environ, CGO_ENABLED="1", GOOS=goos, GOARCH=goarch, CC=compiler)
    command("go", "build", *args, *(["-o", str(out)] if out else []), *packages, cwd=ROOT, env=environment)


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
    unpacked = folder / "qemu/usr/bin/qemu-aarch64"
    if not unpacked.is_file():
        release = re.search(r'VERSION_CODENAME=(\w+)', pathlib.Path("/etc/os-release").read_text())
        sources = "".join(p.read_text() for p in sorted(pathlib.Path("/etc/apt").glob("sources.list*")) if p.is_file())
        sources += "".join(p.read_text() for p in sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*")))
        mirror = re.search(r"^(?:URIs:|deb)\s+(?:\[[^]]*\]\s+)?(\S+/debian)/?\s*$", sources, re.MULTILINE) or re.search(r"(\S+/debian)\s", sources)
        if not release or not mirror or not shutil.which("apt-get"):
            raise Missing("qemu-user 8 or newer is missing")
        lists = folder / "qemu/lists"
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        listed = folder / "qemu/backports.list"
        signed = "/usr/share/keyrings/debian-archive-keyring.gpg"
        listed.write_text(f"deb [signed-by={signed}] {mirror[1]} {release[1]}-backports main\n")
        apt = ["apt-get", "-q", "-o", f"Dir::Etc::sourcelist={listed}", "-o", "Dir::Etc::sourceparts=-", "-o", f"Dir::State::Lists={lists}"]
        try:
            command(*apt, "update")
            command(*apt, "download", "qemu-user", cwd=folder / "qemu")
            package, = (folder / "qemu").glob("qemu-user_*.deb")
            command("dpkg", "-x", str(package), str(folder / "qemu"))
        except (outputs.Failed, ValueError) as e:
            raise Missing(f"qemu-user 8 or newer is missing, and not among {release[1]}'s backports: {e}") from None
    return str(unpacked)


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
    packages("gcc-mingw-w64-x86-64", "wine64")
    wine = shutil.which("wine64") or shutil.which("wine") or "/usr/lib/wine/wine64"
    target = folder / "windows"
    ebm = place(target, "ebm.exe", module("windows") / "lib/x86_64-pc-windows-gnu/onnxruntime.dll")
    build(ebm, "windows", "amd64", "x86_64-w64-mingw32-gcc")
    prefix = target / "wine"
    program = outputs.Program([wine, str(ebm)], {"WINEPREFIX": str(prefix), "WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree,mshtml="},
                              lambda path: "Z:" + path.replace("/", "\\"))
    print("  " + command(wine, "--version", env=program.environment).strip())
    command(wine, "wineboot", "--init", env=program.environment)
    # Go asks this library, of the system's folder, for random numbers; wine has it since 9.
    library = prefix / "drive_c/windows/system32/bcryptprimitives.dll"
    if not library.is_file():
        command("x86_64-w64-mingw32-gcc", "-shared", "-o", str(library), str(HERE / "bcryptprimitives.c"), "-ladvapi32")
    print("  " + program.run("runtime", "info").replace("\n", "\n  ").rstrip())
    try:
        compare("windows", program, target / "outputs", want)
    except outputs.Failed as e:
        if "Invalid function" not in str(e):
            raise
        # Wine before 9 cannot delete files as Go asks it to, which a command does at its end.
        print("  this wine cannot delete files as Go asks it to: chains alone are compared")
        d = outputs.difference(outputs.npy(target / "outputs/chains/samples_float32.npy"), want[0]["chains"])
        print(f"  chains: {'equal bits' if d == 0 else f'{d:.1e} of the largest element apart'}")
        if d > 1e-3:
            raise outputs.Failed(f"{d:.1e} of the largest element apart") from None


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
