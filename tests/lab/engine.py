#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make sure that a Docker engine and the tools of the lab are there.

Uses what is there, never reconfigures a running daemon, and asks once before it
installs anything, unless CI=true. Standard library only: it runs before any venv.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "losetup": "mount",
    "openssl": "openssl",
    "mke2fs": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "rsync": "rsync",
    "ssh": "openssh-client",
    "strace": "strace",
}
"""Command -> Debian package that has it."""

TORTURE_TOOLS = {"qemu-storage-daemon": "qemu-system-common"}
"""What only the tests need that cut the power."""

ENGINE_PACKAGE = "docker.io"
START_SECONDS = 60


def cache() -> Path:
    """The lab's cache directory."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "agnes-host"


def engine_answers() -> bool:
    """Whether a Docker engine answers."""
    if not shutil.which("docker"):
        return False
    done = subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=60)
    return done.returncode == 0


def missing_packages(engine: bool, tools: Mapping[str, str]) -> list[str]:
    """Packages to install."""
    missing = [package for command, package in tools.items() if not shutil.which(command)]
    if not engine and not shutil.which("dockerd"):
        missing.append(ENGINE_PACKAGE)
    return missing


def ask(packages: list[str]) -> None:
    """Ask once before anything is installed; ends the program on a no."""
    if os.environ.get("CI") == "true":
        return
    what = f"the lab needs {', '.join(packages)} from the distribution's packages"
    if not sys.stdin.isatty():
        sys.exit(f"setup: {what}; install them, or set CI=true to let this do it")
    if input(f"setup: {what}; install now? [y/N] ").strip().lower() not in ("y", "yes"):
        sys.exit("setup: nothing was installed")


def install(packages: list[str]) -> None:
    """Install packages with apt."""
    if not shutil.which("apt-get"):
        sys.exit(
            f"setup: {', '.join(packages)} missing, and there is no apt-get: install them yourself"
        )
    if os.geteuid():
        sys.exit(
            f"setup: {', '.join(packages)} missing, and only root can install them: run as root"
        )
    ask(packages)
    print(f"setup: installing {', '.join(packages)} (about a minute)", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["update", "-qq"],
        ["install", "-y", "-qq", "--no-install-recommends", *packages],
    ):
        done = subprocess.run(
            ["apt-get", *command], env=env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"setup: apt-get {command[0]} failed: {done.stderr.strip()[-500:]}")
    print(f"setup: installed {', '.join(packages)}", flush=True)


def start() -> None:
    """Start the engine: by systemd where it runs, else as a process of its own."""
    if os.geteuid():
        sys.exit(
            "setup: the Docker engine does not answer, and only root can start it: run as root"
        )
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "start", "docker"], check=True)
    else:
        log_path = cache() / "dockerd.log"
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            subprocess.Popen(
                ["dockerd"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    end = time.monotonic() + START_SECONDS
    while not engine_answers():
        if time.monotonic() > end:
            sys.exit(f"setup: the Docker engine did not answer within {START_SECONDS} s")
        time.sleep(0.5)
    print("setup: started the Docker engine", flush=True)


def main(arguments: Sequence[str] = ()) -> None:
    """``torture`` as the argument: also what only those tests need."""
    engine = engine_answers()
    tools = {**TOOLS, **(TORTURE_TOOLS if "torture" in arguments else {})}
    packages = missing_packages(engine, tools)
    if packages:
        install(packages)
    if not engine_answers():
        start()


if __name__ == "__main__":
    main(sys.argv[1:])
