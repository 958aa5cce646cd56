# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking into a filesystem that is not mounted, without mounting it anywhere and without a write.

The kernel mounts it read-only and without a replay of its journal, and in no namespace: no
process sees it, nothing can go wrong with a mount point, and it is gone with the descriptor.
After a power cut, names that only the journal has are not seen: what is found proves, what is not
found proves nothing, so a role is checked again once the filesystem is mounted.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

from ..core.facts import Inside
from . import contents
from .kernel import LIBC, check

_SYS_FSOPEN, _SYS_FSCONFIG, _SYS_FSMOUNT = 430, 431, 432
"""The same numbers on every architecture; Linux 5.2 and later (include/uapi/linux/mount.h)."""
_CLOEXEC = 1
_SET_FLAG, _SET_STRING, _CREATE = 0, 1, 6
_RDONLY, _NOSUID, _NODEV, _NOEXEC = 0x1, 0x2, 0x4, 0x8

FLAGS = {"ext4": ("ro", "noload"), "xfs": ("ro", "norecovery", "nouuid")}
"""What keeps each from replaying its journal; xfs refuses the UUID of a clone without nouuid."""


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
    try:
        # The descriptor is an O_PATH one; names below it are looked up through it.
        top = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=made)
        try:
            yield top
        finally:
            os.close(top)
    finally:
        os.close(made)


def look(device: str, fstype: str) -> Inside:
    """What is on an unmounted filesystem; ``unknown`` says why it could not be looked at."""
    if fstype not in FLAGS:
        return {"unknown": f"{fstype} is not looked into", "contents": None}
    try:
        with opened(device, fstype) as top:
            return {"unknown": "", "contents": contents.contents(top)}
    except OSError as error:
        return {"unknown": f"{fstype}: {error.strerror or error}", "contents": None}
