# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.stack import (
    is_one_shot,
    say_state,
    selected,
    step_for,
    trouble_with,
    unknown_profiles,
)

LASTING = {"profiles": [], "restart": "unless-stopped", "volumes": []}
ONE_SHOT = {"profiles": ["extract"], "restart": "no", "volumes": []}


def container(status: str, **differs: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": "agnes-app-1",
        "status": status,
        "exit_code": 0,
        "health": "",
    }
    made.update(differs)
    return made


TEST_STEP: list[Any] = [
    pytest.param(LASTING, None, [], "create", id="absent"),
    pytest.param(ONE_SHOT, None, [], "create", id="one-shot-absent"),
    pytest.param(LASTING, container("running"), [], "", id="running"),
    pytest.param(LASTING, container("running"), ["agnes-app-1"], "recreate", id="differs"),
    pytest.param(LASTING, container("running"), ["agnes-app-10"], "", id="another-differs"),
    pytest.param(LASTING, container("exited"), [], "start", id="stopped"),
    pytest.param(LASTING, container("created"), [], "start", id="created"),
    pytest.param(LASTING, container("paused"), [], "start", id="paused"),
    pytest.param(ONE_SHOT, container("exited"), [], "", id="one-shot-ended-well"),
    pytest.param(ONE_SHOT, container("exited", exit_code=1), [], "start", id="one-shot-failed"),
    pytest.param(ONE_SHOT, container("dead", exit_code=0), [], "", id="one-shot-dead"),
    pytest.param(ONE_SHOT, container("created"), [], "start", id="one-shot-never-ran"),
    pytest.param(
        ONE_SHOT, container("exited"), ["agnes-app-1"], "recreate", id="one-shot-differs"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("service", "found", "recreate", "expected"), TEST_STEP)
def test_step_for(
    service: dict[str, Any], found: dict[str, Any] | None, recreate: list[str], expected: str
) -> None:
    assert step_for(service, found, recreate) == expected


TEST_TROUBLE: list[Any] = [
    pytest.param(LASTING, None, "absent", id="absent"),
    pytest.param(LASTING, container("running"), "", id="running-without-health-check"),
    pytest.param(LASTING, container("running", health="healthy"), "", id="healthy"),
    pytest.param(
        LASTING, container("running", health="starting"), "running, starting", id="starting"
    ),
    pytest.param(
        LASTING, container("running", health="unhealthy"), "running, unhealthy", id="unhealthy"
    ),
    pytest.param(LASTING, container("restarting"), "restarting", id="restarting"),
    pytest.param(LASTING, container("created"), "created", id="created"),
    pytest.param(LASTING, container("exited"), "exited", id="ended"),
    pytest.param(ONE_SHOT, container("exited"), "", id="one-shot-ended-well"),
    pytest.param(
        ONE_SHOT, container("exited", exit_code=3), "ended with 3", id="one-shot-failed"
    ),
    pytest.param(ONE_SHOT, container("running"), "still running", id="one-shot-runs"),
    pytest.param(ONE_SHOT, container("created"), "created", id="one-shot-never-ran"),
]  # fmt: skip


@pytest.mark.parametrize(("service", "found", "expected"), TEST_TROUBLE)
def test_trouble_with(service: dict[str, Any], found: dict[str, Any] | None, expected: str) -> None:
    assert trouble_with(service, found) == expected


@pytest.mark.parametrize(
    ("restart", "expected"),
    [("no", True), ("", True), (None, True), ("always", False), ("on-failure:3", False)],
)
def test_is_one_shot(restart: str | None, expected: bool) -> None:
    assert is_one_shot({"restart": restart}) is expected
    assert is_one_shot({})


TEST_SELECTED: list[tuple[list[str], list[str]]] = [
    ([], ["app"]),
    (["full"], ["app", "bot"]),
    (["tls", "extract"], ["app", "caddy", "extract"]),
    (["other"], ["app"]),
]


@pytest.mark.parametrize(("profiles", "expected"), TEST_SELECTED)
def test_selected(profiles: list[str], expected: list[str]) -> None:
    services: dict[str, dict[str, Any]] = {
        "extract": {"profiles": ["extract"]},
        "caddy": {"profiles": ["tls", "apps"]},
        "bot": {"profiles": ["full"]},
        "app": {"profiles": []},
    }
    assert selected(services, profiles) == expected


TEST_SAY: list[tuple[dict[str, Any], str]] = [
    (container("exited", exit_code=0), "ended with 0"),
    (container("dead", exit_code=137), "ended with 137"),
    (container("running", health="healthy"), "healthy"),
    (container("running"), "running (no health check)"),
]


@pytest.mark.parametrize(("found", "expected"), TEST_SAY)
def test_say_state(found: dict[str, Any], expected: str) -> None:
    assert say_state(LASTING, found) == expected


def test_a_profile_that_no_service_has_is_said() -> None:
    services = {"a": {"profiles": ["tls"]}, "b": {"profiles": ["full"]}, "c": {"profiles": []}}
    assert unknown_profiles(services, ["full", "ful"]) == {
        "(profile ful)": "in no compose file; they have profiles full, tls"
    }
