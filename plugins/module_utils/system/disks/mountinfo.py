# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's list of mounts, as /proc/PID/mountinfo has it. Read-only."""

from __future__ import annotations

from typing import NamedTuple

from ...core.disks import fstab
from ...core.disks.mounts import Mount

SELF = "/proc/self/mountinfo"


class Line(NamedTuple):
    """One mount; a later line with the same target lies on top."""

    maj_min: str
    root: str
    """The path within the filesystem that is mounted, as the kernel escapes it."""
    target: str
    fstype: str
    source: str

    def as_mount(self, uuid: str) -> Mount:
        """The same for decisions, with the UUID of the device's filesystem."""
        return {
            "target": self.target, "source": self.source, "fstype": self.fstype,
            "maj_min": self.maj_min, "uuid": uuid, "root": self.root,
        }  # fmt: skip


def read(path: str = SELF) -> list[Line]:
    """The mounts of the namespace that a mountinfo file tells of, in the order of mounting."""
    lines = []
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            left, _dash, right = line.rstrip("\n").partition(" - ")
            fields, (fstype, source) = left.split(" "), right.split(" ")[:2]
            lines.append(Line(fields[2], fields[3], fstab.decode(fields[4]), fstype, source))
    return lines
