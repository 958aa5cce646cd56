# SPDX-License-Identifier: GPL-3.0-or-later
"""What the observation says of a stack that runs: the proof, or why it can't be had without waiting."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.compose.stack import by_service
from ansible_collections.agnes.host.plugins.module_utils.core.compose.stack_errors import (
    NothingProved,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import (
    WrongDiskInContainer,
)
from ansible_collections.agnes.host.plugins.module_utils.parts import stack
from ansible_collections.agnes.host.plugins.module_utils.system.compose.proof import Proof
from ansible_collections.agnes.host.plugins.module_utils.system.host.actions import Actions

from .hosts import container

SERVICES = {
    "app": {
        "profiles": [], "volumes": [], "scale": 1, "restart": "always", "one_shot": False, "image": "agnes:1",
    },
}  # fmt: skip
PARAMS: dict[str, Any] = {
    "layout": "flat", "mounted": [], "services": SERVICES, "profiles": [], "project_dir": "/opt/agnes",
    "recreates": [], "left_stopped": [], "moves": False, "starts": [], "proved": "", "start": True, "timeout": 0,
}  # fmt: skip


NAMED = {"id": "sha256:1", "digests": ["sha256:d"]}


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the host shows; a test changes it."""
    shown: dict[str, Any] = {"containers": [container("app", health="healthy")], "record": {}}
    monkeypatch.setattr(stack, "client", lambda: "docker")
    monkeypatch.setattr(
        stack.stacks.Stack, "by_service", lambda _self: by_service(shown["containers"])
    )
    monkeypatch.setattr(stack.Bringer, "recreates", lambda _self: set())
    monkeypatch.setattr(stack.record, "read", lambda: shown["record"])
    monkeypatch.setattr(stack, "named", lambda _docker, _images: {"agnes:1": NAMED})
    monkeypatch.setattr(stack.proof, "stale", lambda *_facts: {})

    def prove(*_facts: Any) -> Proof:
        if shown.get("ended", 0):
            shown["ended"] -= 1
            raise NothingProved(found="'app'", project="/opt/agnes")
        if "wrong" in shown:
            raise WrongDiskInContainer(found=shown["wrong"])
        return Proof(proved={"agnes-app-1": ["/data"]})

    monkeypatch.setattr(stack.proof, "prove", prove)
    return shown


def asked() -> dict[str, Any]:
    actions = Actions(True)
    result = stack.run(PARAMS, actions)
    return {**result, "actions": actions.items}


def test_a_stack_that_is_up_is_proved_at_once(known: dict[str, Any]) -> None:
    result = asked()
    assert (result["unknown"], result["actions"]) == ("", [])
    assert result["proved"] == {"agnes-app-1": ["/data"]}
    assert result["services"] == {"app": "healthy"}
    own = container("app")["image"]
    assert result["images"] == {
        "agnes:1": {**NAMED, "services": ["app"], "running": {"agnes-app-1": own}}
    }


def test_one_that_is_still_starting_is_not_known(known: dict[str, Any]) -> None:
    known["containers"] = [container("app", health="starting")]
    result = asked()
    assert (result["unknown"], result["actions"]) == ("service 'app' is running, starting", [])
    assert "proved" not in result


def test_one_that_ended_while_it_was_looked_at_is_not_known(known: dict[str, Any]) -> None:
    known["ended"] = 1
    assert asked()["unknown"].startswith("AH055: these services must see")


def test_a_run_looks_again_where_one_ended_while_it_was_looked_at(
    known: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bringer = stack.Bringer(PARAMS, Actions(True))
    monkeypatch.setattr(bringer.stack, "wait", lambda *_facts: bringer.present)
    known["ended"] = 1
    assert bringer.result(["app"], ["app"])["proved"] == {"agnes-app-1": ["/data"]}
    known["ended"] = 2
    with pytest.raises(NothingProved):
        bringer.result(["app"], ["app"])


def test_a_wrong_disk_is_refused(known: dict[str, Any]) -> None:
    known["wrong"] = "'agnes-app-1' has '/data' on device 8:1"
    with pytest.raises(WrongDiskInContainer):
        asked()


def test_what_is_to_be_recorded_needs_the_task(known: dict[str, Any]) -> None:
    known["record"] = {"left_stopped": ["app"]}
    assert "left stopped runs again" in asked()["unknown"]


def test_what_is_to_be_started_is_announced_and_not_proved(known: dict[str, Any]) -> None:
    known["containers"] = []
    known["wrong"] = "nobody asks"
    result = asked()
    assert [action["what"] for action in result["actions"]] == ["service app"]
    assert "proved" not in result
