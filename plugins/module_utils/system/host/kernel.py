# SPDX-License-Identifier: GPL-3.0-or-later
"""The few calls to the kernel that Python's os module lacks."""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

LIBC = ctypes.CDLL(None, use_errno=True)

_SYS_OPEN_TREE = 428
"""The same number on every architecture; Linux 5.2 and later."""
_SYS_OPENAT2 = 437
"""Likewise; Linux 5.6 and later."""
_RESOLVE_NO_MAGICLINKS, _RESOLVE_NO_SYMLINKS, _RESOLVE_BENEATH = 0x02, 0x04, 0x08
_RESOLVE_IN_ROOT = 0x10
_UMOUNT_NOFOLLOW = 8
_OPEN_TREE_CLONE = 1
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2
IMMUTABLE, APPEND_ONLY = 0x10, 0x20
_CAP_LINUX_IMMUTABLE = 9
"""Its number in capabilities(7)."""
_MS_NOSUID, _MS_NODEV, _MS_REMOUNT, _MS_NOATIME, _MS_BIND = 0x2, 0x4, 0x20, 0x400, 0x1000
_LONG = struct.calcsize("l")
_GETFLAGS = 0x80006601 | _LONG << 16
_SETFLAGS = 0x40006602 | _LONG << 16
NOT_KNOWN = (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
"""What a filesystem without flags or attributes answers; anything else is an error of the disk."""


def check(result: int, what: str) -> int:
    """The result of a call to the C library; raises OSError, which names ``what``, for a bad one."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def open_beneath(directory: int, path: str, flags: int) -> int:
    """A descriptor of ``path``, which must lie below ``directory`` and have no link in it.

    Raises OSError: ELOOP for a link, ENOSYS or EPERM where the kernel, or a filter of
    system calls, does not have openat2.
    """
    return _openat2(
        directory, path, flags, _RESOLVE_NO_MAGICLINKS | _RESOLVE_NO_SYMLINKS | _RESOLVE_BENEATH
    )


def open_in_root(directory: int, path: str, flags: int) -> int:
    """A descriptor of ``path`` with ``directory`` as the root: no link, and no ``..``, leads out of it.

    Raises OSError: ENOSYS or EPERM as ``open_beneath`` does.
    """
    return _openat2(directory, path, flags, _RESOLVE_NO_MAGICLINKS | _RESOLVE_IN_ROOT)


def _openat2(directory: int, path: str, flags: int, resolve: int) -> int:
    how = _OpenHow(flags | os.O_CLOEXEC, 0, resolve)
    return check(
        LIBC.syscall(
            ctypes.c_long(_SYS_OPENAT2), ctypes.c_int(directory),
            ctypes.c_char_p(os.fsencode(path)), ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        ),
        path,
    )  # fmt: skip


def unmount(directory: int, name: str) -> None:
    """Unmount what is on top at ``name`` in an open directory; a link is refused, not followed.

    Raises OSError: EBUSY while it is in use, EINVAL where nothing is mounted.
    """
    path = ctypes.c_char_p(os.fsencode(f"/proc/self/fd/{directory}/{name}"))
    check(LIBC.umount2(path, ctypes.c_int(_UMOUNT_NOFOLLOW)), name)


@contextmanager
def top_of(mount: int) -> Iterator[int]:
    """A readable descriptor of the directory that ``mount`` is of, an O_PATH one that is closed at the end."""
    try:
        top = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=mount)
        try:
            yield top
        finally:
            os.close(top)
    finally:
        os.close(mount)


@contextmanager
def without_mounts(directory: str) -> Iterator[int]:
    """A descriptor of ``directory`` in which nothing is mounted on anything.

    A detached copy of the one mount that holds the directory, without those on top
    of it: it is in no namespace, nobody else sees it, and it is gone at the end.
    """
    path = ctypes.c_char_p(os.fsencode(directory))
    flags = ctypes.c_uint(_OPEN_TREE_CLONE | os.O_CLOEXEC)
    fd = check(
        LIBC.syscall(ctypes.c_long(_SYS_OPEN_TREE), ctypes.c_int(-100), path, flags), directory
    )
    with top_of(fd) as below:
        yield below


def _rename(source: str, source_fd: int, target: str, target_fd: int, flags: int) -> None:
    check(
        LIBC.renameat2(
            ctypes.c_int(source_fd), ctypes.c_char_p(os.fsencode(source)),
            ctypes.c_int(target_fd), ctypes.c_char_p(os.fsencode(target)), ctypes.c_uint(flags),
        ),
        source,
    )  # fmt: skip


def exchange(left: str, left_fd: int, right: str, right_fd: int) -> None:
    """Exchange two names in one step: at no moment is either missing."""
    _rename(left, left_fd, right, right_fd, _RENAME_EXCHANGE)


def rename_new(source: str, source_fd: int, target: str, target_fd: int) -> None:
    """Rename to a name that must be free."""
    _rename(source, source_fd, target, target_fd, _RENAME_NOREPLACE)


_WAIT_BEFORE, _WRITE, _WAIT_AFTER = 1, 2, 4


def write_back(fd: int) -> None:
    """Write the file's changed pages to its disk. From then on a store into a mapping of it is seen.

    A mapped page that is written once stays writable, without another ctime, until it is
    written back. Unlike fsync this flushes no cache of the disk.
    """
    zero, flags = ctypes.c_int64(0), _WAIT_BEFORE | _WRITE | _WAIT_AFTER
    check(LIBC.sync_file_range(fd, zero, zero, ctypes.c_uint(flags)), "sync_file_range")


def bind(directory: int, target: str) -> None:
    """Mount an open directory at ``target`` too; what is mounted in it is not seen there."""
    source, path = (ctypes.c_char_p(os.fsencode(p)) for p in (f"/proc/self/fd/{directory}", target))
    check(LIBC.mount(source, path, None, ctypes.c_ulong(_MS_BIND), None), target)
    flags = _MS_REMOUNT | _MS_BIND | _MS_NOATIME | _MS_NODEV | _MS_NOSUID
    check(LIBC.mount(None, path, None, ctypes.c_ulong(flags), None), target)


def known_flags(fd: int) -> Optional[int]:
    """The flags of a file or directory, as ``lsattr`` shows them; None where its filesystem has none."""
    flags = array.array("i", [0])
    try:
        fcntl.ioctl(fd, _GETFLAGS, flags)
    except OSError as error:
        if error.errno not in NOT_KNOWN:
            raise
        return None
    return flags[0]


def flags_of(fd: int) -> int:
    """The same, and zero where there are none."""
    return known_flags(fd) or 0


def may_set_immutable() -> bool:
    """Whether this process may set the flag: in many containers not even root may."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        held = [line.split()[1] for line in file if line.startswith("CapEff:")]
    return bool(held and int(held[0], 16) & 1 << _CAP_LINUX_IMMUTABLE)


def is_immutable(fd: int) -> bool:
    """Whether a file or directory has the immutable flag; no where flags are unknown."""
    return bool(flags_of(fd) & IMMUTABLE)


def set_immutable(fd: int, wanted: bool) -> None:
    """Set or clear the immutable flag where the filesystem has it; elsewhere do nothing."""
    if is_immutable(fd) == wanted:
        return
    flags = array.array("i", [0])
    try:
        fcntl.ioctl(fd, _GETFLAGS, flags)
        flags[0] = flags[0] | IMMUTABLE if wanted else flags[0] & ~IMMUTABLE
        fcntl.ioctl(fd, _SETFLAGS, flags)
    except OSError as error:
        if error.errno not in NOT_KNOWN:
            raise
