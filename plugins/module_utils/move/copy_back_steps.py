# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that only a move has which copies state from its disk into a directory of the data disk.

The copy is made in a directory of root's only, which is bound to where all copies are made,
so that copying, proof and seal are those of copy_steps.py. Shown, it is by one rename: the link
at the layout's place and it change places, and back.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from ..core.copy.retired import ASIDE
from ..core.disks.disks import DIRECTORY, RETIRED_DISK
from ..core.move.move_errors import OtherDeviceMounted
from ..core.move.presence import away
from ..system.disks import devices
from ..system.host import durable, kernel
from ..system.layout import markers, trees
from ..system.move import moving
from ..system.move.moving import COPY_NAME, STAGE
from . import places
from .common import Act, unmount
from .context import MoveContext
from .copy_steps import begin_copy, check_source, is_unused_copy, unstage


def _is_copy(move: MoveContext, directory: int) -> bool:
    """Whether an open directory is the one that this move has made, and not used yet.

    A marker alone anyone could write who can read ours: uid 999 can.
    """
    inode = move.intent.copy_inode
    return os.fstat(directory).st_ino == inode and is_unused_copy(markers.read_if_any(directory))


def _check_data_disk(move: MoveContext, directory: int) -> None:
    """Raise a Refusal unless an open directory is on the disk that the plan has named, by device number."""
    data, uuid = move.target.mounts["data"], move.copy_uuid
    device, mounted, _root = moving.mount_at(data)
    if not device or mounted != uuid:
        raise away(data, uuid, mounted)
    shown = devices.maj_min_of(os.fstat(directory).st_dev)
    if shown != device:
        raise OtherDeviceMounted(path=f"{data}/{ASIDE}", found=shown, wanted=device)


def _nest(move: MoveContext) -> None:
    """As ``stage`` does it for a disk: whatever an earlier process has shown is taken back first."""
    check_source(move)
    _put_undo(move)
    unmount(STAGE)
    durable.make_directory(STAGE, 0o700)
    data = move.target.mounts["data"]
    directory = places.made_aside(data, COPY_NAME)
    try:
        _check_data_disk(move, directory)
        # Before it is ever shown, so that it is known again wherever it is then.
        move.intent.copy_inode = os.fstat(directory).st_ino
        move.save()
        kernel.bind(directory, STAGE)
    finally:
        os.close(directory)
    begin_copy(move, f"{data}/{ASIDE}/{COPY_NAME}")


@contextmanager
def _data(move: MoveContext) -> Iterator[int]:
    """The data disk's own directory, open; raises MoveDiskAway where another disk, or none, is mounted."""
    with trees.opened(move.target.mounts["data"]) as directory:
        _check_data_disk(move, directory)
        yield directory


def _claim(move: MoveContext) -> None:
    """State's place is a name in a directory of uid 999's: while the stack is down, it is root's."""
    with _data(move) as directory:
        mode = stat.S_IMODE(os.fstat(directory).st_mode)
        move.intent.data_taken = True
        # First, so that whoever goes on from here knows that it is to be given back.
        move.save()
        # Not flushed here: `put` does it, and before that nothing hangs on it.
        os.fchown(directory, 0, -1)
        os.fchmod(directory, mode & ~(stat.S_IWGRP | stat.S_IWOTH))


def release(move: MoveContext) -> None:
    """Give the data disk's directory back, where a move has taken it; before anything is started."""
    owner = move.intent.before.data_owner
    if not move.intent.data_taken or owner is None:
        return
    uid, gid, mode = owner
    with _data(move) as directory:
        os.fchown(directory, uid, gid)
        os.fchmod(directory, mode)
        os.fsync(directory)
    move.intent.data_taken = False
    # Given back twice, it is the same: no full disk may keep the stack down.
    with suppress(OSError):
        move.save()
    move.say(f"{move.target.mounts['data']} is its owner's again")


def is_gone(move: MoveContext) -> bool:
    """Whether a committed move's copy is not in its place any more: uid 999 can move it, once it has /data back.

    Raises MoveDiskAway where the data disk is gone, with all that is on it.
    """
    status = move.look(containers=False)
    if status.kind.state_goes != DIRECTORY or not status.committed or status.there:
        return False
    with _data(move) as directory:
        try:
            name = os.path.basename(move.target.state_dir)
            there = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return True
        here = os.fstat(directory).st_dev
    return there.st_dev == here and there.st_ino != move.intent.copy_inode


def _put(move: MoveContext) -> None:
    places.put(move.target.state_dir, COPY_NAME, os.stat(STAGE))


def _put_undo(move: MoveContext) -> None:
    """Before the commit only: after it, what is at the layout's place is state."""
    places.take_back(move.target.state_dir, COPY_NAME, partial(_is_copy, move))


def leave_disk(move: MoveContext, recorded: dict[str, Any]) -> None:
    """The record knows the disk as one that state was on: no run mounts it, formats it or misses it."""
    places.keep_under(move.target.state_dir, COPY_NAME, move.name_aside)
    left = recorded["disks"].pop("state", {"uuid": move.intent.uuid})
    recorded["disks"][RETIRED_DISK] = left


COPY_BACK_ACTS: Mapping[str, Act] = {
    "nest": Act(_nest, unstage),
    "claim": Act(_claim, release, ("data_owner",)),
    "put": Act(_put, _put_undo, ("point",)),
}
