# SPDX-License-Identifier: GPL-3.0-or-later
"""Making, taking away and swapping mount points, by directory descriptors and without following links.

uid 999 owns /data: a name in it may become something else between two calls. So each act
goes by descriptors, and whatever is taken out of its place is renamed aside, never deleted;
only an empty directory that is left over, and a link of ours, are removed.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ..core.copy.retired import ASIDE
from ..core.layout.layouts import LAYOUTS
from ..core.layout.tree import MARKER
from ..core.move.move_errors import AsideForeign, LinkForeign, MovePlaceInUse
from ..system.host import durable, kernel
from ..system.layout import trees

_LOST_AND_FOUND = "lost+found"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_OURS = {target for layout in LAYOUTS.values() for target in layout.links.values()}


@contextmanager
def _parent(path: str) -> Iterator[tuple[int, str]]:
    parent, name = os.path.split(path)
    with trees.opened(parent) as fd:
        yield fd, name


@contextmanager
def _aside(parent: int) -> Iterator[int]:
    """The directory of things set aside; gone again at the end if nothing is in it."""
    path = os.path.join(os.readlink(f"/proc/self/fd/{parent}"), ASIDE)
    with suppress(FileExistsError):
        os.mkdir(ASIDE, 0o700, dir_fd=parent)
        os.fsync(parent)
    try:
        fd = os.open(ASIDE, _DIRECTORY, dir_fd=parent)
    except OSError as error:
        raise AsideForeign(path=path, found="a link or a file") from error
    try:
        info = os.fstat(fd)
        mode = stat.S_IMODE(info.st_mode)
        if info.st_uid != 0 or mode != 0o700:
            raise AsideForeign(path=path, found=f"owner {info.st_uid}, mode {mode:04o}")
        yield fd
        os.fsync(fd)
    finally:
        os.close(fd)
    with suppress(OSError):
        os.rmdir(ASIDE, dir_fd=parent)
        os.fsync(parent)


def check_aside(parent: str) -> None:
    """Raise AsideForeign where things could not be set aside in ``parent``; nothing is made."""
    path = os.path.join(parent, ASIDE)
    info = durable.read_stat(path)
    if info is None:
        return
    mode = stat.S_IMODE(info.st_mode)
    if not stat.S_ISDIR(info.st_mode):
        raise AsideForeign(path=path, found="a link or a file")
    if info.st_uid != 0 or mode != 0o700:
        raise AsideForeign(path=path, found=f"owner {info.st_uid}, mode {mode:04o}")


def _kind(parent: int, name: str) -> str:
    try:
        return trees.kind_of(os.stat(name, dir_fd=parent, follow_symlinks=False))
    except FileNotFoundError:
        return "absent"


def _immutable(parent: int, name: str, wanted: bool) -> None:
    fd = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        kernel.set_immutable(fd, wanted)
        os.fsync(fd)
    finally:
        os.close(fd)


def _is_ours(directory: int, name: str) -> bool:
    """Whether a name is a link that points where ours do."""
    return _kind(directory, name) == "link" and os.readlink(name, dir_fd=directory) in _OURS


def _say(directory: int, name: str) -> str:
    kind = _kind(directory, name)
    return f"a link to '{os.readlink(name, dir_fd=directory)}'" if kind == "link" else f"a {kind}"


def _free(aside: int, name: str) -> None:
    """Make a name free among the things set aside: a link of ours is removed, anything else is renamed."""
    if _is_ours(aside, name):
        os.unlink(name, dir_fd=aside)
    elif _kind(aside, name) != "absent":
        kernel.rename_new(name, aside, f"{name}.{secrets.token_hex(4)}", aside)


def make_point(path: str, name_aside: str) -> None:
    """A mount point at ``path``, in place of nothing or of a link of ours.

    Where a link is, it and the directory change places: at no moment is neither there.
    """
    with _parent(path) as (parent, name):
        kind = _kind(parent, name)
        if kind == "absent":
            os.mkdir(name, 0o755, dir_fd=parent)
        elif kind == "link":
            with _aside(parent) as aside:
                if _kind(aside, name_aside) == "absent":
                    os.mkdir(name_aside, 0o755, dir_fd=aside)
                kernel.exchange(name_aside, aside, name, parent)
                if not _is_ours(aside, name_aside):
                    there = _say(aside, name_aside)
                    kernel.exchange(name_aside, aside, name, parent)
                    raise LinkForeign(path=path, wanted=" or ".join(sorted(_OURS)), found=there)
                _free(aside, name_aside)
        _immutable(parent, name, True)
        os.fsync(parent)


def unmake_point(path: str, link: str, name_aside: str) -> None:
    """What undoes make_point: nothing again at ``path``, or the link that was there."""
    with _parent(path) as (parent, name):
        if _kind(parent, name) != "directory":
            return
        _immutable(parent, name, False)
        if link:
            with _aside(parent) as aside:
                _exchange_for_link(parent, name, link, aside, name_aside)
        else:
            os.rmdir(name, dir_fd=parent)
        os.fsync(parent)


def retire(path: str, link: str, name_aside: str) -> None:
    """Rename the directory at ``path`` aside; in its place comes ``link``, or nothing if it is empty.

    A mount point that is still in use can't be renamed: the kernel refuses it.
    """
    with _parent(path) as (parent, name):
        kind = _kind(parent, name)
        if kind == "directory":
            _immutable(parent, name, False)
            with _aside(parent) as aside:
                if link:
                    _exchange_for_link(parent, name, link, aside, name_aside)
                else:
                    kernel.rename_new(name, parent, name_aside, aside)
                    _settle(aside, name_aside)
        elif kind != "absent":
            there = _say(parent, name)
            raise LinkForeign(path=path, wanted=link or "nothing", found=there)
        elif link:
            os.symlink(link, name, dir_fd=parent)
        os.fsync(parent)


def _exchange_for_link(parent: int, name: str, link: str, aside: int, name_aside: str) -> None:
    _free(aside, name_aside)
    os.symlink(link, name_aside, dir_fd=aside)
    kernel.exchange(name_aside, aside, name, parent)
    os.fsync(parent)
    _settle(aside, name_aside)


def made_aside(parent: str, name: str) -> int:
    """A descriptor of a directory of root's that is set aside in ``parent``; made if it is not there.

    What is no directory has come there by ``put``, from uid 999 in the place of our link: it is kept.
    """
    with trees.opened(parent) as fd, _aside(fd) as aside:
        if _kind(aside, name) != "directory":
            _free(aside, name)
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=aside)
            os.fsync(aside)
        return os.open(name, _DIRECTORY, dir_fd=aside)


def _trade(name: str, directory: int, other: str, elsewhere: int) -> None:
    """Exchange two names in one rename, or rename the first to the other where that is free."""
    if _kind(elsewhere, other) == "absent":
        kernel.rename_new(name, directory, other, elsewhere)
    else:
        kernel.exchange(name, directory, other, elsewhere)


def put(path: str, name: str, made: os.stat_result) -> None:
    """Let the directory set aside as ``name`` and what is at ``path`` change places, in one rename.

    made: what that directory must be; uid 999 owns the one that both are in.
    """
    with _parent(path) as place, _aside(place[0]) as aside:
        parent, last = place
        there = os.stat(name, dir_fd=aside, follow_symlinks=False)
        if (there.st_dev, there.st_ino) != (made.st_dev, made.st_ino):
            raise MovePlaceInUse(path=path, found=f"another directory than the copy as '{name}'")
        _trade(name, aside, last, parent)
        os.fsync(aside)
        os.fsync(parent)


def take_back(path: str, name: str, is_ours: Callable[[int], bool]) -> None:
    """What undoes put, where it was done: ``is_ours`` tells of the open directory at ``path``."""
    with _parent(path) as (parent, last):
        if _kind(parent, last) != "directory":
            return
        fd = os.open(last, _DIRECTORY, dir_fd=parent)
        try:
            if not is_ours(fd):
                return
            with _aside(parent) as aside:
                _trade(last, parent, name, aside)
                moved = os.stat(name, dir_fd=aside, follow_symlinks=False)
                if not os.path.samestat(moved, os.fstat(fd)):
                    # It has been swapped between the look and the rename; it is no copy of ours.
                    kernel.rename_new(name, aside, f"{name}.{secrets.token_hex(4)}", aside)
                    raise MovePlaceInUse(path=path, found="another directory than the copy")
                os.fsync(aside)
        finally:
            os.close(fd)
        os.fsync(parent)


def keep_under(path: str, name: str, name_aside: str) -> None:
    """What ``put`` has taken out of its place: a link of ours goes, anything else keeps the move's name."""
    with _parent(path) as place, _aside(place[0]) as aside:
        if _is_ours(aside, name):
            os.unlink(name, dir_fd=aside)
        elif _kind(aside, name) != "absent":
            kernel.rename_new(name, aside, name_aside, aside)
            _settle(aside, name_aside)


def _settle(aside: int, name: str) -> None:
    """What was set aside stays, root's only, unless it is an empty directory."""
    os.fsync(aside)
    if _kind(aside, name) != "directory":
        # Of uid 999, in our directory's place for a moment: nobody else can follow it here.
        return
    try:
        os.rmdir(name, dir_fd=aside)
    except OSError:
        fd = os.open(name, _DIRECTORY, dir_fd=aside)
        try:
            os.fchown(fd, 0, 0)
            os.fchmod(fd, 0o700)
            os.fsync(fd)
        finally:
            os.close(fd)


def set_aside(top: str, name: str) -> None:
    """Rename all that is at the top of a disk into a new directory of root's only, on the disk itself.

    Done again it goes on where it was killed; the marker, which says whose the rest is, goes last.
    """
    with trees.opened(top) as directory, _aside(directory) as aside:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=aside)
        folder = os.open(name, _DIRECTORY, dir_fd=aside)
        try:
            # Cut off while it wrote the marker anew: that was a file of ours, and none of theirs.
            durable.sweep(directory, MARKER)
            for each in sorted(os.listdir(directory), key=lambda n: n == MARKER):
                if each not in (ASIDE, _LOST_AND_FOUND):
                    kernel.rename_new(each, directory, each, folder)
            for fd in (folder, aside, directory):
                os.fsync(fd)
        finally:
            os.close(folder)


def tidy(path: str, name_aside: str) -> None:
    """Take away what a crash left between two of the calls above: a link of ours, an empty directory."""
    with suppress(FileNotFoundError), _parent(path) as (parent, _name):
        if _kind(parent, ASIDE) != "directory":
            return
        with _aside(parent) as aside:
            kind = _kind(aside, name_aside)
            if _is_ours(aside, name_aside):
                _free(aside, name_aside)
            if kind == "directory":
                _immutable(aside, name_aside, False)
                _settle(aside, name_aside)
