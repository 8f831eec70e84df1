"""Gradients of files that other packages export, written by `ebm gradient --seed`, against their own automatic differentiation in float64.

    pip install torch torchvision torchaudio onnx onnxruntime onnxscript numpy scikit-learn skl2onnx lightgbm xgboost onnxmltools timm \\
        torch_geometric segmentation-models-pytorch kornia keras jax flax jax2onnx transformers
    EBM=path/to/ebm KERAS_BACKEND=torch python export/onnximport/testdata/compare_packages.py [GROUP…]

Models have random weights, or are fitted to random numbers; those of scikit-learn, LightGBM and XGBoost have no derivatives of their own, so that
the file's outputs are differenced. Prints the largest error over the largest magnitude of outputs and gradients, or why a file was refused.
"""

import os
import subprocess
import sys
import tempfile
import warnings

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

EBM = os.environ.get("EBM", "ebm")
warnings.filterwarnings("ignore")
torch.manual_seed(0)
rng = np.random.default_rng(0)


def weights(shape):
    """Of the elements of an output: the sum of a softmax or of what is normalised has no derivative."""
    return np.cos(np.arange(1, 1 + int(np.prod(shape)))).reshape(shape)


def of_torch(net, *args, batch=True):
    """Exports by torch.export, with a symbolic batch if any, and differentiates in float64."""

    def make(path):
        net.eval()
        size = torch.export.Dim("batch", min=2)
        shapes = tuple({0: size} if a.dim() > 1 and a.is_floating_point() else {} for a in args) if batch else None
        names = [f"x{i}" if i else "x" for i in range(len(args))]
        torch.onnx.export(net, args, path, input_names=names, output_names=["y"], dynamo=True, external_data=False, verbose=False,
                          opset_version=18, dynamic_shapes=shapes)
        double = net.double()
        inputs = [a.double() if a.is_floating_point() else a for a in args]
        x = inputs[0].requires_grad_()
        y = double(x, *inputs[1:])
        (y * torch.tensor(weights(y.shape))).sum().backward()
        return dict(zip(names, [a.numpy() for a in args])), y.detach().numpy(), x.grad.numpy()

    return make


class First(nn.Module):
    """The first tensor of whatever a network returns."""

    def __init__(self, net, key=None, **fixed):
        super().__init__()
        self.net, self.key, self.fixed = net, key, fixed

    def forward(self, *args):
        y = self.net(*args, **self.fixed)
        if self.key is not None:
            return y[self.key]
        return y if isinstance(y, torch.Tensor) else y[0]


def differences(path, x, output):
    """Central differences of the file's own output, run by ONNX Runtime in float32."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    f = lambda v: session.run([output], {session.get_inputs()[0].name: v.astype(np.float32)})[0]
    grad, step = np.zeros_like(x, dtype=np.float64), 1e-2
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        change = f(up).astype(np.float64) - f(down)
        grad[i] = (change * weights(change.shape)).sum() / (np.float64(up[i]) - np.float64(down[i]))
    return f(x), grad


def fitted(model, convert, output, target="regression"):
    def make(path):
        x, n = rng.normal(size=(200, 5)).astype(np.float32), 4
        y = np.sin(x[:, 0]) + x[:, 1] * x[:, 2]
        model.fit(x, y if target == "regression" else (y > 0).astype(int))
        onnx.save(convert(model, x), path)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        name = session.get_outputs()[output].name
        want, grad = differences(path, x[:n], name)
        return {session.get_inputs()[0].name: x[:n]}, want, grad, name

    return make


def by_skl2onnx(model, x):
    from skl2onnx import to_onnx

    return to_onnx(model, x[:1], options={"zipmap": False} if hasattr(model, "predict_proba") else None, target_opset=18)


def by_onnxmltools(kind):
    def convert(model, x):
        import onnxmltools
        from onnxconverter_common.data_types import FloatTensorType

        return getattr(onnxmltools, "convert_" + kind)(model, initial_types=[("x", FloatTensorType([None, x.shape[1]]))], target_opset=15)

    return convert


def of_keras(layers):
    def make(path):
        import keras

        model = keras.Sequential(layers(keras.layers))
        x = rng.normal(size=(3,) + tuple(model.input_shape[1:])).astype(np.float32)
        model(x)
        model.export(path, format="onnx", verbose=False)
        t = torch.tensor(x, requires_grad=True)
        y = model(t)
        (y * torch.tensor(weights(y.shape), dtype=y.dtype)).sum().backward()
        name = onnx.load(path).graph.input[0].name
        return {name: x}, y.detach().cpu().numpy(), t.grad.numpy(), onnx.load(path).graph.output[0].name

    return make


def of_jax(path):
    import jax
    import jax.numpy as jnp
    from flax import nnx
    from jax2onnx import to_onnx

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.conv, self.norm = nnx.Conv(3, 8, (3, 3), rngs=rngs), nnx.LayerNorm(8, rngs=rngs)
            self.out = nnx.Linear(8, 4, rngs=rngs)

        def __call__(self, x):
            return self.out(nnx.gelu(self.norm(self.conv(x))).mean((1, 2)))

    net = Net(nnx.Rngs(0))
    model = to_onnx(net, [("B", 8, 8, 3)])
    onnx.save(model, path)
    x = rng.normal(size=(3, 8, 8, 3)).astype(np.float32)
    y, grad = net(x), jax.grad(lambda v: (net(v) * weights((3, 4))).sum())(jnp.asarray(x))
    return {model.graph.input[0].name: x}, np.asarray(y), np.asarray(grad), model.graph.output[0].name


class Flow(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x, x.flip(-1), num_flow_updates=2)[-1]


class Lengths(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x, torch.full((x.shape[0],), 20, dtype=torch.int64))[0]


class Graph(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.a, self.b = kind(4, 8), kind(8, 3)

    def forward(self, x, edges):
        return self.b(torch.nn.functional.elu(self.a(x, edges)), edges)


class Sentence(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return nn.functional.normalize(self.model(inputs_embeds=x)[0].mean(1)) ** 2 @ torch.arange(32, dtype=x.dtype)


class Filters(nn.Module):
    def __init__(self, kornia):
        super().__init__()
        self.k = kornia

    def forward(self, x):
        y = self.k.filters.sobel(self.k.filters.gaussian_blur2d(x, (5, 5), (1.0, 1.0)))
        return self.k.geometry.transform.rotate(y, torch.full((x.shape[0],), 30.0, dtype=x.dtype))


def scikit_learn():
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler
    from sklearn.svm import SVR

    yield "scikit-learn: MLPRegressor", fitted(MLPRegressor(hidden_layer_sizes=(16, 8), activation="tanh", max_iter=50), by_skl2onnx, 0)
    yield "scikit-learn: StandardScaler, LogisticRegression", fitted(make_pipeline(StandardScaler(), LogisticRegression()), by_skl2onnx, 1, "classes")
    yield "scikit-learn: PolynomialFeatures, Ridge", fitted(make_pipeline(PolynomialFeatures(2), Ridge()), by_skl2onnx, 0)
    yield "scikit-learn: SVR", fitted(SVR(), by_skl2onnx, 0)
    yield "scikit-learn: GaussianProcessRegressor", fitted(GaussianProcessRegressor(alpha=0.5), by_skl2onnx, 0)


def boosted_trees():
    import lightgbm
    import xgboost

    yield "LightGBM by onnxmltools", fitted(lightgbm.LGBMRegressor(n_estimators=5, verbose=-1), by_onnxmltools("lightgbm"), 0)
    yield "XGBoost by onnxmltools", fitted(xgboost.XGBRegressor(n_estimators=5), by_onnxmltools("xgboost"), 0)


def timm_models():
    import timm

    for name, size in [("resnetv2_50", 64), ("edgenext_xx_small", 64), ("regnety_002", 64), ("gmixer_12_224", 224), ("levit_128s", 224)]:
        yield f"timm: {name}", of_torch(timm.create_model(name, pretrained=False, num_classes=4), torch.randn(2, 3, size, size))


def torchvision_models():
    import torchvision as tv

    detection, segmentation = tv.models.detection, tv.models.segmentation
    yield ("torchvision: lraspp_mobilenet_v3_large",
           of_torch(First(segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None), "out"), torch.randn(2, 3, 64, 64)))
    yield ("torchvision: deeplabv3_resnet50",
           of_torch(First(segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None), "out"), torch.randn(2, 3, 64, 64)))
    yield ("torchvision: the backbone of fasterrcnn_mobilenet",
           of_torch(First(detection.fasterrcnn_mobilenet_v3_large_fpn(weights=None, weights_backbone=None).backbone, "0"), torch.randn(2, 3, 64, 64)))
    yield "torchvision: raft_small", of_torch(Flow(tv.models.optical_flow.raft_small(weights=None)), torch.randn(1, 3, 128, 128), batch=False)


def torchaudio_models():
    import torchaudio

    yield ("torchaudio: Conformer", of_torch(Lengths(torchaudio.models.Conformer(16, 4, 32, 2, 7)), torch.randn(2, 20, 16)))
    yield ("torchaudio: ConvTasNet", of_torch(torchaudio.models.ConvTasNet(2, enc_num_feats=16, msk_num_feats=8, msk_num_hidden_feats=16,
                                                                           msk_num_layers=2, msk_num_stacks=2), torch.randn(2, 1, 320)))
    yield ("torchaudio: Wav2Vec2", of_torch(First(torchaudio.models.wav2vec2_model(
        "layer_norm", [(16, 10, 5), (16, 3, 2)], True, 32, 0.0, 8, 2, 2, 4, 0.0, 48, 0.0, 0.0, True, 0.0, None)), torch.randn(2, 400)))


def graphs():
    from torch_geometric.nn import GATConv, GCNConv, SAGEConv

    for kind in (GCNConv, GATConv, SAGEConv):
        yield f"PyG: {kind.__name__}", of_torch(Graph(kind), torch.randn(6, 4), torch.randint(0, 6, (2, 15)), batch=False)


def segmentation():
    import segmentation_models_pytorch as smp

    yield "segmentation-models-pytorch: Unet", of_torch(smp.Unet("resnet18", encoder_weights=None), torch.randn(2, 3, 64, 64))
    yield "segmentation-models-pytorch: FPN", of_torch(smp.FPN("mobilenet_v2", encoder_weights=None), torch.randn(2, 3, 64, 64))


def sentences():
    import transformers as tf

    small = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, vocab_size=50)
    yield "sentence-transformers: mean of MiniLM", of_torch(Sentence(tf.BertModel(tf.BertConfig(**small))), torch.randn(2, 7, 32))


def filters():
    import kornia

    yield "kornia: blur, Sobel, rotation", of_torch(Filters(kornia), torch.randn(2, 3, 16, 16))


def keras_models():
    yield "Keras: convolutions", of_keras(lambda k: [k.Input((16, 16, 3)), k.Conv2D(8, 3, padding="same", activation="swish"), k.MaxPooling2D(),
                                                     k.SeparableConv2D(8, 3), k.GlobalAveragePooling2D(), k.Dense(4)])
    yield "Keras: GRU and attention", of_keras(lambda k: [k.Input((12, 6)), k.GRU(8, return_sequences=True), k.LSTM(5), k.Dense(3, "softplus")])


def flax_models():
    yield "Flax by jax2onnx", of_jax


GROUPS = [scikit_learn, boosted_trees, timm_models, torchvision_models, torchaudio_models, graphs,
          segmentation, sentences, filters, keras_models, flax_models]


def relative(got, want):
    return float(np.abs(got - want).max() / max(np.abs(want).max(), 1e-9))


def main(names):
    with tempfile.TemporaryDirectory() as folder:
        chosen = [g for g in GROUPS if not names or g.__name__ in names]
        for name, make in (m for g in chosen for m in g()):
            path, out = os.path.join(folder, "in.onnx"), os.path.join(folder, "out.onnx")
            try:
                feeds, want, grad, *output = make(path)
            except Exception as e:
                print(f"{name:52} was not exported: {type(e).__name__}: {str(e).splitlines()[0][:150] if str(e) else ''}", flush=True)
                continue
            wrt, of = next(iter(feeds)), (output or ["y"])[0]
            done = subprocess.run([EBM, "gradient", path, "--of", of, "--wrt", wrt, "--seed", "--out", out, "-q"], capture_output=True, text=True)
            if done.returncode:
                print(f"{name:52} refused: {done.stderr.strip()[:600]}", flush=True)
                continue
            session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
            feeds["seed/" + of] = weights(want.shape).astype(np.float32)
            got = dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds)))
            print(f"{name:52} outputs {relative(got[of], want):.1e}, gradient {relative(got['grad/' + wrt], grad):.1e}"
                  f"{' (zero)' if not np.any(got['grad/' + wrt]) else ''}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
