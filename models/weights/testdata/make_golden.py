"""Makes the golden files of this folder; needs PyTorch (made with 2.9).

    python make_golden.py

values(dtype, *shape) holds (7 * i) mod 23 - 4 for the i-th element in
row-major order, without the -4 for uint8 and as its parity for bool.
"""
import collections
import os

import torch

TYPES = ["float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool"]


def values(dtype, *shape):
    n = 1
    for d in shape:
        n *= d
    v = (7 * torch.arange(n)) % 23
    if dtype == "bool":
        v = v % 2
    elif dtype != "uint8":
        v = v - 4
    return v.to(getattr(torch, dtype)).reshape(shape)


def state():
    s = collections.OrderedDict()
    for t in TYPES:
        s["module.types." + t] = values(t, 2, 3, 4)
    base = values("float32", 24)
    s["module.shared.rows"] = base[4:16].view(3, 4)
    s["module.shared.columns"] = base[6:18].view(3, 4).t()
    s["module.shared.whole"] = base
    s["module.expanded"] = values("float32", 3).expand(2, 3)
    s["module.channels_last"] = values("float32", 2, 3, 4, 5).to(memory_format=torch.channels_last)
    s["module.scalar"] = torch.tensor(2.5, dtype=torch.float64)
    s["module.empty"] = torch.zeros(0, 3)
    s["module.parameter"] = torch.nn.Parameter(values("float32", 5))
    s["module.tied"] = s["module.parameter"]
    s._metadata = {"": {"version": 1}}
    return s


def checkpoint():
    model = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    model(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    return {
        "epoch": 3, "best": torch.tensor(92.5), "state_dict": state(), "optimizer": optimiser.state_dict(),
        "note": "text", "none": None, "big": 2**70, "negative": -(2**40), "float": 0.1, "flags": (True, False),
        "set": {1, 2}, "size": torch.Size([1, 2]), "device": torch.device("cpu"), "dtype": torch.float32,
        "list": list(range(300)), "default": collections.defaultdict(list, {"a": [1]}), "bytes": b"\x00\xff",
    }


class Foreign:
    def __reduce__(self):
        return (os.getcwd, ())


torch.manual_seed(0)
torch.save(checkpoint(), "zip.pt")
torch.save(checkpoint(), "legacy.pt", _use_new_zipfile_serialization=False)
torch.save(checkpoint(), "zip_protocol4.pt", pickle_protocol=4)
torch.save({"trainer": {"online": {"w": values("float32", 2)}, "ema": {"0": {"w": values("float32", 3)}, 1: values("int8", 2)}}}, "sections.pt")
torch.save({"w": torch.zeros(1), "x": Foreign()}, "foreign.pt")
torch.save({"w": torch.zeros(1), "x": Foreign()}, "foreign_legacy.pt", _use_new_zipfile_serialization=False)
torch.save(torch.nn.Linear(2, 2), "module.pt")
