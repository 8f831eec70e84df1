"""Makes jpeg.npz: small JPEG and WebP files and what Pillow decodes them to.

    python make_jpeg.py

Needs Pillow (made with 13.0, libjpeg-turbo 3) and NumPy. For each NAME the archive has NAME.file, the bytes of the
file, and NAME.pixels, uint8 [H W] of grey files and [H W 3] of others (convert("RGB")).
"""

import io
import pathlib

import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
random = np.random.default_rng(0)
out = {}


def picture(width, height):
    """A smooth picture with edges and a little noise, in colours that saturate."""
    y, x = np.mgrid[:height, :width]
    a = np.stack([np.sin(x / 3 + k) * np.cos(y / (4 + k)) for k in range(3)], -1) * 140 + 128
    a[height // 3 : height // 2, width // 4 :] = [250, 10, 120]
    return Image.fromarray(np.clip(a + random.normal(0, 6, a.shape), 0, 255).astype(np.uint8))


def add(name, data):
    image = Image.open(io.BytesIO(data))
    pixels = np.asarray(image if image.mode == "L" else image.convert("RGB"))
    out[name + ".file"], out[name + ".pixels"] = np.frombuffer(data, np.uint8), pixels


def saved(image, kind="JPEG", **how):
    f = io.BytesIO()
    image.save(f, kind, **how)
    return f.getvalue()


def turned(data):
    """The file of a 4:2:2 picture as one of 4:4:0 whose sides are exchanged: the blocks are as many."""
    data = bytearray(data)
    at = next(data.index(marker) for marker in (b"\xff\xc0", b"\xff\xc2") if marker in data)
    data[at + 5 : at + 9] = data[at + 7 : at + 9] + data[at + 5 : at + 7]
    assert data[at + 11] == 0x21
    data[at + 11] = 0x12
    return bytes(data)


for i, (w, h) in enumerate([(1, 1), (2, 3), (5, 17), (16, 16), (23, 9), (31, 33)]):
    for sampling in (0, 1, 2):
        progressive = (i + sampling) % 2 == 1
        how = {"quality": [95, 75, 30][(i + sampling) % 3], "subsampling": sampling, "progressive": progressive}
        if i % 3 == 2:
            how["restart_marker_blocks"] = 1 + i % 2
        add(f"{['444', '422', '420'][sampling]} {w}x{h} {'progressive' if progressive else 'baseline'}", saved(picture(w, h), **how))
add("grey", saved(picture(29, 18).convert("L"), quality=60))
add("grey progressive", saved(picture(18, 29).convert("L"), quality=85, progressive=True))
add("worst quality", saved(picture(26, 21), quality=1))
add("best quality", saved(picture(21, 26), quality=100, subsampling=2))
add("440", turned(saved(picture(32, 16), quality=80, subsampling=1)))
add("440 progressive", turned(saved(picture(16, 32), quality=80, subsampling=1, progressive=True)))
add("red green blue", saved(picture(19, 14), quality=80, keep_rgb=True))
add("CMYK", saved(picture(17, 22).convert("CMYK"), quality=80))
ycck = bytearray(saved(picture(22, 17).convert("CMYK"), quality=80))
ycck[ycck.index(b"Adobe") + 11] = 2
add("YCCK", bytes(ycck))
exif = Image.Exif()
exif[0x0112] = 6
add("EXIF orientation", saved(picture(24, 12), exif=exif))
for i, (w, h) in enumerate([(1, 1), (13, 10), (20, 15), (18, 7)]):
    add(f"WebP {w}x{h}", saved(picture(w, h), "WEBP", quality=[80, 80, 20, 90][i], lossless=i == 3))
np.savez_compressed(HERE / "jpeg.npz", **out)
print(len(out) // 2, "files,", (HERE / "jpeg.npz").stat().st_size, "bytes")
