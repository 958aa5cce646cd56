# SPDX-License-Identifier: GPL-3.0-or-later
"""What in the kernel itself keeps a filesystem in use: swap files, loop devices, NFS exports. Read-only.

No process has them open, and yet the filesystem can't be unmounted.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from ...core.disks import fstab
from ...core.layout.layouts import is_below
from ..host import listing
from . import mountinfo
from .devices import maj_min_of

SWAPS = "/proc/swaps"
LOOPS = "/sys/block/loop*/loop/backing_file"
EXPORTS = ("/proc/fs/nfsd/exports", "/var/lib/nfs/etab")
_DELETED = " (deleted)"


def _lines(path: str) -> list[str]:
    """The lines of a file; of one that is absent, none. Raises OSError."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().splitlines()
    except OSError as error:
        # A loop device that is let go has one of these for whoever still reads of it.
        if error.errno in (*listing.ABSENT, errno.ENXIO, errno.ENODEV):
            return []
        # What fails in reading names no file.
        error.filename = path
        raise


def _first(line: str) -> str:
    """The first field, a path as the kernel and exportfs escape it."""
    return fstab.decode(line.split()[0])


def _uses() -> Iterator[tuple[str, str]]:
    """(what, path) of all uses of files and directories that the kernel has by itself. Raises OSError."""
    for line in _lines(SWAPS)[1:]:
        yield "a swap file", _first(line)
    for path in listing.matching(LOOPS):
        for line in _lines(path):
            text = line[: -len(_DELETED)] if line.endswith(_DELETED) else line
            yield f"loop device {path.split('/')[3]}", text
    for path in EXPORTS:
        for line in _lines(path):
            if line.startswith("/"):
                yield "an NFS export", _first(line)


def _is_on(path: str, maj_min: str, targets: list[str]) -> bool:
    try:
        return maj_min_of(os.stat(path).st_dev) == maj_min
    except OSError:
        # Deleted, or named as another namespace has it.
        return any(is_below(path, target) for target in targets)


def kernel_users(maj_min: str, directory: str = "") -> list[str]:
    """What in the kernel uses a filesystem, or one directory of it, for people. Raises OSError: unknown is not none."""
    targets = [line.target for line in mountinfo.read() if line.maj_min == maj_min]
    return sorted(
        {
            f"{what} of {path}"
            for what, path in _uses()
            if path.startswith("/")
            and (not directory or is_below(path, directory))
            and _is_on(path, maj_min, [directory] if directory else targets)
        }
    )
