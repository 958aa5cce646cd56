# SPDX-License-Identifier: GPL-3.0-or-later
"""What was read of a tree while the stack still ran, and holds as long as a file is not touched.

A file is not touched when its inode, size, mtime and ctime are what they were. Who owns a
file can set its size and its mtime, but not its ctime: any change of content, owner, mode,
attributes, flags, names or number of names moves that on, to the kernel's own clock. What
had changed so shortly before it was read that the clock might not show a second change
is not remembered (see core/copy/manifest.py), nor are the database's files.

For one process only: it is in memory, and so is the key of its hashes.
"""

from __future__ import annotations

import fnmatch
import os
import time
from dataclasses import dataclass, field
from typing import Optional

from ...core.copy import manifest as core
from ...core.copy.copying import GROUP
from ...core.copy.manifest import Entry

LIMIT = 200_000
"""Files, of each tree; some 600 bytes of memory each. What is beyond is read after the stop."""

Moment = tuple[int, int, int]


def moment(info: os.stat_result) -> Moment:
    """What tells that a file has been touched."""
    return info.st_size, info.st_mtime_ns, info.st_ctime_ns


@dataclass
class Memory:
    """What is known of one tree."""

    lines: dict[tuple[int, int], tuple[Moment, bytes]] = field(default_factory=dict)
    """Inode -> how it was, and the line of its entry."""

    def find(self, info: os.stat_result) -> Optional[Entry]:
        """The entry of a file that has not been touched since it was read, or None."""
        was, line = self.lines.get((info.st_dev, info.st_ino), (None, b""))
        return core.from_line(line) if was == moment(info) else None

    def may_keep(self, path: bytes, info: os.stat_result) -> bool:
        """Whether what will be read now of a file can be relied on later."""
        top = os.fsdecode(path).split("/")[0]
        if any(fnmatch.fnmatchcase(top, pattern) for pattern in GROUP):
            return False
        return len(self.lines) < LIMIT and core.is_settled(info.st_ctime_ns, time.time_ns())

    def keep(self, info: os.stat_result, entry: Entry) -> None:
        """Remember what was read of a file; ``info`` is from before that, and still holds."""
        self.lines[info.st_dev, info.st_ino] = moment(info), core.to_line(entry)
