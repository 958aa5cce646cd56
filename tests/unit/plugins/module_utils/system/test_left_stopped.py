# SPDX-License-Identifier: GPL-3.0-or-later
"""When a move goes on: what somebody has stopped since it stays so, what has failed does not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.move.intent import MoveIntent
from ansible_collections.agnes.host.plugins.module_utils.move import project, steps
from ansible_collections.agnes.host.plugins.module_utils.move.context import MoveContext
from ansible_collections.agnes.host.tests.unit.plugins.module_utils.core.moving import intent


def container(status: str, code: int) -> dict[str, Any]:
    return {"service": "app", "status": status, "exit_code": code}


@pytest.mark.parametrize(
    ("listed", "left"),
    [
        ([container("exited", 0)], ["app"]),
        ([container("exited", 137)], ["app"]),
        ([container("exited", 143)], ["app"]),
        ([container("exited", 1)], []),
        ([container("exited", 139)], []),
        ([container("dead", 1)], []),
        # Taken away, as by 'docker compose down'.
        ([], ["app"]),
    ],
)
def test_what_has_failed_is_not_taken_for_stopped(
    listed: list[dict[str, Any]], left: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    of_project = project.Project("docker", "/opt/agnes")
    monkeypatch.setattr(project, "containers", lambda *_names: listed)
    monkeypatch.setattr(of_project, "running", lambda: {"bot"})
    monkeypatch.setattr(of_project, "unstarted", set[str])
    monkeypatch.setattr(steps, "remember_left_stopped", lambda _move: None)
    monkeypatch.setattr(steps.ledger, "note", lambda *_said: None)
    said = MoveIntent.from_dict(intent(services=["app", "bot"]))
    move = SimpleNamespace(
        was_started=True, wanted=frozenset(("app", "bot")), project=of_project, intent=said,
        save=lambda: None, id="m",
    )  # fmt: skip
    steps.leave_stopped(cast(MoveContext, move), lambda _text: None)
    assert said.left_stopped == left
