# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/rollout.yml moves the state of three hosts: shown, done but for one that is refused, and done back.

The way back is cut short twice, by a controller that is killed and by a host that is switched off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import moved
import pytest
import records
import strikes
import testinfra
from play import play, start

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

PLAYBOOK = records.ROOT / "playbooks" / "rollout.yml"
INVENTORY = records.ROOT / "molecule" / "fleet_moves" / "inventory.yml"
WAVE, CANARY, ALONE = "agnes-moves-acme-1", "agnes-moves-acme-2", "agnes-moves-globex-1"
HOSTS = (WAVE, CANARY, ALONE)
FAILPOINT = "/run/agnes-host/failpoint"
LEASE = "/run/agnes-host/rollout.json"
SECONDS = 600
BACK = ("-e", "lab_acme=nested")
DOWNTIME = r"downtime: that of 'docker compose down' and 'up' \(.*?\), and less than a second more"


def rollout(plans: Path, *arguments: str) -> dict[str, Any]:
    """Run the playbook: its code, its output on one line, its results, and the hosts in the order of their turns."""
    out = f"state_layout_plan_out={plans}"
    done = play("fleet_moves", INVENTORY, "-e", out, *arguments, playbook=PLAYBOOK)
    results = records.read("fleet_moves", "rollout")
    return {
        "code": done.returncode,
        "output": " ".join((done.stdout + done.stderr).split()),
        "all": results,
        "turns": [r["host"] for r in results if r["task"] == "Turn | Begin"],
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
    matches = re.findall(rf"{name} +(?:acme|globex) +(\w+ .*?)(?= agnes-moves-| TASK )", output)
    assert len(matches) == 1, output
    return str(matches[0])


def check_moved(rolled_out: dict[str, Any], name: str, source: str, target: str) -> None:
    """The host was moved, as its line and the plan's check run had said."""
    assert f"{target}: move state from layout {source} (" in line_of(name, rolled_out["output"])
    planned = records.actions(rolled_out["all"], name, check=True)
    assert planned == records.actions(rolled_out["all"], name)
    assert any(module == "agnes.host.move" for module, *_more in planned)
    own = [r for r in rolled_out["all"] if r["host"] == name]
    assert "Gate | Read the rows" in [r["task"] for r in own]
    said = [r["task"] for r in own if "Say what will be done" in r["task"]]
    # Once in the plan and once in the run; the move does not say it again.
    assert said == ["agnes.host.disks : Preflight | Say what will be done"] * 2
    moved.check(host_of(name), LAYOUTS[target])


def test_a_check_run_lists_the_move_of_each_host_and_ends_well(tmp_path: Path) -> None:
    before = {name: state_of(name) for name in HOSTS}
    rolled_out = rollout(tmp_path, "--check")
    assert rolled_out["code"] == 0, rolled_out["output"]
    for name in HOSTS:
        stage = "wave" if name == WAVE else "canary"
        wanted = rf"{stage} +move +- +flat: move state from layout nested \(\d+ steps; {DOWNTIME}\)"
        assert re.match(wanted, line_of(name, rolled_out["output"])), rolled_out["output"]
    assert rolled_out["turns"] == []
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
    rolled_out = rollout(tmp_path, "--limit", "agnes")
    assert rolled_out["code"] != 0, rolled_out["output"]
    refused = "refused refuse - AH089: the mount at '/data/state' shadows"
    assert line_of(ALONE, rolled_out["output"]).startswith(refused)
    failed = [(r["host"], r["msg"]) for r in rolled_out["all"] if r["status"] == "failed"]
    assert failed[-1][0] == ALONE
    assert failed[-1][1].startswith("refused: AH089: the mount at '/data/state' shadows")
    assert state_of(ALONE) == before
    assert [*tmp_path.iterdir()] == []
    assert rolled_out["turns"] == [CANARY, WAVE]
    for name in HOSTS:
        assert not host_of(name).file(LEASE).exists
    for name in rolled_out["turns"]:
        check_moved(rolled_out, name, "nested", "flat")


def test_a_host_of_a_newer_version_is_listed_and_left_alone_and_its_canary_is_watched(
    tmp_path: Path,
) -> None:
    record = "/var/lib/agnes-host/record.json"
    host_of(WAVE).check_output(f"cp -a {record} /srv/ && echo '{{\"format\": 99}}' > {record}")
    before = state_of(WAVE)
    rolled_out = rollout(tmp_path, "-e", "rollout_soak=1", "--limit", f"{CANARY}:{WAVE}")
    assert rolled_out["code"] == 2
    assert line_of(WAVE, rolled_out["output"]).startswith(
        f"refused refuse - AH008: '{record}' has format 99"
    )
    assert f'"refused 1: {WAVE}"' in rolled_out["output"]
    assert rolled_out["turns"] == [CANARY]
    watched = [
        r["host"]
        for r in rolled_out["all"]
        if r["task"] == "Soak | See that no container has restarted"
    ]
    assert watched == [CANARY]
    assert state_of(WAVE) == before
    assert not host_of(WAVE).file(LEASE).exists
    host_of(WAVE).check_output(f"mv /srv/record.json {record}")


def hang(name: str, point: str) -> None:
    """Let the next move of a host come to a point, and stand there."""
    host_of(name).check_output(f"mkdir -p /run/agnes-host && echo {point}:hang > {FAILPOINT}")


def wait_until_it_hangs(name: str) -> None:
    strikes.wait_for(name, f"test -e {FAILPOINT}.fired", SECONDS)


def test_a_rollout_that_is_cut_short_is_completed_by_the_next_ones(tmp_path: Path) -> None:
    """One deployment goes back, the other one on: its controller is killed, then a canary is switched off."""
    untouched = state_of(WAVE)
    hang(CANARY, "mount.after")
    run = start("fleet_moves-killed", INVENTORY, *BACK, playbook=PLAYBOOK)
    wait_until_it_hangs(CANARY)
    second = play("fleet_moves-second", INVENTORY, *BACK, playbook=PLAYBOOK)
    assert second.returncode == 2
    who = rf"AH209: another rollout has the hosts {WAVE}, {CANARY}, {ALONE}: that of \w+@\S+ \(process {run.pid}, "
    assert re.search(who, second.stdout), second.stdout
    strikes.kill(run)
    assert host_of(CANARY).file(LEASE).exists
    host_of(CANARY).check_output("systemctl kill --signal=CONT agnes-host-move.service")

    # The lease is that of a run that has ended, and the move goes on by itself.
    hang(ALONE, "mount.after")
    run = start("fleet_moves-lost", INVENTORY, *BACK, playbook=PLAYBOOK)
    wait_until_it_hangs(ALONE)
    strikes.docker("kill", ALONE)
    assert run.wait(SECONDS) != 0
    said = (records.ROOT / ".cache" / "fleet_moves-lost.log").read_text()
    assert f"lost      1: {ALONE}" in said, said
    assert f"untouched 1: {WAVE}" in said
    assert f"AH208: the canary has failed or can't be reached ({ALONE})" in said
    assert state_of(WAVE) == untouched
    moved.check(host_of(CANARY), LAYOUTS["nested"])

    strikes.boot(ALONE)
    rolled_out = rollout(tmp_path, *BACK)
    assert rolled_out["code"] == 0, rolled_out["output"]
    assert rolled_out["turns"] == [CANARY, ALONE, WAVE]
    check_moved(rolled_out, WAVE, "flat", "nested")
    moved.check(host_of(ALONE), LAYOUTS["flat"])
