# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the marker of a state directory, by descriptor: uid 999 owns the directory."""

from __future__ import annotations

import errno
import json
import os
import stat
from typing import Any, Optional

from ...core.layout.tree import MARKER
from ...core.move.move_errors import MarkerForeign

LINKS = (errno.ELOOP, errno.ENXIO)
"""What a link, and a socket, answer to being opened."""
UNREADABLE = "unreadable"
_LIMIT = 65536
_PLAIN = (str, int, float)
_EPOCHS = 1 << 31


def read(directory: int) -> dict[str, Any]:
    """The marker in an open directory, or an empty one where there is none.

    Plain values only: nothing else is ever in one of ours. Raises MarkerForeign for
    something else with its name, OSError where the disk can't be read.
    """
    return _read(directory) or {}


def _read(directory: int) -> Optional[dict[str, Any]]:
    try:
        fd = os.open(MARKER, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in LINKS:
            raise _foreign(directory, "a link or a socket") from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise _foreign(directory, "no regular file")
        marker = json.loads(os.pread(fd, _LIMIT, 0))
    except (ValueError, RecursionError) as error:
        raise _foreign(directory, "a file without the marker's text") from error
    finally:
        os.close(fd)
    # What the format is, decides whether the rest can be read.
    if not isinstance(marker, dict) or not isinstance(marker.get("format", 0), _PLAIN):
        raise _foreign(directory, "a file without the marker's text")
    return {key: value for key, value in marker.items() if isinstance(value, _PLAIN)}


def _foreign(directory: int, holds: str) -> MarkerForeign:
    path = os.path.join(os.readlink(f"/proc/self/fd/{directory}"), MARKER)
    return MarkerForeign(path=path, found=holds)


def epoch(marker: dict[str, Any]) -> int:
    """The epoch that a marker names; zero for what is no epoch."""
    number = marker.get("epoch")
    if isinstance(number, bool) or not isinstance(number, int):
        return 0
    return number if 0 <= number < _EPOCHS else 0


def seen(state_dir: str) -> Optional[dict[str, Any]]:
    """The marker of a state directory for the observation, or None; format ``unreadable`` where it can't be read."""
    try:
        directory = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            return _read(directory)
        finally:
            os.close(directory)
    except FileNotFoundError:
        return None
    except (OSError, MarkerForeign):
        return {"format": UNREADABLE}


def read_if_any(directory: int) -> dict[str, Any]:
    """The same, and an empty one for a marker that can't be read: it proves nothing."""
    try:
        return read(directory)
    except (OSError, MarkerForeign):
        return {}
