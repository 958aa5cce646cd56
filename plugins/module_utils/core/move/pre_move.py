# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operator's own command says before a move: which backup was verified last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .move_errors import PreMoveFailed

SHOWN = 120
"""Characters of its first line that are shown; whatever else it says is not."""

_LINE = "last verified backup: {said}"


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines()[:1]]
    line = "".join(c for c in "".join(lines) if c.isprintable())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}..."


def backup_line(asked: Mapping[str, Any]) -> str:
    """The plan's line about it. Raises PreMoveFailed.

    asked: ``configured``, whether there is a command, and ``result``, what Ansible's own
    module command returned, empty before it was asked.
    """
    if not asked.get("configured"):
        return _LINE.format(said="unknown, because state_layout_pre_move_command is not set")
    result = asked.get("result") or {}
    if not result:
        return _LINE.format(said="not asked yet")
    if result.get("skipped"):
        return _LINE.format(said="not asked in a check run")
    if result.get("rc") != 0:
        raise PreMoveFailed(found=result.get("rc", "none"))
    return _LINE.format(said=_first_line(str(result.get("stdout") or "")) or "nothing was reported")
