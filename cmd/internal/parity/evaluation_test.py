"""Tests that evaluation.py fails what is off.

    python -m unittest evaluation_test
"""

import unittest

import numpy as np

import evaluation

PEER = {"fid": 10.0, "is": 2.0, "is_deviation": 0.1, "kid": 0.001, "kid_deviation": 0.01, "precision": 0.5, "recall": 0.25}


class Rules(unittest.TestCase):
    def row(self, metric, own=1.0, same=1.0, exact=10.0):
        change = lambda factor: PEER | {metric: PEER[metric] * factor}
        return evaluation.row("a / b", "peer", metric, PEER, change(own), change(same), exact)

    def test_equal_numbers_pass(self):
        for metric in evaluation.METRICS:
            self.assertTrue(self.row(metric)["passed"], metric)

    def test_each_side_can_fail(self):
        for metric in evaluation.METRICS:
            self.assertFalse(self.row(metric, own=1.1)["passed"], metric)
            self.assertFalse(self.row(metric, same=1.1)["passed"], metric)

    def test_a_distance_is_held_to_the_exact_one(self):
        self.assertFalse(self.row("fid", exact=10.001)["passed"])
        self.assertAlmostEqual(self.row("fid", exact=10.001)["peer_from_exact"], 1e-4, places=6)

    def test_kernel_distances_are_held_to_their_spread(self):
        self.assertTrue(self.row("kid", own=1.005)["passed"])

    def test_nan_fails(self):
        self.assertFalse(self.row("is", own=float("nan"))["passed"])

    def test_failures_show(self):
        self.assertIn("FAILED", evaluation.table([self.row("fid", own=2.0)]))
        self.assertNotIn("FAILED", evaluation.table([self.row("fid")]))

    def test_exact_distance(self):
        rng = np.random.default_rng(1)
        x = rng.standard_normal((40, 6))
        self.assertAlmostEqual(evaluation.exact_frechet(x, x + 2), 24.0, places=9)
        from scipy.linalg import sqrtm
        y = rng.standard_normal((50, 6)) * 2
        a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
        m = x.mean(axis=0) - y.mean(axis=0)
        want = m @ m + np.trace(a) + np.trace(b) - 2 * np.trace(sqrtm(a @ b)).real
        self.assertAlmostEqual(evaluation.exact_frechet(x, y), want, places=9)


if __name__ == "__main__":
    unittest.main()
