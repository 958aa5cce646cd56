# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/rollout.yml moves the state of three hosts: shown, done but for one that is refused, and done back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import moved
import pytest
import records
import testinfra
from play import play

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

PLAYBOOK = records.ROOT / "playbooks" / "rollout.yml"
INVENTORY = records.ROOT / "molecule" / "fleet_moves" / "inventory.yml"
WAVE, CANARY, ALONE = "agnes-moves-acme-1", "agnes-moves-acme-2", "agnes-moves-globex-1"
HOSTS = (WAVE, CANARY, ALONE)
CANARIES = "Roll out to one canary for each deployment"
WAVES = "Roll out to the others in waves"
DOWNTIME = r"downtime: that of 'docker compose down' and 'up' \(.*?\), and less than a second more"


def rollout(plans: Path, *arguments: str) -> dict[str, Any]:
    """Run the playbook: its code, its output on one line, its results, and the plays that hosts were in."""
    out = f"state_layout_plan_out={plans}"
    done = play("fleet_moves", INVENTORY, "-e", out, *arguments, playbook=PLAYBOOK)
    found = records.read("fleet_moves", "rollout")
    return {
        "code": done.returncode,
        "output": " ".join((done.stdout + done.stderr).split()),
        "all": found,
        "plays": {name: {r["play"] for r in found if r["host"] == name} for name in HOSTS},
    }


def host_of(name: str) -> Any:
    """A host as testinfra sees it."""
    return testinfra.get_host(f"docker://{name}")


def state_of(name: str) -> str:
    """What a run that does not touch a host must leave alone."""
    return str(
        host_of(name).check_output(
            "sha256sum /opt/agnes/.env /etc/fstab && findmnt --real --output TARGET,SOURCE && "
            "docker ps --all --no-trunc --format '{{.ID}} {{.Names}} {{.State}}' && "
            "find /var/lib/agnes-host -type f 2>&1 | sort"
        )
    )


def line_of(name: str, output: str) -> str:
    """The line of a host, up to that of the next one or the end of the list."""
    found = re.findall(rf"{name} +(?:acme|globex) +(\w+ .*?)(?= agnes-moves-| TASK )", output)
    assert len(found) == 1, output
    return str(found[0])


def check_moved(found: dict[str, Any], name: str, source: str, target: str) -> None:
    """The host was moved, as its line and the plan's check run had said."""
    assert f"{target}: move state from layout {source} (" in line_of(name, found["output"])
    planned = records.actions(found["all"], name, check=True)
    assert planned == records.actions(found["all"], name)
    assert any(module == "agnes.host.move" for module, *_more in planned)
    own = [r for r in found["all"] if r["host"] == name]
    assert "Gate | Read the rows" in [r["task"] for r in own]
    said = [r["task"] for r in own if "Say what will be done" in r["task"]]
    # Once in the plan and once in the run; the move does not say it again.
    assert said == ["agnes.host.disks : Preflight | Say what will be done"] * 2
    moved.check(host_of(name), LAYOUTS[target])


def test_a_check_run_lists_the_move_of_each_host_and_ends_well(tmp_path: Path) -> None:
    before = {name: state_of(name) for name in HOSTS}
    found = rollout(tmp_path, "--check")
    assert found["code"] == 0, found["output"]
    for name in HOSTS:
        stage = "wave" if name == WAVE else "canary"
        wanted = rf"{stage} +move +- +flat: move state from layout nested \(\d+ steps; {DOWNTIME}\)"
        assert re.match(wanted, line_of(name, found["output"])), found["output"]
        assert not found["plays"][name] & {CANARIES, WAVES}
    assert {path.name for path in tmp_path.iterdir()} == {f"agnes-plan-{n}.json" for n in HOSTS}
    assert {name: state_of(name) for name in HOSTS} == before


@pytest.fixture
def second_copy() -> Iterator[None]:
    """Other state that the state disk's mount shadows, as a boot without that disk leaves it."""
    under = "set -eu; mount --bind /data /mnt; trap 'umount /mnt' EXIT; cd /mnt/state; "
    host = host_of(ALONE)
    host.check_output(f"{under} cp /data/state/system.duckdb . && echo other > notes.txt; cd /")
    yield
    host.check_output(f"{under} rm system.duckdb notes.txt; cd /")


def test_a_rollout_moves_canary_and_wave_and_leaves_out_a_host_with_two_copies(
    second_copy: None, tmp_path: Path
) -> None:
    before = state_of(ALONE)
    # A limit that names all hosts: what ends the run with an error does not hang on localhost.
    found = rollout(tmp_path, "--limit", "agnes")
    assert found["code"] != 0, found["output"]
    refused = "refused refuse - AH089: the mount at '/data/state' shadows"
    assert line_of(ALONE, found["output"]).startswith(refused)
    failed = [(r["host"], r["msg"]) for r in found["all"] if r["status"] == "failed"]
    assert failed[-1] == (ALONE, "left out, because it is refused (see its line above)")
    assert not found["plays"][ALONE] & {CANARIES, WAVES}
    assert state_of(ALONE) == before
    assert [*tmp_path.iterdir()] == []
    for name, other in ((CANARY, WAVES), (WAVE, CANARIES)):
        assert other not in found["plays"][name]
        check_moved(found, name, "nested", "flat")


def test_a_rollout_moves_one_deployment_back_and_the_other_one_on(tmp_path: Path) -> None:
    found = rollout(tmp_path, "-e", "lab_acme=nested")
    assert found["code"] == 0, found["output"]
    for name, source, target in (
        (CANARY, "flat", "nested"),
        (ALONE, "nested", "flat"),
        (WAVE, "flat", "nested"),
    ):
        assert (WAVES if name == WAVE else CANARIES) in found["plays"][name]
        check_moved(found, name, source, target)
