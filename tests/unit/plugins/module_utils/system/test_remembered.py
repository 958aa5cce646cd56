# SPDX-License-Identifier: GPL-3.0-or-later
"""Equal questions are asked once, and only while nothing is done but looking."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.compose import stage as stages
from ansible_collections.agnes.host.plugins.module_utils.system.compose.artifacts import File
from ansible_collections.agnes.host.plugins.module_utils.system.compose.compose import Compose
from ansible_collections.agnes.host.plugins.module_utils.system.compose.remembered import (
    answer,
    remembered,
)
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Done


def test_an_answer_lasts_as_long_as_the_looking() -> None:
    asked = []

    def ask() -> Done:
        asked.append(1)
        return Done(len(asked), "", "")

    with remembered():
        assert [answer("q", ask).code for _time in range(3)] == [1, 1, 1]
        assert answer("other", ask).code == 2
    assert [answer("q", ask).code for _time in range(2)] == [3, 4]
    with remembered():
        assert answer("q", ask).code == 5


def test_a_question_that_failed_is_asked_again() -> None:
    def fail() -> Done:
        raise OSError("busy")

    with remembered():
        with pytest.raises(OSError, match="busy"):
            answer("q", fail)
        assert answer("q", lambda: Done(0, "", "")).code == 0


def test_a_stage_is_another_question_only_where_it_differs_from_what_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("A=1\n")
    (tmp_path / "x.yml").write_text("services: {}\n")
    asked: list[str] = []

    def launch(self: Compose, argv: object, codes: object, seconds: float) -> Done:
        asked.append(type(self).__name__)
        return Done(0, '{"name": "agnes", "services": {}}', "")

    monkeypatch.setattr(Compose, "launch", launch)
    monkeypatch.setattr(stages.Stage, "launch", launch)
    same = {"x.yml": File(b"services: {}\n", False)}
    with remembered():
        Compose("docker", str(tmp_path)).config()
        stages.Stage("docker", str(tmp_path), same, "A=1\n").config()
        assert asked == ["Compose"]
        stages.Stage("docker", str(tmp_path), same, "A=2\n").config()
        stages.Stage("docker", str(tmp_path), {"x.yml": File(b"", False)}, "A=1\n").config()
        stages.Stage("docker", str(tmp_path), {"new.yml": File(b"", False)}, "A=1\n").config()
    assert asked == ["Compose", "Stage", "Stage", "Stage"]
