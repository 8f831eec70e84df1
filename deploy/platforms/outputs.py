"""What the program computes, as numbers that other platforms and other libraries are compared with.

A job is a few commands on shipped models and tiny networks, of one thread: scores, chains, few-step
samples, training steps of an MLP and of a convolutional network, exported files. Results are arrays
of float32, by name, and the bytes of exported files.
"""

import array
import hashlib
import json
import os
import pathlib
import struct
import subprocess
import sys

PLACE = ("--provider", "cpu", "--threads", "1", "--quiet")


class Failed(Exception):
    """A command failed; the text has the end of what it said."""


class Program:
    """The program with what starts it (an emulator, say) and its environment."""

    def __init__(self, command, environment=None, path=str):
        self.command, self.path = command, path  # path makes a file's name one that the program understands
        self.environment = dict(os.environ, **(environment or {}))

    def run(self, *args):
        done = subprocess.run([*self.command, *args], env=self.environment, capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            raise Failed(f"ebm {args[0]}: exit status {done.returncode}: " + " / ".join((done.stderr or done.stdout).strip().splitlines()[-4:]))
        return done.stdout


def npy(path):
    """The elements of a NumPy file of little-endian float32."""
    data = pathlib.Path(path).read_bytes()
    size, = struct.unpack_from("<H", data, 8)
    if data[:8] != b"\x93NUMPY\x01\x00" or b"'<f4'" not in data[10:10 + size]:
        raise ValueError(f"{path} is not a NumPy file of float32")
    return floats(data[10 + size:])


def floats(data):
    values = array.array("f")
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def weights(folder):
    """All float32 of the newest checkpoint's weights, in the order of the file."""
    path = sorted(pathlib.Path(folder).glob("checkpoints/step-*/model.safetensors"))[-1]
    data = path.read_bytes()
    size, = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + size])
    values = array.array("f")
    for name, t in sorted(header.items()):
        if name != "__metadata__" and t["dtype"] == "F32":
            begin, end = t["data_offsets"]
            values.extend(floats(data[8 + size + begin:8 + size + end]))
    return values


def outputs(program, folder):
    """Runs everything into a folder: arrays by name, and the SHA-256 of exported files by name."""
    folder.mkdir(parents=True)
    at = lambda name: program.path(str(folder / name))
    sample = ("sample", *PLACE, "--run", "mnist16", "--seed", "7", "--float32", "--raw", "--crop", "0", "--grid", "0", "--chains", "0")
    program.run(*sample, "--count", "4", "--steps", "10", "--out", at("chains"))
    program.run(*sample[:-1], "0", "--count", "4", "--sampler", "edm", "--levels", "6", "--out", at("few"))
    program.run("train", *PLACE, "--data", "rings", "--steps", "10", "--checkpoint-every", "10", "--out", at("mlp"))
    program.run("train", *PLACE, "--data", at("chains/samples.npz"), "--net", "res6", "--dim", "4", "--batch", "4", "--steps", "3", "--shards", "1",
                "--checkpoint-every", "3", "--out", at("conv"))
    program.run("export", *PLACE, "--run", "mnist16", "--out", at("onnx"))
    arrays = {"chains": npy(folder / "chains/samples_float32.npy"), "few-step samples": npy(folder / "few/samples_float32.npy"),
              "weights of an MLP": weights(folder / "mlp"), "weights of a network": weights(folder / "conv")}
    files = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted((folder / "onnx").glob("*.onnx"))}
    return arrays, files


def difference(got, want):
    """The largest difference as a part of the largest element, 0 for equal bits."""
    if len(got) != len(want):
        raise Failed(f"{len(got)} numbers, want {len(want)}")
    if got.tobytes() == want.tobytes():
        return 0.0
    return max(abs(a - b) for a, b in zip(got, want)) / max(map(abs, want))
