# SPDX-License-Identifier: GPL-3.0-or-later
"""Mount points themselves, and the flag that keeps everybody from writing to one while its disk is away.

By descriptors, on a copy of the mount above without what is mounted in it: so it is the same
directory whether its disk is mounted or not.
"""

from __future__ import annotations

import os

from ...core.disks.protection import FILLED, IMMUTABLE, UNABLE, UNKNOWN, WRITABLE
from ...core.host.errors import Refusal
from ..host import kernel
from ..move import moving

_LOST_AND_FOUND = "lost+found"


def _state(directory: int) -> str:
    flags = kernel.known_flags(directory)
    if flags is None:
        return UNABLE
    if flags & kernel.IMMUTABLE:
        return IMMUTABLE
    if [name for name in os.listdir(directory) if name != _LOST_AND_FOUND]:
        return FILLED
    read_only = os.fstatvfs(directory).f_flag & os.ST_RDONLY
    return UNABLE if read_only or not kernel.may_set_immutable() else WRITABLE


def look(path: str) -> str:
    """What the mount point at ``path`` itself is; UNKNOWN also where there is none."""
    try:
        with moving.shadowed(path) as directory:
            return _state(directory)
    except (OSError, Refusal):
        return UNKNOWN


def protect(path: str) -> None:
    """Make the mount point at ``path`` itself immutable, where that can be and nothing is in it.

    Raises OSError where the disk fails.
    """
    try:
        with moving.shadowed(path) as directory:
            if _state(directory) == WRITABLE:
                kernel.set_immutable(directory, True)
                os.fsync(directory)
    except (FileNotFoundError, NotADirectoryError, Refusal):
        return


def is_read_only(path: str) -> bool:
    """Whether what is mounted at a path is so that nothing can be written to it. Raises OSError."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
