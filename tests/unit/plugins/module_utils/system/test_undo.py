# SPDX-License-Identifier: GPL-3.0-or-later
"""What was there before a move is written down once, before the step that changes it, and before the stop."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.move.intent import Before, MoveIntent
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_kinds import KINDS
from ansible_collections.agnes.host.plugins.module_utils.move import undo
from ansible_collections.agnes.host.plugins.module_utils.move.context import MoveContext
from ansible_collections.agnes.host.plugins.module_utils.move.steps import ACTS
from ansible_collections.agnes.host.tests.unit.plugins.module_utils.core.moving import intent

FIELDS = set(vars(Before()))


class Move:
    """A move of a kind, of which nothing is kept yet."""

    def __init__(self, kind: str) -> None:
        self.kind = KINDS[kind]
        self.intent = MoveIntent.from_dict(intent(kind=kind, before=Before()))
        self.saved: list[dict[str, Any]] = []

    def save(self) -> None:
        self.saved.append(vars(self.intent.before).copy())

    def keep(self, step: str) -> set[str]:
        """What is kept after that."""
        undo.keep(cast(MoveContext, self), step, ACTS)
        return {name for name, value in vars(self.intent.before).items() if value is not None}


@pytest.fixture(autouse=True)
def look(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is looked at, in order."""
    seen: list[str] = []

    def one(name: str) -> Any:
        return lambda _move: seen.append(name) or f"{name} {len(seen)}"

    monkeypatch.setattr(undo, "KEPT", {name: one(name) for name in FIELDS})
    return seen


def test_each_field_of_the_record_is_kept_for_a_step() -> None:
    assert {name for act in ACTS.values() for name in act.changes} == FIELDS


@pytest.mark.parametrize(
    ("kind", "step", "kept"),
    [
        ("remount", "overlay", set()),
        ("remount", "point", {"point"}),
        ("remount", "fstab", {"new_line"}),
        ("remount", "stop", set()),
        ("late_remount", "stop", {"point", "new_line"}),
        ("copy", "stop", {"new_line"}),
        ("copy_back", "stop", {"point", "data_owner"}),
        ("copy_back", "claim", {"data_owner"}),
        ("promote", "unlist", {"old_line"}),
    ],
)
def test_what_the_downtime_changes_is_kept_before_the_stop(
    kind: str, step: str, kept: set[str]
) -> None:
    move = Move(kind)
    assert move.keep(step) == kept
    assert len(move.saved) == bool(kept)


def test_what_was_written_down_is_never_looked_at_again(look: list[str]) -> None:
    move = Move("copy_back")
    move.keep("stop")
    before = vars(move.intent.before).copy()
    for step in ("stop", "claim", "put"):
        move.keep(step)
    assert vars(move.intent.before) == before
    assert (len(look), len(move.saved)) == (2, 1)
