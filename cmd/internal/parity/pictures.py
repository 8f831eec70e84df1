"""Compares how `ebm` decodes JPEG with Pillow, on files of odd sizes, qualities and kinds made here.

    python pictures.py EBM FOLDER

The table goes to standard output, the largest difference of a value for each kind; the exit status is 1 when one is
not 0. The pixels are those of `ebm evaluate --features pixels --write-features`.
"""

import pathlib
import subprocess
import sys

import numpy as np
import PIL
from PIL import Image, features

SIZES = 40
KINDS = {
    "4:4:4, baseline": {"subsampling": 0},
    "4:4:4, progressive": {"subsampling": 0, "progressive": True},
    "4:2:2, baseline": {"subsampling": 1},
    "4:2:2, progressive": {"subsampling": 1, "progressive": True},
    "4:2:0, baseline": {"subsampling": 2},
    "4:2:0, progressive": {"subsampling": 2, "progressive": True},
    "4:2:0, restart intervals": {"subsampling": 2, "restart_marker_blocks": 3},
    "4:2:0, progressive with restart intervals": {"subsampling": 2, "progressive": True, "restart_marker_blocks": 2},
    "4:2:0, optimised tables, EXIF orientation": {"subsampling": 2, "optimize": True, "exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"},
    "grey, baseline": {"mode": "L"},
    "grey, progressive": {"mode": "L", "progressive": True},
    "CMYK": {"mode": "CMYK"},
}


def picture(random, width, height):
    y, x = np.mgrid[:height, :width]
    period = random.uniform(2, 20, 3)
    a = np.stack([np.sin(x / period[k] + k) * np.cos(y / (2 + k)) for k in range(3)], -1) * 150 + 128
    a[height // 3 : height // 2, width // 4 :] = random.integers(0, 256, 3)
    return Image.fromarray(np.clip(a + random.normal(0, random.uniform(0, 20), a.shape), 0, 255).astype(np.uint8))


def main():
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    random = np.random.default_rng(11)
    off, differ, qualities = {kind: 0 for kind in KINDS}, 0, []
    for size in range(SIZES):
        width, height = (int(v) for v in random.integers(1, 141, 2))
        into = folder / str(size)
        into.mkdir(parents=True, exist_ok=True)
        wanted = []
        for i, (kind, how) in enumerate(KINDS.items()):
            how = dict(how)
            mode, quality = how.pop("mode", "RGB"), int(random.integers(1, 101))
            path = into / f"{i:02d}.jpg"
            picture(random, width, height).convert(mode).save(path, quality=quality, **how)
            wanted.append(np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1))
            qualities.append(quality)
        subprocess.run([program, "evaluate", "--quiet", "--samples", into, "--features", "pixels", "--metrics", "vendi",
                        "--write-features", folder / "pixels.npz"], check=True, capture_output=True)
        got = np.load(folder / "pixels.npz")["features"].reshape(len(KINDS), 3, height, width)
        for kind, g, w in zip(KINDS, got, wanted):
            most = int(np.abs(np.rint(g * 255) - w).max())
            off[kind], differ = max(off[kind], most), differ + (most > 0)
    turbo = features.version("libjpeg_turbo")
    print(f"{SIZES * len(KINDS)} files, 1 to 140 pixels a side, qualities {min(qualities)} to {max(qualities)}; "
          f"Pillow {PIL.__version__}, libjpeg-turbo {turbo}; {differ} differ\n")
    print("| kind | files | largest difference |\n| --- | --- | --- |")
    for kind, most in off.items():
        print(f"| {kind} | {SIZES} | {most} |")
    sys.exit(any(off.values()))


main()
