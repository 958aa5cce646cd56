# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking into a filesystem that is not mounted, without mounting it anywhere and without a write.

The kernel mounts it read-only and without a replay of its journal, and in no namespace: no
process sees it, no mount point is involved, and it is gone with the descriptor.
An ext4 that has deleted files to clean up is not looked into: the kernel does that at each mount,
a read-only one too.
After a power cut, names that only the journal has are not seen: what is found proves, what is not
found proves nothing, so a role is checked again once the filesystem is mounted.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

from ...core.host.facts import Inside
from ..host.kernel import LIBC, check, top_of
from . import contents

_SYS_FSOPEN, _SYS_FSCONFIG, _SYS_FSMOUNT = 430, 431, 432
"""The same numbers on every architecture; Linux 5.2 and later (include/uapi/linux/mount.h)."""
_CLOEXEC = 1
_SET_FLAG, _SET_STRING, _CREATE = 0, 1, 6
_RDONLY, _NOSUID, _NODEV, _NOEXEC = 0x1, 0x2, 0x4, 0x8

FLAGS = {"ext4": ("ro", "noload"), "xfs": ("ro", "norecovery", "nouuid")}
"""What keeps each from replaying its journal; xfs refuses the UUID of a clone without nouuid."""

# Offsets in the superblock of ext4 (fs/ext4/ext4.h, struct ext4_super_block).
_SUPERBLOCK, _RO_COMPAT, _LAST_ORPHAN = 1024, 0x64, 0xE8
_ORPHAN_PRESENT = 0x10000
"""Feature of ext4 with an orphan file: it may have entries."""


def _has_orphans(device: str) -> bool:
    """Whether an ext4 may have deleted files to clean up (fs/ext4/orphan.c, ext4_orphan_cleanup)."""
    fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        superblock = os.pread(fd, 1024, _SUPERBLOCK)
    finally:
        os.close(fd)
    if len(superblock) < 1024:
        return False
    (last,) = struct.unpack_from("<I", superblock, _LAST_ORPHAN)
    (features,) = struct.unpack_from("<I", superblock, _RO_COMPAT)
    return bool(last or features & _ORPHAN_PRESENT)


def _configure(fd: int, command: int, key: Optional[str], value: Optional[str] = None) -> None:
    texts = (ctypes.c_char_p(os.fsencode(text)) if text else None for text in (key, value))
    check(
        LIBC.syscall(
            ctypes.c_long(_SYS_FSCONFIG), ctypes.c_int(fd), ctypes.c_uint(command), *texts,
            ctypes.c_int(0),
        ),
        "fsconfig",
    )  # fmt: skip


@contextmanager
def opened(device: str, fstype: str) -> Iterator[int]:
    """A descriptor of the top of the filesystem on ``device``. Raises OSError."""
    name = ctypes.c_char_p(fstype.encode())
    context = check(
        LIBC.syscall(ctypes.c_long(_SYS_FSOPEN), name, ctypes.c_uint(_CLOEXEC)), "fsopen"
    )
    try:
        _configure(context, _SET_STRING, "source", device)
        for flag in FLAGS[fstype]:
            _configure(context, _SET_FLAG, flag)
        _configure(context, _CREATE, None)
        attributes = ctypes.c_uint(_RDONLY | _NOSUID | _NODEV | _NOEXEC)
        made = check(
            LIBC.syscall(
                ctypes.c_long(_SYS_FSMOUNT), ctypes.c_int(context), ctypes.c_uint(_CLOEXEC), attributes
            ),
            "fsmount",
        )  # fmt: skip
    finally:
        os.close(context)
    with top_of(made) as top:
        yield top


def look(device: str, fstype: str) -> Inside:
    """What is on an unmounted filesystem; ``unknown`` says why it could not be looked at."""
    if fstype not in FLAGS:
        return {"unknown": f"{fstype} is not looked into", "contents": None}
    try:
        if fstype == "ext4" and _has_orphans(device):
            why = "it was not unmounted cleanly, and looking into it would write to it: mount and unmount it once"
            return {"unknown": why, "contents": None}
        with opened(device, fstype) as top:
            return {"unknown": "", "contents": contents.contents(top)}
    except OSError as error:
        return {"unknown": f"{fstype}: {error.strerror or error}", "contents": None}
