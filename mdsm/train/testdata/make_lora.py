"""Trains low-rank changes of a small network with peft, and writes what
TestLoRAAgreesWithPeft compares:

  lora/model.onnx  the network as PyTorch exports it for training: a 1x1 convolution,
                   matrices of Gemm and of MatMul, and one with the inputs first
  lora/first, lora/adapter
                   the adapters before and after the training, as peft saves them
  lora/lora.npz    x, target [3, batch, ...], used in turn; losses [steps]; and y of
                   the merged network, in use, for x[0]
"""

import json
import pathlib
import warnings

import numpy as np
import peft
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

STEPS, BATCHES, BATCH = 10, 3, 6


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(3, 6, 1)
        self.token = nn.Linear(6, 8)
        self.wide = Conv1D(10, 8)
        self.head = nn.Linear(10, 4)

    def forward(self, x):
        h = torch.tanh(self.mix(x)).flatten(2).transpose(1, 2)
        h = torch.tanh(self.wide(torch.tanh(self.token(h))))
        return self.head(h.mean(1))


def main():
    warnings.filterwarnings("ignore")
    torch.manual_seed(5)
    torch.set_num_threads(1)
    folder = pathlib.Path(__file__).parent / "lora"
    folder.mkdir(exist_ok=True)
    model = Network().train()
    x, target = torch.randn(BATCHES, BATCH, 3, 4, 4), torch.randint(0, 4, (BATCHES, BATCH))
    torch.onnx.export(model, (x[0],), folder / "model.onnx", dynamo=False, training=torch.onnx.TrainingMode.TRAINING,
                      do_constant_folding=False, input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "N"}, "y": {0: "N"}})
    config = peft.LoraConfig(r=2, lora_alpha=6, target_modules=["mix", "token", "wide", "head"], bias="none")
    changed = peft.get_peft_model(model, config)
    for name, p in changed.named_parameters():
        if "lora_B" in name:  # which begin with 0
            p.data = 0.1 * torch.randn(p.shape)
    changed.save_pretrained(folder / "first")
    optimiser = torch.optim.AdamW([p for p in changed.parameters() if p.requires_grad], lr=0.02, weight_decay=0.01)
    losses = []
    for i in range(STEPS):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(changed(x[i % BATCHES]), target[i % BATCHES])
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    changed.save_pretrained(folder / "adapter")
    y = changed.merge_and_unload().eval()(x[0]).detach().numpy()
    np.savez_compressed(folder / "lora.npz", x=x.numpy(), target=target.numpy(), losses=np.array(losses, np.float32), y=y)
    for readme in folder.glob("*/README.md"):
        readme.unlink()
    for config in folder.glob("*/adapter_config.json"):  # which has them in an order of its own each time
        settings = json.loads(config.read_text())
        settings["target_modules"].sort()
        config.write_text(json.dumps(settings, indent=2, sort_keys=True))
    print("losses", losses[0], losses[-1])


main()
