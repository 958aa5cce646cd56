# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes of a container see at a path. Read-only.

Links are followed as they follow them: an absolute one begins at the container's root, not at
ours, where a plain stat below /proc/PID/root would go on.
"""

from __future__ import annotations

import errno
import os
import stat

from ..host import kernel

_FLAGS = os.O_PATH | os.O_CLOEXEC
_MAX_LINKS = 40
"""As the kernel has it."""


def look(pid: int, path: str) -> os.stat_result:
    """The stat of ``path`` as process ``pid`` sees it. Raises OSError."""
    if not pid:
        raise OSError(errno.ESRCH, os.strerror(errno.ESRCH), path)
    root = os.open(f"/proc/{pid}/root", _FLAGS | os.O_DIRECTORY)
    try:
        fd = opened(root, path)
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)
    finally:
        os.close(root)


def is_there(pid: int) -> bool:
    """Whether a process has not ended: of one that has, nothing is seen anywhere."""
    try:
        os.stat(f"/proc/{pid}/root/")
    except OSError:
        return False
    return bool(pid)


def opened(root: int, path: str) -> int:
    """An O_PATH descriptor of ``path`` with the open directory ``root`` as the root of all links."""
    try:
        return kernel.open_in_root(root, path.lstrip("/") or ".", _FLAGS)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
    return _walk(root, path)


def _walk(root: int, path: str) -> int:
    """The same without openat2: name by name; ``..`` never leads out of the root."""
    names, links = [name for name in path.split("/") if name][::-1], 0
    # The directories from the root down to where we are.
    stack = [os.dup(root)]
    try:
        while names:
            name = names.pop()
            if name in (".", ".."):
                if name == ".." and len(stack) > 1:
                    os.close(stack.pop())
                continue
            fd = os.open(name, _FLAGS | os.O_NOFOLLOW, dir_fd=stack[-1])
            if not stat.S_ISLNK(os.fstat(fd).st_mode):
                stack.append(fd)
                continue
            try:
                # An empty path reads the link that is open itself.
                target = os.readlink("", dir_fd=fd)
            finally:
                os.close(fd)
            links += 1
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if target.startswith("/"):
                while len(stack) > 1:
                    os.close(stack.pop())
            names += [each for each in target.split("/") if each][::-1]
        return stack.pop()
    finally:
        for fd in stack:
            os.close(fd)
