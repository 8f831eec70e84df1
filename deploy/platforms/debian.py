"""Debian's packages: installed here, or unpacked into a folder from another of its releases (12 or newer)."""

import os
import pathlib
import re
import shutil
import subprocess

import outputs

KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Missing(Exception):
    """What a platform wants is not to be had here."""


def command(*args, **more):
    done = subprocess.run(args, capture_output=True, text=True, errors="replace", **more)
    if done.returncode != 0:
        raise outputs.Failed(f"{' '.join(map(str, args[:4]))} …: exit status {done.returncode}: {(done.stderr or done.stdout).strip()[-600:]}")
    return done.stdout


def packages(*names):
    """Installs packages that are missing."""
    missing = [n for n in names if subprocess.run(["dpkg", "-s", n], capture_output=True).returncode != 0]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Missing(f"Debian's packages {', '.join(missing)} are missing")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    subprocess.run(["apt-get", "update", "-q"], capture_output=True, env=environment)
    if subprocess.run(["apt-get", "install", "-qy", "--no-install-recommends", *missing], capture_output=True, env=environment).returncode != 0:
        raise Missing(f"Debian's packages {', '.join(missing)} cannot be installed")


def codename():
    """The name of the release that runs here, such as bookworm."""
    found = re.search(r"VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text())
    if not found or not shutil.which("apt-get"):
        raise Missing("apt-get of Debian is missing")
    return found[1]


def mirror():
    """Where this machine has its packages from."""
    found = command("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", f"Codename: {codename()}").split()
    if not found:
        raise Missing("Debian's main archive is not among apt's sources")
    return found[0]


def unpack(folder, release, *names):
    """Packages of a release with all that they depend on, unpacked into folder/root; nothing is installed. Returns the root."""
    root, done = folder / "root", folder / "done"
    if done.is_file():
        return root
    shutil.rmtree(root, ignore_errors=True)
    for made in (root, folder / "lists/partial", folder / "archives/partial"):
        made.mkdir(parents=True, exist_ok=True)
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / name).symlink_to("usr/" + name)
    (folder / "status").touch()  # of an empty machine
    sources = folder / "sources.list"
    sources.write_text("".join(f"deb [signed-by={KEYS}] {mirror()} {suite} main\n" for suite in dict.fromkeys((release.removesuffix("-backports"), release))))
    settings = {"Dir::Etc::sourcelist": sources, "Dir::Etc::sourceparts": "-", "Dir::State::lists": folder / "lists", "Dir::State::status": folder / "status",
                "Dir::Cache::archives": folder / "archives", "Dir::Cache::pkgcache": "", "Dir::Cache::srcpkgcache": "", "Debug::NoLocking": "1",
                "APT::Sandbox::User": "", "APT::Install-Recommends": "0"}
    apt = ["apt-get", "-q", *(f"-o{key}={value}" for key, value in settings.items())]
    try:
        command(*apt, "update")
        command(*apt, "--yes", "--download-only", "--target-release", release, "install", *names)
        for package in sorted((folder / "archives").glob("*.deb")):
            command("dpkg", "-x", str(package), str(root))
    except outputs.Failed as e:
        raise Missing(f"{', '.join(names)} of Debian's {release}: {e}") from None
    shutil.rmtree(folder / "archives")
    done.touch()
    return root


def inside(root, *folders):
    """A command line that runs what follows it with root as the root, and with folders at the names they have here."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        raise Missing("a folder as the root wants the user root and unshare")
    script = "set -e; root=$1; shift; while [ \"$1\" != -- ]; do mkdir -p \"$root$1\"; mount --rbind \"$1\" \"$root$1\"; shift; done; shift; exec chroot \"$root\" \"$@\""
    return ["unshare", "--mount", "sh", "-c", script, "sh", str(root), "/proc", "/dev", "/sys", "/tmp", *map(str, folders), "--"]
