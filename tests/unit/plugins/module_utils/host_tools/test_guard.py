# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard's turns: what it waits for and mounts, and what is told at the login."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.disks.protection import IMMUTABLE
from ansible_collections.agnes.host.plugins.module_utils.core.host.guard import (
    OFF,
    STACK,
    Attached,
    Seen,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.guard_errors import (
    GuardDiskAway,
    GuardMarker,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.host_tools import guard as tool
from ansible_collections.agnes.host.plugins.module_utils.host_tools import turn
from ansible_collections.agnes.host.plugins.module_utils.system.host import permit, waiting
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Failed

RECORD: dict[str, Any] = {
    "format": 1, "instance_id": "i", "disks": {"data": {"uuid": "d"}, "state": {"uuid": "s"}},
}  # fmt: skip
DISKS = {"d": "8:16", "s": "8:32"}
PLACES = {"/data": "d", "/data-state": "s"}
MARKER = {"instance_id": "i", "role": "active", "layout": "flat"}


@dataclass
class Host:
    """A flat host; each second of waiting runs what is to happen in it."""

    message: Path
    mounted: dict[str, str] = field(default_factory=lambda: dict(PLACES))
    attached: set[str] = field(default_factory=lambda: set(DISKS))
    marker: dict[str, Any] = field(default_factory=lambda: dict(MARKER))
    fails: list[str] = field(default_factory=list)
    later: Callable[[], None] = lambda: None
    said: list[str] = field(default_factory=list)
    now: float = 0.0

    def seen(self, _record: Any) -> Seen:
        return Seen(
            shown={p: (DISKS[u], u, "/") for p, u in self.mounted.items()},
            attached={u: [Attached(f"/dev/{u}", DISKS[u], "none")] for u in self.attached},
            listed=set(PLACES),
            markers={"/data-state": self.marker} if "/data-state" in self.mounted else {},
            protection=dict.fromkeys(PLACES, IMMUTABLE),
            guard=permit.guard_here(),
        )

    def mount(self, path: str, maj_min: str) -> None:
        if self.fails:
            raise Failed(self.fails.pop())
        assert DISKS[PLACES[path]] == maj_min
        self.mounted[path] = PLACES[path]

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.later()

    def run(self, seconds: float = 0.0) -> list[str]:
        self.said.clear()
        tool.guard(self.said.append, seconds)
        return self.said


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path / "motd.d" / "agnes-host")
    monkeypatch.setattr(tool, "MESSAGE", str(made.message))
    monkeypatch.setattr(permit, "PERMIT", str(tmp_path / "permit"))
    monkeypatch.setattr(permit, "guard_here", lambda: STACK)
    monkeypatch.setattr(tool, "_seen", made.seen)
    monkeypatch.setattr(tool, "environment", lambda _dir: {"STATE_DIR": "/data-state"})
    monkeypatch.setattr(tool.record, "load", lambda: RECORD)
    monkeypatch.setattr(tool.filesystems, "mount", made.mount)
    monkeypatch.setattr(waiting.time, "monotonic", lambda: made.now)
    monkeypatch.setattr(waiting.time, "sleep", made.sleep)
    monkeypatch.setattr(
        tool.moving,
        "mount_at",
        lambda path: ("", made.mounted.get(path, ""), "/" if path in made.mounted else ""),
    )
    monkeypatch.setattr(tool.ledger, "INTENT", str(tmp_path / "intent.json"))
    return made


def test_a_host_that_is_right_is_looked_at_once(host: Host) -> None:
    assert host.run(90) == [
        "the disks of layout flat are in their places: the stack of Agnes may start"
    ]
    assert (host.now, host.message.exists()) == (0, False)


def test_what_is_attached_and_not_mounted_is_mounted_in_order(host: Host) -> None:
    host.mounted.clear()
    said = host.run()
    assert [line.partition(",")[0] for line in said[:-1]] == [
        "mounted the data disk (UUID d) at /data",
        "mounted the state disk (UUID s) at /data-state",
    ]
    assert host.mounted == PLACES


def test_a_disk_that_comes_late_is_waited_for_and_mounted(host: Host) -> None:
    del host.mounted["/data-state"]
    host.attached = {"d"}

    def later() -> None:
        if host.now >= 30:
            host.attached = {"d", "s"}

    host.later = later
    said = host.run(90)
    assert said[0].startswith("waiting for 90 s: AH181: this host's state disk (UUID s)")
    assert "mounted the state disk" in said[1]
    assert host.now == 30
    assert not host.message.exists()


def test_a_disk_that_does_not_come_is_told_at_each_login_until_it_is_there(host: Host) -> None:
    del host.mounted["/data-state"]
    host.attached = {"d"}
    with pytest.raises(GuardDiskAway):
        host.run(90)
    # A thread that another test has left may sleep by the same clock.
    assert 90 <= host.now < 95
    assert "AH181: this host's state disk (UUID s)" in host.message.read_text()
    assert host.message.stat().st_mode & 0o777 == 0o644
    host.attached = {"d", "s"}
    host.run()
    assert not host.message.exists()


def test_a_mount_that_fails_is_tried_again_and_then_told(host: Host) -> None:
    del host.mounted["/data-state"]
    host.fails = ["the log has errors"]
    assert "mounted the state disk" in host.run(90)[1]
    del host.mounted["/data-state"]
    host.fails = ["the log has errors"]
    with pytest.raises(GuardDiskAway, match="it can't be mounted: the log has errors"):
        host.run()


def test_what_systemd_has_mounted_meanwhile_is_no_failure(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    del host.mounted["/data-state"]

    def raced(path: str, _maj_min: str) -> None:
        host.mounted[path] = PLACES[path]
        raise Failed("already mounted")

    monkeypatch.setattr(tool.filesystems, "mount", raced)
    assert host.run()[-1].endswith("the stack of Agnes may start")


def test_what_waiting_does_not_change_is_not_waited_for(host: Host) -> None:
    host.marker = {}
    with pytest.raises(GuardMarker):
        host.run(90)
    assert host.now == 0
    assert "AH184" in host.message.read_text()


def test_while_a_move_is_not_ended_it_stands_aside(host: Host, tmp_path: Path) -> None:
    host.mounted.clear()
    host.message.parent.mkdir()
    host.message.touch()
    (tmp_path / "intent.json").touch()
    assert "a move of the state is not ended" in host.run(90)[0]
    assert host.mounted == {}
    assert not host.message.exists()


def test_it_counts_when_docker_starts_and_when_it_has_stopped_and_not_by_hand(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    counted: list[str] = []
    monkeypatch.setattr(
        turn.generations, "count_if_due", lambda path, seconds: counted.append(path)
    )
    host.run()
    assert counted == []
    tool.guard(host.said.append, counts=True)
    assert counted == ["/data-state"]
    flat = LAYOUTS["flat"]
    monkeypatch.setattr(tool, "layout_here", lambda env, directory: flat)
    tool.count_at_stop(host.said.append)
    assert counted == ["/data-state"] * 2
    (tmp_path / "intent.json").write_text("{}")
    tool.count_at_stop(host.said.append)
    assert counted == ["/data-state"] * 2


def test_a_disk_that_is_full_does_not_hold_docker_back(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: str, seconds: float) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(turn.generations, "count_if_due", full)
    tool.guard(host.said.append, counts=True)
    assert "No space left on device" in host.said[0]
    assert host.said[-1].endswith("the stack of Agnes may start")


def test_the_permit_is_given_and_taken_at_a_start_and_not_by_hand(
    host: Host, tmp_path: Path
) -> None:
    host.run()
    assert not permit.is_given()
    tool.guard(host.said.append, counts=True)
    assert permit.is_given()
    del host.mounted["/data-state"]
    host.attached = {"d"}
    with pytest.raises(GuardDiskAway):
        host.run()
    assert permit.is_given()
    with pytest.raises(GuardDiskAway, match="'systemctl start agnes-host-stack'"):
        tool.guard(host.said.append, counts=True)
    assert not permit.is_given()
    # A move sees to the disks itself.
    (tmp_path / "intent.json").touch()
    tool.guard(host.said.append, counts=True)
    assert permit.is_given()


def test_with_no_guard_on_the_host_there_is_no_permit(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(permit, "guard_here", lambda: OFF)
    tool.guard(host.said.append, counts=True)
    assert not permit.is_given()


def test_what_was_held_back_is_started_by_its_policy_and_nothing_that_somebody_has_stopped(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    endings = [
        {
            "name": f"{policy} {code} {by_hand}",
            "policy": policy,
            "exit_code": code,
            "by_hand": by_hand,
        }
        for policy in ("no", "on-failure", "unless-stopped", "always")
        for code in (0, 137)
        for by_hand in (False, True, None)
    ]
    called: list[list[str]] = []
    monkeypatch.setattr(tool.engine, "client", lambda: "docker")
    monkeypatch.setattr(tool.engine, "endings", lambda docker, project: endings)
    monkeypatch.setattr(tool, "run", lambda command, seconds: called.append(command))
    monkeypatch.setattr(turn.generations, "count_if_due", lambda path, seconds: None)
    tool.admit(host.said.append)
    due = ["on-failure 137", "unless-stopped 0", "unless-stopped 137", "always 0", "always 137"]
    assert called == [["docker", "start", *(f"{each} False" for each in due)]]
    unknown = [line for line in host.said if "is not known, so it stays" in line]
    assert [f"'docker start {each} None'" in line for each, line in zip(due, unknown)] == [True] * 5
    # Once it is let, it is not looked at again.
    tool.admit(host.said.append)
    assert len(called) == 1
