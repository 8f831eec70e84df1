#!/usr/bin/env bash
# Installs ONNX Runtime's CUDA build (250 MB, once) below a folder, away from the builds that
# other commands use, and prints its folder.
#
#   install.sh EBM FOLDER
set -euo pipefail
cache=$(mkdir -p "$2/cache" && realpath "$2/cache")
find_it() { find "$cache/ebm/onnxruntime" -maxdepth 1 -name '*-cuda' 2>/dev/null | sort | tail -1; }
[ -n "$(find_it)" ] || XDG_CACHE_HOME=$cache "$1" runtime install --provider cuda >&2
find_it
