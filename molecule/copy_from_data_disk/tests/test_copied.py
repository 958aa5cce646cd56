# SPDX-License-Identifier: GPL-3.0-or-later
"""State was a directory of the data disk; it is on a disk of its own, copied there while clients wrote."""

from __future__ import annotations

import json
import re
from typing import Any

import moved
import pytest
import records
from play import play

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

JOURNAL = "/var/lib/agnes-host/journal.jsonl"
BALLAST = "tar -c --format=gnu --sort=name --numeric-owner --sparse . | sha256sum"


def journal(host: Any) -> list[dict[str, Any]]:
    """What the engine wrote down."""
    return [json.loads(line) for line in host.file(JOURNAL).content_string.splitlines()]


def aside(host: Any) -> str:
    """Where the old directory is kept."""
    return str(host.check_output("ls -d /data/.agnes-host-aside/*"))


def test_the_move_lost_nothing_and_started_exactly_what_ran(
    host: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    moved.check(host, LAYOUTS["flat"])
    assert host.check_output("readlink /data/state") == "/data-state"
    ballast = host.check_output(f"cd /data-state/ballast && {BALLAST}")
    assert ballast == host.check_output("cat /srv/ballast")
    assert int(host.check_output("stat -c %b /data-state/ballast/sparse")) < 100
    down = json.loads(host.file(moved.RESULT).content_string)["down_seconds"]
    gap = moved.longest_gap(host, 0)
    with capsys.disabled():
        print(f"\n  copied to flat: stack down for {down} s, clients waited {gap:.2f} s")


def test_the_journal_tells_rounds_and_what_was_proved_and_no_secret(host: Any) -> None:
    said = {(entry["step"], entry["phase"]) for entry in journal(host)}
    assert {("precopy", "round"), ("verify", "proved"), ("verify", "counted")} <= said
    host.run_expect([1], f"grep --no-messages -F -f /srv/secret-values {JOURNAL} {moved.RESULT}")


def test_one_copy_is_active_and_the_old_one_is_retired_and_root_s(host: Any) -> None:
    new = json.loads(host.file("/data-state/.agnes-state.json").content_string)
    old = json.loads(host.file(f"{aside(host)}/.agnes-state.json").content_string)
    assert (new["role"], old["role"]) == ("active", "retired")
    assert new["epoch"] > old["epoch"]
    assert host.file(aside(host)).mode == 0o700
    assert host.file(aside(host)).user == "root"
    assert host.file(f"{aside(host)}/system.duckdb").size > 0
    record = json.loads(host.file("/var/lib/agnes-host/record.json").content_string)
    assert set(record["disks"]) == {"data", "state"}


def test_nothing_of_the_copying_is_left(host: Any) -> None:
    host.run_expect([1, 32], "mountpoint --quiet /run/agnes-host/copy")
    uuid = host.check_output("blkid --probe --output value --match-tag UUID /dev/sdc")
    lines = [line for line in host.file("/etc/fstab").content_string.splitlines() if uuid in line]
    assert len(lines) == 1
    assert " /data-state xfs " in lines[0]


def test_the_plan_said_it_all_before(name: str) -> None:
    done = [r for r in records.read("copy_from_data_disk", "check") if r["host"] == name]
    text = json.dumps(done)
    for step in ("format", "stage", "precopy", "final", "verify", "seal", "expose", "commit"):
        assert f"move: {step}" in text


def test_the_copy_is_on_another_kind_of_filesystem(host: Any) -> None:
    """Set by the inventory; that a directory of ext4 goes to ext4 is in the torture, with each failure."""
    kinds = [host.check_output(f"findmnt -no FSTYPE {path}") for path in ("/data", "/data-state")]
    assert kinds == ["ext4", "xfs"]


@pytest.mark.parametrize("to", ["nested", "flat"])
def test_from_then_on_the_disk_goes_back_and_forth(
    name: str, facts: dict[str, Any], host: Any, to: str, capsys: pytest.CaptureFixture[str]
) -> None:
    since = moved.now(host)
    done = play(f"{name}-{to}", {name: {**facts, "layout": to}})
    assert done.returncode == 0, done.stdout + done.stderr
    moved.check(host, LAYOUTS[to])
    assert host.check_output(f"findmnt -no FSTYPE {LAYOUTS[to].state_dir}") == "xfs"
    with capsys.disabled():
        print(f"\n  to {to}, disk moved: clients waited {moved.longest_gap(host, since):.2f} s")


BACK = {"layout": "nested", "state_layout_state_on": "directory"}


def test_from_flat_it_goes_back_into_a_directory_while_clients_write(
    name: str, facts: dict[str, Any], host: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    since = moved.now(host)
    done = play(f"{name}-back", {name: {**facts, **BACK}})
    assert done.returncode == 0, done.stdout + done.stderr
    moved.check(host, LAYOUTS["nested"], on_disk=False)
    ballast = host.check_output(f"cd /data/state/ballast && {BALLAST}")
    assert ballast == host.check_output("cat /srv/ballast")
    host.run_expect([1, 32], "mountpoint --quiet /run/agnes-host/copy")
    host.check_output("touch /data/state/x && rm /data/state/x")
    uuid = host.check_output("blkid --probe --output value --match-tag UUID /dev/sdc")
    assert uuid not in host.file("/etc/fstab").content_string
    with capsys.disabled():
        print(f"\n  copied back: clients waited {moved.longest_gap(host, since):.2f} s")


def test_what_is_on_the_disk_is_whole_and_nobody_takes_it_for_state(host: Any) -> None:
    host.check_output("mount -o ro /dev/sdc /mnt")
    left = json.loads(host.file("/mnt/.agnes-state.json").content_string)
    ballast = host.check_output(f"cd /mnt/ballast && {BALLAST}")
    host.check_output("umount /mnt")
    assert left["role"] == "retired"
    assert ballast == host.check_output("cat /srv/ballast")
    record = json.loads(host.file("/var/lib/agnes-host/record.json").content_string)
    assert set(record["disks"]) == {"data", "retired"}
    said = host.check_output("agnes-host explain")
    assert "state is a plain directory" in said
    assert "what state was before, kept as it is" in said
    assert said.endswith("next       nothing is to be done")


@pytest.mark.parametrize("asked", [{"layout": ""}, BACK], ids=["nothing", "again"])
def test_afterwards_a_run_changes_nothing_though_the_disk_is_named(
    name: str, facts: dict[str, Any], host: Any, asked: dict[str, str]
) -> None:
    done = play(f"{name}-plain", {name: {**facts, **asked}})
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{name} .*changed=0 ", done.stdout, re.M), done.stdout
    moved.check(host, LAYOUTS["nested"], on_disk=False)


def test_forward_again_asks_for_consent_to_lose_what_is_on_the_disk(
    name: str, facts: dict[str, Any], host: Any
) -> None:
    done = play(f"{name}-forward", {name: {**facts, "layout": "flat"}})
    assert done.returncode != 0
    assert "AH132: the disk" in done.stdout + done.stderr
    moved.check(host, LAYOUTS["nested"], on_disk=False)


def test_the_same_host_without_a_move_for_comparison(
    host: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    gap = moved.gap_without_a_move(host)
    with capsys.disabled():
        print(f"\n  down and up alone: clients waited {gap:.2f} s")
