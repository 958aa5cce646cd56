# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of the host that copy state: backups that others have set up. No I/O.

Only what is written in a unit, a file of cron, or a script that one of them starts is known; what a
program decides by itself, or a backup from outside does, is not.
"""

from __future__ import annotations

import re

from ..layout.layouts import state_dirs
from .facts import Copier

_COPIES = re.compile(
    r"\b(tar|rsync|cp|find|scp|restic|borg|rclone|duplicity|zip|rdiff-backup|cpio|7z|gsutil|aws)\b"
)
"""Programs that backups are made of."""
_CALLED = re.compile(r"(?<![\w/.-])/(?:usr/local|opt|root|srv|home)/[\w./-]+")
"""Scripts of the operator's, not those of packages."""


def called(text: str) -> list[str]:
    """The paths of scripts that a unit or a file of cron may start."""
    return _CALLED.findall(_without_comments(text))


def _without_comments(text: str) -> str:
    return "\n".join("" if line.lstrip().startswith("#") else line for line in text.splitlines())


def copying_lines(path: str, text: str) -> list[Copier]:
    """The lines of a text that copy the STATE_DIR of a layout, each once for each of those."""
    copiers: list[Copier] = []
    for number, line in enumerate(_without_comments(text).splitlines(), start=1):
        if not _COPIES.search(line):
            continue
        for place in state_dirs():
            named = re.findall(rf"(?<![\w/.-]){re.escape(place)}(?![\w.-])(/?)", line)
            if named:
                copiers.append({"path": path, "line": number, "place": place, "inside": all(named)})
    return copiers
