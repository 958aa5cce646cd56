# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of a copy: it goes back, the stack runs on, and nothing foreign is written to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import test_failpoints
from test_failpoints import FULL, play

pytestmark = test_failpoints.pytestmark


def running(played: dict[str, Any]) -> list[str]:
    """The containers that run at the end."""
    return [name for name, state in played["end"]["containers"].items() if state == "running"]


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("foreign", "AH120: '/dev/loop"),
        ("not blank", "AH022: refusing to format '/dev/loop"),
        ("full", "AH087: '/run/agnes-host/copy' has no room"),
        ("inodes", "AH087: '/run/agnes-host/copy' has no room"),
        ("read-only", ""),
        ("no database", "AH092: the database in '/data/state' can't be opened"),
        ("retired", "AH122: by its marker, '/data/state' has the old state"),
    ],
)
def test_it_goes_back_and_the_stack_has_never_stopped(tmp_path: Path, how: str, code: str) -> None:
    played = play(tmp_path, "copy", how, "")
    assert played["history"][0]["status"] == 1
    message = played["history"][0]["message"]
    assert message.startswith("AH069: the move to layout flat stopped at step '"), message
    assert f"({code}" in message
    assert "Traceback" not in played["log"]
    assert "AH067" not in message
    assert running(played) == ["agnes-app-1", "agnes-scheduler-1"]
    assert "stop the stack" not in played["log"]
    end = played["end"]
    assert end["lines"] == {}
    assert end["points"] == []
    assert end["staged"] == ""
    assert end["unmounted"]["/data-state"]["kind"] == "absent"
    assert end["intent"] is None


def test_a_copy_of_an_earlier_try_that_has_much_more_is_made_equal(tmp_path: Path) -> None:
    played = play(tmp_path, "copy", "stale", "")
    assert (played["history"][0]["status"], played["history"][0]["message"]) == (0, "")
    assert "format /dev" not in played["log"]
    assert played["end"]["recorded"] == ["state"]


def test_a_large_copy_is_read_before_the_stop_and_proved_also_by_who_knows_nothing(
    tmp_path: Path,
) -> None:
    """The runner that read it is killed; the next one finds the stack down, and reads all at once."""
    played = play(tmp_path, "copy", "large", "final.after:kill", "")
    assert played["history"][1]["status"] == 0
    log = played["log"]
    assert log.count("precopy: read back ") == 1
    assert log.index("precopy: read back ") < log.index("stop the stack")
    assert played["end"]["recorded"] == ["state"]


def test_a_disk_that_can_not_write_what_it_took_is_found_before_it_counts(tmp_path: Path) -> None:
    played = play(tmp_path, "copy", "breaks", "")
    assert played["history"][0]["status"] == 1
    message = played["history"][0]["message"]
    assert message.startswith("AH069: the move to layout flat stopped at step '"), message
    assert "Traceback" not in played["log"]
    assert running(played) == ["agnes-app-1", "agnes-scheduler-1"]
    assert played["end"]["points"] == []
    assert played["end"]["env"].get("STATE_DIR") is None


@pytest.mark.parametrize("begin", ["copy", "nested", "flat"])
def test_a_root_filesystem_that_is_full_stops_it_before_anything_else(
    tmp_path: Path, begin: str
) -> None:
    played = play(tmp_path, begin, "root full", "")
    assert played["history"][0]["status"] == 1
    assert "AH069: the move to layout" in played["log"]
    assert "No space left" in played["log"]
    assert "Traceback" not in played["log"]
    assert "stop the stack" not in played["log"]
    assert running(played) == ["agnes-app-1", "agnes-scheduler-1"]


@pytest.mark.parametrize("how", ["odd", "odd and large"] if FULL else ["odd"])
def test_all_that_a_file_can_be_comes_through_the_move(tmp_path: Path, how: str) -> None:
    """Sparse and linked files, ACLs, attributes, odd names, old times, FIFOs, sockets: see real/sample.py."""
    played = play(tmp_path, "copy", how, "", "")
    assert [run["status"] for run in played["history"]] == [0, 0], played["history"]
