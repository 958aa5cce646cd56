#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create and destroy the lab's hosts: containers with a real init, engine and disks.

    hosts.py create NAME --disk sdb=16G --disk sdc=8G [--publish 127.0.0.1:8443:443]
    hosts.py destroy NAME...

A host is a container, a volume for its engine, and sparse files behind loop devices. Each carries
the checkout that made it; nothing of another's is touched.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from common import CHECKOUT, LabError, cache, lock, run, say, script, succeeds
from images import DEFAULT_RELEASE, image_name, stack_tar

LABEL = "org.agnes.host.checkout"
BOOT_LIMIT = 90  # seconds until the host's init and engine must answer
LOOP_MAJOR = 7
SIZES = {"M": 1 << 20, "G": 1 << 30}
# Not --privileged: it asks for CAP_SYS_RESOURCE, which the machine may not have to give. The rest
# lets systemd, mkfs, mount and an engine work inside.
FLAGS = (
    "--cap-add=ALL --cap-drop=SYS_RESOURCE"
    " --security-opt=seccomp=unconfined --security-opt=apparmor=unconfined"
    " --security-opt=systempaths=unconfined"
    " --cgroupns=host --volume=/sys/fs/cgroup:/sys/fs/cgroup:rw"
    " --tmpfs=/run --tmpfs=/tmp --stop-signal=SIGRTMIN+3"
).split() + ["--device-cgroup-rule=a *:* rwm"]


def size_bytes(text: str) -> int:
    """The bytes of a size such as 16G."""
    match = re.fullmatch(r"([0-9]+)([MG])", text)
    if not match:
        raise LabError(f"size {text!r} is not a number with M or G")
    return int(match[1]) * SIZES[match[2]]


def loops(path: Path) -> list[str]:
    """The loop devices behind which this very file is.

    Path, inode and device must agree: loop devices are the whole machine's, and a path in another
    mount namespace may read the same.
    """
    try:
        info = path.stat()
    except FileNotFoundError:
        return []
    columns = "NAME,BACK-FILE,BACK-INO,BACK-MAJ:MIN"
    text = run(["losetup", "--list", "--json", "--output", columns])
    devices: list[dict[str, Any]] = json.loads(text)["loopdevices"] if text.strip() else []
    wanted = (str(path), str(info.st_ino), f"{os.major(info.st_dev)}:{os.minor(info.st_dev)}")
    return [
        str(device["name"])
        for device in devices
        if (
            str(device["back-file"]),
            str(device["back-ino"]),
            str(device["back-maj:min"]).replace(" ", ""),
        )
        == wanted
    ]


def attach(path: Path) -> str:
    """Put a file behind a free loop device; the device."""
    error = LabError("no loop device is free")
    for _attempt in range(10):
        device = run(["losetup", "--find"]).strip()
        if not Path(device).exists():  # a machine without udev
            number = int(device.replace("/dev/loop", ""))
            os.mknod(device, 0o660 | stat.S_IFBLK, os.makedev(LOOP_MAJOR, number))
        try:
            run(["losetup", device, str(path)])
            return device
        except LabError as failure:  # another process may have taken it
            error = failure
            time.sleep(0.2)
    raise error


class Host:
    """One host by its name."""

    def __init__(self, name: str) -> None:
        """Name it; nothing is made yet."""
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
            raise LabError(f"host name {name!r} has more than small letters, digits and -")
        self.name = name
        self.volume = f"{name}-docker"
        self.folder = cache() / "hosts" / name
        self.owner_file = self.folder / "checkout"
        self.ready_file = self.folder / "ready"

    def inspect(self, kind: str) -> Optional[dict[str, Any]]:
        """What the engine says of the host's container or volume, if it exists."""
        name = self.name if kind == "container" else self.volume
        names = ["docker", kind, "ls", *(["--all"] if kind == "container" else []), "--format"]
        column = "{{.Names}}" if kind == "container" else "{{.Name}}"
        if name not in run([*names, column]).split():
            return None
        found: list[dict[str, Any]] = json.loads(run(["docker", kind, "inspect", name]))
        return found[0]

    def owners(self) -> dict[str, str]:
        """Each part that exists, and the checkout that made it (empty if none of the lab's)."""
        owners = {}
        container, volume = self.inspect("container"), self.inspect("volume")
        if container:
            owners["container"] = (container["Config"].get("Labels") or {}).get(LABEL, "")
        if volume:
            owners["volume"] = (volume.get("Labels") or {}).get(LABEL, "")
        if self.owner_file.exists():
            owners["disks"] = self.owner_file.read_text().strip()
        return owners

    def claim(self) -> bool:
        """Stop if a part of that name is another's; whether any part exists.

        What a checkout made that is gone by now is a leftover that nobody else can remove.
        """
        owners = self.owners()
        for part, owner in owners.items():
            if not owner:
                raise LabError(f"the {part} of {self.name!r} was not made by the lab; rename it")
            if owner != str(CHECKOUT) and Path(owner).is_dir():
                raise LabError(f"the {part} of {self.name!r} belongs to {owner}; remove it there")
        return bool(owners) or self.folder.exists()

    def destroy(self) -> bool:
        """Remove all of it, in whatever state; whether there was anything."""
        if not self.claim():
            return False
        if self.inspect("container"):
            run(["docker", "rm", "--force", "--volumes", self.name])
        if self.inspect("volume"):
            run(["docker", "volume", "rm", self.volume])
        for file in sorted(self.folder.glob("*.img")):
            for device in loops(file):
                run(["losetup", "--detach", device])
        shutil.rmtree(self.folder, ignore_errors=True)
        say(f"{self.name}: destroyed")
        return True

    def running(self) -> bool:
        """Whether the host is whole and up."""
        container = self.inspect("container")
        return bool(container and container["State"]["Running"] and self.ready_file.exists())

    def make_disks(self, disks: dict[str, str]) -> list[str]:
        """Sparse files behind loop devices; the options that hand them to the container."""
        options = []
        for name, size in disks.items():
            file = self.folder / f"{name}.img"
            with file.open("wb") as handle:
                handle.truncate(size_bytes(size))
            options.append(f"--device={attach(file)}:/dev/{name}")
        return options

    def create(self, image: str, disks: dict[str, str], publish: Sequence[str]) -> bool:
        """Make the host and wait for it; False if it runs already."""
        if self.claim() and self.running():
            return False
        self.destroy()
        started = time.monotonic()
        self.folder.mkdir(parents=True)
        self.owner_file.write_text(str(CHECKOUT))
        label = f"--label={LABEL}={CHECKOUT}"
        try:
            run(["docker", "volume", "create", label, self.volume])
            options = [f"--name={self.name}", f"--hostname={self.name}", label, *FLAGS]
            options += self.make_disks(disks)
            options += [f"--volume={self.volume}:/var/lib/docker"]
            options += [f"--volume={stack_tar()}:/srv/lab/stack.tar:ro"]
            options += [f"--publish={port}" for port in publish]
            run(["docker", "run", "--detach", *options, image, "/sbin/init"])
            self.wait()
        except BaseException:
            self.destroy()
            raise
        self.ready_file.touch()
        say(f"{self.name}: created in {time.monotonic() - started:.1f} s")
        return True

    def wait(self) -> None:
        """Wait until the host's init and engine answer."""
        deadline = time.monotonic() + BOOT_LIMIT
        inside = ["docker", "exec", self.name]
        settled = "systemctl is-system-running | grep -qE '^(running|degraded)$'"
        while True:
            booted = succeeds([*inside, "sh", "-c", settled])
            if booted and succeeds([*inside, "docker", "info"]):
                return
            container = self.inspect("container")
            if not (container and container["State"]["Running"]):
                raise LabError(f"{self.name}: init ended: {run(['docker', 'logs', self.name])}")
            if time.monotonic() > deadline:
                tail = run([*inside, "journalctl", "--no-pager", "--lines=20"])
                raise LabError(f"{self.name}: not up after {BOOT_LIMIT} s:\n{tail}")
            time.sleep(0.3)


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description="Create and destroy the lab's hosts.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create")
    create.add_argument("names", nargs=1, metavar="NAME")
    create.add_argument("--image", default=image_name(DEFAULT_RELEASE))
    create.add_argument("--disk", action="append", default=[], metavar="NAME=SIZE")
    create.add_argument("--publish", action="append", default=[], metavar="ADDRESS:PORT:PORT")
    destroy = commands.add_parser("destroy")
    destroy.add_argument("names", nargs="+", metavar="NAME")
    return parser.parse_args()


def main() -> None:
    """Do what the command line says."""
    options = parse()
    for name in options.names:
        host = Host(name)
        with lock(f"host-{name}"):
            if options.command == "destroy":
                host.destroy()
                continue
            disks = dict(item.split("=", 1) for item in options.disk)
            if not host.create(options.image, disks, options.publish):
                say(f"{name}: there")


if __name__ == "__main__":
    script(main)
