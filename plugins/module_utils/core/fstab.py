# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading /etc/fstab and adding our lines to it, as text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

TAG = "x-agnes.host"
"""Mount option that marks a line as ours; mount and systemd ignore ``x-`` options."""

OPTIONS = ("defaults", "nofail", "x-systemd.device-timeout=30s", "x-systemd.before=docker.service")
"""Why nofail: a host without its disk must still boot far enough to be repaired."""

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Entry:
    """One line of fstab: its number from 1 and its first four fields."""

    line: int
    spec: str
    mount_point: str
    fstype: str
    options: tuple[str, ...]

    @property
    def tag(self) -> Optional[str]:
        """The disk's role if the line is ours, else None."""
        prefix = f"{TAG}="
        return next((o[len(prefix) :] for o in self.options if o.startswith(prefix)), None)


def decode(value: str) -> str:
    """A field of fstab or mountinfo without its octal escapes."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), value)


def _point(path: str) -> str:
    """A mount point as mount(8) takes it: without a slash at its end."""
    return path.rstrip("/") or "/"


def entries(text: str) -> list[Entry]:
    """The entries of an fstab; comments and broken lines are skipped, as mount does."""
    found = []
    # Only spaces and tabs part fields, and only a newline ends a line: as mount(8) reads it.
    for number, line in enumerate(text.split("\n"), start=1):
        fields = [field for field in re.split(r"[ \t]+", line) if field]
        if len(fields) < 3 or fields[0].startswith("#"):
            continue
        options = tuple(fields[3].split(",")) if len(fields) > 3 else ("defaults",)
        found.append(
            Entry(number, decode(fields[0]), _point(decode(fields[1])), fields[2], options)
        )
    return found


def at(text: str, mount_point: str) -> Optional[Entry]:
    """The entry for ``mount_point``, or None."""
    return next((entry for entry in entries(text) if entry.mount_point == mount_point), None)


def line_for(role: str, uuid: str, mount_point: str, fstype: str, selinux_type: str = "") -> str:
    """Our line for a disk: by UUID, tagged with its role; selinux_type labels the whole mount."""
    context = (f'context="system_u:object_r:{selinux_type}:s0"',) if selinux_type else ()
    options = ",".join((*OPTIONS, *context, f"{TAG}={role}"))
    passno = 2 if fstype.startswith("ext") else 0
    return f"UUID={uuid} {mount_point} {fstype} {options} 0 {passno}"


def with_line(text: str, line: str) -> str:
    """``text`` with ``line`` at its end, unless an entry has its mount point already.

    All other lines stay byte for byte.
    """
    mount_point = entries(line)[0].mount_point
    if at(text, mount_point):
        return text
    if text and not text.endswith("\n"):
        text += "\n"
    return f"{text}{line}\n"
