"""Tests of what makes the kit and the stubs, on files made here.

    python -m unittest cuda_test
"""

import argparse
import contextlib
import hashlib
import io
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

import counts
import kit
import run
import slim
import stubs


def entry(kind, architecture, payload):
    return struct.pack("<HHIQ", kind, 1, 64, len(payload)).ljust(28, b"\0") + struct.pack("<I", architecture).ljust(36, b"\0") + payload


def library(*containers):
    """An ELF file with one section of kernels."""
    kernels = b""
    for c in containers:
        body = b"".join(c)
        kernels += struct.pack("<IHHQ", slim.CONTAINER, 1, 16, len(body)) + body + bytes(8)
    names = b"\0.nv_fatbin\0.shstrtab\0"
    header, at = 64, 64 + len(kernels)
    sections = at + len(names)
    elf = b"\x7fELF\x02\x01".ljust(40, b"\0") + struct.pack("<Q", sections).ljust(18, b"\0") + struct.pack("<HHH", 64, 3, 2)
    table = bytes(64)
    table += struct.pack("<IIQQQQ", 1, 1, 0, 0, header, len(kernels)).ljust(64, b"\0")
    table += struct.pack("<IIQQQQ", 12, 3, 0, 0, at, len(names)).ljust(64, b"\0")
    return bytearray(elf + kernels + names + table)


class Slim(unittest.TestCase):
    def test_one_architecture_is_left(self):
        image = library((entry(2, 80, b"A" * 24), entry(2, 90, b"B" * 32), entry(1, 90, b"P" * 16)), (entry(2, 100, b"C" * 8), entry(2, 90, b"D" * 8)))
        before = len(image)
        self.assertEqual(slim.slim(image, 90), (40, 48))
        self.assertEqual(len(image), before)
        text = bytes(image)
        for gone in (b"AAAA", b"PPPP", b"CCCC"):
            self.assertNotIn(gone, text)
        self.assertIn(b"B" * 32, text)
        self.assertIn(b"D" * 8, text)

    def test_refuses(self):
        with self.assertRaisesRegex(ValueError, "architecture 75, there are 80, 90"):
            slim.slim(library((entry(2, 80, b"A" * 8), entry(2, 90, b"B" * 8))), 75)
        with self.assertRaisesRegex(ValueError, "ELF"):
            slim.slim(bytearray(b"MZ" * 64), 90)


class Kit(unittest.TestCase):
    def test_parts_join(self):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            folder = pathlib.Path(folder)
            (folder / "in/deep").mkdir(parents=True)
            (folder / "in/deep/a").write_bytes(os.urandom(4096))
            (folder / "in/b").write_text("text")
            archive = kit.pack(folder / "in", 0)
            self.assertEqual(archive, kit.pack(folder / "in", 0))
            kit.write(archive, folder / "kit", 500)
            self.assertGreater(len(list((folder / "kit").glob("kit.part*"))), 1)
            run.unpack(folder / "kit", folder / "out")
            self.assertEqual((folder / "out/deep/a").read_bytes(), (folder / "in/deep/a").read_bytes())
            part = folder / "kit/kit.part01"
            part.write_bytes(part.read_bytes()[:-1] + b"?")
            run.unpack(folder / "kit", folder / "out")  # it has been done
            with self.assertRaisesRegex(SystemExit, "kit.part01 is damaged"):
                run.unpack(folder / "kit", folder / "again")

    def test_libraries_are_found_where_they_are(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "libcublas.so.13").touch()
            found = run.find_libraries(["libcublas.so.13", "libnone.so.1"], [folder])
            self.assertEqual(found, {"libcublas.so.13": folder, "libnone.so.1": None})

    def test_lines(self):
        text = run.line("score", "Res12 d=64 fp32", {"batch": 128}, {
            "here": {"min_ms": 10.0, "flops_written": 3e11}, "eager": {"min_ms": 30.0}, "compile": {"min_ms": 15.0}, "channels_last": {"note": "no"}})
        self.assertEqual(text, "score of Res12 d=64 fp32, B=128: here 10.0 ms; eager 30.0 ms; compile 15.0 ms; channels_last none (no); "
                               "PyTorch's best over ours 1.50; 30 TFLOP/s as written")
        self.assertIn("chains of 9 steps", run.line("sample", "k", {"batch": 1}, {"steps": 9, "here": {"min_ms": 1.0}}))
        self.assertIn("here none (why)", run.line("score", "k", {"batch": 1}, {"here": {"note": "why"}}))


class Stubs(unittest.TestCase):
    def test_counting(self):
        """A program that copies and launches through the stub of the CUDA runtime library."""
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "user.c").write_text("""
                #include <stddef.h>
                int cudaMalloc(void **, size_t), cudaFree(void *), cudaMemcpy(void *, const void *, size_t, int), cudaGraphLaunch(void *, void *);
                int __cudaLaunchKernel(void), cudaGetDeviceCount(int *), cudaSetDevice(int);
                int cudaDeviceSynchronize(void);
                int main(void) {
                    char here[64] = "text", back[64]; void *a, *b;
                    if (cudaMalloc(&a, 100) || cudaMalloc(&b, 1000) || cudaDeviceSynchronize()) return 1;
                    cudaMemcpy(a, here, 64, 4); cudaMemcpy((char *)b + 8, a, 32, 0); cudaMemcpy(back, (char *)b + 8, 16, 2);
                    int n = 0;
                    if (cudaGetDeviceCount(&n) || cudaSetDevice(n) == 0 || cudaSetDevice(n - 1)) return 2;
                    __cudaLaunchKernel(); __cudaLaunchKernel(); cudaGraphLaunch(a, 0); cudaFree(a);
                    return back[0] != 't';
                }""")
            names = {"cudaGetDevice", "cudaGetDeviceCount", "cudaSetDevice", "cudaMalloc", "cudaFree", "cudaMemcpy",
                     "cudaGraphLaunch", "__cudaLaunchKernel", "cudaDeviceSynchronize"}
            part, done = stubs.written("libcudart.so.13")
            self.assertLessEqual(names - {"cudaDeviceSynchronize"}, done)
            keep = stubs.wanted
            try:
                stubs.wanted = lambda provider: {"libcudart.so.13": names}
                with contextlib.redirect_stdout(io.StringIO()):
                    stubs.make("", folder)
            finally:
                stubs.wanted = keep
            subprocess.run(["cc", str(folder / "user.c"), str(folder / "libcudart.so.13"), "-o", str(folder / "user")], check=True)
            subprocess.run([folder / "user"], check=True, env={"LD_LIBRARY_PATH": str(folder), "EBM_CUDA_COUNTS": str(folder / "counts")})
            self.assertEqual(counts.read(folder / "counts"), {
                "up": 64, "ups": 1, "down": 16, "downs": 1, "inside": 32, "insides": 1, "launches": 2, "graphs": 1, "library": 0,
                "memory": 1000, "peak": 1100})

            # Of two devices, each has what was asked of it.
            env = {"LD_LIBRARY_PATH": str(folder), "EBM_CUDA_COUNTS": str(folder / "two"), "EBM_CUDA_DEVICES": "2"}
            subprocess.run([folder / "user"], check=True, env=env)
            both, one, other = (counts.read(folder / "two", device) for device in (None, 0, 1))
            self.assertEqual({k: v for k, v in other.items() if v}, {"launches": 2, "graphs": 1})
            self.assertEqual((one["up"], one["peak"], both["up"], both["launches"]), (64, 1100, 64, 2))

            # The library that is preloaded on a device counts the same of what is asked for.
            subprocess.run(["cc", "-shared", "-fPIC", "-std=gnu11", str(pathlib.Path(kit.HERE) / "count.c"), "-pthread", "-ldl",
                            "-o", str(folder / "count.so")], check=True)
            seen = counts.read(folder / "counts")
            (folder / "own").touch()
            # The stub inside counts too, into another file, so that each call is there once.
            subprocess.run([folder / "user"], check=True, env={"LD_LIBRARY_PATH": str(folder), "LD_PRELOAD": str(folder / "count.so"),
                                                               "EBM_CUDA_COUNTS": str(folder / "own")})
            twice = counts.read(folder / "own")
            self.assertEqual(twice["launches"], 2 * seen["launches"])
            self.assertEqual((twice["up"], twice["inside"], twice["down"]), (128, 32, 32))
            self.assertEqual(counts.read(folder / "none")["up"], 0)


if __name__ == "__main__":
    unittest.main()
