# SPDX-License-Identifier: GPL-3.0-or-later
"""How large a mounted filesystem is, and growing it to its device."""

from __future__ import annotations

import re
import struct

from ...core.disks.growing import TOOLS
from ...core.disks.mounts import Mount
from ...core.host.growing_errors import NotGrown
from ..host.commands import Failed, run

# Offsets in the superblock of ext4 (fs/ext4/ext4.h, struct ext4_super_block).
_SUPERBLOCK, _LENGTH = 1024, 1024
_BLOCKS, _LOG_SIZE, _INCOMPAT, _BLOCKS_HIGH = 0x04, 0x18, 0x60, 0x150
_64BIT = 0x80
_XFS = re.compile(r"^data\s+=\s+bsize=(\d+)\s+blocks=(\d+)", re.MULTILINE)


def _ext4(device: str) -> int:
    with open(device, "rb") as file:
        file.seek(_SUPERBLOCK)
        superblock = file.read(_LENGTH)
    if len(superblock) < _LENGTH:
        return 0
    (blocks,) = struct.unpack_from("<I", superblock, _BLOCKS)
    (log_size,) = struct.unpack_from("<I", superblock, _LOG_SIZE)
    (features,) = struct.unpack_from("<I", superblock, _INCOMPAT)
    if features & _64BIT:
        (high,) = struct.unpack_from("<I", superblock, _BLOCKS_HIGH)
        blocks += high << 32
    return int(blocks << (10 + log_size))


def _xfs(mount_point: str) -> int:
    """By the kernel's own word: what is on the device may be behind it."""
    match = _XFS.search(run([TOOLS["xfs"], "-n", mount_point]).out)
    return int(match[1]) * int(match[2]) if match else 0


def size_of(mount: Mount) -> int:
    """Bytes of a mounted filesystem; zero where that is not known."""
    try:
        if mount["fstype"] == "ext4":
            return _ext4(mount["source"])
        if mount["fstype"] == "xfs":
            return _xfs(mount["target"])
    except (OSError, Failed):
        pass
    return 0


def grow(mount: Mount) -> None:
    """Grow a mounted filesystem to its device. Raises NotGrown, and then it is as it was."""
    before, fstype = size_of(mount), mount["fstype"]
    what = mount["source"] if fstype == "ext4" else mount["target"]
    try:
        run([TOOLS[fstype], what], seconds=1800)
        reason = "" if size_of(mount) > before else "its size is what it was"
    except (OSError, Failed) as error:
        reason = str(error)
    if reason:
        raise NotGrown(mount_point=mount["target"], device=mount["source"], found=reason)
