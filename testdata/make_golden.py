"""Makes the golden files of this folder; needs PyTorch (made with 2.9.1), onnx and NumPy.

    python make_golden.py

weights.pth is a residual network as the paper's code stores it: DataParallel's prefix before
every name, and LayerNorms that no forward uses. reference.npz is what PyTorch says of it, made
by reference.py, and energy.onnx is its energy as PyTorch exports it. bad.pth is weights.pth with
a parameter missing, one too many and one of another shape.
"""

import importlib.util
import pathlib

import torch
from torch import nn

from reference import reference

HERE = pathlib.Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("networks", HERE.parent / "models" / "energy" / "testdata" / "make_golden.py")
networks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(networks)
Block, Energy = networks.Block, networks.Energy


def with_leftovers(net, size):
    """Gives every block the LayerNorms bn1 and bn2 [c_in, size, size]."""
    for block in [m for m in net.modules() if isinstance(m, Block)]:
        shape = [block.conv_1.conv.in_channels, size, size]
        block.bn1, block.bn2 = nn.LayerNorm(shape), nn.LayerNorm(shape)
        size = size // 2 if block.down else size
    return net


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(3)
    net = nn.DataParallel(with_leftovers(Energy("res6", 3, 2, 8), 8))
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(2)  # as large as trained ones
    torch.save(net.state_dict(), HERE / "weights.pth")
    x, noise = torch.rand(3, 3, 8, 8), torch.randn(3, 3, 8, 8)
    reference(net.module, x, HERE / "reference.npz", torch.tensor([0.1, 0.5, 2.0]), noise)
    torch.onnx.export(net.module, (x,), HERE / "energy.onnx", dynamo=False, opset_version=17,
                      input_names=["x"], output_names=["energy"], dynamic_axes={"x": {0: "N"}, "energy": {0: "N"}})

    bad = dict(net.state_dict())
    del bad["module.rb2.conv_2.conv.bias"]
    bad["module.rb1.conv_1.conv.weight"] = torch.zeros(2, 2, 5, 5)
    bad["module.extra.weight"] = torch.zeros(7)
    torch.save(bad, HERE / "bad.pth")


if __name__ == "__main__":
    main()
