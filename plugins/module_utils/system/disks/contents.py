# SPDX-License-Identifier: GPL-3.0-or-later
"""What a directory holds: its top, that of its directory ``state``, and how much it is. Read-only.

By descriptor and without following links: uid 999 may own what is looked at.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ...core.host.facts import Contents
from ...core.layout.tree import DATA_NAMES, STATE_NAMES
from ..layout import markers

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_COUNTED = "lost+found"
_STATE = "state"
_KNOWN = {*DATA_NAMES, *STATE_NAMES, _STATE}
_MANY = 1000
"""Of so many names at a top is asked when they were written."""
_FILES = 50_000
"""After so many files a size is told as a lower bound."""


@contextmanager
def _below(directory: int, name: str) -> Iterator[int]:
    fd = os.open(name, _DIRECTORY, dir_fd=directory)
    try:
        yield fd
    finally:
        os.close(fd)


def _names(directory: int) -> list[str]:
    return sorted(name for name in os.listdir(directory) if name != _NOT_COUNTED)


def _known(names: list[str]) -> list[str]:
    """Those that tell what a directory is: others are nobody's business."""
    return [name for name in names if name in _KNOWN]


def _written(directory: int, names: list[str]) -> list[float]:
    times = []
    for name in names:
        with suppress(FileNotFoundError):  # gone in between
            times.append(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime)
    return times


def moment(seconds: float) -> str:
    """A time for people, as UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def contents(directory: int) -> Contents:
    """What an open directory holds. Raises OSError where it can't be read."""
    names = _names(directory)
    written, filled = _written(directory, names[:_MANY]), []
    state: list[str] = []
    state_marker: dict[str, Any] = {}
    for name in _known(names):
        try:
            with _below(directory, name) as fd:
                if name == _STATE:
                    state = _names(fd)
                    written += _written(fd, state[:_MANY])
                    state_marker = markers.read_if_any(fd)
                with os.scandir(fd) as entries:
                    if any(entries):
                        filled.append(name)
        except NotADirectoryError:
            continue
        except OSError as error:
            if error.errno in markers.LINKS:
                continue
            raise
    return {
        "names": _known(names), "state_names": _known(state), "filled": filled,
        "marker": markers.read_if_any(directory), "state_marker": state_marker,
        "newest": moment(max(written)) if written else "",
    }  # fmt: skip


def look(path: str) -> Contents:
    """The same for the directory at ``path``, which an engine or an operator named."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return contents(fd)
    finally:
        os.close(fd)


def measured(path: str) -> tuple[int, bool]:
    """Bytes of the files below ``path``, and whether all of them were counted."""
    total = files = 0
    trouble: list[OSError] = []
    for folder, _directories, names in os.walk(path, onerror=trouble.append):
        for name in names:
            files += 1
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except FileNotFoundError:
                continue  # gone in between
            except OSError as error:
                trouble.append(error)
        if files > _FILES:
            return total, False
    return total, not trouble
