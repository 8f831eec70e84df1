"""Compares `ebm evaluate --features-recipe` with the programs whose numbers the recipes are, on the same random weights.

    python recipes.py EBM FOLDER [RECIPE ...]

EBM is the program. The networks are exported by the very scripts of docs/evaluation.md, with the published weights
replaced by random ones of the same or smaller widths; pictures, drawn here, go through the peer's own preprocessing:
torch-fidelity's extractors, clean-fid's for CLIP-FID, torchvision's and Pillow's for the others. The table goes to
standard output; the exit status is 1 when a number is further off than TOLERANCE.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import types

import numpy as np
import torch
from PIL import Image

import evaluation
from torch_fidelity import feature_extractor_clip, feature_extractor_vgg16
from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

DOCUMENT = pathlib.Path(__file__).parents[3] / "docs" / "evaluation.md"
SUBSET = 20
TOLERANCE = 1e-4  # of numbers, relative; of a kernel distance to its deviation


def scripts():
    return dict(re.findall(r"<!-- ([\w-]+) -->\n```python\n(.*?)```", DOCUMENT.read_text(), re.S))


def draw(folder, count, seed, size):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for i in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (3 + i % 5 + seed, 4, 3), dtype=np.uint8))
        coarse.resize(size, Image.BICUBIC).save(folder / f"{i:03d}.png")


def pictures(folder):
    return [Image.open(f).convert("RGB") for f in sorted(folder.glob("*.png"))]


def replace_weights(folder):
    """Makes the programs' loaders give random networks."""
    torch.manual_seed(1)

    class Root(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.visual = feature_extractor_clip.VisionTransformer(224, 32, 128, 3, 2, 96)
            self.text_projection = torch.nn.Parameter(torch.zeros(3, 96))

        def forward(self, x):
            return self.visual(x)

    root = Root().eval()
    torch.jit.trace(root, torch.zeros(1, 3, 224, 224)).save(folder / "clip.pt")
    load = feature_extractor_clip.FeatureExtractorCLIP.__init__
    feature_extractor_clip.FeatureExtractorCLIP.__init__ = lambda self, name, layers: load(
        self, name, layers, feature_extractor_weights_path=str(folder / "clip.pt"))
    sys.modules["clip"] = types.SimpleNamespace(load=lambda name, device: (root, None))

    from torchvision.models import vgg16
    vgg = vgg16(weights=None)
    feature_extractor_vgg16.torchvision_load_pretrained_vgg16 = lambda **k: __import__("copy").deepcopy(vgg)

    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, Dinov2Config, Dinov2Model
    clip = CLIPVisionModelWithProjection(CLIPVisionConfig(
        hidden_size=64, intermediate_size=128, projection_dim=48, num_hidden_layers=2, num_attention_heads=2, image_size=336, patch_size=14))
    CLIPVisionModelWithProjection.from_pretrained = lambda name: clip

    class DINOv2(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = Dinov2Model(Dinov2Config(hidden_size=96, num_hidden_layers=3, num_attention_heads=3, image_size=224, patch_size=14))

        def forward(self, x):
            return self.net(x).last_hidden_state[:, 0]

    dino = DINOv2().eval()
    torch.hub.load = lambda *name: dino
    evaluation.make_weights(folder / "inception.pth")


def by_torch_fidelity(extractor):
    def features(folder):
        with torch.no_grad():
            x = [torch.tensor(np.asarray(p)).permute(2, 0, 1)[None] for p in pictures(folder)]
            return torch.cat([extractor(p)[0] for p in x]).flatten(1).double()
    return features


def by_transform(transform, net):
    def features(folder):
        with torch.no_grad():
            return torch.cat([net(transform(p)[None]) for p in pictures(folder)]).double()
    return features


def spatial(weights):
    extractor = FeatureExtractorInceptionV3("x", ["768"], feature_extractor_weights_path=weights)
    seen = []
    extractor.Mixed_6d.branch1x1.register_forward_hook(lambda module, given, y: seen.append(y[:, :7].flatten(1)))

    def features(folder):
        seen.clear()
        by_torch_fidelity(extractor)(folder)
        return torch.cat(seen).double()
    return features


def peers(folder):
    from torchvision import transforms
    from transformers import CLIPVisionModelWithProjection
    from cleanfid import clip_features

    clip = feature_extractor_clip.FeatureExtractorCLIP("clip-vit-b-32", ["clip"])
    normalise = {
        "clip": transforms.Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
        "imagenet": transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    }
    resize = transforms.Compose([transforms.Resize((224, 224), transforms.InterpolationMode.BICUBIC), transforms.ToTensor()])
    weights = str(folder / "inception.pth")

    def middle(p):
        side = min(p.size)
        left, top = (p.width - side) // 2, (p.height - side) // 2
        p = p.crop((left, top, left + side, top + side)).resize((336, 336), Image.BICUBIC)
        return normalise["clip"](transforms.functional.to_tensor(p))

    cleaned = lambda p: normalise["clip"](torch.tensor(clip_features.img_preprocess_clip(np.asarray(p)) / 255.0).permute(2, 0, 1).float())
    embedding = CLIPVisionModelWithProjection.from_pretrained("").eval()
    out = {
        "clip": ("torch-fidelity", by_torch_fidelity(clip)),
        "clip-fid": ("clean-fid", by_transform(cleaned, sys.modules["clip"].load("ViT-B/32", "cpu")[0].visual)),
        "cmmd": ("Pillow and transformers", by_transform(middle, lambda x: embedding(pixel_values=x).image_embeds)),
        "dinov2": ("torch-fidelity", by_torch_fidelity(FeatureExtractorDinoV2("dinov2-vit-s-14", ["dinov2"]))),
        "fd-dinov2": ("torchvision", by_transform(lambda p: normalise["imagenet"](resize(p)), torch.hub.load())),
        "inception-spatial": ("torch-fidelity", spatial(weights)),
    }
    for layer in ("64", "192", "768"):
        extractor = FeatureExtractorInceptionV3("x", [layer], feature_extractor_weights_path=weights)
        out["inception-" + layer] = ("torch-fidelity", by_torch_fidelity(extractor))
    vgg16 = feature_extractor_vgg16.FeatureExtractorVGG16("vgg16", ["fc2_relu"])
    return out | {"vgg16": ("torch-fidelity", by_torch_fidelity(vgg16))}


def main():
    program, folder = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    replace_weights(folder)
    sets = {"a": folder / "a", "b": folder / "b"}
    for seed, path in enumerate(sets.values()):
        draw(path, 26, seed, (40, 52))
    blocks, failed = scripts(), False
    os.chdir(folder)
    print("| recipe | peer | features off by | number | theirs | ours | difference |\n| --- | --- | --- | --- | --- | --- | --- |")
    for recipe, (peer, features) in peers(folder).items():
        if sys.argv[3:] and recipe not in sys.argv[3:]:
            continue
        network = ["--inception", "inception.pth"]
        if recipe in blocks:
            exec(blocks[recipe], {})
            network = ["--features-onnx", "features.onnx"]
        theirs = [features(path) for path in sets.values()]
        run = subprocess.run(
            [program, "evaluate", "--quiet", "--json", "--samples", sets["a"], "--reference", sets["b"], "--features-recipe", recipe, *network,
             "--metrics", "fid,kid", "--kid-subset-size", str(SUBSET), "--write-features", "features.npz"],
            check=True, capture_output=True, text=True)
        ours = {("fid" if m["quantity"] == "frechet" else "kid"): m["value"] for m in json.loads(run.stdout)["metrics"]}
        off = np.abs(np.load("features.npz")["features"] - theirs[0].numpy()).max() / np.abs(theirs[0].numpy()).max()
        kid = kid_features_to_metric(*theirs, kid_subsets=100, kid_subset_size=SUBSET, kid_kernel="poly", kid_kernel_poly_degree=3,
                                     kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1, rng_seed=2020, verbose=False)
        fid = fid_statistics_to_metric(*(fid_features_to_statistics(f) for f in theirs), False)["frechet_inception_distance"]
        deviation = kid["kernel_inception_distance_std"]
        kid = kid["kernel_inception_distance_mean"]
        for name, their, scale in (("fid", fid, abs(fid)), ("kid", kid, deviation)):
            difference = abs(ours[name] - their) / scale
            failed = failed or not difference < TOLERANCE or not off < 1e-4
            print(f"| `{recipe}` | {peer} | {off:.1e} | {name} | {their:.7g} | {ours[name]:.7g} | {difference:.1e} |", flush=True)
    sys.exit(failed)


main()
