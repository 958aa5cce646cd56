# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the filesystem of a disk is to grow to its device, while it is mounted. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..host.facts import Device
from ..host.text import say_size
from .devices import MOUNTABLE, WHOLE_DISKS
from .mounts import Mount

AUTO, ALWAYS, NEVER = "auto", "true", "false"
"""Values of disks_grow."""

WORTH = 64 << 20
"""Bytes: what is less stays. Neither filesystem takes the last few MiB where they make no group of their own."""

TOOLS: Mapping[str, str] = {"ext4": "resize2fs", "xfs": "xfs_growfs"}
"""What grows each filesystem while it is mounted."""


def setting(value: Any) -> str:
    """A value of disks_grow; a YAML boolean is an answer, too."""
    asked = str(value).lower()
    return asked if asked in (ALWAYS, NEVER) else AUTO


def decide(
    asked: str, mount: Mount, device: Device, known: Sequence[Device], size: int,
    recorded: Mapping[str, Any],
) -> tuple[int, str]:  # fmt: skip
    """Bytes that the filesystem has now, if it is to grow, else zero; and a note where room is left unused.

    asked: as of ``setting``; known: all devices; size: bytes of the filesystem, zero where they are not
    known; recorded: what the record has of this disk.
    """
    if not size or device["size"] - size < WORTH:
        return 0, _partition(device, known)
    has = f"{mount['target']} has {say_size(size)} of the {say_size(device['size'])} of {device['path']}"
    why_not = _why_not(mount, device)
    if why_not:
        return 0, f"{has}, and is not grown, because {why_not}"
    # Whoever has made a filesystem smaller than its disk may have meant it.
    grown = device["size"] - int(recorded.get("size") or device["size"]) >= WORTH
    if asked == ALWAYS or (asked == AUTO and device["kind"] in WHOLE_DISKS and grown):
        return size, ""
    return 0, f"{has}; disks_grow: true grows the filesystem to it"


def _why_not(mount: Mount, device: Device) -> str:
    if mount["fstype"] not in MOUNTABLE:
        return f"{mount['fstype']} is not grown here"
    if mount["root"] != "/":
        return "only a directory of it is mounted there"
    if device["partitions"]:
        return f"the disk has partitions ({', '.join(device['partitions'])})"
    return ""


def _partition(device: Device, known: Sequence[Device]) -> str:
    """A note where the disk of a partition has room that no partition has: that is not for us to give."""
    for disk in known:
        if device["kernel_name"] in disk["partitions"]:
            taken = sum(d["size"] for d in known if d["kernel_name"] in disk["partitions"])
            if disk["size"] - taken >= WORTH:
                return (
                    f"{disk['path']} has {say_size(disk['size'])}, its partitions have {say_size(taken)}: a partition is "
                    f"not grown here; grow it (growpart), then the filesystem follows with disks_grow: true"
                )
    return ""
