"""Makes the golden files of this folder; needs NumPy (made with 2.x).

    python make_golden.py

Every array holds (7 * i) mod 23 - 4 for the i-th element in row-major order,
without the -4 for unsigned types and as its parity for bool.
"""
import numpy as np
from numpy.lib import format

TYPES = ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "bool"]


def values(dtype, *shape):
    i = np.arange(int(np.prod(shape)), dtype=np.int64)
    v = (7 * i) % 23
    if dtype == "bool":
        v = v % 2
    elif dtype != "uint8":
        v = v - 4
    return v.astype(dtype).reshape(shape)


arrays = {t: values(t, 2, 3, 4) for t in TYPES}
arrays["fortran"] = np.asfortranarray(values("float32", 2, 3, 4))
arrays["scalar"] = values("float64")
arrays["empty"] = values("int32", 0, 5)
arrays["vector"] = values("float32", 7)
np.savez("stored.npz", **arrays)
np.savez_compressed("deflated.npz", **arrays)
for major in (1, 2, 3):
    with open(f"v{major}.npy", "wb") as f:
        format.write_array(f, np.asfortranarray(values("int16", 3, 5)), version=(major, 0))
np.save("records.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]))
np.save("big_endian.npy", values("float32", 3, 5).astype(">f4"))
np.save("objects.npy", np.array([None, "x"], dtype=object), allow_pickle=True)
