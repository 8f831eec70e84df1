"""Tests that runtimes.py fails what is not right, and says what it did not run.

    python -m unittest runtimes_test
"""

import io
import pathlib
import tempfile
import unittest
from unittest import mock

import numpy as np
import onnxruntime as ort

import runtimes
from parity import Failure
from parity_test import energy_model


class Rules(unittest.TestCase):
    def test_noise(self):
        noise = np.random.default_rng(0).standard_normal((3, 1000, 4))
        runtimes.check_noise(noise, "right")
        for wrong in (np.repeat(noise[:1], 3, axis=0), 2 * noise):
            with self.assertRaises(Failure):
                runtimes.check_noise(wrong, "wrong")
        drawn = ort.InferenceSession(runtimes.noise_model()).run(["all", "end"], runtimes.NOISE_INPUTS)
        np.testing.assert_allclose(drawn[0].sum(axis=0), drawn[1], atol=1e-5)

    def test_images(self):
        right = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8), dtype=np.uint8)
        runtimes.check_images(right, 2, "right")
        for wrong in (right.astype(np.float32), right[:, :1], right[:1], right[[0, 0]], np.zeros_like(right)):
            with self.assertRaises(Failure):
                runtimes.check_images(wrong, 2, "wrong")

    def test_variants(self):
        x = np.array([1.0, -2.0], np.float32)
        with tempfile.TemporaryDirectory() as tmp:
            path = pathlib.Path(tmp) / "energy.onnx"
            model = energy_model()
            entry = model.metadata_props.add()
            entry.key, entry.value = "energy_error", "max 0.01 (0.005 of the largest), rms 0.004"
            path.write_bytes(model.SerializeToString())
            self.assertIn("energy 1.0e-02", runtimes.check_variant(path, {"energy": x + 0.02}, {"energy": x}))
            for wrong in (x + 0.05, x * np.nan, x[:1]):
                with self.assertRaises(Failure):
                    runtimes.check_variant(path, {"energy": wrong}, {"energy": x})

    def test_agree(self):
        self.assertEqual(runtimes.agree({"a": np.ones(2)}, {"a": np.ones(2)}, 1e-5, "right"), 0)
        with self.assertRaises(Failure):
            runtimes.agree({"a": np.ones(2)}, {"a": np.ones(2) * 1.001}, 1e-5, "wrong")


class Verdicts(unittest.TestCase):
    def verdict(self, check, required=()):
        out = io.StringIO()
        with mock.patch.dict(runtimes.CHECKS, {"web": check}):
            return runtimes.check_folder(pathlib.Path("."), ["web"], required, out), out.getvalue()

    def test_passed_failed_and_not_run(self):
        def absent(_):
            runtimes.need("surely-not-a-distribution")

        self.assertEqual(self.verdict(lambda _: "fine")[0], True)
        passed, text = self.verdict(absent)
        self.assertTrue(passed)
        self.assertIn("not run web: surely-not-a-distribution is not installed", text)
        self.assertIn("0 passed, 0 failed, 1 skipped", text)
        passed, text = self.verdict(absent, ["web"])
        self.assertFalse(passed)
        passed, text = self.verdict(lambda _: runtimes.require(False, "differs"))
        self.assertFalse(passed)
        self.assertIn("FAIL    web: differs", text)

    def test_wrong_calls(self):
        with tempfile.TemporaryDirectory() as tmp:
            for wrong in ([], [tmp], [tmp, "--only", "tpu"]):
                with self.assertRaises(SystemExit) as e, mock.patch("sys.stderr", io.StringIO()):
                    runtimes.main(wrong)
                self.assertEqual(e.exception.code, 2)


if __name__ == "__main__":
    unittest.main()
