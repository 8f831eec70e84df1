#!/bin/sh
# vulkan.sh DIR: Mesa's software Vulkan device (lavapipe) for tests of the WebGPU
# provider on machines without a GPU. Debian's packages are unpacked into DIR, nothing is
# installed, and no rights are needed; DIR/env has the variables that programs need.
# Debian 12's own Mesa (22.3) is refused by the provider, so its backports are used.
set -eu
mkdir -p "$1"
dir=$(cd "$1" && pwd)
[ -f "$dir/env" ] && exit 0
. /etc/os-release
arch=$(dpkg --print-architecture)
mkdir -p "$dir/lists/partial" "$dir/archives/partial" "$dir/shaders" "$dir/run"
chmod 700 "$dir/run"
release=
set -- "-oDir::State::lists=$dir/lists" "-oDir::Cache::archives=$dir/archives" "-oDir::Cache::pkgcache=$dir/pkgcache.bin" \
	"-oDir::Cache::srcpkgcache=$dir/srcpkgcache.bin" -oDebug::NoLocking=1 -oAPT::Sandbox::User= -qq
if [ "${VERSION_CODENAME:-}" = bookworm ]; then
	release=bookworm-backports
	key=/usr/share/keyrings/debian-archive-keyring.gpg
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | sed -n 1p)
	for suite in bookworm $release; do
		echo "deb [signed-by=$key] $mirror $suite main"
	done >"$dir/sources.list"
	set -- "$@" "-oDir::Etc::sourcelist=$dir/sources.list" -oDir::Etc::sourceparts=-
fi
apt-get "$@" update
apt-get "$@" ${release:+-t $release} --yes --download-only --no-install-recommends --reinstall install mesa-vulkan-drivers libvulkan1 >/dev/null
for package in "$dir"/archives/*.deb; do
	dpkg-deb --extract "$package" "$dir/root"
done
libraries=$(dirname "$(find "$dir/root" -name 'libvulkan_lvp.so' | sed -n 1p)")
[ -f "$libraries/libvulkan_lvp.so" ] || { echo "no software device in Debian's mesa-vulkan-drivers for $arch" >&2; exit 1; }
cat >"$dir/lvp.json" <<EOF
{"file_format_version": "1.0.0", "ICD": {"library_path": "$libraries/libvulkan_lvp.so", "api_version": "1.4.0"}}
EOF
cat >"$dir/env.partial" <<EOF
export VK_DRIVER_FILES="$dir/lvp.json" VK_ICD_FILENAMES="$dir/lvp.json" XDG_RUNTIME_DIR="$dir/run"
export MESA_SHADER_CACHE_DIR="$dir/shaders" LD_LIBRARY_PATH="$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
EOF
rm -rf "$dir/archives" "$dir/lists" "$dir"/*.bin
mv "$dir/env.partial" "$dir/env"
