#!/bin/bash
# Builds deploy/Containerfile with buildah, without a registry: stand-ins for its two base
# images are this machine's files, its compilers for the first and its C and C++ libraries
# alone for the second. The image then samples as a user without rights or environment,
# with /proc and without: to the bytes of the program here.
# Usage, as root: container-test.sh EBM, from the root of the repository.
set -euo pipefail
ebm=$(realpath "$1")
dir=$(mktemp -d)
# Containers and images of its own, since one has the name of golang's.
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s/images"\nrunroot = "%s/run"\n' "$dir" "$dir" >"$dir/storage.conf"
export CONTAINERS_STORAGE_CONF=$dir/storage.conf BUILDAH_ISOLATION=chroot
trap 'buildah umount --all >/dev/null; rm -rf "$dir"' EXIT

build=$(buildah from scratch)
root=$(buildah mount "$build")
mkdir -p "$root"/{usr,tmp,etc,root,proc,dev,var/tmp}
for d in bin sbin lib lib64; do ln -s usr/$d "$root/$d"; done
cp -aL /etc/{passwd,group,ld.so.cache,resolv.conf} "$root/etc/"
cp -a /etc/{alternatives,ssl} "$root/etc/"
buildah config --env PATH="$(dirname "$(command -v go)"):/usr/bin:/bin" "$build"
buildah commit -q "$build" docker.io/library/golang:1.26-bookworm >/dev/null

base=$(buildah from scratch)
root=$(buildah mount "$base")
ldd "$ebm" "${EBM_LIBRARY:?want EBM_LIBRARY, the library of ONNX Runtime}" | grep -oE '/[^ ]+ \(0x' | cut -d' ' -f1 | sort -u | while read -r f; do
	mkdir -p "$root/$(dirname "$f")"
	cp -L "$f" "$root/$f"
done
mkdir -p "$root"/{data,proc,tmp}
chmod 777 "$root/data" "$root/tmp"
buildah commit -q "$base" ebm-base >/dev/null

mkdir "$dir/source"
home=~root # of the container, whose caches are this machine's
git archive HEAD | tar x -C "$dir/source"
buildah build -q --pull=never --network=host -v /usr:/usr:ro -v "$(go env GOMODCACHE)":"$home/go/pkg/mod" -v "$(go env GOCACHE)":"$home/.cache/go-build" \
	-f "$dir/source/deploy/Containerfile" --build-arg BASE=ebm-base -t ebm-test "$dir/source" >/dev/null
echo "container: built by $(buildah --version | cut -d' ' -f1-3)"
image=$(buildah from --pull=never ebm-test)
root=$(buildah mount "$image")
args=(sample --quiet --run mnist16 --count 16 --steps 20 --seed 3 --out)
buildah run --user 65532 "$image" -- /ebm/ebm "${args[@]}" /data/one >/dev/null
env -i "$(command -v chroot)" --userspec=65532:65532 "$root" /ebm/ebm "${args[@]}" /data/bare >/dev/null
env -i "$(command -v chroot)" --userspec=65532:65532 "$root" /ebm/ebm runtime info >"$dir/info"
grep -q "beside the program" "$dir/info" # not in a pipe, whose early end would fail
"$ebm" "${args[@]}" "$dir/alone" >/dev/null
for d in one bare; do cmp "$root/data/$d/samples.npz" "$dir/alone/samples.npz"; done
echo "container: samples with /proc and without it: the bytes of the program outside"
