# SPDX-License-Identifier: GPL-3.0-or-later
"""The file /etc/fstab: reading it as mount(8) does, and whether it can be replaced. Read-only."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from contextlib import suppress

from . import durable, mountinfo

PATH = "/etc/fstab"

_GETFLAGS = 0x80086601
"""FS_IOC_GETFLAGS of linux/fs.h; its argument is a long, of which the kernel writes an int."""
_IMMUTABLE, _APPEND = 0x10, 0x20
_ROOM = 1 << 20
"""Bytes that must be free beside it, for the file that takes its place and what is recorded."""


def read(path: str = PATH) -> str:
    """Its text, through a link as mount(8) reads it; empty where there is none."""
    return durable.read_text(os.path.realpath(path)) or ""


def _flags(path: str) -> int:
    """The attributes that chattr sets; 0 where the filesystem has none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return 0
    try:
        with suppress(OSError):
            return int(struct.unpack("i", fcntl.ioctl(fd, _GETFLAGS, bytes(8))[:4])[0])
        return 0
    finally:
        os.close(fd)


def fixed(path: str = PATH) -> str:
    """Why the file can't be replaced by a new one, for a message; empty when it can."""
    info, folder = durable.read_stat(path), os.path.dirname(path)
    if info is not None and stat.S_ISLNK(info.st_mode):
        return f"a link to '{os.readlink(path)}', which a new file would replace"
    if info is not None and not stat.S_ISREG(info.st_mode):
        return "no regular file"
    if any(line.target == path for line in mountinfo.read()):
        return "a mount point of its own"
    for each in (path, folder):
        if _flags(each) & (_IMMUTABLE | _APPEND):
            return f"kept from changes by 'chattr +i' or '+a' on '{each}'"
    room = os.statvfs(folder)
    if room.f_flag & os.ST_RDONLY:
        return "on a filesystem that is mounted read-only"
    if room.f_bfree * room.f_frsize < _ROOM or (room.f_files and not room.f_ffree):
        return "on a filesystem that is full"
    return ""
