"""Makes golden.npz and pytorch_fid.npz: what pytorch-fid, torch-fidelity and NumPy say.

    pip install -r requirements.txt
    python make_golden.py [FOLDER]        (the folder of this file by default)

pytorch_fid.npz is the file of statistics that pytorch-fid writes for the features a.
golden.npz holds, for features whose pairs are named by two letters,

  a [1200,16], b [1000,16]   float32: correlated, skewed, one column nearly constant
  c [20,32], e [24,32]       float32: fewer samples than features, singular covariances
  f [700,32]                 float32: a full covariance, for pairs with singular ones
  logits [1003,20]           float32

  fid_PAIR                   pytorch-fid's calculate_frechet_distance
  fid_torch_fidelity_PAIR    torch-fidelity's, on the same float64 statistics
  fid_exact_PAIR             the same number with 60 digits, rounded
  kid64_PAIR, kid32_PAIR     torch-fidelity's mean and deviation over 100 subsets of 200,
                             with the features in float64 and in float32
  isc, isc_in_order          torch-fidelity's mean and deviation over 10 splits
  prc_PAIR                   torch-fidelity's precision and recall, 3 neighbours, float64
  dc_PAIR                    density and coverage, 5 neighbours, by their definition

where the first of a pair is generated and the second real, and for seeds S

  words_S                    the first 1300 outputs of RandomState(S)
  choice_S                   then: choice(1500, 7, replace=False), twice
  permutation_S              then: permutation(10)
"""

import os
import sys

import mpmath
import numpy as np
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_fid import fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric


def features(rng, n, d, shift, mixing):
    z = rng.standard_normal((n, d)) @ mixing
    x = np.log1p(np.exp(z + shift)) * 0.4
    x[:, 0] = 0.25 + 1e-3 * z[:, 0]
    return x.astype(np.float32)


def statistics(x):
    x = x.astype(np.float64)
    return x.mean(axis=0), np.cov(x, rowvar=False)


def exact_frechet(x, y):
    """With 60 digits: sqrt(ΣaΣb) has the trace of the singular values of A·Bᵀ, where A and B
    are the centred samples over sqrt(n-1)."""
    mpmath.mp.dps = 60

    def centred(v):
        v = mpmath.matrix(v.astype(np.float64).tolist())
        n, d = v.rows, v.cols
        mean = [mpmath.fsum(v[i, j] for i in range(n)) / n for j in range(d)]
        for i in range(n):
            for j in range(d):
                v[i, j] = v[i, j] - mean[j]
        return mean, (v.T * v) / (n - 1)

    ma, sa = centred(x)
    mb, sb = centred(y)
    d = len(ma)
    values, vectors = mpmath.eigsy(sa)
    root = vectors * mpmath.diag([mpmath.sqrt(max(v, 0)) for v in values]) * vectors.T
    inner = mpmath.eigsy(root * sb * root, eigvals_only=True)
    trace = mpmath.fsum(mpmath.sqrt(max(v, 0)) for v in inner)
    mean = mpmath.fsum((p - q) ** 2 for p, q in zip(ma, mb))
    return float(mean + mpmath.fsum(sa[i, i] + sb[i, i] for i in range(d)) - 2 * trace)


def density_coverage(generated, real, k):
    """Naeem et al., "Reliable fidelity and diversity metrics for generative models", eqs. 4 and 5."""
    generated, real = generated.astype(np.float64), real.astype(np.float64)

    def distances(x, y):
        return np.sqrt(((x[:, None, :] - y[None, :, :]) ** 2).sum(axis=2))

    radii = np.sort(distances(real, real), axis=1)[:, k]
    between = distances(real, generated)
    density = (between < radii[:, None]).sum() / (k * len(generated))
    coverage = (between.min(axis=1) < radii).mean()
    return [density, coverage]


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    torch.set_num_threads(1)
    rng = np.random.default_rng(7)
    mix16, mix32 = rng.standard_normal((16, 16)), rng.standard_normal((32, 32)) / 2
    sets = {
        "a": features(rng, 1200, 16, 0.0, mix16),
        "b": features(rng, 1000, 16, 0.3, mix16 + 0.2 * rng.standard_normal((16, 16))),
        "c": features(rng, 20, 32, 0.0, mix32),
        "e": features(rng, 24, 32, 0.2, mix32),
        "f": features(rng, 700, 32, 0.1, mix32),
    }
    out = dict(sets)
    for pair in ["ab", "ce", "cf", "aa"]:
        x, y = sets[pair[0]], sets[pair[1]]
        (m1, s1), (m2, s2) = statistics(x), statistics(y)
        out["fid_" + pair] = np.float64(calculate_frechet_distance(m1, s1, m2, s2))
        tf = fid_statistics_to_metric({"mu": m1, "sigma": s1}, {"mu": m2, "sigma": s2}, False)
        out["fid_torch_fidelity_" + pair] = np.float64(tf["frechet_inception_distance"])
        out["fid_exact_" + pair] = np.float64(exact_frechet(x, y))
        print(pair, [float(out[k + pair]) for k in ("fid_", "fid_torch_fidelity_", "fid_exact_")])
    for pair in ["ab", "fc"]:
        x, y = sets[pair[0]], sets[pair[1]]
        prc = prc_features_to_metric(torch.tensor(x).double(), torch.tensor(y).double(), prc_neighborhood=3, verbose=False)
        out["prc_" + pair] = np.array([prc["precision"], prc["recall"]])
        out["dc_" + pair] = np.array(density_coverage(x, y, 5))
        print(pair, out["prc_" + pair], out["dc_" + pair])
    for name, kind in [("kid64_ab", torch.float64), ("kid32_ab", torch.float32)]:
        kid = kid_features_to_metric(
            torch.tensor(sets["a"]).to(kind), torch.tensor(sets["b"]).to(kind),
            kid_subsets=100, kid_subset_size=200, kid_kernel="poly", kid_kernel_poly_degree=3,
            kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1, rng_seed=2020, verbose=False,
        )
        out[name] = np.array([kid["kernel_inception_distance_mean"], kid["kernel_inception_distance_std"]])
        print(name, out[name])
    logits = (rng.standard_normal((1003, 20)) * 2 + np.linspace(-1, 1, 20)).astype(np.float32)
    out["logits"] = logits
    for name, shuffle in [("isc", True), ("isc_in_order", False)]:
        isc = isc_features_to_metric(torch.tensor(logits), 10, shuffle, 2020)
        out[name] = np.array([isc["inception_score_mean"], isc["inception_score_std"]])
        print(name, out[name])
    for seed in [0, 2020, 2**32 - 1]:
        state = np.random.RandomState(seed)
        out[f"words_{seed}"] = np.array(
            state.randint(0, 2**32, size=1300, dtype=np.uint32), dtype=np.int64)
        out[f"choice_{seed}"] = np.array([state.choice(1500, 7, replace=False) for _ in range(2)], dtype=np.int64)
        out[f"permutation_{seed}"] = state.permutation(10).astype(np.int64)
    np.savez_compressed(os.path.join(folder, "golden.npz"), **out)
    mu, sigma = statistics(sets["a"])
    np.savez_compressed(os.path.join(folder, "pytorch_fid.npz"), mu=mu, sigma=sigma)


main()
