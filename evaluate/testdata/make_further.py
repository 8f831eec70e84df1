"""Makes further.npz: what torch-fidelity, torchmetrics and vendi-score say of the features in golden.npz.

    pip install -r requirements.txt
    python make_further.py [FOLDER]        (the folder of this file by default)

  kid_rbf_ab           torch-fidelity's mean and deviation over 100 subsets of 200 with kid_kernel="rbf" and a
                       width of 2, in float64
  memorization_PAIR    torchmetrics' mean cosine distance of the first's samples to the nearest of the second
  mifid_PAIR           its MiFID of generated and real samples. It takes the distance of real samples to the
                       nearest generated one, the paper the reverse; so the sides are swapped for it
  vendi_SET            vendi_score.vendi.score_dual of a set
  cmmd_PAIR            CMMD by its definition (Jayasumana et al. 2024, eq. 4, with the diagonal), in float64;
                       no package of it is on PyPI
"""

import os
import sys

import numpy as np
import torch
from torch_fidelity.metric_kid import kid_features_to_metric
from torchmetrics.image import mifid
from vendi_score import vendi


def cmmd(x, y):
    x, y = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (x, y))
    k = lambda a, b: np.exp(-((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2) / (2 * 10**2)).mean()
    return 1000 * (k(x, x) + k(y, y) - 2 * k(x, y))


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    folder = sys.argv[1] if len(sys.argv) > 1 else here
    golden = np.load(os.path.join(here, "golden.npz"))
    sets = {name: golden[name].astype(np.float64) for name in "abcef"}
    out = {}
    a, b = torch.tensor(sets["a"]), torch.tensor(sets["b"])
    kid = kid_features_to_metric(a, b, kid_subsets=100, kid_subset_size=200, kid_kernel="rbf", kid_kernel_rbf_sigma=2.0,
                                 rng_seed=2020, verbose=False)
    out["kid_rbf_ab"] = np.array([kid["kernel_inception_distance_mean"], kid["kernel_inception_distance_std"]])
    for pair in ("ab", "ba", "fc"):
        x, y = (torch.tensor(sets[name]) for name in pair)
        out["memorization_" + pair] = mifid._compute_cosine_distance(x, y, cosine_distance_eps=2.0).numpy()
        out["mifid_" + pair] = mifid._mifid_compute(
            x.mean(dim=0), torch.cov(x.t()), x, y.mean(dim=0), torch.cov(y.t()), y).numpy()
        out["cmmd_" + pair] = np.float64(cmmd(sets[pair[0]], sets[pair[1]]))
    for name in "acf":
        out["vendi_" + name] = np.float64(vendi.score_dual(sets[name]))
    for name, value in out.items():
        print(name, value)
    np.savez_compressed(os.path.join(folder, "further.npz"), **out)


main()
