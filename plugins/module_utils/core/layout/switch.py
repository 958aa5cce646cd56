# SPDX-License-Identifier: GPL-3.0-or-later
"""The two files that a move changes, as text: ``.env`` and /etc/fstab."""

from __future__ import annotations

from collections.abc import Sequence

from ..compose.chain import join, split
from ..disks import fstab
from . import dotenv
from .layouts import Layout

REMARK = "# agnes.host: state is at {new} now, this line was: "


def switched_env(text: str, source: Layout, target: Layout, chain: Sequence[str]) -> str:
    """``.env`` for ``target``: its keys set, those that only ``source`` has taken out.

    STATE_DIR goes whatever it says; another key only with the value that the source gave
    it. All other lines stay byte for byte.
    """
    wanted = target.env()
    leaving = {key: value for key, value in source.env().items() if key not in wanted}
    out = {
        number
        for number, key, value in dotenv.assignments(text)
        if key in leaving and (key == "STATE_DIR" or value == leaving[key])
    }
    lines = [line for number, line in enumerate(text.split("\n"), start=1) if number not in out]
    return dotenv.upsert("\n".join(lines), {**wanted, "COMPOSE_FILE": join(chain)})


def _options(old: tuple[str, ...]) -> str:
    """Our options, and those of the old line that say how the disk is to be mounted."""
    kept = [
        option
        for option in old
        if option not in ("defaults", *fstab.OPTIONS) and not option.startswith("x-")
    ]
    return ",".join((*fstab.OPTIONS, *kept, f"{fstab.TAG}=state"))


def with_state_line(
    text: str, uuid: str, old: str, new: str, fstype: str, selinux_type: str = ""
) -> str:
    """/etc/fstab with a line for the state disk at ``new``, mounted as the line at ``old`` has it.

    selinux_type: for a disk that has no line yet.
    """
    entry = fstab.at(text, old)
    fields = fstab.line_for("state", uuid, new, fstype, selinux_type).split(" ")
    if entry:
        fields[3] = _options(entry.options)
    return fstab.with_line(text, " ".join(fields))


def without_line(text: str, mount_point: str, new: str) -> str:
    """/etc/fstab without lines for ``mount_point``; a line that is not ours stays as a comment."""
    going = {e.line: e for e in fstab.entries(text) if e.mount_point == mount_point}
    lines = []
    for number, line in enumerate(fstab.lines(text), start=1):
        entry = going.get(number)
        if entry is None:
            lines.append(line)
        elif entry.tag is None:
            lines.append(REMARK.format(new=new) + line)
    return "".join(lines)


def with_line_back(text: str, mount_point: str, new: str, line: str) -> str:
    """/etc/fstab with a line that without_line took out; what undoes it."""
    if fstab.at(text, mount_point) or not line:
        return text
    remark = REMARK.format(new=new) + line
    return text.replace(remark, line) if remark in text else text.rstrip("\n") + f"\n{line}\n"


def line_at(text: str, mount_point: str) -> str:
    """The line of /etc/fstab for a mount point, as it stands; empty when there is none."""
    entry = fstab.at(text, mount_point)
    return fstab.lines(text)[entry.line - 1].rstrip("\n") if entry else ""


def chain_in(text: str) -> list[str]:
    """The chain of compose files that an ``.env`` names."""
    return split(dotenv.read(text).get("COMPOSE_FILE", ""))
