# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves with both disks on xfs end as they do on ext4, though they are killed once. TORTURE=full tries each kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_failpoints import FULL, play, pytestmark, undisturbed

__all__ = ["pytestmark"]

KILLED = {
    "nested": "commit.after:kill",
    "flat": "commit.before:kill",
    "copy": "final.after:kill",
    "copy_back": "verify.after:kill",
    "promote": "commit.after:kill",
}
"""Where a move of each kind is killed, by where state is at first."""
SHOWN = ("nested", "copy", "copy_back")


def told(end: dict[str, Any], fstype: str) -> str:
    """An end as text, with what is the filesystem's own left open: its name in fstab, its check at boot, its inodes."""
    lines = [line.split() for line in end["fstab"].splitlines() if f" {fstype} " in line]
    room = ("fstab", "files", "free", "free_inodes")
    rest = {key: value for key, value in end.items() if key not in room}
    mounted = [(source, point, options) for source, point, _type, options, *_rest in lines]
    return json.dumps({**rest, "mounted": mounted}, indent=1, sort_keys=True)


@pytest.mark.parametrize("source", KILLED if FULL else SHOWN)
def test_a_killed_move_that_is_run_again_ends_as_on_ext4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    wanted = undisturbed(source, "none", tmp_path.parent)
    monkeypatch.setenv("TORTURE_FSTYPE", "xfs")
    played = play(tmp_path, source, "none", KILLED[source], "")
    assert [run["status"] for run in played["history"]] == [-9, 0], played["history"]
    assert played["left"] == wanted["left"]
    assert told(played["end"], "xfs") == told(wanted["end"], "ext4")
