"""Compares `ebm evaluate` with pytorch-fid and torch-fidelity on the same weights and pictures.

    python evaluation.py EBM FOLDER [NAME=PICTURES ...]

EBM is the program. FOLDER keeps what takes long: the weights (weights.pth, made here at
random with the names and shapes of the published ones, which these programs would download
and this one leaves to users), the peers' features and their results. PICTURES are folders
of PNG files, of which the first is compared with all the others; without them, a few are
drawn here. Each peer's numbers are compared twice: with what the program says of the same
pictures, and of the very features that the peer computed. The table goes to FOLDER/table.md
and FOLDER/table.json; the exit status is 1 when a number is further off than the tolerances.

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

# Largest differences relative to the peer's number, for its and our own features, which are
# float32 sums in another order. Precision and recall are shares of samples, of which
# rounding may turn some; a kernel distance is a difference of sums that nearly cancel, so
# TOLERANCE_KID bounds it by its spread over subsets instead.
TOLERANCE = {"fid": 1e-4, "is": 1e-4, "is_deviation": 1e-3, "precision": 2e-3, "recall": 2e-3}
TOLERANCE_KID = 1e-3
# On the very features of a peer, which leaves its arithmetic: torch-fidelity sums kernels
# and rounds shares in float32. The Fréchet distance is compared with exact_frechet there: the
# peers' matrix square root loses half of the digits where covariances are singular.
TOLERANCE_SAME = {"fid": 1e-8, "is": 1e-6, "is_deviation": 1e-5, "precision": 1e-6, "recall": 1e-6}
TOLERANCE_SAME_KID = 1e-4
METRICS = ["fid", "is", "is_deviation", "kid", "kid_deviation", "precision", "recall"]


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


def ours(program, *args):
    """Runs the program and returns its numbers by name."""
    out = subprocess.run([program, "evaluate", "--provider", "cpu", "--quiet", "--json", *map(str, args)],
                         check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    result = json.loads(out.stdout)
    values = {}
    for m in result["metrics"]:
        # On files of features the names are general ones.
        name = {"features_frechet": "fid", "features_score": "is", "features_kernel": "kid"}.get(m["metric"], m["metric"])
        values[name] = m["value"]
        if "deviation" in m:
            values[name + "_deviation"] = m["deviation"]
    return values, result


def peer_features(folder, peer, name):
    """A peer's features as a file that the program takes."""
    if peer == "pytorch-fid":
        return folder / f"pytorch-fid-{name}.npy"
    path = folder / f"torch-fidelity-{name}.npz"
    if not path.exists():
        load = lambda kind: torch.load(folder / "torch-fidelity" / f"{name}-inception-v3-compat-features-{kind}.pt").numpy()
        np.savez(path, features=load("2048"), logits=load("logits_unbiased"))
    return path


def exact_frechet(a, b):
    """The Fréchet distance of features by singular values, without a matrix square root.

    With centred features A and B over sqrt(n-1), the covariances are AᵀA and BᵀB, and the trace
    of the square root of their product is the sum of the singular values of ABᵀ.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    mean = a.mean(axis=0) - b.mean(axis=0)
    a, b = [(x - x.mean(axis=0)) / np.sqrt(len(x) - 1) for x in (a, b)]
    return mean @ mean + (a * a).sum() + (b * b).sum() - 2 * np.linalg.svd(a @ b.T, compute_uv=False).sum()


def load_features(path):
    loaded = np.load(path)
    return loaded if isinstance(loaded, np.ndarray) else loaded["features"]


def compare(program, folder, weights, sets, pairs, subset, peers):
    rows = []
    for (a, b) in pairs:
        for peer, convention, results in peers:
            theirs = results[a, b]
            common = ["--metrics", "fid,is,kid,pr" if len(theirs) > 1 else "fid", "--kid-subset-size", subset]
            own, _ = ours(program, "--samples", sets[a], "--reference", sets[b], "--inception", weights,
                          "--preprocess", convention, "--cache", folder / "cache", *common)
            same, _ = ours(program, "--samples", peer_features(folder, peer, a),
                           "--reference", peer_features(folder, peer, b), *common)
            exact = exact_frechet(*[load_features(peer_features(folder, peer, n)) for n in (a, b)])
            for metric in METRICS:
                if metric in theirs:
                    rows.append(row(f"{a} / {b}", peer, metric, theirs, own, same, exact))
    return rows


def row(pair, peer, metric, theirs, own, same, exact):
    v = theirs[metric]
    # What a difference is relative to: kernel distances to their spread.
    scale = theirs["kid_deviation"] if metric.startswith("kid") else abs(v)
    tolerance = TOLERANCE_KID if metric.startswith("kid") else TOLERANCE[metric]
    tolerance_same = TOLERANCE_SAME_KID if metric.startswith("kid") else TOLERANCE_SAME[metric]
    off, off_same = abs(own[metric] - v) / scale, abs(same[metric] - v) / scale
    out = {}
    if metric == "fid":
        off_same = abs(same[metric] - exact) / exact
        out["peer_from_exact"] = abs(v - exact) / exact
    return out | {
        "pair": pair, "peer": peer, "metric": metric, "theirs": v, "ours": own[metric],
        "difference": off, "tolerance": tolerance, "same_features": off_same, "tolerance_same": tolerance_same,
        "passed": bool(off <= tolerance and off_same <= tolerance_same),
    }


def speed(program, folder, weights, pictures, count, rounds):
    """Pictures a second of all by turns, and the ratios within each round."""
    from pytorch_fid import fid_score, inception
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torch_fidelity.utils import get_featuresdict_from_dataset, ImagesPathDataset, TransformPILtoRGBTensor

    inception.load_state_dict_from_url = lambda *a, **k: torch.load(weights)
    fid = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[2048]])
    fidelity = FeatureExtractorInceptionV3("x", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights))
    files = sorted(pathlib.Path(pictures).glob("*.png"))[:count]
    dataset = ImagesPathDataset([str(f) for f in files], TransformPILtoRGBTensor())
    compiled = torch.compile(fid)
    fid_score.get_activations(files, compiled, device="cpu")  # compiles
    rates = {"ebm": [], "pytorch-fid": [], "pytorch-fid, compiled": [], "torch-fidelity": []}
    for _ in range(rounds):
        times = folder / "times.json"
        ours(program, "--times", times, "--samples", pictures, "--metrics", "is", "--limit", count, "--inception", weights,
                         "--preprocess", "tf", "--threads", torch.get_num_threads())
        rates["ebm"].append(count / json.loads(times.read_text())["samples"]["feature_seconds"])
        for name, network in (("pytorch-fid", fid), ("pytorch-fid, compiled", compiled)):
            begin = time.perf_counter()
            fid_score.get_activations(files, network, device="cpu")
            rates[name].append(count / (time.perf_counter() - begin))
        begin = time.perf_counter()
        get_featuresdict_from_dataset(dataset, fidelity, 64, False, True, False)
        rates["torch-fidelity"].append(count / (time.perf_counter() - begin))
    return {name: {
        "pictures_per_second": float(np.median(v)),
        "times_slower": float(np.median(np.array(rates["ebm"]) / np.array(v))),
    } for name, v in rates.items()}


def table(rows):
    lines = ["| pictures | peer | number | theirs | ours | difference | on its features |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for r in rows:
        lines.append(f"| {r['pair']} | {r['peer']} | {r['metric']} | {r['theirs']:.7g} | {r['ours']:.7g} | "
                     f"{r['difference']:.1e} | {r['same_features']:.1e} |{'' if r['passed'] else ' FAILED'}")
    worst = max(r["peer_from_exact"] for r in rows if "peer_from_exact" in r)
    return "\n".join(lines) + f"\n\nOn their own features the peers' Fréchet distances are off by up to {worst:.1e}.\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("pictures", nargs="*", metavar="NAME=FOLDER")
    parser.add_argument("--speed", type=int, default=0, metavar="N", help="also time features of N pictures, three times by turns")
    args = parser.parse_args()
    folder = args.folder
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "weights.pth"
    if not weights.exists():
        make_weights(weights)
    sets = dict(p.split("=", 1) for p in args.pictures)
    if not sets:
        sets = {"soft": folder / "soft", "harsh": folder / "harsh"}
        for i, name in enumerate(sets):
            if not sets[name].exists():
                draw_pictures(sets[name], 48, i, 2 + 6 * i)
    names = list(sets)
    pairs = [(names[0], n) for n in names[1:]]
    count = min(len(list(pathlib.Path(p).glob("*.png"))) for p in sets.values())
    subset = min(1000, count // 2)
    peers = [
        ("torch-fidelity", "tf", by_torch_fidelity(folder, weights, sets, pairs, subset)),
        ("pytorch-fid", "pytorch-fid", by_pytorch_fid(folder, weights, sets, pairs)),
    ]
    rows = compare(args.program, folder, weights, sets, pairs, subset, peers)
    result = {"samples": count, "subset": subset, "rows": rows}
    if args.speed:
        result["speed"] = speed(args.program, folder, weights, sets[names[0]], args.speed, 3)
    (folder / "table.json").write_text(json.dumps(result, indent=1))
    text = table(rows)
    for name, v in result.get("speed", {}).items():
        text += f"\n{name}: {v['pictures_per_second']:.2f} pictures a second, {v['times_slower']:.2f} times as long as ebm"
    (folder / "table.md").write_text(text)
    print(text)
    return 0 if all(r["passed"] for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
