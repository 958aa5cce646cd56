# SPDX-License-Identifier: GPL-3.0-or-later
"""Make sure that a Docker engine and the tools of the lab are there.

Uses what is there and never reconfigures a running daemon. At a terminal it asks once before
it installs anything; without one, or with CI=true, it says what it installs and goes on.
Standard library only: it runs before any venv.
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

VM_TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "setpriv": "util-linux",
}
"""What only virtual test hosts need."""

FOR = {"torture": TORTURE_TOOLS, "vm": VM_TOOLS}

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
    """Say what will be installed, and at a terminal ask once; ends the program on a no.

    Enter means yes: whoever wants the lab wants what it is made of.
    """
    what = f"lab: it needs {', '.join(packages)} from the distribution's packages"
    if os.environ.get("CI") == "true" or not sys.stdin.isatty():
        print(what, flush=True)
        return
    try:
        answer = input(f"{what}; install now? [Y/n] ").strip().lower()
    except EOFError:
        answer = "no"
    if answer not in ("", "y", "yes"):
        sys.exit("lab: nothing was installed")


def install(packages: list[str]) -> None:
    """Install packages with apt."""
    if not shutil.which("apt-get"):
        sys.exit(
            f"lab: {', '.join(packages)} missing, and there is no apt-get: install them yourself"
        )
    if os.geteuid():
        sys.exit(f"lab: {', '.join(packages)} missing, and only root can install them: run as root")
    ask(packages)
    print(f"lab: installing {', '.join(packages)} (about a minute)", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["update", "-qq"],
        ["install", "-y", "-qq", "--no-install-recommends", *packages],
    ):
        done = subprocess.run(
            ["apt-get", *command], env=env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"lab: apt-get {command[0]} failed: {done.stderr.strip()[-500:]}")
    print(f"lab: installed {', '.join(packages)}", flush=True)


def start() -> None:
    """Start the engine: by systemd where it runs, else as a process of its own."""
    if os.geteuid():
        sys.exit("lab: the Docker engine does not answer, and only root can start it: run as root")
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
            sys.exit(f"lab: the Docker engine did not answer within {START_SECONDS} s")
        time.sleep(0.5)
    print("lab: started the Docker engine", flush=True)


def main(arguments: Sequence[str] = ()) -> None:
    """Arguments, see FOR: also what only those tests need."""
    engine, tools = engine_answers(), dict(TOOLS)
    for argument in arguments:
        tools |= FOR[argument]
    packages = missing_packages(engine, tools)
    if packages:
        install(packages)
    if not engine_answers():
        start()


if __name__ == "__main__":
    main(sys.argv[1:])
