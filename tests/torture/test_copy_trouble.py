# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of a copy: it goes back, the stack runs on, and nothing foreign is written to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_failpoints import play, pytestmark  # noqa: F401


def running(found: dict[str, Any]) -> list[str]:
    """The containers that run at the end."""
    return [name for name, state in found["end"]["containers"].items() if state == "running"]


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("foreign", "AH120: the disk '/dev/loop"),
        ("not blank", "AH022: refusing to format '/dev/loop"),
        ("full", "AH087: '/run/agnes-host/copy' has no room"),
        ("retired", "AH122: '/data/state' is what an earlier move"),
    ],
)
def test_it_goes_back_and_the_stack_has_never_stopped(tmp_path: Path, how: str, code: str) -> None:
    found = play(tmp_path, "copy", how, "")
    assert found["history"][0]["status"] == 1
    message = found["history"][0]["message"]
    assert message.startswith("AH069: the move to layout flat stopped at step '"), message
    assert f"({code}" in message
    assert "AH067" not in message
    assert running(found) == ["agnes-app-1", "agnes-scheduler-1"]
    assert "stop the stack" not in found["log"]
    end = found["end"]
    assert end["lines"] == {}
    assert end["points"] == []
    assert end["staged"] == ""
    assert end["bare"]["/data-state"]["kind"] == "absent"
    assert end["fence"] is None


def test_a_copy_of_an_earlier_try_that_has_much_more_is_made_equal(tmp_path: Path) -> None:
    found = play(tmp_path, "copy", "stale", "")
    assert found["history"][0] == {"armed": "", "status": 0, "message": ""}
    assert "format /dev" not in found["log"]
    assert found["end"]["recorded"] == ["state"]


def test_a_large_copy_is_read_before_the_stop_and_proved_also_by_who_knows_nothing(
    tmp_path: Path,
) -> None:
    """The engine that read it is killed; the next one finds the stack down, and reads all at once."""
    found = play(tmp_path, "copy", "large", "final.after:kill", "")
    assert found["history"][1]["status"] == 0
    log = found["log"]
    assert log.count("precopy: read back ") == 1
    assert log.index("precopy: read back ") < log.index("stop the stack")
    assert found["end"]["recorded"] == ["state"]
