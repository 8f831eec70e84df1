"""Makes libraries that stand in for NVIDIA's, so that ONNX Runtime's CUDA provider runs without a device.

    python stubs.py PROVIDER.so FOLDER

The provider's own file says which functions it wants of which library, so that this follows its
versions. Those that must do something are in stubs.c; the others answer "success". Kernels do
nothing: results mean nothing, but operators are placed, memory is taken and values are copied as
on a device, and counts.h counts all of it, by the device. EBM_CUDA_DEVICES says how many devices
there are. It wants a C compiler and nm.
"""

import argparse
import os
import pathlib
import re
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
# cuDNN is loaded by name at run time, and nothing tells the driver's few functions from others.
CUDNN, DRIVER = "libcudnn.so.9", "libcuda.so.1"
# What libraries compute, a call each.
COMPUTES = re.compile(r"^(cublas.*(gemm|geam|Matmul$|getr)|cudnn(BackendExecute|.*Forward|ReduceTensor|AddTensor)$)")


def wanted(provider):
    """The functions that the provider asks for, by library."""
    listed = subprocess.run(["nm", "-D", "--undefined-only", provider], capture_output=True, text=True, check=True).stdout
    libraries = {}
    for symbol in re.findall(r"^\s+U (\S+)$", listed, re.MULTILINE):
        name, _, library = symbol.replace("@@", "@").partition("@")
        if library.startswith("libcu"):
            libraries.setdefault(library, set()).add(name)
        elif re.match(r"cu[A-Z]", name):
            libraries.setdefault(DRIVER, set()).add(name)
    texts = pathlib.Path(provider).read_bytes()
    libraries[CUDNN] = {m.decode() for m in re.findall(rb"\0(cudnn[A-Z][A-Za-z0-9_]+)(?=\0)", texts)}
    needed = subprocess.run(["readelf", "-d", provider], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"NEEDED.*\[(libcu[^]]+)\]", needed):
        libraries.setdefault(library, set())
    return libraries


def written(library):
    """The functions that stubs.c has for a library, and the name of its part."""
    part = "STUB_" + library.split(".")[0]
    code = (HERE / "stubs.c").read_text()
    inside = re.search(rf"#ifdef {part}\n(.*?)#endif", code, re.DOTALL)
    return part, set(re.findall(r"^\w[\w *]*?(\w+)\([^;]*?\)\s*\{", inside[1] if inside else "", re.MULTILINE))


def code(functions):
    lines = [f'#include "{HERE / "counts.h"}"', "static int handle(void **p) { *p = calloc(1, 4096); return 0; }"]
    for name in sorted(functions):
        if re.match(r"cudnnCreate\w+Descriptor$", name):
            lines.append(f"int {name}(void **p) {{ return handle(p); }}")
        elif COMPUTES.match(name):
            lines.append(f"int {name}(void) {{ count(-1, LIBRARY, 1); return 0; }}")
        else:
            lines.append(f"int {name}(void) {{ return 0; }}")
    return "\n".join(lines) + "\n"


def make(provider, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for library, functions in wanted(provider).items():
        part, done = written(library)
        rest, script = folder / f"{library}.c", folder / f"{library}.map"
        rest.write_text(code(functions - done))
        command = [os.environ.get("CC", "cc"), "-w", "-std=gnu11", "-O1", "-fPIC", "-shared", f"-D{part}", str(HERE / "stubs.c"), str(rest),
                   "-pthread", f"-Wl,-soname,{library}", "-o", str(folder / library)]
        if library not in (CUDNN, DRIVER):
            script.write_text(f"{library} {{ global: *; }};\n")
            command.append(f"-Wl,--version-script={script}")
        subprocess.run(command, check=True)
        print(f"{library}\t{len(functions)} functions, {len(functions & done)} of which do something")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("provider", help="libonnxruntime_providers_cuda.so")
    p.add_argument("folder", type=pathlib.Path)
    o = p.parse_args()
    make(o.provider, o.folder)


if __name__ == "__main__":
    main()
