"""Makes pareto.npz: log weights of several tails, and what ArviZ's psislw says
of the shape of each.

    pip install arviz==0.22.0 && python make_golden.py
"""

import arviz
import numpy as np

rng = np.random.default_rng(11)
sets = {
    "light": rng.normal(size=400) * 0.3,
    "normal": rng.normal(size=1000),
    "wide": rng.normal(size=500) * 3,
    "cauchy": np.log(np.abs(rng.standard_cauchy(size=800))),
    "pareto": np.log(rng.pareto(1.5, size=600) + 1),
    "few": rng.normal(size=30) * 2,
    "shifted": rng.normal(size=200) - 900,
    "ais": 444 + 5 * rng.standard_t(3, size=64),
}
arrays = {}
for name, x in sets.items():
    arrays[name] = x
    arrays[name + "/k"] = np.array([arviz.psislw(x.copy())[1]])
np.savez_compressed("pareto.npz", **arrays)
print({name: float(arrays[name + "/k"][0]) for name in sets})
