# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading /etc/fstab and adding our lines to it, as text."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ..host.host_errors import FstabFixed, FstabTwice

TAG = "x-agnes.host"
"""Mount option that marks a line as ours; mount and systemd ignore ``x-`` options."""

OPTIONS = ("defaults", "nofail", "x-systemd.device-timeout=30s", "x-systemd.before=docker.service")
"""Why nofail: a host without its disk must still boot far enough to be repaired."""

_BY_UUID = "/dev/disk/by-uuid/"
_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")


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
    """A field of fstab or mountinfo without its octal escapes, each of which is a byte."""
    raw = value.encode("utf-8", "surrogateescape")
    return _OCTAL.sub(lambda match: bytes([int(match[1], 8)]), raw).decode(
        "utf-8", "surrogateescape"
    )


def _point(path: str) -> str:
    """A mount point as libmount compares it: slashes that say nothing are left out, dots resolved."""
    return posixpath.normpath(re.sub("/+", "/", path)) if path.startswith("/") else path


def tag_of(spec: str) -> tuple[str, str]:
    """The tag and the value of ``UUID=...`` and its like; empty for a path.

    libblkid takes quotes off the value, of either kind.
    """
    tag, separator, value = spec.partition("=")
    if not separator or tag not in ("UUID", "LABEL", "PARTUUID", "PARTLABEL"):
        return "", ""
    if value[:1] in ("'", '"') and value[-1:] == value[:1] and len(value) > 1:
        value = value[1:-1]
    return tag, value


def names_uuid(spec: str, uuid: str) -> bool:
    """Whether a spec is the filesystem's UUID, as a tag or as udev's link, in letters of any case."""
    tag, value = tag_of(spec)
    if spec.startswith(_BY_UUID):
        tag, value = "UUID", spec[len(_BY_UUID) :]
    return bool(uuid) and tag == "UUID" and value.lower() == uuid.lower()


def entries(text: str) -> list[Entry]:
    """The entries of an fstab; comments and broken lines are skipped, as mount does."""
    parsed = []
    # Only spaces and tabs part fields, and only a newline ends a line, with a carriage return
    # before it or not: as libmount reads it. It knows no quotes for a mount point.
    for number, line in enumerate(text.split("\n"), start=1):
        line = line[:-1] if line.endswith("\r") else line
        fields = [field for field in re.split(r"[ \t]+", line) if field]
        if len(fields) < 3 or fields[0].startswith("#"):
            continue
        options = tuple(fields[3].split(",")) if len(fields) > 3 else ("defaults",)
        parsed.append(
            Entry(number, decode(fields[0]), _point(decode(fields[1])), fields[2], options)
        )
    return parsed


def at(text: str, mount_point: str) -> Optional[Entry]:
    """The entry for ``mount_point``, or None."""
    return next((entry for entry in entries(text) if entry.mount_point == mount_point), None)


def lines(text: str) -> list[str]:
    """The lines by number from 0, each with its end: only a newline ends one."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def check_lines(listed: Iterable[Mapping[str, Any]], mount_points: Iterable[str]) -> None:
    """Raise FstabTwice where several entries are for one of the mount points."""
    known = list(listed)
    for point in mount_points:
        numbers = [str(entry["line"]) for entry in known if entry["mount_point"] == point]
        if len(numbers) > 1:
            raise FstabTwice(lines=" and ".join(numbers), mount_point=point)


def check_replaceable(why_not: str, wanted: Iterable[str]) -> None:
    """Raise FstabFixed where lines must change, for these mount points, and the file can't be replaced."""
    points = ", ".join(wanted)
    if points and why_not:
        raise FstabFixed(found=why_not, mount_points=points)


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


def with_filesystem(text: str, entry: Entry, uuid: str, fstype: str) -> str:
    """``text`` in which an entry of it mounts another filesystem: its first and third field change.

    All other lines, and the other fields, stay byte for byte.
    """
    each = lines(text)
    match = re.match(r"([ \t]*)[^ \t]+([ \t]+[^ \t]+[ \t]+)[^ \t\r\n]+", each[entry.line - 1])
    if match is None:
        raise AssertionError("an entry has three fields")
    start = f"{match[1]}UUID={uuid}{match[2]}{fstype}"
    each[entry.line - 1] = start + each[entry.line - 1][match.end() :]
    return "".join(each)
