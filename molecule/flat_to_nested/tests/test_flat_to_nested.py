# SPDX-License-Identifier: GPL-3.0-or-later
"""The host was made flat and is nested now, moved there while clients wrote."""

from __future__ import annotations

import json
from typing import Any

import moved
import pytest
import records

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

JOURNAL = "/var/lib/agnes-host/journal.jsonl"


def test_the_move_lost_nothing_and_started_exactly_what_ran(
    host: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    moved.check(host, LAYOUTS["nested"])
    down = json.loads(host.file(moved.RESULT).content_string)["down_seconds"]
    gap = moved.longest_gap(host, 0)
    with capsys.disabled():
        print(f"\n  to nested: stack down for {down} s, clients waited {gap:.2f} s")


def test_what_was_left_to_do_after_the_move_was_announced_and_done(host: Any, name: str) -> None:
    """And no more: not what the move itself does to .env and containers."""
    host.check_output("grep -x LOG_LEVEL=debug /opt/agnes/.env")
    for step, check in (("check", True), ("converge", False)):
        told = records.actions(records.read("flat_to_nested", step), name, check=check)
        env = [action for action in told if action[0] == "agnes.host.project"]
        assert env == [
            ("agnes.host.project", "/opt/agnes/.env", "LOG_LEVEL=info", "LOG_LEVEL=debug")
        ]
        services = {what for module, what, *_how in told if module == "agnes.host.stack"}
        assert {"service app", "service scheduler"} <= services
        # Stopped before the move, and left so; whether Caddy is made anew with the app is Compose's matter.
        assert not services & {"service extract", "service telegram-bot"}


def test_nothing_of_flat_is_left(host: Any) -> None:
    assert host.file("/data/state").is_directory
    assert not host.file("/data/state").is_symlink
    assert not host.file("/data-state").exists
    lines = host.file("/etc/fstab").content_string.splitlines()
    uuid = host.check_output("blkid --probe --output value --match-tag UUID /dev/sdc")
    assert [line.split()[1] for line in lines if uuid in line] == ["/data/state"]
    assert "STATE_DIR=/data-state" not in host.file("/opt/agnes/.env").content_string


def test_no_secret_is_in_what_the_engine_wrote_down(host: Any) -> None:
    host.run_expect([1], f"grep --no-messages -F -f /srv/secret-values {JOURNAL} {moved.RESULT}")
