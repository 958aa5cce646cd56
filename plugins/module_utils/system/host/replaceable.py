# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a file can be replaced by a rename, and a name in a directory changed. Read-only.

Root may still be refused: by a flag of chattr, a mount on the file itself, a filesystem that
is read-only. Found out while the stack is down, or after a commit, it would be too late.
"""

from __future__ import annotations

import os
import stat

from ..disks import mountinfo
from . import durable, kernel, listing

_KEPT = kernel.IMMUTABLE | kernel.APPEND_ONLY
_ROOM = 1 << 20
"""Bytes that must be free beside it, for the file that takes its place and what is recorded."""


def _kept(path: str) -> str:
    """What keeps root from changing a file or directory, a flag of chattr for one; empty when nothing does."""
    info = durable.read_stat(path)
    if info is None or stat.S_IFMT(info.st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
        return ""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        return "" if error.errno in listing.ABSENT else f"unreadable ({error.strerror})"
    try:
        kept = kernel.flags_of(fd) & _KEPT
        return f"kept from changes by 'chattr +i' or '+a' on '{path}'" if kept else ""
    finally:
        os.close(fd)


def directory_fixed(path: str) -> str:
    """Why no name in a directory can be changed, for a message; empty when one can.

    Of one that is not there, as on a new host, it is asked where it would be made.
    """
    while not listing.is_there(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    if kept := _kept(path):
        return kept
    room = os.statvfs(path)
    if room.f_flag & os.ST_RDONLY:
        return "on a filesystem that is mounted read-only"
    if room.f_bfree * room.f_frsize < _ROOM or (room.f_files and not room.f_ffree):
        return "on a filesystem that is full"
    return ""


def fixed(path: str) -> str:
    """Why a file can't be replaced by a new one, for a message; empty when it can."""
    info = durable.read_stat(path)
    if info is not None and stat.S_ISLNK(info.st_mode):
        return f"a link to '{os.readlink(path)}', which a new file would replace"
    if info is not None and not stat.S_ISREG(info.st_mode):
        return "no regular file"
    if any(line.target == path for line in mountinfo.read()):
        return "a mount point of its own"
    if kept := _kept(path):
        return kept
    return directory_fixed(os.path.dirname(path))
