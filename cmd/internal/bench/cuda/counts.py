"""Reads the counters of counts.h."""

import pathlib
import struct

NAMES = ("up", "ups", "down", "downs", "inside", "insides", "launches", "graphs", "library", "memory", "peak")


def read(path, device=None):
    """The counters in a file, by name, of all devices or of one; zeros while nothing has been counted."""
    try:
        data = pathlib.Path(path).read_bytes()
    except FileNotFoundError:
        data = b""
    size = 8 * len(NAMES)
    first = 0 if device is None else size * (1 + device)
    return dict(zip(NAMES, struct.unpack(f"<{len(NAMES)}Q", data[first : first + size].ljust(size, b"\0"))))
