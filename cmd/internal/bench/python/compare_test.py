"""Tests of the comparison's machinery with programs that stand in for the two sides.

    python -m unittest compare_test
"""

import argparse
import json
import pathlib
import shutil
import sys
import tempfile
import textwrap
import unittest

import compare
import side
import table

# Answers every turn with its number, and appends its name to a file while it computes.
PROGRAM = """
import json, sys
name, path = sys.argv[1:]
print(json.dumps({"name": name}), flush=True)
n = 0
for _ in sys.stdin:
    n += 1
    with open(path, "a") as f: f.write(name)
    print(f"{10 * n}.5", flush=True)
print(json.dumps({"name": name, "runs": n}), flush=True)
"""

HERE = {"job": "score", "flops_written": 4e9, "flops_computed": 3e9, "gflops_computed": 300, "min_ms": 10.0, "median_ms": 12.0,
        "batch": 128, "onnxruntime": "1.2.3", "peak_bytes": 140e6}


def result(**torch):
    r = {"name": "score-d16", "case": {"job": "score", "net": "res12", "channels": 1, "dim": 16, "size": 32, "batch": 128},
         "here": HERE, "torch": torch}
    r |= compare.ratios(r)
    return {"kind": "comparison", "date": "2020-01-02T03:04:05", "commit": "abc", "quick": False, "threads": 2,
            "machine": {"processor": "P", "cores": 2, "system": "S"}, "load_before": [0.1], "load_after": [0.2],
            "peak_gflops": 400, "cases": [r]}


def form(least, median=None):
    return {"min_ms": least, "median_ms": median or least, "torch": "2.0", "peak_bytes": 500e6}


class Sides(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "turns"

    def side(self, name):
        s = side.Side([sys.executable, "-c", PROGRAM, name, str(self.path)])
        self.addCleanup(s.stop)
        return s

    def test_turns(self):
        sides = {name: self.side(name) for name in "abc"}
        compare.take_turns(sides, 4)
        self.assertEqual(self.path.read_text(), "abc" + "bca" + "cab" + "abc")
        report = sides["a"].finish()
        self.assertEqual(report["runs"], 4)
        self.assertEqual(report["times_ms"], [10.5, 20.5, 30.5, 40.5])
        self.assertEqual((report["min_ms"], report["median_ms"]), (10.5, 25.5))

    def test_together(self):
        sides = [self.side(name) for name in "ab"]
        self.assertGreater(side.together(sides), 0)
        self.assertEqual(sorted(self.path.read_text()), ["a", "b"])

    def test_failures(self):
        for program, want in (("raise ValueError('no such job')", "no such job"), ("print('ready')", "no JSON")):
            with self.assertRaisesRegex(side.Failed, want):
                side.Side([sys.executable, "-c", program])
        with self.assertRaises(side.Failed):
            side.Side(["/no/such/program"])
        s = side.Side([sys.executable, "-c", "print('{}', flush=True); input(); raise SystemExit('went away')"])
        self.addCleanup(s.stop)
        with self.assertRaisesRegex(side.Failed, "went away"):
            s.turn()

    def test_a_form_that_fails_is_left_out(self):
        o = argparse.Namespace(forms=["eager", "compile"])
        case = {"job": "score", "batch": 1, "rounds": 2}
        ours = lambda *_: [sys.executable, "-c", PROGRAM, "o", str(self.path)]
        theirs = lambda _, __, form: ours() if form == "eager" else [sys.executable, "-c", "raise OSError('no compiler')"]
        keep = compare.our_command, compare.torch_command, compare.log
        try:
            compare.our_command, compare.torch_command, compare.log = ours, theirs, lambda _: None
            r = compare.compare(o, "test", case)
        finally:
            compare.our_command, compare.torch_command, compare.log = keep
        self.assertIn("no compiler", r["torch"]["compile"]["note"])
        self.assertEqual((r["best_form"], r["ratio"]), ("eager", 1))

    def test_memory_of_a_command(self):
        measured = side.run_measured([sys.executable, "-c", "x = bytearray(200_000_000)"])
        self.assertGreater(measured["peak_bytes"], 200e6)
        with self.assertRaisesRegex(side.Failed, "status 3"):
            side.run_measured([sys.executable, "-c", "raise SystemExit(3)"])


class Numbers(unittest.TestCase):
    def test_ratio_is_that_of_the_fastest_form(self):
        r = result(eager=form(30, 31), channels_last=form(20, 24), compile={"note": "failed"})["cases"][0]
        self.assertEqual((r["best_form"], r["ratio"], r["ratio_of_medians"]), ("channels_last", 2, 2))
        self.assertIsNone(result(eager={"note": "failed"})["cases"][0]["best_form"])

    def test_floors(self):
        r = result(eager=form(20)) | {"startup": {"ratio": 1.5}}
        self.assertEqual(compare.below(r, {"score-d16": 2.0, "startup": 1.5, "train-d16": 9}), [])
        self.assertEqual(len(compare.below(r, {"score-d16": 2.1, "startup": 1.6})), 2)

    def test_floors_name_cases(self):
        floors = json.loads((compare.HERE.parent / "floors.json").read_text())
        self.assertEqual(set(floors), {*compare.cases(False), "startup"})

    def test_numbers(self):
        for v, want in ((12345.6, "12,346"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.1234, "0.123"), (None, "–"), (9.999, "10.0")):
            self.assertEqual(table.number(v), want)
        self.assertEqual((table.duration(9999), table.duration(12345)), ("9,999 ms", "12.3 s"))


class Tables(unittest.TestCase):
    def test_comparison(self):
        text = table.comparison(result(eager=form(30), channels_last=form(20, 25), compile={"note": "no compiler"}))
        self.assertIn("| energy + score, Res12 d=16, 1x32x32, B=128 | 10.0 ms (12.0 ms) | 20.0 ms (25.0 ms), channels_last "
                      "| 2.00 | 2.08 | 75 % | 50 % | 140 / 500 |", text)
        self.assertIn("| score-d16 | 4.00 | 3.00 | 10.0 | 30.0 | 20.0 | – |", text)
        self.assertIn("score-d16, compile: no compiler", text)
        self.assertIn("Peak of fused multiply-adds: 400 GFLOP/s", text)

    def test_without_pytorch_and_peak(self):
        text = table.comparison(result(eager={"note": "failed"}) | {"peak_gflops": None})
        self.assertIn("| 10.0 ms (12.0 ms) | – | – | – | – | – | 140 / – |", text)

    def test_a_sample_is_scaled_to_the_papers_chain(self):
        case = {"job": "sample", "steps": 53, "batch": 100}
        self.assertAlmostEqual(5400 * table.scale(case), 2700)

    def test_cost(self):
        r = result(eager=form(20))
        self.assertEqual(table.cost(r), "")
        r["cases"][0]["name"] = "score-d128"
        # 3 GFLOP over 128 images at 150 GFLOP/s a core, 2701 × 50,000 times.
        self.assertIn("| 5.86 hours | 5.86 |", table.cost(r))

    def test_into_a_page(self):
        page = "a\n<!-- comparison -->\nold\n<!-- end -->\nb\n<!-- growth -->\n<!-- end -->\n"
        got = table.replace(page, "comparison", r"new \1")
        self.assertEqual(got, "a\n<!-- comparison -->\n\nnew \\1\n\n<!-- end -->\nb\n<!-- growth -->\n<!-- end -->\n")
        self.assertEqual(table.replace(got, "comparison", r"new \1"), got)
        with self.assertRaises(ValueError):
            table.replace(page, "cost", "x")

    def test_growth(self):
        text = table.growth(result() | {"axes": [{"title": "T", "label": "n", "columns": [{"title": "MB", "key": "b", "times": 1e-6}],
                                                  "rows": [{"label": 4, "b": 2.5e6}, {"label": 8}]}]})
        self.assertIn(textwrap.dedent("""\
            | n | MB |
            | --- | ---: |
            | 4 | 2.50 |
            | 8 | – |"""), text)


class Peak(unittest.TestCase):
    @unittest.skipUnless(shutil.which("cc"), "there is no C compiler")
    def test_peak(self):
        p = side.Peak(1)
        self.addCleanup(p.close)
        p.measure()
        self.assertEqual(p.note, "")
        self.assertGreater(p.best(), 0.1)


if __name__ == "__main__":
    unittest.main()
