# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a tree into a manifest, entry by entry. Changes nothing, not even access times.

uid 999 owns the tree and may race with us: each entry is pinned by a descriptor
before anything is asked of it, and everything is asked of that descriptor. So a
name that becomes a link in the middle is never followed; the directory that holds
it has changed, and that is refused. At any time one entry, the names of the
directories above it and the first names of hard links are in memory.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Optional

from ...core.copy import manifest as core
from ...core.copy.copy_errors import TreeChanged, TreeCrosses, TreeTooDeep
from ...core.copy.manifest import DIRECTORY, FILE, GRAIN, LINK, RULES, Entry, Rules
from ..host import kernel
from .memory import Memory, moment

MAX_DEPTH = 256

_PIN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_ZEROS = bytes(GRAIN)
_ACLS = ("system.posix_acl_access", "system.posix_acl_default")
_FLAGS = ((kernel.IMMUTABLE, "immutable"), (kernel.APPEND_ONLY, "append-only"))
_KINDS = (
    (stat.S_ISREG, FILE), (stat.S_ISDIR, DIRECTORY), (stat.S_ISLNK, LINK), (stat.S_ISFIFO, "fifo"),
    (stat.S_ISSOCK, "socket"), (stat.S_ISCHR, "character"), (stat.S_ISBLK, "block"),
)  # fmt: skip


def new_key() -> bytes:
    """A key for the hashes of one move; kept where only root can read it, or nowhere."""
    return secrets.token_bytes(32)


@dataclass
class Reader:
    """How a tree is read."""

    rules: Rules
    key: bytes
    content: bool
    """Whether files are read, or only looked at."""
    quiet: bool
    """Whether a change in the middle is refused, or only leaves the content unknown."""
    wanted: Optional[Callable[[bytes, os.stat_result], bool]] = None
    """Which of the files are read, when not all are."""
    memory: Optional[Memory] = None
    """What need not be read, and where what is read is kept."""
    cold: bool = False
    """Whether files are read from the disk, though they may be in memory. After a sync only."""
    device: int = -1
    mount: str = ""
    names: dict[tuple[int, int], bytes] = field(default_factory=dict)
    """First path of each file that has several names."""

    def hash(self) -> Any:
        """A keyed hash: a secret of few letters can't be guessed from it."""
        return hashlib.blake2b(key=self.key, digest_size=16)


def kind_of(mode: int) -> str:
    """The kind of an entry from its mode."""
    return next((kind for test, kind in _KINDS if test(mode)), "unknown")


def _flags(fd: int) -> str:
    flags = kernel.flags_of(fd)
    return " ".join(name for bit, name in _FLAGS if flags & bit)


def _sorted_acl(value: bytes) -> bytes:
    """An ACL with its entries in order: two tools may write the same one differently."""
    entries = [value[at : at + 8] for at in range(4, len(value), 8)]
    return value[:4] + b"".join(sorted(entries))


def _attributes(fd: int, reader: Reader) -> tuple[tuple[str, str], ...]:
    # By this path an O_PATH descriptor is taken as it is, a link's too.
    path, attributes = f"/proc/self/fd/{fd}", []
    try:
        names = os.listxattr(path)
    except OSError as error:
        if error.errno not in kernel.NOT_KNOWN:
            raise
        return ()
    for name in sorted(set(names) - set(reader.rules.attributes_without)):
        value = os.getxattr(path, name)
        hashed = reader.hash()
        hashed.update(_sorted_acl(value) if name in _ACLS else value)
        attributes.append((name, hashed.hexdigest()))
    return tuple(attributes)


def _segments(fd: int, size: int) -> tuple[tuple[int, int], ...]:
    """Where the filesystem has data, in whole units of GRAIN."""
    segments: list[tuple[int, int]] = []
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            # Nothing but a hole from here on.
            break
        if start >= size:
            break
        at = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        first, last = start // GRAIN, -(-at // GRAIN)
        if segments and segments[-1][1] >= first:
            segments[-1] = (segments[-1][0], max(segments[-1][1], last))
        else:
            segments.append((first, last))
        at = max(at, last * GRAIN)
    return tuple(segments)


def _content(fd: int, size: int, segments: Iterable[tuple[int, int]], reader: Reader) -> str:
    """A hash of the content: its size, and each unit that is not all zeros with its offset.

    The same for a hole and for zeros on disk, and a hole takes no time to read.
    """
    hashed = reader.hash()
    hashed.update(struct.pack("<Q", size))
    for first, last in segments:
        for unit in range(first, last):
            block = os.pread(fd, min(GRAIN, size - unit * GRAIN), unit * GRAIN)
            if block != _ZEROS[: len(block)]:
                hashed.update(struct.pack("<Q", unit))
                hashed.update(block)
    return str(hashed.hexdigest())


def _reopened(pin: int) -> int:
    """A descriptor to read what is pinned: the same inode, whatever its name is by now."""
    path = f"/proc/self/fd/{pin}"
    try:
        return os.open(path, _READ | os.O_NOATIME)
    except PermissionError:
        return os.open(path, _READ)


def _file(pin: int, info: os.stat_result, path: bytes, reader: Reader) -> dict[str, Any]:
    fd = _reopened(pin)
    try:
        if not reader.content or (reader.wanted and not reader.wanted(path, info)):
            return {"flags": _flags(fd)}
        segments, content = _read(fd, info, path, reader)
        flags, after = _flags(fd), os.fstat(fd)
    finally:
        os.close(fd)
    if moment(after) != moment(info):
        if reader.quiet:
            change = f"size {info.st_size} and then {after.st_size}, or another time"
            raise TreeChanged(path=_for_people(path), found=change)
        content = ""
    return {"content": content, "segments": segments, "flags": flags}


def _read(
    fd: int, info: os.stat_result, path: bytes, reader: Reader
) -> tuple[tuple[tuple[int, int], ...], str]:
    """Where a file has data, and the hash of its content."""
    known = reader.memory.find(info) if reader.memory else None
    if known:
        return known.segments, known.content
    if reader.memory:
        kernel.write_back(fd)
    if reader.cold:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    segments = _segments(fd, info.st_size)
    return segments, _content(fd, info.st_size, segments, reader)


def _for_people(path: bytes) -> str:
    return core.show(path)[1:-1]


def _entry(pin: int, info: os.stat_result, path: bytes, reader: Reader) -> Entry:
    kind = kind_of(info.st_mode)
    more: dict[str, Any] = {}
    if kind == FILE:
        more["size"] = info.st_size
        if info.st_nlink > 1:
            more["first"] = reader.names.setdefault((info.st_dev, info.st_ino), path)
        more.update(_file(pin, info, path, reader))
    elif kind == LINK:
        more["target"] = os.readlink(b"", dir_fd=pin)
    elif kind in ("character", "block"):
        more["device"] = (os.major(info.st_rdev), os.minor(info.st_rdev))
    return Entry(
        path, kind, info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode),
        info.st_mtime_ns if path else 0, attributes=_attributes(pin, reader), **more,
    )  # fmt: skip


def _mount_id(fd: int) -> str:
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
        return next((line for line in file if line.startswith("mnt_id:")), "")


@dataclass
class _Open:
    """A directory that is being walked."""

    fd: int
    path: bytes
    info: os.stat_result
    names: list[bytes]
    """Those still to come, the next one last."""


def _enter(fd: int, path: bytes, info: os.stat_result, reader: Reader) -> _Open:
    if info.st_dev != reader.device or _mount_id(fd) != reader.mount:
        raise TreeCrosses(path=_for_people(path), root="the top of the tree")
    names = sorted((os.fsencode(name) for name in os.listdir(fd)), reverse=True)
    return _Open(fd, path, info, names)


def _leave(directory: _Open, reader: Reader) -> None:
    after = os.fstat(directory.fd)
    os.close(directory.fd)
    if reader.quiet and moment(after) != moment(directory.info):
        raise TreeChanged(path=_for_people(directory.path), found="names came, went or changed")


def _untouched(
    parent: _Open, name: bytes, path: bytes, reader: Reader
) -> Optional[tuple[Entry, os.stat_result]]:
    """The entry of a file that is as it was when it was read before, or None."""
    if reader.memory is None:
        return None
    try:
        info = os.stat(name, dir_fd=parent.fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
    entry = reader.memory.find(info)
    # Which of several names comes first is asked anew.
    return (entry, info) if entry and entry.path == path and info.st_nlink == 1 else None


def _step(
    parent: _Open, name: bytes, path: bytes, reader: Reader
) -> Optional[tuple[Entry, os.stat_result, Optional[_Open]]]:
    """One entry, its stat, and for a directory its opened self; None where it is gone by now."""
    untouched = _untouched(parent, name, path, reader)
    if untouched:
        return (*untouched, None)
    try:
        pin = os.open(name, _PIN, dir_fd=parent.fd)
    except FileNotFoundError:
        if reader.quiet:
            raise TreeChanged(path=_for_people(path), found="it is gone")
        return None
    try:
        info = os.fstat(pin)
        if info.st_dev != reader.device:
            raise TreeCrosses(path=_for_people(path), root="the top of the tree")
        keeps = reader.memory is not None and reader.memory.may_keep(path, info)
        below = None
        if stat.S_ISDIR(info.st_mode):
            fd = _reopened(pin)
            try:
                below = _enter(fd, path, info, reader)
            except BaseException:
                os.close(fd)
                raise
        entry = _entry(pin, info, path, reader)
        if keeps and entry.content and reader.memory:
            reader.memory.keep(info, entry)
        if below is not None:
            entry = Entry(**{**vars(entry), "flags": _flags(below.fd)})
        return entry, info, below
    finally:
        os.close(pin)


def walk_with_stat(root: int, reader: Reader) -> Iterator[tuple[Entry, os.stat_result]]:
    """The same as ``walk``, each entry with its stat."""
    info = os.fstat(root)
    reader.device, reader.mount = info.st_dev, _mount_id(root)
    fd = os.open(".", _READ | os.O_DIRECTORY, dir_fd=root)
    stack = [_enter(fd, b"", info, reader)]
    try:
        yield Entry(**{**vars(_entry(fd, info, b"", reader)), "flags": _flags(fd)}), info
        while stack:
            top = stack[-1]
            if not top.names:
                _leave(stack.pop(), reader)
                continue
            name = top.names.pop()
            path = b"/".join((top.path, name)) if top.path else name
            if reader.rules.leaves_out(path):
                continue
            step = _step(top, name, path, reader)
            if step is None:
                continue
            entry, info, below = step
            if below is not None:
                stack.append(below)
                if len(stack) > MAX_DEPTH:
                    raise TreeTooDeep(path=_for_people(path)[:80], limit=MAX_DEPTH)
            yield entry, info
    finally:
        for opened in stack:
            os.close(opened.fd)


def walk(
    root: int, key: bytes, rules: Rules = RULES, quiet: bool = True,
    read: Optional[Callable[[bytes, os.stat_result], bool]] = None,
) -> Iterator[Entry]:  # fmt: skip
    """The entries of the tree below the directory open as ``root``, in the order of core/copy/manifest.py.

    quiet: nobody writes there, so any change in the middle raises TreeChanged; without it
    an entry that is gone is passed over, and a file that changes has unknown content.
    read: tells of each file by path and stat whether to read it; all are, without it.
    Raises TreeCrosses at another filesystem or mount, TreeTooDeep.
    """
    for entry, _info in walk_with_stat(root, Reader(rules, key, True, quiet, read)):
        yield entry
