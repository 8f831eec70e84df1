#!/usr/bin/env bash
# ONNX Runtime's CUDA build over stub libraries (stubs.py), on a machine without a device: what
# is placed where, what is copied and launched, and the script of the kit, up to arithmetic.
#
#   cmd/internal/bench/cuda/test.sh EBM FOLDER
#
# `ebm runtime install` puts the build below FOLDER (250 MB, once).
set -euo pipefail
ebm=$(realpath "$1")
folder=$(mkdir -p "$2" && realpath "$2")
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../../.." && pwd)
fail() { echo "test.sh: $*" >&2; exit 1; }

library=$("$here/install.sh" "$ebm" "$folder")
provider=$library/libonnxruntime_providers_cuda.so

export EBM_ORT_LIBRARY=$library

echo "== without CUDA's libraries: one clear line"
if "$ebm" runtime info --provider cuda >"$folder/out" 2>"$folder/err"; then
	fail "the provider started without CUDA's libraries"
fi
cat "$folder/err"
[ "$(wc -l <"$folder/err")" = 1 ] || fail "more than one line"
for word in libcublasLt.so libcudart.so LD_LIBRARY_PATH '--provider cpu'; do
	grep -qF -- "$word" "$folder/err" || fail "the line does not name $word"
done
"$ebm" runtime info | grep -F 'no device  provider cuda' || fail "auto does not say why it took the CPU"

echo "== over stubs"
python3 "$here/stubs.py" "$provider" "$folder/stubs"
export LD_LIBRARY_PATH=$folder/stubs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} EBM_CUDA_COUNTS=$folder/counts EBM_CUDA_DEVICES=2
rm -f "$folder/counts"
"$ebm" runtime info --provider cuda --device 0,1
if "$ebm" runtime info --provider cuda --device 0,7 2>"$folder/err"; then
	fail "there is no device 7"
fi
cat "$folder/err"
grep -qF -- '--device 0,7: there are 2 devices' "$folder/err" || fail "the line does not say how many devices there are"
(cd "$root" && go test -tags device -count=1 -v -run '^TestCUDA' ./cmd/internal/bench)

echo "== the commands"
"$ebm" train --quiet --provider cuda --data rings --steps 3 --checkpoint-every 0 --validate-every 0 --out "$folder/train" >/dev/null
"$ebm" sample --quiet --provider cuda --run mnist16 --count 4 --steps 3 --out "$folder/samples" >/dev/null
"$ebm" sample --quiet --provider cuda --cuda-graphs --device 0,1 --run mnist16 --count 200 --sampler edm --levels 5 --out "$folder/few" >/dev/null
"$ebm" train --quiet --provider cuda --device 0,1 --data rings --steps 3 --checkpoint-every 0 --validate-every 0 --out "$folder/both" >/dev/null
grep -q '^shards = 2' "$folder/both/config.toml" || fail "two devices do not have a shard each"
"$ebm" train --quiet --provider cuda --resume --steps 4 --out "$folder/both" >/dev/null

echo "== choices: found, remembered, kept by what goes on"
export XDG_CACHE_HOME=$folder/choices
rm -rf "$folder"/{tuned,again,other,damaged,chosen,choices} && mkdir "$XDG_CACHE_HOME"
tuned() {
	"$ebm" train --provider cuda --preset mnist --net res6 --dim 4 --size 16 --batch 4 --steps 3 --checkpoint-every 0 --out "$@" 2>&1 >/dev/null
}
tuned "$folder/tuned" --autotune >"$folder/out"
cat "$folder/out"
for word in elu 'nhwc.*not taken: nhwc' 'graphs.*taken'; do
	grep -q "$word" "$folder/out" || fail "the table of --autotune has no $word"
done
chosen=$(sed -n 's/^choices = "\(.*\)"/\1/p' "$folder/tuned/config.toml")
grep -qF "\"$chosen\"" "$XDG_CACHE_HOME/ebm/choices.json" || fail "the choices $chosen are not remembered"
tuned "$folder/again" | grep -F -- "--choices $chosen, which --autotune found" || fail "the choices $chosen are not taken again"
tuned "$folder/other" --choices none >/dev/null
tuned "$folder/other" --resume --steps 4 --autotune >/dev/null
grep -q '^choices = "none"' "$folder/other/config.toml" || fail "a run does not keep its choices"
echo '{' >"$XDG_CACHE_HOME/ebm/choices.json"
tuned "$folder/damaged" | grep -F 'choices.json' || fail "a damaged file of choices is not told"
"$ebm" sample --provider cuda --autotune --run mnist16 --count 4 --steps 3 --out "$folder/chosen" >/dev/null
"$ebm" sample --quiet --provider cuda --run mnist16 --count 8 --steps 3 --out "$folder/chosen" >/dev/null
unset XDG_CACHE_HOME
rm -rf "$folder"/{train,samples,few,both,tuned,again,other,damaged,chosen,choices}

echo "== the kit's script"
rm -rf "$folder/kit" "$folder/results"
env -u LD_LIBRARY_PATH python3 "$here/kit.py" --ebm "$ebm" --library "$library" --out "$folder/kit" --preset 0
python3 "$folder/kit/run.py" --stub --tiny --libraries "$folder/stubs" --forms --parts where score train sample count digits --out "$folder/results"
for part in where score train sample count digits; do
	grep -q "\"$part\"" "$folder/results/results.json" || fail "the kit's script has no result of $part"
done
rm -rf "$folder/kit" "$folder/results"
echo "all passed"
