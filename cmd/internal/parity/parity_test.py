"""Tests that parity.py passes what is right and fails, with the reason, what is not.

    python -m unittest parity_test
"""

import io
import pathlib
import tempfile
import unittest

import numpy as np
import onnx
from onnx import TensorProto, helper

import parity

F = TensorProto.FLOAT


def value(name, shape):
    return helper.make_tensor_value_info(name, F, shape)


def constant(name, data):
    return onnx.numpy_helper.from_array(np.array(data, np.float32), name)


def model(nodes, inputs, outputs, initialisers=(), opsets=(("", 17),)):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(initialisers))
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid(*o) for o in opsets])


def energy_model(batch="N", node_domain="", opsets=(("", 17),), name="energy"):
    """E(x) = sum of x^2 over a vector of three."""
    axes = onnx.numpy_helper.from_array(np.array([1], np.int64), "axes")
    return model(
        [helper.make_node("Mul", ["x", "x"], ["xx"], domain=node_domain),
         helper.make_node("ReduceSum", ["xx", "axes"], [name], keepdims=0)],
        [value("x", [batch, 3])], [value(name, [batch])], [axes], opsets)


def train_model():
    """One parameter w, moved by the mean of x; the moments decay."""
    scalars = ["sigma", "learning_rate", "step"]
    half = constant("half", [0.5])
    nodes = [
        helper.make_node("Add", ["x", "noise"], ["xn"]),
        helper.make_node("Mul", ["xn", "sigma"], ["xs"]),
        helper.make_node("ReduceMean", ["xs"], ["loss"], axes=[0], keepdims=1),
        helper.make_node("Mul", ["loss", "step"], ["grad_norm"]),
        helper.make_node("Mul", ["loss", "learning_rate"], ["delta"]),
        helper.make_node("Sub", ["w", "delta"], ["w.next"]),
        helper.make_node("Mul", ["w.m", "half"], ["w.m.next"]),
        helper.make_node("Mul", ["w.v", "half"], ["w.v.next"]),
    ]
    state = ["w", "w.m", "w.v"]
    return model(
        nodes,
        [value("x", [4]), value("noise", [4])] + [value(n, [1]) for n in scalars + state],
        [value(n, [1]) for n in ["loss", "grad_norm"] + [s + ".next" for s in state]], [half])


def sampler_model():
    """x moves along the sum of its steps' noise; the trace is the noise's own sum."""
    axes = lambda name, a: onnx.numpy_helper.from_array(np.array(a, np.int64), name)
    nodes = [
        helper.make_node("Unsqueeze", ["temperature", "inner"], ["t"]),
        helper.make_node("Mul", ["noise", "t"], ["hot"]),
        helper.make_node("ReduceSum", ["hot", "outer"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "step_size"], ["move"]),
        helper.make_node("Add", ["x", "move"], ["x_next"]),
        helper.make_node("ReduceSum", ["noise", "last"], ["energy"], keepdims=0),
    ]
    return model(
        nodes, [value("x", ["N", 3]), value("noise", ["K", "N", 3]), value("temperature", ["K"]), value("step_size", [1])],
        [value("x_next", ["N", 3]), value("energy", ["K", "N"])],
        [axes("inner", [1, 2]), axes("outer", [0]), axes("last", [2])])


class ParityTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        x = np.array([[1, 2, 3], [0.5, -1, 4]], np.float32)
        self.x, self.energy = x, (x * x).sum(1)

    def put(self, kind, m, arrays):
        onnx.save(m, self.folder / f"{kind}.onnx")
        np.savez(self.folder / f"{kind}.npz", **arrays)

    def put_energy(self, m=None, **change):
        arrays = {"in/x": self.x, "out/energy": self.energy} | change
        self.put("energy", m or energy_model(), {k: a for k, a in arrays.items() if a is not None})

    def put_train(self, **change):
        x, noise = np.array([1, 2, 3, 4], np.float32), np.array([0.5, 0, -1, 1], np.float32)
        one = lambda v: np.array([v], np.float32)
        inputs = {"x": x, "noise": noise, "sigma": one(2), "learning_rate": one(0.5), "step": one(3),
                  "w": one(7), "w.m": one(1), "w.v": one(2)}
        loss = one(((x + noise) * 2).mean())
        outputs = {"loss": loss, "grad_norm": loss * 3, "w.next": 7 - loss / 2, "w.m.next": one(0.5), "w.v.next": one(1)}
        arrays = {"in/" + k: a for k, a in inputs.items()} | {"out/" + k: a for k, a in outputs.items()}
        self.put("train", train_model(), arrays | change)

    def verdict(self, *kinds, tolerance=1e-5):
        out = io.StringIO()
        return parity.check_folder(self.folder, list(kinds), tolerance, out), out.getvalue()

    def assert_fails(self, reason, *kinds):
        passed, text = self.verdict(*kinds)
        self.assertFalse(passed, text)
        self.assertIn(reason, text)

    def test_passes(self):
        self.put_energy()
        self.put_train()
        passed, text = self.verdict("energy", "train")
        self.assertTrue(passed, text)
        self.assertIn("2 passed, 0 failed", text)
        for line in ("energy, first alone", "energy, as written", "w.next", "grad_norm"):
            self.assertIn(line, text)

    def test_passes_batch_along_second_axis(self):
        noise = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
        temperature, step_size = np.array([4, 3, 2, 1], np.float32), np.array([0.5], np.float32)
        moved = self.x + (noise * temperature[:, None, None]).sum(0) * step_size
        self.put("sampler", sampler_model(), {
            "in/x": self.x, "in/noise": noise, "in/temperature": temperature, "in/step_size": step_size,
            "out/x_next": moved, "out/energy": noise.sum(2)})
        passed, text = self.verdict("sampler")
        self.assertTrue(passed, text)
        self.assertIn("float32[4, 1]", text)

    def test_missing_files(self):
        self.assert_fails("energy.onnx is missing", "energy")
        self.put_energy()
        (self.folder / "energy.npz").unlink()
        self.assert_fails("energy.npz is missing", "energy")

    def test_file_not_named(self):
        self.put_energy()
        self.put_train()
        self.assert_fails("train.onnx", "energy")

    def test_other_outputs(self):
        self.put_energy(**{"out/energy": self.energy * np.float32(1.0001)})
        self.assert_fails("outputs differ", "energy")
        self.assertTrue(self.verdict("energy", tolerance=1e-3)[0])

    def test_other_shape_or_type(self):
        self.put_energy(**{"out/energy": self.energy[:, None]})
        self.assert_fails("expected float32[2, 1]", "energy")
        self.put_energy(**{"out/energy": self.energy.astype(np.float64)})
        self.assert_fails("expected float64[2]", "energy")

    def test_names(self):
        self.put("energy", energy_model(name="e"), {"in/x": self.x, "out/e": self.energy})
        self.assert_fails("lacks energy", "energy")
        self.put_energy(**{"out/energy": None})
        self.assert_fails("out/['energy']", "energy")
        self.put_energy(**{"in/y": self.x})
        self.assert_fails("in/['y']", "energy")
        self.put_energy(**{"stray": self.x})
        self.assert_fails("want in/NAME or out/NAME", "energy")

    def test_nothing_to_compare(self):
        self.put_energy(**{"in/x": self.x * 0, "out/energy": self.energy * 0})
        self.assert_fails("energy is zero everywhere", "energy")
        self.put_energy(**{"in/x": self.x[:1], "out/energy": self.energy[:1]})
        self.assert_fails("has not two examples", "energy")
        self.put_energy(**{"out/energy": self.energy * np.float32(np.nan)})
        self.assert_fails("not finite", "energy")

    def test_fixed_batch(self):
        self.put_energy(energy_model(batch=2))
        self.assert_fails("fixed batch of 2", "energy")

    def test_declared_shape(self):
        m = energy_model()
        m.graph.output[0].CopyFrom(value("energy", ["N", 3]))
        self.put_energy(m)
        self.assert_fails("FAIL energy", "energy")

    def test_other_domains(self):
        self.put_energy(energy_model(node_domain="com.example", opsets=(("", 17), ("com.example", 1))))
        self.assert_fails("FAIL energy", "energy")
        self.put_energy(energy_model(opsets=(("", 16),)))
        self.assert_fails("at 17 or later", "energy")

    def test_domain_inside_subgraph(self):
        inner = helper.make_graph([helper.make_node("Neg", ["a"], ["b"], domain="com.example")], "inner", [], [])
        outer = helper.make_graph([helper.make_node("If", ["c"], ["d"], then_branch=inner)], "outer", [], [])
        with self.assertRaisesRegex(parity.Failure, "'inner' uses com.example.Neg"):
            parity.check_domains(outer)

    def test_training_that_moves_nothing(self):
        zero = np.zeros(1, np.float32)
        loss = np.array([5.25], np.float32)
        self.put_train(**{"in/learning_rate": zero, "out/w.next": np.array([7], np.float32), "out/loss": loss})
        self.assert_fails("no parameter moved", "train")

    def test_training_state(self):
        base_in, base_out = set(parity.KINDS["train"].inputs), set(parity.KINDS["train"].outputs)
        state = {"w", "w.m", "w.v"}
        after = {s + ".next" for s in state}
        parity.check_names(parity.KINDS["train"], base_in | state, base_out | after)
        parity.check_names(parity.KINDS["train"], base_in | state | {"w.ema"}, base_out | after | {"w.ema.next"})
        for inputs, outputs in [(set(), set()), (state, after - {"w.next"}), (state - {"w.m"}, after - {"w.m.next"}),
                                (state | {"u.ema"}, after | {"u.ema.next"})]:
            with self.assertRaises(parity.Failure):
                parity.check_names(parity.KINDS["train"], base_in | inputs, base_out | outputs)

    def test_command_line(self):
        self.put_energy()
        self.assertEqual(parity.main([str(self.folder), "energy"]), 0)
        self.assertEqual(parity.main([str(self.folder), "energy", "hvp"]), 1)
        for wrong in ([str(self.folder)], [str(self.folder), "energies"], [str(self.folder), "energy", "--tolerance", "2"]):
            with self.assertRaises(SystemExit) as e:
                parity.main(wrong)
            self.assertEqual(e.exception.code, 2)


if __name__ == "__main__":
    unittest.main()
