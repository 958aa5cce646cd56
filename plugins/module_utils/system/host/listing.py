# SPDX-License-Identifier: GPL-3.0-or-later
"""What a folder has, where a folder that can't be read is an error and not an empty one. Read-only.

``glob`` and ``os.path.exists`` answer "nothing" to every error of the kernel.
"""

from __future__ import annotations

import errno
import fnmatch
import os

ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
"""What the kernel says of a path at which there can be nothing; every other error leaves it unknown."""


def names(folder: str) -> list[str]:
    """The names in a folder, sorted; of one that is absent, none. Raises OSError for any other error."""
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        if error.errno in ABSENT:
            return []
        raise


def is_there(path: str) -> bool:
    """Whether something, a dangling link too, is at ``path``. Raises OSError where that can't be told."""
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno in ABSENT:
            return False
        raise
    return True


def matching(pattern: str) -> list[str]:
    """The paths that an absolute pattern with ``*`` names, sorted; hidden names are not. Raises OSError."""
    paths = ["/"]
    for part in pattern.strip("/").split("/"):
        if "*" not in part:
            paths = [os.path.join(folder, part) for folder in paths]
            continue
        paths = [
            os.path.join(folder, name)
            for folder in paths
            for name in fnmatch.filter(names(folder), part)
            if not name.startswith(".")
        ]
    return [path for path in paths if is_there(path)]
