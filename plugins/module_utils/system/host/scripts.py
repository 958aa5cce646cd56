# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what a host runs by itself: units, crontabs, and scripts that these start. Read-only.

What can't be read is noted and no error: only the decision that hangs on it must stop.
"""

from __future__ import annotations

import os
import stat

from . import durable, listing

_LIMIT = 1 << 20
_HEAD = 4096


def matching(pattern: str, unread: dict[str, str]) -> list[str]:
    """See listing.matching. unread: takes path -> why, for a folder that could not be read."""
    try:
        return listing.matching(pattern)
    except OSError as error:
        unread[error.filename or pattern] = error.strerror or str(error)
        return []


def text(path: str, unread: dict[str, str]) -> str:
    """The text of a script or unit; empty for a program, and for what is absent or no regular file.

    Words of a command line may name a directory of a disk, a device or a pipe: those are not even opened.
    """
    try:
        real = os.path.realpath(path)
        if not stat.S_ISREG(os.lstat(real).st_mode):
            return ""
        with durable.opened_file(real) as file:
            head = file.read(_HEAD)
            if b"\0" in head:
                return ""
            return (head + file.read(_LIMIT)).decode("utf-8", "surrogateescape")
    except OSError as error:
        if error.errno not in listing.ABSENT:
            unread[path] = error.strerror or str(error)
        return ""
