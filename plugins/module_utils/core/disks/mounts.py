# SPDX-License-Identifier: GPL-3.0-or-later
"""The mounts of a host, as the kernel has them and as decisions take them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypedDict

from ..layout.layouts import is_below, state_dirs


class Mount(TypedDict):
    """One mount; a later one with the same target lies on top of it."""

    target: str
    source: str
    fstype: str
    maj_min: str
    uuid: str
    """Of the device's filesystem; empty where there is no device, or it has none."""
    root: str
    """The path within the filesystem that is mounted: ``/`` unless it is a bind."""


def of_device(maj_min: str, source: str) -> bool:
    """Whether a mount is of a block device; btrfs has a number of its own, whatever device it is on."""
    return not maj_min.startswith("0:") or source.startswith("/dev/")


def on_top(mounts: Iterable[Mount]) -> list[Mount]:
    """Those of block devices, each the topmost at its target: what shows there."""
    topmost: dict[str, Mount] = {}
    for mount in mounts:
        topmost.pop(mount["target"], None)
        if of_device(mount["maj_min"], mount["source"]):
            topmost[mount["target"]] = mount
    return list(topmost.values())


def told(mounts: Sequence[Mount]) -> list[Mount]:
    """Those at places where a device is, or state may be: containers and the kernel have many others."""
    places = {m["target"] for m in mounts if of_device(m["maj_min"], m["source"])}
    places |= {mount["target"] for mount in at_state(mounts)}
    return [mount for mount in mounts if mount["target"] in places]


def at_state(mounts: Iterable[Mount]) -> list[Mount]:
    """All at or below the table's state directories, shadowed ones too, in the order of mounting."""
    return [m for m in mounts if any(is_below(m["target"], path) for path in state_dirs())]
