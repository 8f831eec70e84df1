"""Gradients of ordinary exports with symbolic sizes, written by `ebm gradient` without a size, against PyTorch's in float64 at three sizes each.

    pip install torch onnx onnxruntime onnxscript numpy transformers
    EBM=path/to/ebm python export/onnximport/testdata/compare_networks.py

Networks have random weights. Prints the largest error over the largest magnitude of outputs and gradients, and fails above 1e-4.
"""

import copy
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnxruntime
import torch
import transformers as tf
from torch import nn

EBM = os.environ.get("EBM", "ebm")
warnings.filterwarnings("ignore")
torch.manual_seed(0)


class FromEmbeddings(nn.Module):
    """A transformer as a function of its input embeddings, so that there is an input to differentiate by."""

    def __init__(self, model, **fixed):
        super().__init__()
        self.model, self.fixed = model, fixed
        self.mix = nn.Linear(32, 1)  # the sum of a layer normalisation is constant

    def forward(self, x):
        return self.mix(self.model(inputs_embeds=x, **self.fixed)[0])


class Encoder(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model, self.mix = model, nn.Linear(32, 1)

    def forward(self, x):
        return self.mix(self.model(x)[0])


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.rnn, self.head = kind(6, 10, 2, bidirectional=True), nn.Linear(20, 3)

    def forward(self, x):
        return self.head(self.rnn(x)[0])


class Messages(nn.Module):
    """Messages along edges, summed at nodes."""

    def __init__(self):
        super().__init__()
        self.edge, self.node = nn.Linear(8, 16), nn.Linear(20, 4)

    def forward(self, x, edges):
        m = torch.tanh(self.edge(torch.cat([x[edges[0]], x[edges[1]]], -1)))
        to = torch.zeros(x.shape[0], 16, dtype=x.dtype).index_add(0, edges[1], m)
        return self.node(torch.cat([x, to], -1))


def networks():
    small = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, vocab_size=50)
    eager = dict(attn_implementation="eager")
    text = {0: "batch", 1: "tokens"}

    def tokens(d=32):
        return lambda n: (torch.randn(1 + n, 3 + 2 * n, d),)

    yield "BERT", FromEmbeddings(tf.BertModel(tf.BertConfig(**small, **eager))), tokens(), {"x": text}
    yield ("GPT-2", FromEmbeddings(tf.GPT2Model(tf.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=50, **eager)), use_cache=False),
           tokens(), {"x": text})
    yield ("LLaMA", FromEmbeddings(tf.LlamaModel(tf.LlamaConfig(num_key_value_heads=2, **small, **eager)), use_cache=False), tokens(),
           {"x": text})
    yield ("T5's encoder", FromEmbeddings(tf.T5EncoderModel(tf.T5Config(d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4,
                                                                        vocab_size=50, **eager))), tokens(), {"x": text})
    whisper = tf.WhisperConfig(d_model=32, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=48, decoder_layers=1,
                               decoder_attention_heads=4, max_source_positions=20, num_mel_bins=10, **eager)
    yield ("Whisper's encoder", Encoder(tf.models.whisper.modeling_whisper.WhisperEncoder(whisper)),
           lambda n: (torch.randn(1 + n, 10, 40),), {"x": {0: "batch"}})
    full = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.GroupNorm(2, 8), nn.SiLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.MaxPool2d(2),
                         nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1))
    yield ("convolutions, any H and W", full, lambda n: (torch.randn(1 + n, 3, 14 + 3 * n, 17 + 2 * n),),
           {"x": {0: "batch", 2: "height", 3: "width"}})
    for kind in (nn.LSTM, nn.GRU):
        yield (kind.__name__ + ", any T", Recurrent(kind), lambda n: (torch.randn(4 + 9 * n, 2, 6),), {"x": {0: "time"}})
    yield ("messages on a graph", Messages(), lambda n: (torch.randn(4 + n, 4), torch.randint(0, 4 + n, (2, 7 + 3 * n))),
           {"x": {0: "nodes"}, "edges": {1: "edges"}})


def export(net, args, path, axes):
    """By the exporter of torch.export for transformers, by the older one for the rest."""
    options = dict(input_names=list(axes), output_names=["y"], verbose=False)
    if isinstance(net, (FromEmbeddings, Encoder)):
        dims = {name: {axis: torch.export.Dim.DYNAMIC for axis in a} for name, a in axes.items()}
        torch.onnx.export(net, args, path, dynamic_shapes=tuple(dims.values()), opset_version=18, dynamo=True, external_data=False, **options)
    else:
        torch.onnx.export(net, args, path, dynamic_axes=axes, opset_version=17, dynamo=False, **options)


def relative(got, want):
    want = want.detach().numpy()
    return float(np.abs(got - want).max() / max(np.abs(want).max(), 1e-9))


def main():
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name, net, inputs, axes in networks():
            path, out = os.path.join(folder, "in.onnx"), os.path.join(folder, "out.onnx")
            names = list(axes)
            net.eval()
            export(net, inputs(1), path, axes)
            done = subprocess.run([EBM, "gradient", path, "--wrt", "x", "--out", out, "-q"], capture_output=True, text=True)
            if done.returncode:
                print(f"{name:28} refused: {done.stderr.strip()}")
                worst = np.inf
                continue
            session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
            double = copy.deepcopy(net).double()
            errors = []
            for n in range(3):
                args = inputs(n)
                got = dict(zip([o.name for o in session.get_outputs()], session.run(None, {k: a.numpy() for k, a in zip(names, args)})))
                x = args[0].double().requires_grad_()
                y = double(x, *args[1:])
                y.sum().backward()
                errors.append(max(relative(got["y"], y), relative(got["grad/x"], x.grad)))
            worst = max([worst] + errors)
            print(f"{name:28}", " ".join(f"{e:.1e}" for e in errors))
    return worst > 1e-4


if __name__ == "__main__":
    sys.exit(main())
