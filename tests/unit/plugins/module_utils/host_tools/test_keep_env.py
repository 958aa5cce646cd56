# SPDX-License-Identifier: GPL-3.0-or-later
"""When the host puts ``.env`` right, and when it does not touch it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.host_tools import keep_env as tool
from ansible_collections.agnes.host.plugins.module_utils.host_tools.turn import NotNow
from ansible_collections.agnes.host.plugins.module_utils.system.move import ledger

FLAT = LAYOUTS["flat"]
KEPT = {**FLAT.env(), "COMPOSE_FILE": f"docker-compose.yml:{FLAT.overlay}"}


class Host:
    """A flat host; ``brought`` has the layouts to which the stack was brought."""

    def __init__(self, folder: Path) -> None:
        self.lock, self.intent = folder / "lock", folder / "intent.json"
        self.env = dict(KEPT)
        self.brought: list[str] = []
        self.said: list[str] = []

    def run(self) -> list[str]:
        self.said.clear()
        tool.keep_env(self.said.append, "/opt/agnes", str(self.lock), 0.0)
        return self.said


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    monkeypatch.setattr(ledger, "INTENT", str(made.intent))
    monkeypatch.setattr(tool, "environment", lambda _dir: made.env)
    monkeypatch.setattr(tool, "_layout", lambda _path: FLAT)
    monkeypatch.setattr(
        tool.upgrade, "bring_to",
        lambda _say, _dir, layout, _actions: made.brought.append(layout.name),
    )  # fmt: skip
    return made


def test_what_was_written_without_its_keys_is_put_right_once(host: Host) -> None:
    host.env = {"DOMAIN": "agnes.test"}
    assert "they are put back" in host.run()[0]
    assert host.brought == ["flat"]
    host.env = dict(KEPT)
    assert host.run() == ["/opt/agnes/.env has the keys of layout flat"]
    assert host.brought == ["flat"]


def test_a_file_that_is_not_there_is_nobodys_layout(host: Host) -> None:
    host.env = {}
    assert "there is nothing to keep" in host.run()[0]
    assert host.brought == []


def test_while_a_move_is_not_ended_it_stands_aside_and_is_done_after_it(host: Host) -> None:
    host.env = {"DOMAIN": "agnes.test"}
    host.intent.write_text("{}")
    with pytest.raises(NotNow, match="a move of the state is not ended"):
        host.run()
    assert host.brought == []
    host.intent.unlink()
    host.run()
    assert host.brought == ["flat"]
