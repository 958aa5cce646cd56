# SPDX-License-Identifier: GPL-3.0-or-later
"""The undo record of a move: what is there before a step changes it, looked at and written down once.

Whatever the steps of the downtime change is kept right before the stop, so that it costs no downtime.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..core.layout import switch
from ..core.move.move_steps import COMMIT
from ..system.disks import filesystems, fstab_file
from ..system.layout import trees
from .common import Act
from .context import MoveContext


def _point(move: MoveContext) -> str:
    status = move.look(containers=False)
    return status.unmounted(status.new)["kind"]


def _line(path: str) -> str:
    return switch.line_at(fstab_file.read(filesystems.FSTAB), path)


def _data_owner(move: MoveContext) -> list[int]:
    with trees.opened(move.source.mounts["data"]) as directory:
        info = os.fstat(directory)
    return [info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)]


KEPT: Mapping[str, Callable[[MoveContext], Any]] = {
    "point": _point,
    "new_line": lambda move: _line(move.target.mounts["state"]),
    "old_line": lambda move: _line(move.source.mounts["state"]),
    "data_owner": _data_owner,
}
"""Field of the undo record -> what is there now."""


def _changed_by(move: MoveContext, step: str, acts: Mapping[str, Act]) -> Iterable[str]:
    """The fields for what a step changes; for the stop, of all steps from there to the commit."""
    steps = move.kind.steps
    if step == "stop":
        return [
            n for s in steps[steps.index(step) : steps.index(COMMIT) + 1] for n in acts[s].changes
        ]
    return acts[step].changes


def keep(move: MoveContext, step: str, acts: Mapping[str, Act]) -> None:
    """Write down what is there before ``step``, as far as that has not been written down before."""
    before = move.intent.before
    new = {n: KEPT[n] for n in _changed_by(move, step, acts) if getattr(before, n) is None}
    for name, look in new.items():
        setattr(before, name, look(move))
    if new:
        move.save()
