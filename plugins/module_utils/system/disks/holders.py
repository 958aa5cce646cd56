# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a filesystem: open files, mapped files, locks, mounts in other namespaces. Read-only."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..host.processes import while_it_runs
from ..move.moving import Held
from .devices import maj_min_of
from .kernel_users import kernel_users

_LINKS = ("cwd", "root", "exe")


def _processes() -> Iterator[int]:
    """All of them, this one too: what it has open keeps the filesystem mounted as well."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            yield int(name)


def _is_held(path: str, held: Held) -> bool:
    try:
        on_device = maj_min_of(os.stat(path).st_dev) == held.maj_min
        return on_device and held.has(os.readlink(path))
    except OSError:
        # Gone in between, a kernel thread's, or a file that its own filesystem keeps from root (FUSE, NFS):
        # of one on a disk the kernel knows the number by itself.
        return False


def _open_files(pid: int, held: Held) -> bool:
    folder, names = f"/proc/{pid}/fd", []
    with while_it_runs():
        names = os.listdir(folder)
    return any(_is_held(f"{folder}/{name}", held) for name in names) or any(
        _is_held(f"/proc/{pid}/{name}", held) for name in _LINKS
    )


def _mapped_files(pid: int, held: Held) -> bool:
    major, minor = (int(part) for part in held.maj_min.split(":"))
    needle = f" {major:02x}:{minor:02x} "
    lines: list[str] = []
    with while_it_runs(), open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
        lines = [line for line in file if needle in line]
    return any(held.has(line.rstrip("\n").split(None, 5)[-1]) for line in lines)


def has_open(pid: int, held: Held) -> bool:
    """Whether a process has files of it open or mapped. Raises OSError."""
    return _open_files(pid, held) or _mapped_files(pid, held)


def _locks(maj_min: str) -> Iterator[int]:
    major, minor = (int(part) for part in maj_min.split(":"))
    needle = f"{major:02x}:{minor:02x}:"
    with open("/proc/locks", encoding="ascii", errors="replace") as file:
        for line in file:
            fields = [field for field in line.split() if field != "->"]
            if len(fields) > 5 and fields[5].startswith(needle):
                yield int(fields[4])


def _isolated_mount(pid: int, held: Held, ours: tuple[int, int], seen: set[str]) -> bool:
    """Whether a container has the disk mounted in a namespace of its own.

    A service of the host that has private mounts still has the host's root: an unmount
    reaches it, or leaves it with the same filesystem, which no copy can come from.
    """
    with while_it_runs():
        namespace = os.readlink(f"/proc/{pid}/ns/mnt")
        if namespace in seen:
            return False
        seen.add(namespace)
        root = os.stat(f"/proc/{pid}/root")
        if (root.st_dev, root.st_ino) == ours:
            return False
        return held.is_mounted_for(str(pid))
    return False


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return f"{file.read().strip()} ({pid})"
    except OSError:
        return f"process {pid}"


def _is_in_container(pid: int, ours: tuple[int, int]) -> bool:
    with while_it_runs():
        root = os.stat(f"/proc/{pid}/root")
        return (root.st_dev, root.st_ino) != ours
    return False


def _may_hold(pid: int, held: Held) -> bool:
    """Whether a process that root may not look at, one with more capabilities, can have files of it."""
    with while_it_runs():
        return held.is_mounted_for(str(pid))
    return False


def holders(held: Held, containers: bool = True) -> list[str]:
    """Processes, and what of the kernel, that hold the filesystem or the directory of it, for people.

    A lock on a file in a directory goes with the open file, which is looked for. A process that
    can't be looked at is among them where the filesystem is mounted for it.

    containers: also those with another root than ours; without, only the host's own.
    """
    root = os.stat("/")
    ours, seen = (root.st_dev, root.st_ino), {os.readlink("/proc/self/ns/mnt")}
    locks, lines = set(_locks(held.maj_min)) if not held.path else set(), []
    for pid in _processes():
        try:
            if not containers and _is_in_container(pid, ours):
                continue
            how = [
                word
                for word, holds in (
                    ("open files", _open_files(pid, held)),
                    ("mapped files", _mapped_files(pid, held)),
                    ("a lock", pid in locks),
                    ("a mount", containers and _isolated_mount(pid, held, ours, seen)),
                )
                if holds
            ]
        except OSError as error:
            how = [f"unknown ({error.strerror})"] if _may_hold(pid, held) else []
        if how:
            lines.append(f"{_name(pid)}: {' and '.join(how)}")
    return sorted(lines) + kernel_users(held.maj_min, held.path)
