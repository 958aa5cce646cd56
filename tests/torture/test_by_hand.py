# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/move-by-hand.md: a move is killed after a step, and an operator starts the product by hand, as that page says.

Then a plain run ends the move as one that nothing disturbed. TORTURE=full tries every step of every kind.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_failpoints import FULL, STEPS_OF, play, pytestmark, undisturbed

__all__ = ["pytestmark"]

SHOWN = {("copy_back", "put"), ("copy", "retire"), ("flat", "point"), ("promote", "unlist")}
"""Those where most is to be done by hand."""
KILLED = [(source, step) for source in STEPS_OF for step in STEPS_OF[source] if step != "forget"]


def counted(end: dict[str, Any]) -> dict[str, Any]:
    """An end without what an operator may leave: what was moved out of the way, and comments in fstab."""
    lines = [line for line in end["fstab"].splitlines() if not line.startswith("#")]
    return {**end, "fstab": lines, "aside": None}


@pytest.mark.parametrize(
    ("source", "step"),
    [pytest.param(*each, id="-".join(each)) for each in KILLED if FULL or each in SHOWN],
)
def test_started_by_hand_as_documented_then_run_plainly(
    tmp_path: Path, source: str, step: str
) -> None:
    played = play(tmp_path, source, "none", f"{step}.after:kill", "by hand", "")
    killed, by_hand, last = played["history"]
    assert killed["status"] == -9
    assert by_hand["running"] == ["app", "scheduler"]
    assert last["status"] == 0, played["history"]
    wanted = undisturbed(source, "none", tmp_path.parent)
    assert counted(played["end"]) == counted(wanted["end"])
