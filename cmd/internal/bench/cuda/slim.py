"""Leaves the kernels of one architecture in a library of CUDA.

    python slim.py IN.so OUT.so ARCH        (such as 90 for an H100 or H200)

The kernels of the others become zeros in their places, so that the file keeps its size and its
layout and loads as before, but compresses to a fraction. On a device of another architecture it
finds no kernel.

Kernels lie in the section .nv_fatbin, in containers (a header of 16 bytes: magic number, version,
length of the header, length of what follows) of entries (kind, version, length of the header,
length of the payload; the architecture at byte 28).
"""

import argparse
import pathlib
import struct

CONTAINER = 0xBA55ED50
CUBIN = 2  # the kind of an entry that holds machine code, as against source for the driver to compile


def section(image, name):
    """Where a section of a 64-bit little-endian ELF file begins and ends."""
    if image[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a 64-bit little-endian ELF file")
    table, = struct.unpack_from("<Q", image, 40)
    size, count, names_at = struct.unpack_from("<HHH", image, 58)
    headers = [struct.unpack_from("<IIQQQQ", image, table + i * size) for i in range(count)]
    names = headers[names_at][4]
    for h in headers:
        start = names + h[0]
        if image[start:image.index(0, start)] == name.encode():
            return h[4], h[4] + h[5]
    raise ValueError(f"no section {name}, want a library with CUDA kernels")


def entries(image, begin, end):
    """Kind, architecture, begin and end of the payload of every entry."""
    at = begin
    while at + 16 <= end:
        magic, _, header, length = struct.unpack_from("<IHHQ", image, at)
        if magic != CONTAINER:
            at += 8  # what the linker put between containers
            continue
        entry, stop = at + header, at + header + length
        while entry < stop:
            kind, _, own, payload = struct.unpack_from("<HHIQ", image, entry)
            architecture, = struct.unpack_from("<I", image, entry + 28)
            yield kind, architecture, entry + own, entry + own + payload
            entry += own + payload
        at = stop


def slim(image, architecture):
    """Zeroes what is not machine code of the architecture; bytes kept and bytes zeroed, and the architectures seen."""
    kept = gone = 0
    seen = set()
    for kind, of, begin, end in entries(image, *section(image, ".nv_fatbin")):
        seen.add(of)
        if kind == CUBIN and of == architecture:
            kept += end - begin
        else:
            gone += end - begin
            image[begin:end] = bytes(end - begin)
    if not kept:
        raise ValueError(f"no kernels of architecture {architecture}, there are {', '.join(map(str, sorted(seen)))}")
    return kept, gone


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("library", type=pathlib.Path)
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("architecture", type=int)
    o = p.parse_args()
    image = bytearray(o.library.read_bytes())
    kept, gone = slim(image, o.architecture)
    o.out.write_bytes(image)
    print(f"{kept} bytes of kernels kept, {gone} zeroed")


if __name__ == "__main__":
    main()
