# SPDX-License-Identifier: GPL-3.0-or-later
"""Listing and deleting what runs have set aside, by directory descriptors and without following links."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator

from ...core.copy.retired import Retired, folders
from ...core.host.errors import NotRetired
from ..host import kernel
from ..layout import trees

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def _walk(above: int, name: str, device: int) -> Iterator[os.stat_result]:
    """Every regular file at or below ``name``; other filesystems are not entered."""
    info = os.stat(name, dir_fd=above, follow_symlinks=False)
    if stat.S_ISREG(info.st_mode):
        yield info
    elif stat.S_ISDIR(info.st_mode) and info.st_dev == device:
        fd = os.open(name, _DIRECTORY, dir_fd=above)
        try:
            for below in sorted(os.listdir(fd)):
                yield from _walk(fd, below, device)
        finally:
            os.close(fd)


def _describe(folder: str, above: int, name: str) -> Retired:
    files = list(_walk(above, name, os.fstat(above).st_dev))
    newest = max((info.st_mtime for info in files), default=None)
    return {
        "path": os.path.join(folder, name),
        "bytes": sum(info.st_size for info in files),
        "files": len(files),
        "newest": "" if newest is None else time.strftime("%Y-%m-%d %H:%M", time.gmtime(newest)),
    }


def find() -> list[Retired]:
    """What has been set aside on this host."""
    items = []
    for folder in folders():
        try:
            with trees.opened(folder) as fd:
                items += [_describe(folder, fd, name) for name in sorted(os.listdir(fd))]
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            # A link in the way: nothing of ours is behind it.
            if not os.path.islink(folder) and not os.path.islink(os.path.dirname(folder)):
                raise error
    return items


def _delete(above: int, name: str, device: int, path: str) -> None:
    info = os.stat(name, dir_fd=above, follow_symlinks=False)
    if not stat.S_ISDIR(info.st_mode):
        os.unlink(name, dir_fd=above)
        return
    if info.st_dev != device:
        raise NotRetired(path=path, known="a mount point, which is never deleted through")
    fd = os.open(name, _DIRECTORY, dir_fd=above)
    try:
        # A mount point that was set aside with what it is in.
        kernel.set_immutable(fd, False)
        for below in os.listdir(fd):
            _delete(fd, below, device, os.path.join(path, below))
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=above)


def delete(path: str) -> None:
    """Delete one thing that was set aside, and make that durable."""
    folder, name = os.path.split(path)
    with trees.opened(folder) as fd:
        _delete(fd, name, os.fstat(fd).st_dev, path)
        os.fsync(fd)
