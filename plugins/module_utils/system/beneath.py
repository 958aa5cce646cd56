# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking beneath a mount point, and moving what lies there aside, without unmounting anything.

A child process takes a mount namespace of its own and binds the directory above the mount
point there, without the mounts on it: the host's mounts are never touched, and the child's
are gone with it. What is set aside is renamed on its own filesystem, never copied.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import stat
import time
from collections.abc import Callable
from typing import Any, Optional

from ..core import shadow
from ..core.copy_errors import (
    NoPrivateMounts,
    QuarantineIncomplete,
    QuarantineUnsafe,
    ShadowConflict,
)
from ..core.errors import Refusal
from ..core.manifest import Entry, Rules, show
from ..core.retired import QUARANTINE
from ..core.shadow import Found, Verdict
from . import manifest, trees
from .kernel import LIBC
from .kernel import check as checked

ALL = Rules(without=())
"""Beneath a mount point nothing is left out."""

_CLONE_NEWNS, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x20000, 0x1000, 0x4000, 1 << 18
_ROOM = "/run"
"""Hidden in the child's namespace by a filesystem in memory, so that there is a place to bind at."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _mount(source: str, target: str, kind: Optional[bytes], flags: int) -> None:
    at = (os.fsencode(source), os.fsencode(target))
    checked(LIBC.mount(*at, kind, ctypes.c_ulong(flags), None), f"mount {target}")


def _bind(directory: str) -> int:
    """In a namespace of our own: a descriptor of ``directory`` without the mounts on it."""
    checked(LIBC.unshare(_CLONE_NEWNS), "unshare")
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    place = os.path.join(_ROOM, "beneath")
    # Opened in the new namespace, because only its mounts can be bound there.
    with trees.opened(directory) as above:
        _mount("none", _ROOM, b"tmpfs", 0)
        os.mkdir(place, 0o700)
        _mount(f"/proc/self/fd/{above}", place, None, _MS_BIND)
    return os.open(place, _DIRECTORY)


def _answer(directory: str, action: Callable[[int], Any]) -> bytes:
    try:
        return pickle.dumps(("done", action(_bind(directory))))
    except Refusal as refusal:
        return pickle.dumps(("refused", (type(refusal), refusal.facts)))
    except OSError as error:
        return pickle.dumps(("failed", error))


def _child(directory: str, action: Callable[[int], Any], write: int) -> None:
    """Does ``action`` and writes what came of it; never returns."""
    status = 1
    try:
        data = _answer(directory, action)
        with os.fdopen(write, "wb") as pipe:
            pipe.write(data)
        status = 0
    finally:
        # Nothing of the parent's, such as its buffers and handlers, may be run twice.
        os._exit(status)


def without_mounts(path: str, action: Callable[[int], Any]) -> Any:
    """What ``action`` returns, told the directory above ``path`` without any mount on it.

    It runs in a child process: its result is pickled, and refusals and errors of the system
    are raised here. Raises NoPrivateMounts where the kernel does not let us.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _child(os.path.dirname(path), action, write)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    return outcome(path, data)


def outcome(path: str, data: bytes) -> Any:
    """What a child wrote, returned or raised."""
    if not data:
        raise NoPrivateMounts(path=path, found="the process that looked ended without an answer")
    how, answer = pickle.loads(data)
    if how == "refused":
        raise answer[0](**answer[1])
    if how == "failed":
        if answer.filename in ("unshare", f"mount {_ROOM}"):
            raise NoPrivateMounts(path=path, found=answer.strerror)
        raise answer
    return answer


def _entries(directory: int, name: str, key: bytes) -> list[Entry]:
    try:
        fd = os.open(name, _DIRECTORY, dir_fd=directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
    try:
        return list(manifest.walk(fd, key, ALL, quiet=False))
    finally:
        os.close(fd)


def _stub(directory: int, name: str) -> str:
    """The text of an instance.yaml beneath, for the comparison only."""
    try:
        above = os.open(name, _DIRECTORY, dir_fd=directory)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    try:
        fd = os.open(shadow.STUB, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=above)
    except OSError:
        return ""
    finally:
        os.close(above)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return file.read(shadow.STUB_MAX + 1).decode("utf-8", "replace")


def _live(path: str, beneath: list[Entry], key: bytes) -> dict[bytes, Entry]:
    """The mounted tree; files are read only where the same path beneath has the same size."""
    sizes = {entry.path: entry.size for entry in beneath}
    with trees.opened(path) as fd:
        return {
            entry.path: entry
            for entry in manifest.walk(
                fd, key, ALL, quiet=False, read=lambda p, info: sizes.get(p) == info.st_size
            )
        }


def look(path: str) -> list[Found]:
    """What lies beneath the mount at ``path``, and what is mounted there; changes nothing.

    Raises NoPrivateMounts, TreeCrosses.
    """
    name, key = os.path.basename(path), manifest.new_key()
    beneath, stub = without_mounts(
        path, lambda above: (_entries(above, name, key), _stub(above, name))
    )
    live = _live(path, beneath, key) if os.path.ismount(path) else {}
    return shadow.classify(beneath, live, stub)


def check(path: str, found: list[Found]) -> Verdict:
    """What may go aside. Raises ShadowConflict when anything else lies beneath."""
    verdict = shadow.judge(found)
    if verdict.conflicts:
        shown = ", ".join(str(each) for each in verdict.conflicts[:5])
        more = len(verdict.conflicts) - 5
        raise ShadowConflict(path=path, found=shown + (f" and {more} more" if more > 0 else ""))
    return verdict


def own_directory(above: int, name: str, path: str) -> int:
    """A directory of root's only, made if it is not there; a link or somebody else's is refused."""
    try:
        os.mkdir(name, 0o700, dir_fd=above)
        os.fsync(above)
    except FileExistsError:
        pass
    try:
        fd = os.open(name, _DIRECTORY, dir_fd=above)
    except OSError:
        raise QuarantineUnsafe(path=path, found="a link or a file")
    info = os.fstat(fd)
    if info.st_uid != 0 or stat.S_IMODE(info.st_mode) != 0o700:
        os.close(fd)
        found = f"owner {info.st_uid}, mode {stat.S_IMODE(info.st_mode):04o}"
        raise QuarantineUnsafe(path=path, found=found)
    return fd


def _move(
    above: int, name: str, names: tuple[bytes, ...], target_path: str, key: bytes
) -> list[bytes]:
    """Rename ``names`` of the hidden directory into a new one; returns what is lost, which must be nothing."""
    quarantine_path, folder = os.path.split(target_path)
    before = _entries(above, name, key)
    quarantine = own_directory(above, QUARANTINE, quarantine_path)
    target = own_directory(quarantine, folder, target_path)
    source = os.open(name, _DIRECTORY, dir_fd=above)
    try:
        there = set(os.listdir(os.fsencode(f"/proc/self/fd/{target}")))
        for each in names:
            if each in there:
                raise QuarantineUnsafe(path=target_path, found=f"{show(each)} in it already")
            os.rename(each, each, src_dir_fd=source, dst_dir_fd=target)
        for fd in (target, source, quarantine):
            os.fsync(fd)
        after = [*_entries(above, name, key), *_entries(quarantine, folder, key)]
        return shadow.lost(before, after)
    finally:
        for fd in (source, target, quarantine):
            os.close(fd)


def quarantine(path: str, names: tuple[bytes, ...], folder: str = "") -> str:
    """Rename what lies beneath the mount at ``path`` aside, on its own filesystem; returns where to.

    All that was there before is there afterwards, by content, in one of the two places.
    Raises QuarantineUnsafe, QuarantineIncomplete, NoPrivateMounts.
    """
    above, name = os.path.split(path)
    folder = folder or time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    target, key = os.path.join(above, QUARANTINE, folder), manifest.new_key()
    check_kept(path, target, without_mounts(path, lambda fd: _move(fd, name, names, target, key)))
    return target


def check_kept(path: str, target: str, lost: list[bytes]) -> None:
    """Raise QuarantineIncomplete if something that was beneath ``path`` is nowhere now."""
    if lost:
        found = ", ".join(show(each) for each in lost[:5])
        raise QuarantineIncomplete(path=path, target=target, found=found)
