# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping a tree of directories, files and links, without following any link.

uid 999 owns directories that root works in here, so every step goes by a
directory descriptor: a name that has become a link is refused, not followed.
One openat2 does it where the kernel has that; it also refuses the links in
/proc that lead out of any tree, and a ``..`` that a rename has moved. Where it
is missing the path is walked name by name, which never asks for a ``..``.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Optional

from ...core.host.errors import StateLinkForeign
from ...core.host.host_errors import PlaceUnreadable
from ...core.layout.tree import Entry
from ..host import durable, kernel
from ..host.actions import Actions

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_NO_OPENAT2 = (errno.ENOSYS, errno.EPERM)


def open_directory(path: str) -> int:
    """See ``opened``; for who closes it by himself."""
    top = os.open("/", _DIRECTORY)
    parts = [part for part in path.split("/") if part]
    try:
        return kernel.open_beneath(top, "/".join(parts) or ".", _DIRECTORY)
    except OSError as error:
        if error.errno == errno.ELOOP:
            # What the walk says of a link, so that callers need to know one answer only.
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from error
        if error.errno not in _NO_OPENAT2:
            raise
    finally:
        os.close(top)
    return _walk(parts)


def _walk(parts: Iterable[str]) -> int:
    """The same without openat2: name by name, none of them a link."""
    fd = os.open("/", _DIRECTORY)
    for part in parts:
        try:
            below = os.open(part, _DIRECTORY, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


@contextmanager
def looking(path: str) -> Iterator[None]:
    """Go on behind the block where nothing, a link or a file is in the way of what is read there.

    Raises PlaceUnreadable for every other error: what can't be looked at is not absent.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _ABSENT:
            raise PlaceUnreadable(path=path, found=error.strerror or str(error)) from error


@contextmanager
def opened(path: str) -> Iterator[int]:
    """A descriptor of the directory at an absolute path, opened without following links.

    Raises NotADirectoryError where a link or a file is in the way.
    """
    fd = open_directory(path)
    try:
        yield fd
    finally:
        os.close(fd)


def _stat(entry: Entry) -> Optional[os.stat_result]:
    parent, name = os.path.split(entry.path)
    try:
        with opened(parent) as fd:
            return os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


ABSENT = "absent"


def say(entry: Entry) -> str:
    """What an entry is to be, for people."""
    if entry.kind == "link":
        return f"link to {entry.target}"
    return f"{entry.kind} {entry.uid}:{entry.gid} {entry.mode:04o}"


def _make(entry: Entry) -> None:
    parent, name = os.path.split(entry.path)
    with opened(parent) as fd:
        if entry.kind == "link":
            if entry.target is None:
                raise AssertionError("a link has a target")
            os.symlink(entry.target, name, dir_fd=fd)
        elif entry.kind == "file":
            content = (entry.content or "").encode()
            durable.write_at(fd, name, content, entry.mode, entry.uid, entry.gid)
        else:
            os.mkdir(name, 0o700, dir_fd=fd)
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            try:
                os.fchown(below, entry.uid, entry.gid)
                os.fchmod(below, entry.mode)
                os.fsync(below)
            finally:
                os.close(below)
        os.fsync(fd)


def _read(entry: Entry) -> str:
    parent, name = os.path.split(entry.path)
    with opened(parent) as directory, durable.opened_file(name, directory) as file:
        return file.read(1 << 20).decode("utf-8", "replace")


def _chown(entry: Entry) -> None:
    with opened(entry.path) as fd:
        os.fchown(fd, entry.uid, entry.gid)


def kind_of(info: os.stat_result) -> str:
    """What a name is, never followed: link, directory, file, or special file (a socket, pipe or device)."""
    if stat.S_ISLNK(info.st_mode):
        return "link"
    if stat.S_ISDIR(info.st_mode):
        return "directory"
    return "file" if stat.S_ISREG(info.st_mode) else "special file"


def _own(entry: Entry, uid: int, gid: int, actions: Actions) -> None:
    if (uid, gid) != (entry.uid, entry.gid):
        before, after = f"owner {uid}:{gid}", f"owner {entry.uid}:{entry.gid}"
        actions.take(entry.path, before, after, lambda: _chown(entry))


def announce_fresh(entry: Entry, actions: Actions, is_mount_point: bool) -> None:
    """In a check run, before its disk is mounted: what ``keep`` will do on a fresh filesystem."""
    if is_mount_point:
        _own(entry, 0, 0, actions)
    else:
        actions.take(entry.path, ABSENT, say(entry))


def _checked(entry: Entry) -> Optional[os.stat_result]:
    """What has the entry's name. Raises StateLinkForeign when that is of another kind."""
    info = _stat(entry)
    if info is not None and kind_of(info) != entry.kind:
        wanted = f"a link to '{entry.target}'" if entry.kind == "link" else f"a {entry.kind}"
        raise StateLinkForeign(path=entry.path, wanted=wanted, found=f"a {kind_of(info)}")
    return info


def difference(entry: Entry) -> str:
    """What a file is now, for people; empty when it is as it must be. Raises StateLinkForeign."""
    if _checked(entry) is None:
        return ABSENT
    return "other content" if _read(entry) != entry.content else ""


def keep(entry: Entry, actions: Actions) -> None:
    """Make ``entry`` be there: missing things are made, a directory's owner is corrected.

    Raises StateLinkForeign when something of another kind has the name.
    """
    info = _checked(entry)
    if info is None:
        actions.take(entry.path, ABSENT, say(entry), lambda: _make(entry))
    elif entry.kind == "link":
        parent, name = os.path.split(entry.path)
        with opened(parent) as fd:
            points_to = os.readlink(name, dir_fd=fd)
        if points_to != entry.target:
            wanted = f"a link to '{entry.target}'"
            raise StateLinkForeign(path=entry.path, wanted=wanted, found=f"a link to '{points_to}'")
    elif entry.kind == "directory":
        _own(entry, info.st_uid, info.st_gid, actions)
    else:
        before = difference(entry)
        if before:
            actions.take(entry.path, before, say(entry), lambda: _make(entry))


def exists(path: str) -> bool:
    """Whether something has the name, a link too; its directory is reached without links."""
    return _stat(Entry(path, "directory")) is not None
