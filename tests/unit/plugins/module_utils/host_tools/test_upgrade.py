# SPDX-License-Identifier: GPL-3.0-or-later
"""Ticks: what is started, what is left, and the way back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ticks import NEW, NEWER, OLD, Host

from ansible_collections.agnes.host.plugins.module_utils.core.compose.stack_errors import (
    CaddySilent,
)
from ansible_collections.agnes.host.plugins.module_utils.core.compose.upgrade import (
    new_images,
    profiles_for,
    schema_is_as_before,
    stopped_by_hand,
    unfinished,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.host_tool_errors import (
    ImageRejected,
    PullFailed,
    UpgradeGoneBack,
    UpgradeNoWayBack,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import Layout
from ansible_collections.agnes.host.plugins.module_utils.host_tools import upgrade


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_nothing_new_starts_nothing(host: Host) -> None:
    (said,) = host.tick()
    assert "nothing was done" in said
    assert host.started == []


def test_a_new_image_is_started_once(host: Host) -> None:
    host.published = NEW
    said = host.tick()
    assert host.started == [NEW]
    assert said[-1] == "upgraded agnes:stable (111111111111 -> 222222222222)"
    host.tick()
    assert host.started == []


def test_one_that_does_not_come_up_gives_way_and_is_not_tried_again(host: Host) -> None:
    host.published, host.ill = NEW, {NEW}
    with pytest.raises(UpgradeGoneBack):
        host.tick()
    assert (host.started, host.running) == ([NEW, OLD], OLD)
    for _tick in range(2):
        # Each pull lets the name mean it again.
        with pytest.raises(ImageRejected):
            host.tick()
        assert (host.started, host.running) == ([], OLD)
    assert unfinished(host.memory).startswith("the newest image did not come up")
    host.published = NEWER
    host.tick()
    assert host.running == NEWER
    assert unfinished(host.memory) == ""


def test_a_new_caddy_that_does_not_answer_gives_way(host: Host) -> None:
    host.published, host.ill = NEW, {NEW}
    host.trouble = CaddySilent(service="caddy", address="127.0.0.1:443", found="reset", seconds=60)
    with pytest.raises(UpgradeGoneBack, match="AH165"):
        host.tick()
    assert host.running == OLD


def test_one_that_was_tried_in_vain_is_tried_when_that_is_asked_for(host: Host) -> None:
    host.published, host.ill = NEW, {NEW}
    with pytest.raises(UpgradeGoneBack):
        host.tick()
    host.ill = set()
    host.tick(again=True)
    assert host.running == NEW


def test_after_a_migration_there_is_no_way_back(host: Host) -> None:
    host.published, host.ill, host.migrates = NEW, {NEW}, {NEW}
    with pytest.raises(UpgradeNoWayBack, match="has changed the database's schema"):
        host.tick()
    assert (host.started, host.running) == ([NEW], NEW)


def test_a_tick_that_is_killed_has_its_way_back_in_the_next(host: Host) -> None:
    host.published, host.ill, host.killed = NEW, {NEW}, True
    with pytest.raises(KeyboardInterrupt):
        host.tick()
    assert host.running == NEW
    assert "was cut off" in unfinished(host.memory)
    host.killed = False
    with pytest.raises(UpgradeGoneBack):
        host.tick()
    assert host.running == OLD


def test_a_migration_before_the_kill_counts(host: Host) -> None:
    host.published, host.ill, host.killed, host.migrates = NEW, {NEW}, True, {NEW}
    with pytest.raises(KeyboardInterrupt):
        host.tick()
    host.killed = False
    with pytest.raises(UpgradeNoWayBack):
        host.tick()
    assert host.running == NEW


def test_both_do_not_come_up(host: Host) -> None:
    host.published, host.ill = NEW, {NEW, OLD}
    with pytest.raises(UpgradeNoWayBack, match="that failed"):
        host.tick()


def test_without_a_registry_what_is_there_runs_and_that_is_said(host: Host) -> None:
    host.error, host.published = "no route to host", NEW
    with pytest.raises(PullFailed, match="no route to host"):
        host.tick()
    assert host.running == OLD


def test_the_sign_of_a_migration(tmp_path: Path) -> None:
    layout = Layout("odd", {"data": str(tmp_path)}, str(tmp_path), "odd.yml")
    tick = upgrade.Tick(print, str(tmp_path), False)
    assert tick.sign(layout) == []
    (tmp_path / "system.duckdb.pre-migrate").write_text("1")
    first = tick.sign(layout)
    os.replace(tmp_path / "system.duckdb.pre-migrate", tmp_path / "other")
    (tmp_path / "system.duckdb.pre-migrate").write_text("1")
    assert first not in ([], None, tick.sign(layout))
    odd = Layout("odd", {"data": "/proc"}, "/proc/self/mem", "odd.yml")
    assert tick.sign(odd) is None


SIGNS: list[tuple[str, Any, Any, bool]] = [
    ("duckdb", [], [], True),
    ("duckdb", [1, 2, 3], [1, 2, 3], True),
    ("duckdb", [], [1, 2, 3], False),
    ("duckdb", [1, 2, 3], [1, 2, 4], False),
    ("duckdb", None, None, False),
    ("duckdb", [], None, False),
    ("postgres", [], [], False),
    ("unknown", [], [], False),
]


@pytest.mark.parametrize(("backend", "before", "after", "same"), SIGNS)
def test_unknown_is_no_proof_of_the_same_schema(
    backend: str, before: Any, after: Any, same: bool
) -> None:
    assert schema_is_as_before(backend, before, after) is same


CHAIN = {
    "app": {"profiles": [], "image": "a:1"},
    "caddy": {"profiles": ["tls"], "image": "c:1"},
    "bot": {"profiles": ["full", "bots"], "image": "a:1"},
}


def test_a_certificate_turns_tls_on_and_what_runs_stays_on() -> None:
    assert profiles_for(CHAIN, {}, False, False) == []
    assert profiles_for(CHAIN, {}, True, False) == ["tls"]
    assert profiles_for(CHAIN, {"bot": [{}]}, False, False) == ["bots", "full"]
    # Caddy that gets its certificate by itself stays; one that has lost it is not started anew.
    assert profiles_for(CHAIN, {"caddy": [{}]}, False, True) == ["tls"]
    assert profiles_for(CHAIN, {"caddy": [{}]}, False, False) == []


def test_images_differ_by_their_ids() -> None:
    present = {"app": [{"image": "x"}], "bot": [{"image": "y"}]}
    ids = {"a:1": "y"}
    assert new_images(CHAIN, ["app", "bot", "caddy"], present, ids) == {"a:1": ("x", "y")}
    assert new_images(CHAIN, ["app"], present, {}) == {}


@pytest.mark.parametrize(
    ("status", "policy", "tried", "stopped"),
    [
        ("exited", "unless-stopped", (), ["bot"]),
        ("exited", "always", (), ["bot"]),
        ("running", "always", (), []),
        ("restarting", "always", (), []),
        ("created", "always", (), []),
        # The engine leaves these down after a boot, and the tick is what starts them.
        ("exited", "no", (), []),
        # Down because of the image that is being tried.
        ("exited", "always", ("agnes:stable",), []),
    ],
)
def test_what_somebody_has_stopped_stays_so(
    status: str, policy: str, tried: tuple[str, ...], stopped: list[str]
) -> None:
    services = {"bot": {"image": "agnes:stable", "restart": policy, "profiles": []}, "app": {}}
    present = {"bot": [{"status": status, "exit_code": 137}]}
    assert stopped_by_hand(services, present, tried) == stopped


def test_a_tick_says_what_it_leaves_stopped(host: Host) -> None:
    host.status, host.published = "exited", NEW
    said = host.tick()
    assert "left stopped, as somebody has stopped them: app" in said
    assert host.given == ["app"]
