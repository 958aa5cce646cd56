# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves that are cut short in the middle, under load: each ends where it was to end, with every row."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import moved
import pytest
import records
import strikes
from play import play, start

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

FAILPOINT = "/run/agnes-host/failpoint"
UNIT = "agnes-host-move.service"
ENDED = f"test ! -e /var/lib/agnes-host/intent.json && ! systemctl is-active --quiet {UNIT}"
SECONDS = 600

Run = subprocess.Popen[bytes]


@pytest.fixture
def variables(facts: dict[str, Any]) -> Callable[[str, str], dict[str, Any]]:
    """What a run is given that is to move the host there."""
    return lambda name, to: {name: {**facts, "layout": to}}


@pytest.fixture
def hung_at(
    name: str, host: Any, variables: Callable[[str, str], dict[str, Any]]
) -> Callable[[str, str], Run]:
    """A run whose engine has come to a point of the move, and stands there."""

    def begin(to: str, point: str) -> Run:
        host.check_output(f"mkdir -p /run/agnes-host && echo {point}:hang > {FAILPOINT}")
        run = start(f"{name}-cut", variables(name, to))
        strikes.wait_for(name, f"grep --quiet --no-messages {point} {FAILPOINT}.fired", SECONDS)
        host.check_output(f"rm {FAILPOINT}.fired")
        assert run.poll() is None
        return run

    return begin


@pytest.fixture
def ends_well(
    name: str, host: Any, variables: Callable[[str, str], dict[str, Any]]
) -> Callable[[str, int], None]:
    """Ask for a layout until nothing is left to do, and look at all that must hold."""

    def end(to: str, runs: int) -> None:
        for number in range(runs):
            done = play(f"{name}-{number}", variables(name, to))
            assert done.returncode == 0, done.stdout + done.stderr
        moved.check(host, LAYOUTS[to])
        changed = [r for r in records.read(f"{name}-{runs - 1}", "site") if r["changed"]]
        assert not changed

    return end


def go_on(host: Any) -> None:
    """Let an engine that stands at a failpoint go on."""
    host.check_output(f"systemctl kill --signal=CONT {UNIT}")


def test_the_engine_is_killed_and_goes_on_by_itself(
    name: str, host: Any, variables: Any, ends_well: Any
) -> None:
    host.check_output(f"mkdir -p /run/agnes-host && echo umount.after:kill > {FAILPOINT}")
    done = play(f"{name}-killed", variables(name, "flat"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert host.file(f"{FAILPOINT}.fired").content_string.split() == ["umount.after:kill"]
    host.check_output(f"rm {FAILPOINT}.fired")
    ends_well("flat", runs=1)


def test_the_host_dies_before_the_commit_and_goes_on_after_the_boot(
    name: str, host: Any, hung_at: Any, ends_well: Any
) -> None:
    run = hung_at("nested", "mount.after")
    strikes.docker("kill", name)
    assert run.wait() != 0
    strikes.boot(name)
    # Nobody has asked again: the intent has outlived the boot, and the unit does the rest.
    strikes.wait_for(name, ENDED, SECONDS)
    ends_well("nested", runs=1)


def test_the_host_is_restarted_after_the_commit_and_goes_on_after_the_boot(
    name: str, host: Any, hung_at: Any, ends_well: Any
) -> None:
    run = hung_at("flat", "commit.after")
    strikes.docker("restart", "--time", "60", name)
    assert run.wait() != 0
    strikes.wait_for(name, ENDED, SECONDS)
    ends_well("flat", runs=1)


def test_the_run_dies_and_its_connection_drops_and_the_next_run_picks_up_what_came_of_it(
    name: str, host: Any, hung_at: Any, ends_well: Any
) -> None:
    run = hung_at("nested", "stop.after")
    strikes.kill(run)
    strikes.hang_up(name)
    go_on(host)
    # The first may meet the engine at work; the last must find nothing to do.
    ends_well("nested", runs=2)


def test_asking_for_the_other_layout_before_the_commit_gives_the_move_up(
    name: str, host: Any, hung_at: Any, ends_well: Any, variables: Any, tmp_path: Path
) -> None:
    """And another plan is refused with the way to go on: what was begun comes first."""
    before = host.check_output("sha256sum /opt/agnes/.env /etc/fstab")
    shown = variables(name, "flat")
    shown[name]["state_layout_plan_out"] = str(tmp_path)
    # The same plan would be gone on with: this one is of a host where one service does not run.
    host.check_output("docker stop agnes-ws-gateway-1")
    assert play(f"{name}-shown", shown, "--check").returncode == 0
    host.check_output("docker start agnes-ws-gateway-1")
    run = hung_at("flat", "quiet.after")
    strikes.kill(run)
    host.check_output(f"systemctl stop {UNIT}")
    assert host.check_output("docker ps --quiet") == ""
    assert "is not ended" in host.check_output("agnes-host explain")
    done = play(f"{name}-planned", variables(name, "flat"), "-e", f"plan={tmp_path}")
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert "run once without a plan, which ends what was begun, then make a new plan" in said
    ends_well("nested", runs=2)
    assert host.check_output("sha256sum /opt/agnes/.env /etc/fstab") == before


def test_disks_that_came_too_late_for_the_boot_are_mounted_by_the_next_run(
    name: str, host: Any, hung_at: Any, ends_well: Any, variables: Any
) -> None:
    run = hung_at("flat", "commit.after")
    strikes.kill(run)
    host.check_output(f"systemctl stop {UNIT}")
    # As after a boot that has waited for them in vain; they are attached, and listed in fstab.
    host.check_output("umount /data-state /data/state /data")
    said = host.check_output("agnes-host explain")
    assert "MISSING    /data-state: the state disk" in said
    assert "MISSING    /data: the data disk" in said
    done = play(f"{name}-late", variables(name, "flat"), "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " at /data by its line in /etc/fstab: it is attached" in " ".join(done.stdout.split())
    assert host.check_output("findmnt --noheadings /data || echo none") == "none"
    host.check_output("cp -a /etc/fstab /srv/ && sed -i '/ \\/data /d' /etc/fstab")
    unlisted = play(f"{name}-unlisted", variables(name, "flat"))
    assert unlisted.returncode != 0
    assert "AH136" in unlisted.stdout, unlisted.stdout
    assert host.check_output("ls -A /data") == ""
    assert moved.services(host) == set()
    host.check_output("cp -a /srv/fstab /etc/")
    ends_well("flat", runs=2)


def test_what_somebody_stops_in_the_middle_stays_stopped_when_the_move_goes_on(
    name: str, host: Any, hung_at: Any, variables: Any
) -> None:
    strikes.kill(hung_at("nested", "prove.before"))
    host.check_output(f"systemctl stop {UNIT}")
    host.check_output("docker stop agnes-ws-gateway-1")
    for number in range(2):
        done = play(f"{name}-stopped-{number}", variables(name, "nested"))
        assert done.returncode == 0, done.stdout + done.stderr
        assert moved.services(host) == moved.RUNNING - {"ws-gateway"}
        assert "ws-gateway: not running, and left so: it was stopped before" in " ".join(
            done.stdout.split()
        )
    host.check_output("docker start agnes-ws-gateway-1")
    moved.check(host, LAYOUTS["nested"])
