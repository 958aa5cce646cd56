# SPDX-License-Identifier: GPL-3.0-or-later
"""What a directory holds: its top, that of its directory ``state``, and how much it is. Read-only.

By descriptor and without following links: uid 999 may own what is looked at.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..core.facts import Contents
from . import markers

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_COUNTED = "lost+found"
_MANY = 1000
"""More names than that at a top are no sign of what it is."""
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
    return sorted(name for name in os.listdir(directory) if name != _NOT_COUNTED)[:_MANY]


def _written(directory: int, names: list[str]) -> list[float]:
    found = []
    for name in names:
        try:
            found.append(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime)
        except OSError:
            continue  # gone in between
    return found


def moment(seconds: float) -> str:
    """A time for people, as UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def contents(directory: int) -> Contents:
    """What an open directory holds. Raises OSError where it can't be read."""
    names = _names(directory)
    written, filled = _written(directory, names), []
    state: list[str] = []
    state_marker = {}
    for name in names:
        try:
            with _below(directory, name) as fd:
                inside = _names(fd)
                if name == "state":
                    state, written = inside, [*written, *_written(fd, inside)]
                    state_marker = markers.read_if_any(fd)
        except NotADirectoryError:
            continue
        except OSError as error:
            if error.errno in markers.LINKS:
                continue
            raise
        if inside:
            filled.append(name)
    return {
        "names": names, "state_names": state, "filled": filled,
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
            except OSError:
                continue
        if files > _FILES:
            return total, False
    return total, not trouble
