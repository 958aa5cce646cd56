# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/move-by-hand.md: a move is killed after a step, and an operator starts the product by hand, as that page says.

Then a plain run ends the move as one that nothing disturbed. TORTURE=full tries every step of every kind.
"""

from __future__ import annotations

from pathlib import Path

import between
import pytest
from test_failpoints import FULL, STEPS_OF, play, pytestmark, undisturbed

from ansible_collections.agnes.host.plugins.module_utils.core.move.move_steps import STEPS

__all__ = ["pytestmark"]

SHOWN = {("copy_back", "put"), ("copy", "retire"), ("flat", "point"), ("promote", "unlist")}
"""Those where most is to be done by hand."""
KILLED = [(source, step) for source in STEPS_OF for step in STEPS_OF[source] if step != "forget"]


def test_each_step_has_one_row() -> None:
    for step in STEPS:
        assert between.by_hand(step), step


@pytest.mark.parametrize(
    ("source", "step"),
    [pytest.param(*each, id="-".join(each)) for each in KILLED if FULL or each in SHOWN],
)
def test_started_by_hand_as_documented_then_run_plainly(
    tmp_path: Path, source: str, step: str
) -> None:
    found = play(tmp_path, source, "none", f"{step}.after:kill", "by hand", "")
    killed, by_hand, last = found["history"]
    assert killed["status"] == -9
    assert by_hand["running"] == ["app", "scheduler"]
    assert last["status"] == 0, found["history"]
    wanted = undisturbed(source, "none", tmp_path.parent)
    # What was moved out of the way by hand stays there.
    ends = [{k: v for k, v in each["end"].items() if k != "aside"} for each in (found, wanted)]
    assert ends[0] == ends[1]
