# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a stack is waited for, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.compose.stack_errors import NotUp
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import NotHealthy
from ansible_collections.agnes.host.plugins.module_utils.system.compose import stacks
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Failed, Hung


def container(service: str, status: str = "running", **differs: Any) -> dict[str, Any]:
    """A container as it is cut, up for an hour."""
    return {
        "name": f"agnes-{service}-1", "status": status, "exit_code": 0, "restarts": 0,
        "up_seconds": 3600.0, "health": "", **differs,
    }  # fmt: skip


def clock(*moments: float) -> Callable[[], float]:
    """A clock that shows these, one after the other."""
    shown: Iterator[float] = iter(moments)
    return lambda: next(shown)


def stack_of(look: Callable[[], Any]) -> Any:
    """A stack whose containers are what ``look`` says, and whose logs are not asked for."""
    stack: Any = stacks.Stack.__new__(stacks.Stack)
    stack.project_dir = "/opt/agnes"
    stack.by_service = look
    stack.log_of = lambda name: f"log of {name}"
    return stack


def healthy(look: Callable[[], Any], tick: Callable[[], float], seconds: float = 900) -> Any:
    services = {"app": {"restart": "always"}, "job": {"restart": "no"}}
    return stack_of(look).wait(services, ["app"], seconds, poll_seconds=0, clock=tick)


def test_the_seconds_that_are_said_are_those_that_were_waited() -> None:
    with pytest.raises(NotHealthy, match="'app' is absent after 317 s"):
        healthy(lambda: {}, clock(100, 417), seconds=300)


def test_an_unhealthy_service_is_told_with_the_end_of_its_log() -> None:
    ill = {"app": [container("app", health="unhealthy")]}
    said = "s; its log ends with: log of agnes-app-1; see 'docker compose logs app'"
    with pytest.raises(NotHealthy, match=said):
        healthy(lambda: ill, clock(0, 901))


def test_an_engine_that_does_not_answer_is_asked_again() -> None:
    answers: list[Any] = [Hung("'docker ps' did not end within 60 s"), {"app": [container("app")]}]

    def look() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert healthy(look, clock(0, 60, 120)) == {"app": [container("app")]}


def test_one_that_never_answers_is_told_as_such() -> None:
    def look() -> Any:
        raise Hung("'docker ps' did not end within 60 s")

    with pytest.raises(NotHealthy, match="not known: the engine does not answer after 901 s"):
        healthy(look, clock(0, 901))


def test_an_up_that_fails_at_once_is_not_said_to_have_taken_its_whole_time() -> None:
    stack = stack_of(dict)

    class Failing:
        """Compose, which does not come to anything."""

        def up(self, _names: Any, _seconds: float, _options: Any) -> None:
            raise Failed("no space")

    stack.compose = Failing()
    moments = clock(1000, 1317)
    with (
        patch.object(stacks.time, "monotonic", moments),
        pytest.raises(NotHealthy, match=r"'app' is not up \(no space\) after 317 s"),
    ):
        stack.up({}, ["app"], 900)


def looks(*moments: dict[str, Any]) -> Callable[[], Any]:
    """The containers of the service app, one look after the other."""
    shown = iter([{"app": [container("app", **moment)]} for moment in moments])
    return lambda: next(shown)


def test_what_starts_again_and_again_is_not_waited_for_to_the_end() -> None:
    runs = {"restarts": 8, "up_seconds": 1.0}
    ended = {"status": "restarting", "restarts": 9, "exit_code": 1}
    with pytest.raises(NotUp, match=r"app is restarting \(9 times so far.*log of agnes-app-1"):
        healthy(looks(runs, ended), clock(0, 1, 2))


def test_what_dies_each_minute_is_not_taken_for_well_in_between() -> None:
    up = {"restarts": 57, "up_seconds": 31.0, "health": "healthy"}
    later = {"restarts": 57, "up_seconds": 58.0, "health": "healthy"}
    again = {"restarts": 58, "up_seconds": 1.0, "health": "starting"}
    with pytest.raises(NotUp, match="app is started again 58 times, and up for 1 s only"):
        healthy(looks(up, later, again), clock(0, 1, 28, 31))
    well = {"restarts": 57, "up_seconds": 91.0}
    assert healthy(looks(up, well), clock(0, 1, 61))["app"][0]["up_seconds"] == 91.0


def test_what_is_started_again_a_few_times_is_waited_for() -> None:
    moments = [
        {"restarts": 0, "health": "starting"},
        {"status": "restarting", "restarts": 1},
        {"restarts": 2, "up_seconds": 12.0},
        {"restarts": 2, "up_seconds": 31.0},
    ]
    present = healthy(looks(*moments), clock(0, 1, 2, 3))
    assert present["app"][0]["up_seconds"] == 31.0


def test_the_answer_is_the_same_between_two_ends_as_after_one() -> None:
    moments = [
        {"status": "restarting", "restarts": 13},
        {"restarts": 13, "up_seconds": 0.4},
        {"restarts": 13, "up_seconds": 9.0, "health": "healthy"},
    ]
    for moment in moments:
        with pytest.raises(NotUp):
            healthy(looks(moment), clock(0, 901))


def test_what_has_ended_badly_for_good_is_said_at_once() -> None:
    stack = stack_of(lambda: {"job": [container("job", "exited", exit_code=3)]})
    with pytest.raises(NotHealthy, match="'job' is ended with 3 after 2 s"):
        stack.wait({"job": {"restart": "no"}}, ["job"], 900, 0, clock(0, 2))


def test_a_dependency_that_loops_is_named_and_not_who_waits_for_it() -> None:
    present = {
        "app": [container("app", "restarting", restarts=20)],
        "scheduler": [container("scheduler", "created")],
    }
    stack = stack_of(lambda: present)
    services = {name: {"restart": "always"} for name in present}
    with pytest.raises(NotUp) as failed:
        stack.wait(services, ["app", "scheduler"], 9, 0, clock(0, 10))
    assert "scheduler" not in str(failed.value)
