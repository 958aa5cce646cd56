# SPDX-License-Identifier: GPL-3.0-or-later
"""What steps of more than one kind of move do."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Optional

from ..core.layout import switch
from ..core.layout.tree import MARKER, MARKER_FORMAT
from ..system.disks import filesystems
from ..system.host import durable, record
from ..system.host.waiting import until
from ..system.move import moving, units
from .context import MoveContext

UNMOUNT_SECONDS = 10.0


@dataclass(frozen=True)
class Act:
    """A step's doing; ``undo`` is None where nothing needs to be undone."""

    act: Callable[[MoveContext], None]
    undo: Optional[Callable[[MoveContext], None]] = None
    changes: tuple[str, ...] = ()
    """Fields of the undo record (core/move/intent.py) for what it changes: kept before it begins."""


def write_marker(directory: int, move: MoveContext, values: dict[str, Any]) -> None:
    """The marker is root's, in a directory that is not: so by descriptor."""
    marker = {
        "instance_id": record.load().get("instance_id", ""), "epoch": 0,
        "layout": move.target.name, **values, "format": MARKER_FORMAT,
    }  # fmt: skip
    text = json.dumps(marker, indent=2) + "\n"
    durable.write_at(directory, MARKER, text.encode(), 0o644)


def remember_left_stopped(move: MoveContext) -> None:
    """Record what does not run: with its container goes the last sign that somebody has stopped it."""
    recorded = record.load()
    recorded["left_stopped"] = move.intent.left_stopped
    record.save(recorded)


def drop_line(move: MoveContext) -> None:
    """Take the line for the new place out of /etc/fstab, unless it was there before; a foreign one stays as a comment."""
    if move.intent.before.new_line == "":
        text = durable.read_text(filesystems.FSTAB) or ""
        old, new = move.source.mounts["state"], move.target.mounts["state"]
        after = switch.without_line(text, new, old)
        durable.write(filesystems.FSTAB, after)
        units.reload()


def unmount(path: str) -> None:
    """Unmount all that is stacked at ``path``; a short use by somebody is waited for."""

    def gone() -> bool:
        if moving.mount_at(path)[0]:
            with suppress(OSError):
                filesystems.unmount(path)
        return not moving.mount_at(path)[0]

    if not until(gone, UNMOUNT_SECONDS):
        filesystems.unmount(path)
