# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a file can be replaced by a rename, and a name in a directory changed. Read-only.

Root may still be refused: by a flag of chattr, a mount on the file itself, a filesystem that
is read-only. Found out while the stack is down, or after a commit, it would be too late.
"""

from __future__ import annotations

import os
import stat

from . import kernel, mountinfo

_FLAGS = (
    (kernel.IMMUTABLE, "immutable ('chattr -i'"),
    (kernel.APPEND_ONLY, "append-only ('chattr -a'"),
)


def _flag(path: str) -> str:
    """The flag that keeps root from it, for people."""
    # What is no file or directory has no flags, and opening it may do something.
    if stat.S_IFMT(os.lstat(path).st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
        return ""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        flags = kernel.flags_of(fd)
    finally:
        os.close(fd)
    return next((f"{path} is {what} takes that away)" for bit, what in _FLAGS if flags & bit), "")


def directory_closed(path: str) -> str:
    """Why no name in a directory can be changed, for people; empty when one can."""
    try:
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return f"{path} is on a filesystem that is read-only"
        return _flag(path)
    except OSError as error:
        return f"{path}: {error.strerror}"


def file_kept(path: str) -> str:
    """Why a file can't be replaced, for people; empty when it can, also where it is not there yet."""
    if any(line.target == path for line in mountinfo.read()):
        return f"{path} itself is a mount"
    try:
        if stat.S_ISLNK(os.lstat(path).st_mode):
            return f"a link to {os.readlink(path)}"
        found = _flag(path)
    except FileNotFoundError:
        found = ""
    except OSError as error:
        found = f"{path}: {error.strerror}"
    return found or directory_closed(os.path.dirname(path))
