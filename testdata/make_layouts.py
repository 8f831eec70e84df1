"""Makes layouts.tar.bz2: one small network as programs write it, and what PyTorch says of it.

    python make_layouts.py

Needs PyTorch (made with 2.15), NumPy and safetensors. manifest.json in the archive has pictures x, the
energies of each set of weights by name, and for each layout the program that writes it, what it
writes, the path, and the weights that are to be taken or a part of the error that refuses it.
TestLayouts reads it and holds the table in docs/cross-checking.md to it.
"""

import argparse
import bz2
import collections
import copy
import dataclasses
import datetime
import io
import json
import pathlib
import pickle
import sys
import tarfile
import tempfile
import warnings
import zipfile

import numpy as np
import safetensors.torch as st
import torch
import torch.distributed.checkpoint as dcp
import torch.nn.utils.parametrizations as parametrizations
from torch import nn

warnings.simplefilter("ignore")
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[0] / "models" / "energy" / "testdata"))

from make_golden import Energy  # noqa: E402  (models/energy/testdata/make_golden.py)

X = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
layouts, energies = [], {}


class Config:
    """A class that no other program has."""

    def __init__(self):
        self.lr = 1e-3


@dataclasses.dataclass
class Options:
    lr: float = 1e-3


class History:
    def __init__(self):
        self.values = collections.deque([(0.5, 1)], maxlen=10)


def network(seed):
    torch.manual_seed(seed)
    net = Energy("res6", 1, 1, 8)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_((64 * p).round() / 32)  # as large as trained ones, and few bytes when compressed
    return net


def says(name, net):
    energies[name] = net.eval().double()(X.double()).tolist()
    net.float()  # exactly what it was


def under(prefix, state):
    return {prefix + k: v for k, v in state.items()}


def clones(state):
    return {k: v.clone() for k, v in state.items()}


def within(state, wrapper):
    """Wraps every block."""
    return {(k.replace(".", f".{wrapper}.", 1) if k.startswith("rb") else k): v for k, v in state.items()}


def main():
    global folder
    folder = pathlib.Path(tempfile.mkdtemp())
    raw_net, ema_net = network(3), network(9)
    raw, ema = raw_net.state_dict(), ema_net.state_dict()
    optimiser = torch.optim.SGD(raw_net.parameters(), lr=1e-3).state_dict()
    says("raw", raw_net)
    says("averaged", ema_net)

    def layout(program, writes, want, path, refused=False):
        layouts.append({"program": program, "writes": writes, "want": want, "path": path, "refused": refused})
        return folder / path

    def save(program, writes, value, want="raw", path=None, refused=False, **how):
        torch.save(value, layout(program, writes, want, path or f"{len(layouts):02d}.pth", refused), **how)

    # PyTorch itself
    save("PyTorch", "state_dict", raw)
    save("PyTorch before 1.6", "state_dict, legacy format", raw, _use_new_zipfile_serialization=False)
    save("PyTorch", "state_dict, pickle protocol 5", raw, pickle_protocol=5)
    save("PyTorch", "a whole module", raw_net)
    save("PyTorch", "a whole module inside a checkpoint", {"model": raw_net, "epoch": 3})
    save("PyTorch DataParallel", "a whole module", nn.DataParallel(raw_net))
    save("PyTorch", "named_parameters", dict(raw_net.named_parameters()))
    for p in raw_net.parameters():
        p.no_decay = True
    save("PyTorch", "parameters with attributes", dict(raw_net.named_parameters()))
    for p in raw_net.parameters():
        del p.no_decay
    save("PyTorch's examples", "epoch, arch, state_dict, best_acc1 (a tensor), optimizer, scheduler",
         {"epoch": 3, "arch": "res6", "state_dict": under("module.", raw), "best_acc1": torch.tensor(0.3), "optimizer": optimiser, "scheduler": {"step": 3}})
    save("PyTorch DistributedDataParallel", "module. before every name", under("module.", raw))
    save("torch.compile", "_orig_mod. before every name", under("_orig_mod.", raw))
    save("torch.compile around DistributedDataParallel", "_orig_mod.module. before every name", under("_orig_mod.module.", raw))
    save("torch.compile of the blocks", "_orig_mod inside names", within(raw, "_orig_mod"))
    save("DataParallel of the blocks", "module inside names", within(raw, "module"))
    save("PyTorch FSDP", "_fsdp_wrapped_module inside names", under("_fsdp_wrapped_module.", within(raw, "_fsdp_wrapped_module")))
    save("PyTorch activation checkpointing", "_checkpoint_wrapped_module inside names", within(raw, "_checkpoint_wrapped_module"))
    averaged = torch.optim.swa_utils.AveragedModel(ema_net)
    save("torch.optim.swa_utils AveragedModel", "state_dict with n_averaged", averaged.state_dict(), "averaged")
    save("torch.optim.swa_utils, SWA training", "model, swa_model", {"model": raw, "swa_model": averaged.state_dict()}, "averaged")
    script = io.BytesIO()
    torch.jit.save(torch.jit.trace(raw_net, X), script)
    with zipfile.ZipFile(script) as whole, zipfile.ZipFile(layout("TorchScript", "a traced program", "raw", "script.pt"), "w") as z:
        for name in whole.namelist():
            if not name.endswith("debug_pkl"):  # nine tenths of the file
                z.writestr(name, whole.read(name))
    dcp.save({"model": raw, "step": 3}, checkpoint_id=layout("torch.distributed.checkpoint", "a folder of shards", "raw", "dcp"))

    # Trainers
    lightning = {"epoch": 3, "global_step": 10, "pytorch-lightning_version": "2.5.0", "loops": {"fit_loop": {"state_dict": {}}},
                 "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(0.2), "dirpath": pathlib.Path("x")}},
                 "optimizer_states": [optimiser], "lr_schedulers": [], "hparams_name": "kwargs", "hyper_parameters": argparse.Namespace(lr=1e-3)}
    save("Lightning", "state_dict with model. before names, loops, callbacks, hyper-parameters", {**lightning, "state_dict": under("model.", raw)}, path="lightning.ckpt")
    save("Lightning with an average beside", "model. and ema_model. in one state_dict", {**lightning, "state_dict": {**under("model.", raw), **under("ema_model.", ema)}}, "averaged")
    save("Lightning WeightAveraging", "state_dict (averaged), current_model_state", {**lightning, "state_dict": under("model.", ema), "current_model_state": under("model.", raw)}, "averaged")
    save("DeepSpeed", "module, optimizer, csr_tensor_module_names", {"module": raw, "optimizer": None, "csr_tensor_module_names": set(), "ds_version": "0.15"})
    save("Ignite", "model, optimizer, trainer", {"model": raw, "optimizer": optimiser, "trainer": {"iteration": 3}})
    save("fastai", "model, opt", {"model": raw, "opt": optimiser})
    save("MMEngine", "meta, state_dict, message_hub with objects", {"meta": {"time": datetime.datetime(2026, 1, 1)}, "state_dict": raw, "message_hub": {"log": History()}, "optimizer": optimiser})
    save("Composer", "state: model, optimizers, rng", {"state": {"model": raw, "optimizers": {"SGD": optimiser}, "run_name": "a"}, "rng": [{"torch": torch.zeros(16, dtype=torch.uint8)}]})
    save("Hydra, argparse and Python's classes", "state_dict beside objects of a dozen classes",
         {"state_dict": raw, "args": argparse.Namespace(lr=1), "config": Config(), "options": Options(), "path": pathlib.Path("x"), "metric": np.float64(93.2),
          "rng": ("MT19937", np.arange(4), 1, 0, 0.0), "counter": collections.Counter(a=1), "complex": 1 + 2j, "function": torch.nn.functional.elu, "dtype": torch.float32,
          "slice": slice(1, 2), "set": frozenset([1]), "bytes": bytearray(b"x")})

    # Averages
    save("timm", "state_dict, state_dict_ema, args, metric", {"epoch": 1, "arch": "x", "state_dict": raw, "state_dict_ema": ema, "args": argparse.Namespace(lr=1), "metric": np.float64(1)}, "averaged")
    save("BasicSR", "params, params_ema", {"params": raw, "params_ema": ema}, "averaged")
    save("DiT", "model, ema, opt, args", {"model": raw, "ema": ema, "opt": optimiser, "args": argparse.Namespace(lr=1)}, "averaged")
    shadow = [v.clone() for v in ema.values()]
    save("score_sde, torch-ema", "model, ema: shadow_params (a list without names)",
         {"optimizer": optimiser, "model": under("module.", raw), "ema": {"decay": 0.999, "num_updates": 3, "shadow_params": shadow}, "step": 3}, "averaged")
    save("NCSN", "a list: state_dict, optimizer", [under("module.", raw), optimiser])
    save("NCSNv2", "a list: state_dict, optimizer, epoch, step, averages", [under("module.", raw), optimiser, 3, 500, under("module.", ema)], "averaged")
    save("ema-pytorch", "online_model. and ema_model. before names", {"initted": torch.tensor(True), "step": torch.tensor(3), **under("online_model.", raw), **under("ema_model.", ema)}, "averaged")
    save("denoising-diffusion-pytorch", "model, opt, ema (with both), scaler",
         {"step": 3, "model": raw, "opt": optimiser, "ema": {"initted": torch.tensor(True), **under("online_model.", raw), **under("ema_model.", ema)}, "scaler": None, "version": "1"}, "averaged")
    save("improved-diffusion, guided-diffusion", "ema_0.9999_010000.pt, a state_dict", ema, "averaged", "ema_0.9999_010000.pt")
    save("ADM-like trainers", "model, ema: shadow", {"model": raw, "ema": {"decay": 0.99, "shadow": ema}}, "averaged")
    save("mean teachers, DINO", "student, teacher", {"student": raw, "teacher": ema}, "averaged")

    # Energies and parts of larger models
    save("JEM", "model_state_dict, replay_buffer", {"model_state_dict": raw, "replay_buffer": torch.zeros(4, 1, 2, 2)})
    save("adversarial training", "netE, netG, optE", {"netE": raw, "netG": {"fc.weight": torch.ones(2, 2)}, "optE": optimiser})
    save("a larger model", "energy. and encoder. before names", {**under("energy.", raw), "encoder.0.weight": torch.ones(2, 2), "loss_fn.weight": torch.ones(3)})
    save("a normaliser beside", "the network's names with mean and std", {**raw, "mean": torch.zeros(1, 1, 1), "std": torch.ones(1, 1, 1)})
    save("nn.Sequential, ModuleList", "0. before every name", under("0.", raw))

    # Model hubs
    hub = layout("Hugging Face Hub", "model.safetensors, config.json", "raw", "hub")
    hub.mkdir()
    st.save_file(clones(raw), hub / "model.safetensors", {"format": "pt"})
    (hub / "config.json").write_text("{}")
    keys = list(raw)
    for kind, program in (("safetensors", "Hugging Face transformers, sharded"), ("bin", "Hugging Face transformers before safetensors, sharded")):
        hub = layout(program, f"an index.json and two .{kind} files", "raw", f"hub_{kind}")
        hub.mkdir()
        stem = {"safetensors": "model", "bin": "pytorch_model"}[kind]
        names = {}
        for i, part in enumerate((keys[:6], keys[6:])):
            name = f"{stem}-{i + 1:05d}-of-00002.{kind}"
            piece = clones({k: raw[k] for k in part})
            st.save_file(piece, hub / name, {"format": "pt"}) if kind == "safetensors" else torch.save(piece, hub / name)
            names |= {k: name for k in part}
        (hub / f"{stem}.{kind}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    hub = layout("Accelerate", "model.safetensors, optimizer.bin, random_states_0.pkl", "raw", "accelerate")
    hub.mkdir()
    st.save_file(under("module.", clones(raw)), hub / "model.safetensors", {"format": "pt"})
    torch.save(optimiser, hub / "optimizer.bin")
    torch.save({"random_state": np.random.RandomState, "step": 3}, hub / "random_states_0.pkl")
    st.save_file({**clones(under("model.", raw)), **clones(under("ema.", ema))}, layout("safetensors", "model. and ema. before names", "averaged", "both.safetensors"))
    tied = copy.deepcopy(raw_net)
    tied.ln2.weight = tied.ln1.weight
    says("tied", tied)
    st.save_model(tied, layout("safetensors save_model", "tied tensors, one of them in the metadata alone", "tied", "tied.safetensors"))

    # Norms
    def normed(name, program, wrap):
        net = copy.deepcopy(raw_net)
        wrap(net.rb2.conv_1.conv)
        with torch.no_grad():
            for k, v in net.named_parameters():
                if k.endswith(("original0", "weight_g")):
                    v.mul_(1.5)
        says(name, net)
        save(program, "the parts of a weight", net.state_dict(), name)

    normed("weight norm", "PyTorch weight_norm", parametrizations.weight_norm)
    normed("weight norm", "PyTorch weight_norm before 2.0", torch.nn.utils.weight_norm)
    normed("spectral norm", "PyTorch spectral_norm", parametrizations.spectral_norm)
    normed("old spectral norm", "PyTorch spectral_norm before 1.9", torch.nn.utils.spectral_norm)

    # Arrays
    arrays = {k: v.numpy() for k, v in raw.items()}
    pickle.dump(raw, open(layout("pickle", "a state_dict of tensors", "raw", "tensors.pkl"), "wb"))
    pickle.dump(arrays, open(layout("pickle", "NumPy arrays by name", "raw", "arrays.pkl"), "wb"), protocol=4)
    pickle.dump(arrays, open(layout("pickle, protocol 5", "NumPy arrays by name", "raw", "arrays5.pkl"), "wb"), protocol=5)
    save("PyTorch", "NumPy arrays in place of tensors", arrays)
    np.savez_compressed(layout("NumPy", "savez", "raw", "arrays.npz"), **arrays)
    np.savez_compressed(layout("NumPy on a big-endian machine", "savez, big-endian, Fortran order", "raw", "big.npz"), **{k: np.asfortranarray(v).astype(">f4") for k, v in arrays.items()})
    np.savez_compressed(layout("JAX, TensorFlow", "savez, names with slashes", "raw", "slashes.npz"), **{k.replace(".", "/"): v for k, v in arrays.items()})
    np.save(layout("NumPy", "save of a dictionary", "raw", "dictionary.npy"), arrays)

    # Types
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        name = str(dtype)[6:]
        net = copy.deepcopy(raw_net)
        rounded = {k: (1.01 * v).to(dtype) for k, v in raw.items()}
        net.load_state_dict({k: v.float() for k, v in rounded.items()})
        says(name, net)
        save("PyTorch", name, rounded, name)
    save("PyTorch", "channels_last and other strides", {k: v.to(memory_format=torch.channels_last) if v.ndim == 4 else v for k, v in raw.items()})
    save("PyTorch", "float8, uint16 and complex tensors that nobody needs",
         {"state_dict": raw, "other": {"a": torch.ones(3).to(torch.float8_e4m3fn), "b": torch.ones(3).to(torch.uint16), "c": torch.ones(3).to(torch.complex64)}})
    st.save_file({**clones(raw), "x": torch.ones(3).to(torch.uint16)}, layout("safetensors", "a uint16 tensor that nobody needs", "raw", "u16.safetensors"))

    # What is refused
    save("PyTorch", "two networks that nothing tells apart", {"first": raw, "second": ema}, "several networks", refused=True)
    save("PyTorch", "a layer more", {**raw, "rb4.conv_1.conv.weight": torch.ones(8, 8, 3, 3)}, "unexpected rb4.conv_1.conv.weight", refused=True)
    save("PyTorch", "a needed tensor of complex numbers", {**raw, "ln1.weight": raw["ln1.weight"].to(torch.complex64)}, "torch.ComplexFloatStorage", refused=True)
    save("PyTorch", "BatchNorm in a block", {**raw, "rb1.bn.running_mean": torch.ones(1)}, "unexpected rb1.bn.running_mean", refused=True)
    layout("Git LFS", "a pointer", "pointer of Git LFS", "lfs.pth", True).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")
    layout("a browser", "a page in place of the file", "page of a web site", "page.pth", True).write_text("<!DOCTYPE html><html></html>")
    layout("a broken download", "half of a file", "cut short", "half.pth", True).write_bytes((folder / "00.pth").read_bytes()[:4000])
    layout("Keras", "HDF5", "HDF5", "keras.h5", True).write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))

    (folder / "manifest.json").write_text(json.dumps({"shape": list(X.shape), "x": X.flatten().tolist(), "energies": energies, "layouts": layouts}, indent=1))
    raw_tar = io.BytesIO()
    with tarfile.open(fileobj=raw_tar, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                info = tarfile.TarInfo(str(path.relative_to(folder)))
                info.size = path.stat().st_size
                tar.addfile(info, io.BytesIO(path.read_bytes()))
    (HERE / "layouts.tar.bz2").write_bytes(bz2.compress(raw_tar.getvalue()))
    print(len(layouts), "layouts,", (HERE / "layouts.tar.bz2").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
