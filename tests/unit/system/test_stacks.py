# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a stack is waited for, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.errors import NotHealthy
from ansible_collections.agnes.host.plugins.module_utils.system import stacks
from ansible_collections.agnes.host.plugins.module_utils.system.commands import Failed, Hung


def clock(*moments: float) -> Callable[[], float]:
    """A clock that shows these, one after the other."""
    shown: Iterator[float] = iter(moments)
    return lambda: next(shown)


def healthy(look: Callable[[], Any], tick: Callable[[], float], seconds: float = 900) -> Any:
    return stacks.healthy(
        look, lambda _name, item: "" if item else "absent", ["app"], seconds, "/opt/agnes", 0, tick
    )


def test_the_seconds_that_are_said_are_those_that_were_waited() -> None:
    with pytest.raises(NotHealthy, match="'app' is absent after 317 s"):
        healthy(lambda: {}, clock(100, 417), seconds=300)


def test_an_engine_that_does_not_answer_is_asked_again() -> None:
    answers: list[Any] = [Hung("'docker ps' did not end within 60 s"), {"app": {"up": True}}]

    def look() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert healthy(look, clock(0, 60, 120)) == {"app": {"up": True}}


def test_one_that_never_answers_is_told_as_such() -> None:
    def look() -> Any:
        raise Hung("'docker ps' did not end within 60 s")

    with pytest.raises(NotHealthy, match="not known: the engine does not answer after 901 s"):
        healthy(look, clock(0, 901))


def test_an_up_that_fails_at_once_is_not_said_to_have_taken_its_whole_time() -> None:
    stack: Any = stacks.Stack.__new__(stacks.Stack)
    stack.project_dir = "/opt/agnes"

    class Failing:
        """Compose, which does not come to anything."""

        def up(self, _names: Any, _seconds: float) -> None:
            raise Failed("no space")

    stack.compose = Failing()
    moments = clock(1000, 1317)
    with (
        patch.object(stacks.time, "monotonic", moments),
        pytest.raises(NotHealthy, match=r"'app' is not up \(no space\) after 317 s"),
    ):
        stack.up(["app"], 900)
