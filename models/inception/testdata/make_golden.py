"""Makes golden.npz and layers.npz: what pytorch-fid's Inception network says with weights by formula.

    pip install -r requirements.txt
    python make_golden.py [FOLDER] [WEIGHTS.pth]

FOLDER is the folder of this file by default. With a second argument the weights are
saved there as well, as torch.save writes the published file. Nothing is downloaded:
the weights are pseudo-random numbers that the test makes too,

    u(name, i) = (splitmix64's output for the state fnv1a64(name) + (i+1)·γ) >> 40, over 2^24

  conv.weight               (2u−1)·sqrt(6/fan_in)
  bn.weight, running_var    u + 0.5
  bn.bias, running_mean     (u − 0.5)·0.4
  fc.weight                 (2u−1)·sqrt(3/2048)
  fc.bias                   u − 0.5
  input x [2,3,299,299]     0.8·(2u("blocks", i)−1) + 0.2·(2u("noise", j)−1), j the index of the pixel and
                            i that of its 13×13 block, in [2,3,23,23]

  sizes                     [5,2]: heights and widths of pictures; picture k is floor(256·u("picture k", i)), [3,H,W]
  preprocess_NAME           [5,3,11,11]: every 29th pixel, from pixel 4 on, of the pictures as pytorch-fid,
                            tf (torch-fidelity) and clean (Pillow in float32) give them to the network
  resize_NAME             [5,3,6,5]: every 4th row and 8th column of the same resized to [3,23,40], 0 to 255

  names                     uint8: parameters and their shapes, "name 1x2x3" a line each, without
                            the counters num_batches_tracked
  pool3, pool3_64           [2,2048] in float32 and float64
  logits, logits_64         [2,1008]

layers.npz holds

  layer_NAME                in float64: the same network's 64, 192 and 768 as torch-fidelity takes them (means
                            over pixels), and spatial, sFID's: 7 channels of Mixed_6d.branch1x1, [2,2023]
  preprocess_pillow, resize_pillow   as above, by Pillow on bytes
"""

import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pytorch_fid import inception
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

GAMMA = np.uint64(0x9E3779B97F4A7C15)


def uniform(name, count):
    state = 0xCBF29CE484222325
    for b in name.encode():
        state = ((state ^ b) * 0x100000001B3) % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(state) + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * GAMMA
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2**24


def parameter(name, shape):
    count = int(np.prod(shape))
    u = uniform(name, count)
    if name.endswith("conv.weight"):
        v = (2 * u - 1) * np.sqrt(6 / (count // shape[0]))
    elif name.endswith("bn.weight") or name.endswith("running_var"):
        v = u + 0.5
    elif name.endswith("bn.bias") or name.endswith("running_mean"):
        v = (u - 0.5) * 0.4
    elif name == "fc.weight":
        v = (2 * u - 1) * np.sqrt(3 / 2048)
    else:
        v = u - 0.5
    return torch.tensor(v.reshape(shape).astype(np.float32))


SIZES = [(32, 32), (17, 45), (299, 299), (401, 333), (1, 640)]


def picture(k):
    height, width = SIZES[k]
    x = torch.tensor(np.floor(256 * uniform(f"picture {k}", 3 * height * width)).astype(np.float32))
    return x.reshape(1, 3, height, width)


def clean(x, height, width):
    channels = [np.asarray(Image.fromarray(c.numpy()).resize((width, height), Image.BICUBIC)).clip(0, 255) for c in x[0]]
    return torch.tensor(np.stack(channels))[None]


def pillow(x, height, width):
    # The width first, as Pillow before 13 does always and later ones for most shapes, all squares among them.
    y = Image.fromarray(x[0].permute(1, 2, 0).numpy().astype(np.uint8))
    y = y.resize((width, y.height), Image.BICUBIC).resize((width, height), Image.BICUBIC)
    return torch.tensor(np.asarray(y).astype(np.float32)).permute(2, 0, 1)[None]


def layers(x):
    model = inception.InceptionV3([0, 1, 2], resize_input=False, normalize_input=False).to(torch.float64).eval()
    seen = []
    mixed_6d = [m for m in model.modules() if isinstance(m, inception.FIDInceptionC)][2]
    mixed_6d.branch1x1.register_forward_hook(lambda module, given, y: seen.append(y))
    with torch.no_grad():
        maps = model(x.to(torch.float64))
    out = {f"layer_{m.shape[1]}": m.mean(dim=(2, 3)).numpy() for m in maps}
    out["layer_spatial"] = seen[0][:, :7].flatten(1).numpy()
    cut = [[pillow(picture(k), h, w) for k in range(len(SIZES))] for h, w in ((299, 299), (23, 40))]
    out["preprocess_pillow"] = ((torch.cat(cut[0]) - 128) / 128)[:, :, 4::29, 4::29].numpy()
    out["resize_pillow"] = torch.cat(cut[1])[:, :, ::4, ::8].numpy()
    return out


def preprocessed():
    out = {"pytorch-fid": [], "tf": [], "clean": []}
    for k in range(len(SIZES)):
        x = picture(k)
        out["pytorch-fid"].append(2 * F.interpolate(x / 255, size=(299, 299), mode="bilinear", align_corners=False) - 1)
        out["tf"].append((interpolate_bilinear_2d_like_tensorflow1x(x, (299, 299), align_corners=False) - 128) / 128)
        out["clean"].append((clean(x, 299, 299) - 128) / 128)
    return {"preprocess_" + k: torch.cat(v)[:, :, 4::29, 4::29].numpy() for k, v in out.items()}


def resized():
    out = {"pytorch-fid": [], "tf": [], "clean": []}
    for k in range(len(SIZES)):
        x = picture(k)
        out["pytorch-fid"].append(F.interpolate(x, size=(23, 40), mode="bilinear", align_corners=False))
        out["tf"].append(interpolate_bilinear_2d_like_tensorflow1x(x, (23, 40), align_corners=False))
        out["clean"].append(clean(x, 23, 40))
    return {"resize_" + k: torch.cat(v)[:, :, ::4, ::8].numpy() for k, v in out.items()}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    torch.set_num_threads(1)
    template = inception.torchvision.models.inception_v3(
        num_classes=1008, aux_logits=False, weights=None, init_weights=False)
    # The FID blocks have the names and shapes of torchvision's: pytorch-fid refuses others.
    state = {k: parameter(k, tuple(v.shape)) for k, v in template.state_dict().items()
             if not k.endswith("num_batches_tracked")}
    counters = {k: v for k, v in template.state_dict().items() if k.endswith("num_batches_tracked")}
    inception.load_state_dict_from_url = lambda *a, **k: {**state, **counters}
    if len(sys.argv) > 2:
        torch.save(state, sys.argv[2])

    blocks = uniform("blocks", 2 * 3 * 23 * 23).reshape(2, 3, 23, 23).repeat(13, axis=2).repeat(13, axis=3)
    noise = uniform("noise", 2 * 3 * 299 * 299).reshape(2, 3, 299, 299)
    x = torch.tensor((0.8 * (2 * blocks - 1) + 0.2 * (2 * noise - 1)).astype(np.float32))
    out = {"names": np.frombuffer(
        "".join(f"{k} {'x'.join(map(str, v.shape))}\n" for k, v in state.items()).encode(), np.uint8)}
    out["sizes"] = np.array(SIZES, dtype=np.int64)
    out.update(preprocessed())
    out.update(resized())
    for suffix, kind in [("", torch.float32), ("_64", torch.float64)]:
        model = inception.InceptionV3([3], resize_input=False, normalize_input=False).to(kind).eval()
        head = inception.fid_inception_v3().fc.to(kind).eval()
        with torch.no_grad():
            pool3 = model(x.to(kind))[0][:, :, 0, 0]
            out["pool3" + suffix], out["logits" + suffix] = pool3.numpy(), head(pool3).numpy()
    for key in ["pool3", "logits"]:
        a, b = out[key], out[key + "_64"]
        print(key, "mean", abs(b).mean(), "largest", abs(b).max(), "float32 off by", abs(a - b).max() / abs(b).max())
    np.savez_compressed(os.path.join(folder, "golden.npz"), **out)
    np.savez_compressed(os.path.join(folder, "layers.npz"), **layers(x))


main()
