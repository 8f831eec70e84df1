"""An epoch of CIFAR-10 by PyTorch, beside which `ebm fit` is put: torchvision's resnet18 with ten classes.

    pip install torch torchvision onnx numpy
    python epoch.py FOLDER --out resnet18.onnx [--threads N] [--order SEED]
    ebm fit resnet18.onnx --data-name cifar10 --data FOLDER --validation-data FOLDER --mean .4914,.4822,.4465 --deviation .247,.2435,.2616 \\
        --optimizer sgd --momentum 0.9 --weight-decay 5e-4 --learning-rate 0.05 --batch 100 --epochs 1 --out runs/cifar10

FOLDER has the .bin files of CIFAR-10. The network is written before its first step, so that both begin with the same weights;
the order of the pictures differs. Prints the mean loss of the last 50 steps, and loss and accuracy over the test set.
"""

import argparse
import pathlib
import sys
import time

import numpy as np
import torch
import torchvision

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[4] / "mdsm/train/testdata"))
from make_steps import export  # noqa: E402


def pictures(folder, pattern):
    """Returns pictures [N 3 32 32], less the mean of their channels and over their deviation, and labels [N]."""
    rows = np.concatenate([np.fromfile(p, np.uint8).reshape(-1, 3073) for p in sorted(pathlib.Path(folder).rglob(pattern))])
    x = torch.from_numpy(rows[:, 1:].reshape(-1, 3, 32, 32).copy()).float().div_(255)
    mean, deviation = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.247, 0.2435, 0.2616])
    return (x - mean[:, None, None]) / deviation[:, None, None], torch.from_numpy(rows[:, 0].astype(np.int64))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the network as an ONNX file, before its first step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--order", type=int, default=0, help="seed of the pictures' order")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    x, labels = pictures(a.folder, "data_batch_*.bin")
    network, loss = torchvision.models.resnet18(num_classes=10), torch.nn.CrossEntropyLoss()
    export(network, x[:2], a.out)

    steps = len(x) // a.batch
    optimiser = torch.optim.SGD(network.train().parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    losses, began = [], time.process_time()
    for batch in torch.randperm(len(x), generator=torch.Generator().manual_seed(a.order))[:steps * a.batch].split(a.batch):
        optimiser.zero_grad()
        value = loss(network(x[batch]), labels[batch])
        value.backward()
        optimiser.step()
        schedule.step()
        losses.append(value.item())
    print(f"{steps} steps, {time.process_time() - began:.0f} s of processor time, loss {np.mean(losses[-50:]):.3f} at the end")

    x, labels = pictures(a.folder, "test_batch.bin")
    with torch.no_grad():
        y = torch.cat([network.eval()(part) for part in x.split(500)])
    print(f"test: loss {loss(y, labels):.3f}, accuracy {(y.argmax(1) == labels).float().mean():.4f}")


if __name__ == "__main__":
    main()
