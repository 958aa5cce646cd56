# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a filesystem: open files, mapped files, locks, mounts in other namespaces. Read-only."""

from __future__ import annotations

import os
from collections.abc import Iterator

from .devices import maj_min_of
from .moving import mounts_in

_LINKS = ("cwd", "root", "exe")


def _processes() -> Iterator[int]:
    mine = os.getpid()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != mine:
            yield int(name)


def _on_device(path: str, maj_min: str) -> bool:
    try:
        return maj_min_of(os.stat(path).st_dev) == maj_min
    except OSError:
        # Gone in between, or a kernel thread's.
        return False


def _open_files(pid: int, maj_min: str) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return any(_on_device(f"{folder}/{name}", maj_min) for name in names) or any(
        _on_device(f"/proc/{pid}/{name}", maj_min) for name in _LINKS
    )


def _mapped_files(pid: int, maj_min: str) -> bool:
    major, minor = (int(part) for part in maj_min.split(":"))
    needle = f" {major:02x}:{minor:02x} "
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
            return needle in file.read()
    except OSError:
        return False


def _locks(maj_min: str) -> Iterator[int]:
    major, minor = (int(part) for part in maj_min.split(":"))
    needle = f"{major:02x}:{minor:02x}:"
    with open("/proc/locks", encoding="ascii", errors="replace") as file:
        for line in file:
            fields = [field for field in line.split() if field != "->"]
            if len(fields) > 5 and fields[5].startswith(needle):
                yield int(fields[4])


def _isolated_mount(pid: int, maj_min: str, ours: tuple[int, int], seen: set[str]) -> bool:
    """Whether a container has the disk mounted in a namespace of its own.

    A service of the host that has private mounts still has the host's root: an unmount
    reaches it, or leaves it with the same filesystem, which no copy can come from.
    """
    try:
        namespace = os.readlink(f"/proc/{pid}/ns/mnt")
        if namespace in seen:
            return False
        seen.add(namespace)
        root = os.stat(f"/proc/{pid}/root")
        if (root.st_dev, root.st_ino) == ours:
            return False
        return any(f[2] == maj_min for _t, f, _r in mounts_in(f"/proc/{pid}/mountinfo"))
    except OSError:
        return False


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return f"{file.read().strip()} ({pid})"
    except OSError:
        return f"process {pid}"


def _is_in_container(pid: int, ours: tuple[int, int]) -> bool:
    try:
        root = os.stat(f"/proc/{pid}/root")
    except OSError:
        return False
    return (root.st_dev, root.st_ino) != ours


def holders(maj_min: str, containers: bool = True) -> list[str]:
    """Processes that hold the filesystem on the device, each with how, for people.

    containers: also those with another root than ours; without, only the host's own.
    """
    root = os.stat("/")
    ours, seen = (root.st_dev, root.st_ino), {os.readlink("/proc/self/ns/mnt")}
    locks, found = set(_locks(maj_min)), []
    for pid in _processes():
        if not containers and _is_in_container(pid, ours):
            continue
        how = [
            word
            for word, holds in (
                ("open files", _open_files(pid, maj_min)),
                ("mapped files", _mapped_files(pid, maj_min)),
                ("a lock", pid in locks),
                ("a mount", containers and _isolated_mount(pid, maj_min, ours, seen)),
            )
            if holds
        ]
        if how:
            found.append(f"{_name(pid)}: {' and '.join(how)}")
    return sorted(found)
