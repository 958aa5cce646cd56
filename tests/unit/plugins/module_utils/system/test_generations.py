# SPDX-License-Identifier: GPL-3.0-or-later
"""Counting on a disk and on the host: the disk first, and only state in use."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Optional

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Unreadable
from ansible_collections.agnes.host.plugins.module_utils.system.layout import generations

MARKER = {"format": 1, "instance_id": "i", "role": "active", "layout": "flat", "epoch": 3}


class Host:
    """A STATE_DIR with a marker, and what the host keeps."""

    def __init__(self, tmp: Path) -> None:
        self.state, self.path = tmp / "state", tmp / "host" / "generation.json"
        self.state.mkdir()
        self.mark(MARKER)

    def mark(self, marker: dict[str, Any]) -> None:
        (self.state / ".agnes-state.json").write_text(json.dumps(marker))

    @property
    def marker(self) -> dict[str, Any]:
        marker: dict[str, Any] = json.loads((self.state / ".agnes-state.json").read_text())
        return marker

    @property
    def kept(self) -> Optional[int]:
        return generations.load().get("generation")

    def count(self) -> None:
        generations.count(str(self.state))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    monkeypatch.setattr(generations, "PATH", str(made.path))
    return made


def test_both_count_up_together_and_the_rest_of_the_marker_stays(host: Host) -> None:
    host.count()
    host.count()
    assert host.marker == {**MARKER, "generation": 2}
    assert host.kept == 2
    assert host.path.stat().st_mode & 0o777 == 0o600


def test_what_was_accepted_is_counted_above_what_was_there_before(host: Host) -> None:
    for _each in range(5):
        host.count()
    host.mark({**MARKER, "generation": 2})
    generations.accept(2)
    assert generations.load()["accepted"] == 2
    host.count()
    assert (host.marker["generation"], host.kept) == (6, 6)
    assert "accepted" not in generations.load()


def test_a_crash_between_the_two_leaves_the_disk_ahead(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.count()
    with monkeypatch.context() as broken:
        broken.setattr(generations, "_save", lambda kept: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            host.count()
    assert (host.marker["generation"], host.kept) == (2, 1)
    host.count()
    assert (host.marker["generation"], host.kept) == (3, 3)


@pytest.mark.parametrize("role", ["retired", "sealed", "incomplete"])
def test_state_that_is_not_in_use_is_not_counted(host: Host, role: str) -> None:
    host.mark({**MARKER, "role": role})
    host.count()
    assert "generation" not in host.marker
    assert host.kept is None


def test_it_is_due_once_in_a_while(host: Host) -> None:
    generations.count_if_due(str(host.state), 3600)
    generations.count_if_due(str(host.state), 3600)
    assert host.kept == 1
    os.utime(host.path, (1, 1))
    generations.count_if_due(str(host.state), 3600)
    assert host.kept == 2


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_what_is_damaged_is_said_and_never_taken_for_none(host: Host, text: str) -> None:
    host.path.parent.mkdir()
    host.path.write_text(text)
    with pytest.raises(Unreadable):
        host.count()
    assert "generation" not in host.marker
    assert generations.read()["error"]
