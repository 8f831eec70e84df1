"""Makes diagnostics.npz: draws of several kinds, and what ArviZ says of them.

    pip install -r requirements.txt && python make_golden.py
"""

import arviz
import numpy as np

rng = np.random.default_rng(7)


def autoregressive(chains, draws, phi):
    x = np.empty((chains, draws))
    x[:, 0] = rng.normal(size=chains) / np.sqrt(1 - phi**2)
    for t in range(1, draws):
        x[:, t] = phi * x[:, t - 1] + rng.normal(size=chains)
    return x


sets = {
    "independent": rng.normal(size=(4, 200)),
    "correlated": autoregressive(4, 301, 0.9),
    "opposed": autoregressive(3, 150, -0.6),
    "apart": autoregressive(4, 100, 0.5) + np.arange(4)[:, None],
    "drifting": autoregressive(2, 120, 0.3) + np.linspace(0, 3, 120),
    "scales": rng.normal(size=(4, 160)) * np.array([1, 1, 1, 4])[:, None],
    "heavy": rng.standard_cauchy(size=(4, 250)),
    "ties": np.round(autoregressive(4, 130, 0.7)),
    "one": autoregressive(1, 90, 0.8),
    "short": rng.normal(size=(2, 9)),
}
out = {}
for name, x in sets.items():
    out["draws/" + name] = x
    out["want/" + name] = np.array([
        float(arviz.rhat(x, method="rank")),
        float(arviz.ess(x, method="bulk")),
        float(arviz.ess(x, method="tail")),
        x.std(ddof=1) / np.sqrt(float(arviz.ess(x, method="mean"))),
    ])
    print(name, out["want/" + name])
np.savez_compressed("diagnostics.npz", **out)
