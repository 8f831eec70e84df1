"""Makes golden.npz: what PyTorch says of the classifier.

    pip install -r requirements.txt
    python make_golden.py [FOLDER]        (the folder of this file by default)

The network is a small one (4 channels, 12 features, 10 classes) with the weights that PyTorch
gives by default, 1.5 times as large. The file holds

  param/NAME           float32           weights, by their state_dict names
  bytes                uint8 [6,3,32,32] pictures
  x                    float32 [18,1,16,16]  the same as the network sees them: 2x2 means in whole
                                         numbers, halves up, over 255; the channels of a picture follow
                                         one another
  label                int64 [18]
  features64           float64 [18,12]
  logits64             float64 [18,10]
  energy64             float64 [18]      -logsumexp of the logits
  loss64               float64 [1]       torch.nn.functional.cross_entropy
  grad64/NAME          float64           d loss / d NAME
  steep                float64 [4,10]    logits of up to 1e4
  steep_label          int64 [4]
  steep_loss           float64 [1]       their cross-entropy

all with a 64 computed in float64 from the float32 weights and pictures.
"""

import os
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Classifier(nn.Module):
    def __init__(self, dim, features, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(1, dim, 3, padding=1)
        self.conv2 = nn.Conv2d(dim, 2 * dim, 3, padding=1)
        self.conv3 = nn.Conv2d(2 * dim, 4 * dim, 3, padding=1)
        self.conv4 = nn.Conv2d(4 * dim, 4 * dim, 3, padding=1)
        self.fc1 = nn.Linear(64 * dim, features)
        self.fc2 = nn.Linear(features, classes)

    def forward(self, x):
        h = F.elu(self.conv1(x))
        h = F.elu(F.max_pool2d(self.conv2(h), 2))
        h = F.elu(F.max_pool2d(self.conv3(h), 2))
        h = F.elu(self.conv4(h))
        features = F.elu(self.fc1(h.flatten(1)))
        return features, self.fc2(features)


def main(folder):
    torch.manual_seed(5)
    torch.set_num_threads(1)
    net = Classifier(4, 12, 10)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(1.5)
    out = {"param/" + k: v.detach().numpy().copy() for k, v in net.state_dict().items()}

    bytes_ = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8)
    blocks = bytes_.to(torch.int64).reshape(18, 16, 2, 16, 2).sum((2, 4))
    x = (((blocks + 2) // 4).to(torch.float32) / 255)[:, None]
    label = torch.randint(0, 10, (18,))
    out |= {"bytes": bytes_.numpy(), "x": x.numpy(), "label": label.numpy()}

    net = net.double()
    features, logits = net(x.double())
    loss = F.cross_entropy(logits, label)
    loss.backward()
    out |= {
        "features64": features.detach().numpy(),
        "logits64": logits.detach().numpy(),
        "energy64": -torch.logsumexp(logits, 1).detach().numpy(),
        "loss64": loss.detach().numpy().reshape(1),
    }
    out |= {"grad64/" + k: p.grad.numpy() for k, p in net.named_parameters()}

    steep = torch.linspace(-1e4, 1e4, 40, dtype=torch.float64).reshape(4, 10)
    steep_label = torch.tensor([0, 9, 4, 8])
    out |= {
        "steep": steep.numpy(),
        "steep_label": steep_label.numpy(),
        "steep_loss": F.cross_entropy(steep, steep_label).numpy().reshape(1),
    }
    np.savez_compressed(os.path.join(folder, "golden.npz"), **out)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__)))
