"""Makes neighbours.npz: what scikit-learn and NumPy say of neighbours, AUROC and histograms.

    pip install -r requirements.txt
    python make_neighbours.py [FOLDER]        (the folder of this file by default)

  set [1300,7], queries [600,7]   float32, far from the origin; queries 0 to 4 equal samples of the set
  index, distance [600,5]         sklearn.neighbors.NearestNeighbors(algorithm="brute") in float64

  low [400], high [300]           float64 scores, rounded so that many are equal, the second set's higher
  auroc, auroc_reversed           sklearn.metrics.roc_auc_score with the second (the first) as positives
  edges [21], counts_low, counts_high [20]   numpy.histogram in 20 bins from -2 to 3
"""

import os
import sys

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
r = np.random.RandomState(5)
out = {}

out["set"] = (r.standard_normal((1300, 7)) * [1, 2, 3, 1, 1, 0.1, 5] + 40).astype(np.float32)
out["queries"] = (r.standard_normal((600, 7)) * [1, 2, 3, 1, 1, 0.1, 5] + 40.3).astype(np.float32)
out["queries"][:5] = out["set"][[7, 1299, 0, 511, 512]]
nn = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(out["set"].astype(np.float64))
out["distance"], index = nn.kneighbors(out["queries"].astype(np.float64))
# The fast formula that scikit-learn sorts by rounds; the direct one decides here.
direct = np.sqrt(((out["queries"].astype(np.float64)[:, None] - out["set"].astype(np.float64)[index]) ** 2).sum(-1))
assert np.abs(direct - out["distance"]).max() < 1e-5
out["index"], out["distance"] = index.astype(np.int64), direct

out["low"] = np.round(r.standard_normal(400), 1)
out["high"] = np.round(r.standard_normal(300) + 0.7, 1)
truth = np.r_[np.zeros(400), np.ones(300)]
scores = np.r_[out["low"], out["high"]]
out["auroc"] = np.float64(roc_auc_score(truth, scores))
out["auroc_reversed"] = np.float64(roc_auc_score(1 - truth, scores))
out["counts_low"], out["edges"] = np.histogram(out["low"], 20, (-2, 3))
out["counts_high"], _ = np.histogram(out["high"], 20, (-2, 3))
np.savez_compressed(os.path.join(folder, "neighbours.npz"), **{k: np.atleast_1d(v) for k, v in out.items()})
