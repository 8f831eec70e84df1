"""Compares `ebm evaluate` with pytorch-fid and torch-fidelity on the same weights and pictures.

    python evaluation.py EBM FOLDER [NAME=PICTURES ...]

EBM is the program. FOLDER keeps what takes long: the weights (weights.pth, made here at
random with the names and shapes of the published ones, which these programs would download
and this one leaves to users), the peers' features and their results. PICTURES are folders
of PNG files, of which the first is compared with all the others; without them, a few are
drawn here. The table of all numbers goes to FOLDER/table.md and FOLDER/table.json; the
exit status is 1 when a number is further from its peer's than TOLERANCE says.

Both peers run on the CPU, as their users call them: pytorch-fid by calculate_fid_given_paths
or on its files of statistics, torch-fidelity by calculate_metrics.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import torch
from PIL import Image

# Largest differences, relative to the peer's number. Features are float32 and come through
# convolutions that sum in another order. Precision and recall are shares of samples, of
# which rounding may turn some.
TOLERANCE = {
    "fid": 1e-3, "is": 1e-4, "is_deviation": 1e-2, "kid": 1e-3, "kid_deviation": 1e-2,
    "precision": 5e-3, "recall": 5e-3,
}
# On the very features of a peer, only float64 arithmetic is left to differ.
TOLERANCE_FEATURES = {
    "fid": 1e-6, "is": 1e-6, "is_deviation": 1e-4, "kid": 1e-5, "kid_deviation": 1e-4,
    "precision": 1e-6, "recall": 1e-6,
}
WEIGHTS = "pt_inception-2015-12-05-6726825d.pth"  # the published file's name


def make_weights(path):
    """Saves pseudo-random weights with the names and shapes of the published ones.

    The batch normalisations take the statistics of some drawn pictures, as training would
    have left them; without, all features would be nearly constant.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    blank = path.with_name("blank.pth")
    load, FeatureExtractorInceptionV3.load_state_dict = FeatureExtractorInceptionV3.load_state_dict, lambda *a: None
    torch.save({}, blank)
    network = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=str(blank))
    FeatureExtractorInceptionV3.load_state_dict = load
    blank.unlink()
    rng = np.random.default_rng(5)
    state = network.state_dict()
    for name, value in state.items():
        shape = tuple(value.shape)
        u = rng.random(shape)
        if name.endswith("conv.weight"):
            v = (2 * u - 1) * np.sqrt(6 / np.prod(shape[1:]))
        elif name.endswith("bn.weight"):
            v = u + 0.5
        elif name == "fc.weight":
            v = (2 * u - 1) * 0.5
        else:
            v = 0.4 * (u - 0.5)
        if not name.endswith("num_batches_tracked"):
            value.copy_(torch.tensor(v.astype(np.float32)))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    network.train()
    with torch.no_grad():
        network(torch.tensor(np.stack([drawn(rng, 2 + i % 8) for i in range(24)])).permute(0, 3, 1, 2))
    torch.save(network.state_dict(), path)


def drawn(rng, softness):
    """A picture of smooth coloured noise."""
    coarse = Image.fromarray(rng.integers(0, 256, (softness, softness, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((32, 32), Image.BICUBIC))


def draw_pictures(folder, count, seed, softness):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for i in range(count):
        Image.fromarray(drawn(rng, softness + i % 4)).save(folder / f"{i:05d}.png")


def by_pytorch_fid(folder, weights, sets, pairs):
    """Fréchet distances, through files of statistics that are kept."""
    from pytorch_fid import fid_score, inception

    inception.load_state_dict_from_url = lambda *a, **k: torch.load(weights)
    block = inception.InceptionV3.BLOCK_INDEX_BY_DIM[2048]
    model, out = None, {}
    for name, pictures in sets.items():
        path = folder / f"pytorch-fid-{name}.npz"
        if path.exists():
            continue
        model = model or inception.InceptionV3([block])
        files = sorted(pathlib.Path(pictures).glob("*.png"))
        begin = time.perf_counter()
        features = fid_score.get_activations(files, model, device="cpu")
        seconds = time.perf_counter() - begin
        np.save(folder / f"pytorch-fid-{name}.npy", features)
        np.savez(path, mu=np.mean(features, axis=0), sigma=np.cov(features, rowvar=False), rate=len(files) / seconds)
    for a, b in pairs:
        kept = folder / f"pytorch-fid-{a}-{b}.json"
        if not kept.exists():
            value = fid_score.calculate_fid_given_paths(
                [str(folder / f"pytorch-fid-{n}.npz") for n in (a, b)], 50, "cpu", 2048)
            kept.write_text(json.dumps({"fid": float(value)}))
        out[a, b] = json.loads(kept.read_text())
    return out


def by_torch_fidelity(folder, weights, sets, pairs, subset):
    """All its numbers; it keeps features itself, under the sets' names."""
    import torch_fidelity

    out = {}
    for a, b in pairs:
        kept = folder / f"torch-fidelity-{a}-{b}.json"
        if not kept.exists():
            begin = time.perf_counter()
            values = torch_fidelity.calculate_metrics(
                input1=str(sets[a]), input2=str(sets[b]), input1_cache_name=a, input2_cache_name=b,
                cache_root=str(folder / "torch-fidelity"), cuda=False, fid=True, isc=True, kid=True, prc=True,
                feature_extractor="inception-v3-compat", feature_extractor_weights_path=str(weights),
                feature_layer_prc="2048", kid_subset_size=subset, verbose=False)
            values["seconds"] = time.perf_counter() - begin
            kept.write_text(json.dumps(values))
        v = json.loads(kept.read_text())
        out[a, b] = {
            "fid": v["frechet_inception_distance"],
            "is": v["inception_score_mean"], "is_deviation": v["inception_score_std"],
            "kid": v["kernel_inception_distance_mean"], "kid_deviation": v["kernel_inception_distance_std"],
            "precision": v["precision"], "recall": v["recall"],
        }
    return out
