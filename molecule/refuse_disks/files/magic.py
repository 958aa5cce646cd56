#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins: the documented on-disk marks of md and ZFS.

mdadm and zpool can't make theirs without the kernel's modules. Written from the layouts
in md's md_p.h (version 1.2) and in OpenZFS's vdev_impl.h, nvpair.h and uberblock_impl.h.
"""

from __future__ import annotations

import os
import struct

KIB = 1024


def md(path: str) -> None:
    """A superblock of version 1.2, 4 KiB from the start, with its checksum."""
    block = bytearray(256 + 2 * 2)
    sectors = 64 * KIB * KIB // 512
    struct.pack_into("<IIII", block, 0, 0xA92B4EFC, 1, 0, 0)
    struct.pack_into("<16s32s", block, 16, os.urandom(16), b"lab:0")
    struct.pack_into("<QiiQII", block, 64, 0, 1, 0, sectors, 0, 2)  # level 1, two disks
    struct.pack_into("<QQQQ", block, 128, 2048, sectors - 2048, 8, 0)  # super_offset 8
    struct.pack_into("<I", block, 220, 2)  # max_dev, for which the roles at the end are
    words = struct.unpack(f"<{len(block) // 4}I", block)
    total = sum(words)
    struct.pack_into("<I", block, 216, ((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF)
    with open(path, "r+b") as device:
        device.seek(4 * KIB)
        device.write(block)


def _text(value: str) -> bytes:
    """A string in XDR: its length, its bytes, filled up to four."""
    data = value.encode()
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


def _pair(name: str, value: int | str) -> bytes:
    """An entry of a name-value list in XDR; type 8 is a number of 64 bits, 9 a string."""
    kind = 8 if isinstance(value, int) else 9
    data = struct.pack(">Q", value) if isinstance(value, int) else _text(value)
    body = _text(name) + struct.pack(">II", kind, 1) + data
    return struct.pack(">II", 8 + len(body), 8 + len(body)) + body


def zfs(path: str) -> None:
    """Four labels of 256 KiB, two at each end: a pool's name-value list and a ring of uberblocks."""
    pairs = {"version": 5000, "name": "tank", "state": 0, "txg": 4, "pool_guid": 0x0123456789ABCDEF}
    pairs |= {"top_guid": 0x1122334455667788, "guid": 0x1122334455667788}
    header = bytes([1, 1, 0, 0]) + struct.pack(">II", 0, 1)
    names = header + b"".join(_pair(name, value) for name, value in pairs.items()) + bytes(8)
    with open(path, "r+b") as device:
        size = device.seek(0, os.SEEK_END)
        for label in (0, 256 * KIB, size - 512 * KIB, size - 256 * KIB):
            device.seek(label + 16 * KIB)
            device.write(names)
            for number in range(8):
                device.seek(label + 128 * KIB + number * KIB)
                device.write(struct.pack("<QQQQQ", 0x00BAB10C, 5000, number + 1, 0, 0))


if __name__ == "__main__":
    md("/dev/lab-md")
    zfs("/dev/lab-zfs")
