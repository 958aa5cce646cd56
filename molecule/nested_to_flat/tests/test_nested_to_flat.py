# SPDX-License-Identifier: GPL-3.0-or-later
"""The host is in flat, moved there while clients wrote; what fails on the way back leaves it there."""

from __future__ import annotations

import json
from typing import Any

import moved
import pytest
import records
from play import play

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

MOST_CALLS = 6
FAILPOINT = "/run/agnes-host/failpoint"


def test_the_first_move_lost_nothing_and_started_exactly_what_ran(
    host: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    moved.check(host, LAYOUTS["flat"])
    assert host.check_output("readlink /data/state") == "/data-state"
    down = json.loads(host.file(moved.RESULT).content_string)["down_seconds"]
    with capsys.disabled():
        print(
            f"\n  to flat: stack down for {down} s, clients waited {moved.longest_gap(host, 0):.2f} s"
        )


def test_the_move_wrote_the_chain_that_the_run_after_it_would_write(host: Any, name: str) -> None:
    """The host had an older order, with a file of its own before the product's."""
    chain = host.check_output("grep ^COMPOSE_FILE= /opt/agnes/.env").partition("=")[2].split(":")
    assert [each.removesuffix(".yml").removeprefix("docker-compose.") for each in chain] == [
        "docker-compose", "prod", "host-mount", "tls", "ops", "flat-mount",
    ]  # fmt: skip
    label = "docker inspect --format '{{.Config.Labels.ops}}' agnes-app-1"
    assert host.check_output(label) == "mine"
    for step, check in (("check", True), ("converge", False)):
        told = records.actions(records.read("nested_to_flat", step), name, check=check)
        modules = {module for module, *_what in told}
        assert "agnes.host.move" in modules
        assert not modules & {"agnes.host.project", "agnes.host.stack"}, sorted(told)


def test_one_line_of_fstab_names_the_state_disk_however_it_was_written(host: Any) -> None:
    uuid = host.check_output("blkid --probe --output value --match-tag UUID /dev/sdc")
    lines = host.check_output("grep -v '^#' /etc/fstab").splitlines()
    assert [line.split()[1] for line in lines if uuid in line] == ["/data-state"], lines


def test_a_move_makes_few_calls_and_is_looked_at_once_after_it(name: str) -> None:
    calls = records.calls(records.read("nested_to_flat", "converge"), name)
    assert calls.count("agnes.host.move") == 1
    assert calls.count("agnes.host.observe") == 2
    assert len(calls) <= MOST_CALLS, calls


def test_what_the_mount_shadowed_was_renamed_aside(host: Any) -> None:
    names = host.check_output("find /data/.agnes-host-aside -type f -printf '%f\\n' | sort")
    assert names.split() == ["agnes-state-applier.tick", "db-state-applier.lock"]
    assert host.file("/data/.agnes-host-aside").mode == 0o700


def test_explain_says_it_on_one_screen(host: Any) -> None:
    lines = host.check_output("agnes-host explain").splitlines()
    assert len(lines) < 25
    assert "layout     flat: STATE_DIR=/data-state, by /opt/agnes/.env" in lines
    assert lines[-1] == "next       nothing is to be done"


def test_an_error_before_the_commit_leads_back_and_the_stack_runs(
    name: str, facts: dict[str, Any], host: Any
) -> None:
    host.check_output(f"echo commit.before:eio > {FAILPOINT}")
    done = play(f"{name}-back", {name: {**facts, "layout": "nested"}})
    assert done.returncode != 0
    failed = [r for r in records.read(f"{name}-back", "site") if r["status"] == "failed"]
    assert failed[0]["msg"].startswith("AH069: the move to layout nested stopped at step 'commit'")
    moved.check(host, LAYOUTS["flat"])
    assert host.check_output("readlink /data/state") == "/data-state"


def test_the_project_is_not_switched_to_a_layout_that_the_state_is_not_in(
    name: str, facts: dict[str, Any], host: Any
) -> None:
    before = host.check_output("sha256sum /opt/agnes/.env")
    playbook = records.ROOT / ".cache" / f"{name}-alone.yml"
    playbook.write_text(
        "- hosts: agnes\n  become: true\n  gather_facts: false\n  roles: [agnes.host.agnes_compose]\n"
    )
    done = play(f"{name}-alone", {name: {**facts, "layout": "nested"}}, playbook=playbook)
    assert done.returncode != 0
    assert "AH006: state is in layout flat, and layout nested is asked for" in done.stdout
    assert host.check_output("sha256sum /opt/agnes/.env") == before


def test_the_same_host_without_a_move_for_comparison(
    host: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    gap = moved.gap_without_a_move(host)
    with capsys.disabled():
        print(f"\n  down and up alone: clients waited {gap:.2f} s")
