"""Makes a folder with all that a machine with a device needs to measure this program beside its
PyTorch, without a network and without Go.

    python kit.py --ebm PROGRAM --library FOLDER --out FOLDER [--architecture 90]

FOLDER of --library holds a CUDA build of ONNX Runtime: install.sh prints it. The result is one script, run.py, and an archive in parts below 60 MB that it joins.
It wants a C compiler and readelf.
"""

import argparse
import hashlib
import io
import json
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[3]
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "python"))
import side  # noqa: E402
import slim  # noqa: E402

PART = 55 << 20  # bytes
LIBRARIES = ("libonnxruntime.so", "libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so")
# The comparison's own files, at their places below the root: they find each other by these.
FILES = ("cmd/internal/bench/python/compare.py", "cmd/internal/bench/python/side.py", "cmd/internal/bench/python/table.py",
         "cmd/internal/bench/python/torchside.py", "cmd/internal/bench/cuda/counts.py", "models/energy/testdata/make_golden.py",
         "models/energy/testdata/make_unet.py")


def needed(library):
    listed = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
    return re.findall(r"NEEDED.*\[(lib(?:cu|nv)[^]]+)\]", listed) + ["libcudnn.so.9"]


def collect(o, folder):
    """Puts everything into a folder; returns what run.py must know of it."""
    shutil.copy2(o.ebm, folder / "ebm")
    for name in LIBRARIES:
        found = o.library / name
        if not found.is_file():
            sys.exit(f"kit.py: {found} is missing, want a folder of install.sh")
        shutil.copy2(found, folder / name)
    provider = folder / LIBRARIES[-1]
    needs = needed(provider)
    if o.architecture:
        image = bytearray(provider.read_bytes())
        kept, gone = slim.slim(image, o.architecture)
        provider.write_bytes(image)
        print(f"kernels of architecture {o.architecture}: {kept / 1e6:.0f} MB kept, {gone / 1e6:.0f} MB of others zeroed")
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-std=gnu11", "-O2", "-fPIC", "-shared", str(HERE / "count.c"), "-pthread", "-ldl", "-o", folder / "count.so"],
                   check=True)
    for name in FILES:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, place)
    info = {"architecture": o.architecture, "needs": needs, "commit": side.commit(),
            "onnxruntime": json.loads(subprocess.run([folder / "ebm", "runtime", "info", "--provider", "cpu", "--json"],
                                                     capture_output=True, text=True, check=True).stdout)["version"]}
    (folder / "kit.json").write_text(json.dumps(info, indent=1) + "\n")
    return info


def pack(folder, preset):
    """The folder as one compressed archive, the same bytes for the same files."""
    archive = io.BytesIO()
    with lzma.open(archive, "wb", preset=preset) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            member = tar.gettarinfo(path, str(path.relative_to(folder)))
            member.mtime = member.uid = member.gid = 0
            member.uname = member.gname = ""
            with path.open("rb") as f:
                tar.addfile(member, f)
    return archive.getvalue()


def write(archive, out, part):
    """Parts of the archive, and their sums."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("kit.part*"):
        old.unlink()
    sums = []
    for i, begin in enumerate(range(0, len(archive), part)):
        data, name = archive[begin:begin + part], f"kit.part{i:02d}"
        (out / name).write_bytes(data)
        sums.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
        print(f"{out / name}\t{len(data)} bytes")
    (out / "SHA256SUMS").write_text("".join(sums))
    shutil.copy2(HERE / "run.py", out / "run.py")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--ebm", required=True, type=pathlib.Path, help="the program ebm")
    p.add_argument("--library", required=True, type=pathlib.Path, help="folder of a CUDA build of ONNX Runtime")
    p.add_argument("--out", required=True, type=pathlib.Path)
    p.add_argument("--architecture", type=int, default=90, help="keep the kernels of one architecture, 0 for all (default 90: H100, H200)")
    p.add_argument("--preset", type=int, default=6, help="how hard xz tries, 0 to 9")
    o = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        collect(o, pathlib.Path(folder))
        write(pack(pathlib.Path(folder), o.preset), o.out, PART)
    print(f"on the machine with the device:  python3 {o.out.name}/run.py")


if __name__ == "__main__":
    main()
