# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that only a move has which copies state from its disk into a directory of the data disk.

The copy is made in a directory of root's only, which is bound to where all copies are made,
so that copying, proof and seal are those of copy_steps.py. Shown, it is by one rename: the link
at the layout's place and it change places, and back.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from ..core.disks import RETIRED_DISK
from ..core.errors import NotMounted
from ..core.retired import ASIDE
from ..system import devices, durable, kernel, markers, moving
from ..system.moving import COPY_NAME, STAGE
from . import places
from .common import Act, unmount
from .copy_steps import begin_copy, check_source, is_unused_copy, unstage
from .world import World


def _is_copy(world: World, directory: int) -> bool:
    """Whether an open directory is the one that this move has made, and not used yet.

    A marker alone anyone could write who can read ours: uid 999 can.
    """
    inode = world.intent.get("copy_inode")
    return os.fstat(directory).st_ino == inode and is_unused_copy(markers.read_if_any(directory))


def _check_data_disk(world: World, directory: int) -> None:
    """Raise NotMounted unless an open directory is on the disk that the plan has named, by device number."""
    data, uuid = world.target.mounts["data"], world.copy_uuid
    device, found, _root = moving.mount_at(data)
    if not device or found != uuid:
        raise NotMounted(mount_point=data, found="not the data disk that was planned for")
    if devices.maj_min_of(os.fstat(directory).st_dev) != device:
        raise NotMounted(mount_point=f"{data}/{ASIDE}", found="another device")


def _nest(world: World) -> None:
    """As ``stage`` does it for a disk: whatever an earlier process has shown is taken back first."""
    check_source(world)
    _put_undo(world)
    unmount(STAGE)
    durable.make_directory(STAGE, 0o700)
    data = world.target.mounts["data"]
    directory = places.made_aside(data, COPY_NAME)
    try:
        _check_data_disk(world, directory)
        # Before it is ever shown, so that it is known again wherever it is then.
        world.intent["copy_inode"] = os.fstat(directory).st_ino
        world.save()
        kernel.bind(directory, STAGE)
    finally:
        os.close(directory)
    begin_copy(world, f"{data}/{ASIDE}/{COPY_NAME}")


def _put(world: World) -> None:
    places.put(world.target.state_dir, COPY_NAME, os.stat(STAGE))


def _put_undo(world: World) -> None:
    """Before the commit only: after it, what is at the layout's place is state."""
    places.take_back(world.target.state_dir, COPY_NAME, partial(_is_copy, world))


def leave_disk(world: World, found: dict[str, Any]) -> None:
    """The record knows the disk as one that state was on: no run mounts it, formats it or misses it."""
    places.keep_under(world.target.state_dir, COPY_NAME, world.name_aside)
    left = found["disks"].pop("state", {"uuid": world.intent["uuid"]})
    found["disks"][RETIRED_DISK] = left


GATHER_ACTS: Mapping[str, Act] = {
    "nest": Act(_nest, unstage),
    "put": Act(_put, _put_undo),
}
