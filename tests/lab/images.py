#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build what the lab's hosts are made of, unless it is there already: two things, in parallel.

The host image (Debian with systemd and a Docker engine of its own) goes into the machine's engine;
the demo stack is kept as a tarball in the cache, for `docker load` inside a host.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import CHECKOUT, VENV, LabError, cache, lock, run, say, script, succeeds

HERE = Path(__file__).resolve().parent
UNIT = HERE / "image" / "lab-mounts.service"
STACK = CHECKOUT / "tests" / "stack"
STACK_TAG = "agnes-demo:1"
KEY_LABEL = "org.agnes.host.image-key"
BASE = (
    "ca-certificates cron curl dbus e2fsprogs iproute2 iptables openssl procps python3 rsync"
    " sudo systemd systemd-sysv udev xfsprogs"
).split()
# Debian release: the engine's packages there.
RELEASES = {
    "trixie": ["docker.io", "docker-cli", "docker-compose"],
}
DEFAULT_RELEASE = "trixie"


def image_name(release: str) -> str:
    """The host image of a release."""
    return f"agnes-lab-host:{release}"


def stack_tar() -> Path:
    """The demo stack's tarball."""
    return cache() / "stack.tar"


def digest(parts: Iterable[bytes]) -> str:
    """One key for inputs."""
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:16]


def bootstrap_command(release: str, target: str) -> list[str]:
    """The mmdebstrap command; with UNIT, all that the host image depends on."""
    packages = ",".join(sorted([*BASE, *RELEASES[release]]))
    return [
        "mmdebstrap",
        "--variant=minbase",
        f"--include={packages}",
        "--aptopt=Apt::Install-Recommends false",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        f"--customize-hook=upload {UNIT} /etc/systemd/system/{UNIT.name}",
        f'--customize-hook=chroot "$1" systemctl enable {UNIT.name} docker.service',
        # Each host gets an id and a name of its own.
        '--customize-hook=rm -f "$1/etc/machine-id" "$1/etc/hostname"',
        release,
        target,
    ]


def host_key(release: str) -> str:
    """The key of the host image; the checkout's place must not be part of it."""
    recipe = repr(bootstrap_command(release, "")).replace(str(UNIT), UNIT.name)
    return digest([recipe.encode(), UNIT.read_bytes()])


def build_host(release: str) -> None:
    """The host image, if the engine has none of this key."""
    name, key = image_name(release), host_key(release)
    query = ["docker", "image", "inspect", "--format"]
    known = succeeds([*query, "{{.Id}}", name])
    if known and run([*query, f'{{{{index .Config.Labels "{KEY_LABEL}"}}}}', name]).strip() == key:
        say(f"host image {name}: there")
        return
    old = run([*query, "{{.Id}}", name]).strip() if known else ""
    with tempfile.TemporaryDirectory(prefix="image-", dir=cache()) as scratch:
        # mmdebstrap may drop privileges on the way.
        os.chmod(scratch, 0o755)
        tree = str(Path(scratch) / "root.tar")
        run(bootstrap_command(release, tree), f"host image {name}: Debian packages")
        change = f"LABEL {KEY_LABEL}={key}"
        run(["docker", "import", "--change", change, tree, name], f"host image {name}: import")
    if old:
        succeeds(["docker", "image", "rm", old])  # refused while a host uses it: that is fine


def stack_key() -> str:
    """The key of the demo stack: all that is in its directory."""
    files = sorted(p for p in STACK.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    parts = [str(path.relative_to(STACK)).encode() + b"\0" + path.read_bytes() for path in files]
    return digest([STACK_TAG.encode(), *parts])


def build_stack() -> None:
    """The stack's tarball, if the one in the cache has another key."""
    target, key = stack_tar(), stack_key()
    mark = target.with_suffix(".key")
    if target.exists() and mark.exists() and mark.read_text() == key:
        say("demo stack: there")
        return
    mark.unlink(missing_ok=True)
    # The venv's interpreter has pip, the machine's own may not.
    python = VENV / "bin" / "python"
    command = [str(python) if python.exists() else sys.executable, str(STACK / "build.py")]
    run([*command, "--output", str(target), "--tag", STACK_TAG], "demo stack")
    mark.write_text(key)


def build(releases: Iterable[str]) -> None:
    """Everything that is missing, in parallel."""
    with lock("images"), ThreadPoolExecutor() as pool:
        jobs = [pool.submit(build_stack)]
        jobs += [pool.submit(build_host, release) for release in releases]
        errors = [error for error in (job.exception() for job in jobs) if error is not None]
    if errors:
        raise LabError("; ".join(str(error) for error in errors)) from errors[0]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Build the lab's images.")
    parser.add_argument("releases", nargs="*", default=[DEFAULT_RELEASE], help="Debian releases")
    releases: list[str] = parser.parse_args().releases
    unknown = sorted(set(releases) - set(RELEASES))
    if unknown:
        raise LabError(f"unknown release {unknown[0]}; known: {', '.join(RELEASES)}")
    build(releases)


if __name__ == "__main__":
    script(main)
