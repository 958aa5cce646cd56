# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes that are whole or not there after a crash.

Temporary file in the same directory, fsync, rename, fsync of the directory;
an fsync error is fatal, because the kernel reports it only once. A temporary file that
a crash leaves is removed when the same file is written again: it may hold secrets.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, Optional


def fsync_directory(path: str) -> None:
    """Make the entries of a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sweep(directory: int, name: str) -> None:
    """Remove what writers of ``name`` left that were cut off: one that still writes holds the lock."""
    left = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{12}}\.new")
    for each in filter(left.fullmatch, os.listdir(directory)):
        with suppress(OSError):
            fd = os.open(each, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if stat.S_ISREG(os.fstat(fd).st_mode):
                    os.unlink(each, dir_fd=directory)
            finally:
                os.close(fd)


def _temporary(directory: int, name: str) -> tuple[str, int]:
    """A temporary file for ``name``, locked while it is open."""
    sweep(directory, name)
    while True:
        temporary = f".{name}.{secrets.token_hex(6)}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        fd = os.open(temporary, flags, 0o600, dir_fd=directory)
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:  # not swept between the two calls
            return temporary, fd
        os.close(fd)


@contextmanager
def replacing(directory: int, name: str) -> Iterator[int]:
    """A new file to be written, which is ``name`` in the directory open as ``directory`` at the end.

    Flushed before it has its name, as is the name; after an error all is as before.
    """
    temporary, fd = _temporary(directory, name)
    try:
        try:
            yield fd
            os.fsync(fd)
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        finally:
            os.close(fd)
    except BaseException:
        os.unlink(temporary, dir_fd=directory)
        raise
    os.fsync(directory)


def fill(fd: int, content: bytes, mode: int, uid: int, gid: int) -> None:
    """Give an open new file its content, owner and mode."""
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    os.fchown(fd, uid, gid)
    os.fchmod(fd, mode)


def write_at(
    directory: int, name: str, content: bytes, mode: int, uid: int = 0, gid: int = 0
) -> None:
    """Write ``name`` in the directory open as ``directory``; no link is followed."""
    with replacing(directory, name) as fd:
        fill(fd, content, mode, uid, gid)


def write(path: str, content: str, mode: int = 0o644, keep_owner: bool = True) -> None:
    """Write the file at ``path``; an existing file keeps its owner and mode."""
    directory, name = os.path.split(path)
    uid = gid = 0
    current = read_stat(path)
    if current is not None and keep_owner and not stat.S_ISLNK(current.st_mode):
        uid, gid, mode = current.st_uid, current.st_gid, stat.S_IMODE(current.st_mode)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        write_at(fd, name, content.encode("utf-8", "surrogateescape"), mode, uid, gid)
    finally:
        os.close(fd)


def keep_aside(path: str, folder: str) -> str:
    """Keep what a file is now below ``folder``, under its path and the hash of its content; returns where.

    For files that others made and that are about to be replaced: nothing of theirs
    is lost, and the same content is kept once. Root's only, since it may hold secrets.
    """
    content = (read_text(path, 64 * 1024 * 1024) or "").encode("utf-8", "surrogateescape")
    kept = f"{folder}{path}.{hashlib.sha256(content).hexdigest()[:12]}"
    if read_stat(kept) is None:
        make_directory(folder, 0o700)
        make_directory(os.path.dirname(kept), 0o700)
        write(kept, content.decode("utf-8", "surrogateescape"), 0o600)
    return kept


def read_stat(path: str) -> Optional[os.stat_result]:
    """Lstat of ``path``, or None where nothing is."""
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


@contextmanager
def opened_file(path: str, directory: Optional[int] = None) -> Iterator[IO[bytes]]:
    """A regular file open for reading; no link is followed.

    directory: the open one that a relative path is in. Raises OSError for what is no regular file.
    The descriptor is closed in every case: one that is left open keeps a filesystem mounted.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    try:
        # Before Python's own file object is made: that refuses a directory, and leaves it open.
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(f"'{path}' is not a regular file")
        with os.fdopen(fd, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(fd)


def read_text(path: str, limit: int = 4 * 1024 * 1024) -> Optional[str]:
    """The text of a regular file, or None where nothing is; no link is followed."""
    try:
        with opened_file(path) as file:
            # surrogateescape: bytes that are not UTF-8 go back to disk as they came.
            return file.read(limit).decode("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_object(path: str, absent: dict[str, Any]) -> dict[str, Any]:
    """The one JSON object of a file, or ``absent`` where nothing is; why it can't be read is in ``error``."""
    try:
        text = read_text(path)
        value = absent if text is None else json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        return {"error": str(error)}
    return value if isinstance(value, dict) else {"error": "it is no object"}


def make_directory(path: str, mode: int = 0o755) -> None:
    """Make a directory and its missing parents, each durable in its parent."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    make_directory(parent)
    os.mkdir(path, mode)
    os.chmod(path, mode)
    fsync_directory(parent)
