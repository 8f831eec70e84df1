"""Times the numbers of `ebm evaluate` and of its peers on the same features, by turns; run it on a machine that does nothing else.

    python speed.py EBM FOLDER [--rounds N] [--samples N] [--features D] [--threads N]

The table goes to standard output: medians of wall seconds, and of the processor seconds of ebm's whole process.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import time

import numpy as np
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric


def timed(work):
    begin = time.perf_counter()
    value = work()
    return time.perf_counter() - begin, value


def statistics(x):
    return x.mean(axis=0), np.cov(x, rowvar=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    a = parser.parse_args()
    a.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(a.threads)
    random = np.random.default_rng(3)
    mixing = random.standard_normal((a.features, a.features)) * np.arange(1, a.features + 1)[:, None] ** -0.7
    paths, sets = [], []
    for shift in (0.0, 0.05):
        x = np.maximum(random.standard_normal((a.samples, a.features)) @ mixing + shift, 0).astype(np.float32)
        paths.append(a.folder / f"features{len(paths)}.npy")
        np.save(paths[-1], x)
        sets.append(x)
    wide, tensors = [statistics(x.astype(np.float64)) for x in sets], [torch.tensor(x) for x in sets]
    settings = {"kid_subsets": 100, "kid_subset_size": 1000, "kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None,
                "kid_kernel_poly_coef0": 1, "rng_seed": 2020, "verbose": False}
    peers = {
        "fid": ("pytorch-fid", lambda: calculate_frechet_distance(*wide[0], *wide[1])),
        "kid": ("torch-fidelity", lambda: kid_features_to_metric(*tensors, **settings)["kernel_inception_distance_mean"]),
        "pr": ("torch-fidelity, two of the four", lambda: prc_features_to_metric(
            *tensors, prc_neighborhood=3, prc_batch_size=10000, save_cpu_ram=False, verbose=False)["precision"]),
    }
    rows = {name: {"ours": [], "cpu": [], "theirs": []} for name in peers}
    for _ in range(a.rounds):
        for name, (_, peer) in peers.items():
            before, times = resource.getrusage(resource.RUSAGE_CHILDREN), a.folder / "times.json"
            out = subprocess.run(
                [a.program, "evaluate", "--quiet", "--json", "--provider", "cpu", "--threads", str(a.threads), "--samples", paths[0],
                 "--reference", paths[1], "--metrics", name, "--times", times], check=True, capture_output=True, text=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            row = rows[name]
            row["ours"].append(max(json.loads(times.read_text())["metrics"].values()))
            row["cpu"].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            seconds, row["their value"] = timed(peer)
            row["theirs"].append(seconds)
            row["our value"] = json.loads(out.stdout)["metrics"][0]["value"]
    load = os.getloadavg()[0]
    print(f"{a.samples} samples of {a.features} features a side, {a.threads} threads, {a.rounds} rounds, load {load:.1f}\n")
    print("| number | ours, s | processor s of the process | peer | theirs, s | times as fast | our value | theirs |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, row in rows.items():
        ours, cpu, theirs = (float(np.median(row[key])) for key in ("ours", "cpu", "theirs"))
        ratio = float(np.median(np.array(row["theirs"]) / np.array(row["ours"])))
        print(f"| {name} | {ours:.2f} | {cpu:.2f} | {peers[name][0]} | {theirs:.2f} | {ratio:.2f} | {row['our value']:.9g} | {row['their value']:.9g} |")


main()
