# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten hosts in three deployments go to flat by a rollout while clients write, and two of them have trouble.

The first rollout leaves out a host with two copies of state, and stops within its limit when in one wave an app never
gets healthy and a move fails before its commit: both hosts go back. What was wrong is mended, and the second rollout
completes it.

`make fleet` runs this; FLEET_KEEP=1 leaves the hosts there, for a look at them. A run makes them anew.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import moved
import pytest
import records
import testinfra
import yaml
from images import say
from play import play
from worker import NAME, private, worker

from ansible_collections.agnes.host.plugins.module_utils.core.host import rollout_report
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

HERE = Path(__file__).parent
INVENTORY = HERE / "inventory.yml"
SHARED = records.ROOT / "molecule" / "shared"
REPORTS = records.ROOT / ".cache" / "fleet"
PLAYBOOKS = records.ROOT / "playbooks"
KEEP = bool(os.environ.get("FLEET_KEEP"))

CANARIES = ["agnes-ten-acme-2", "agnes-ten-globex-1", "agnes-ten-initech-1"]
TWO_COPIES, ILL, BACK = "agnes-ten-acme-3", "agnes-ten-globex-2", "agnes-ten-globex-3"
WAVES = [
    ["agnes-ten-acme-1"],
    ["agnes-ten-acme-4", ILL, BACK],
    ["agnes-ten-initech-2", "agnes-ten-initech-3"],
]
UNTOUCHED = WAVES[2]
DONE = [*CANARIES, *WAVES[0], "agnes-ten-acme-4"]
HOSTS = sorted(
    name
    for group in yaml.safe_load(INVENTORY.read_text())["agnes"]["children"].values()
    for name in group["hosts"]
)
FAILPOINT = "/run/agnes-host/failpoint"
FORKS = ("--forks", "3")
GIVEN = ("-e", json.dumps({"rollout_waves": [1, 3], "rollout_max_failures": 1}))

ON_THE_WORKER = {
    "agnes_compose_image": "agnes-demo:1", "agnes_compose_profiles": ["full", "tls"], "agnes_compose_host_tools": False,
    "agnes_compose_env": {"DOMAIN": "agnes.test"}, "disks_data_device": "/dev/disk/by-id/google-data",
    "disks_state_device": "/dev/sdc", "state_layout_wanted": "flat",
    "rollout_row_url": "http://localhost:8000/api/rows",
}  # fmt: skip
"""What the hosts have in this inventory and in the lab's, but for the certificate: Caddy keeps the one that it has."""
SHARD = (
    "ansible-runner transmit {folder} -p agnes.host.rollout --limit {shard} --ident {shard} | "
    "{call} ansible-runner worker | ansible-runner process {folder} --ident {shard}"
)
"""As docs/awx.md has it."""

UNDER = "set -eu; mount --bind /data /mnt; trap 'umount /mnt' EXIT; cd /mnt/state; "
NEVER = """services:
  app:
    healthcheck:
      test: [CMD-SHELL, '[ "$$STATE_DIR" != /data-state ] || [ -e /data/uploads/mended ]']
      interval: 2s
      timeout: 5s
      retries: 3
      start_period: 1s
"""
"""A compose file of the operator's own, with which the app never gets healthy in flat, until it is mended."""


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


def place_of(name: str) -> list[str]:
    """Where the state disk is mounted, and the databases that a container would not take for that of STATE_DIR."""
    host = host_of(name)
    at = host.run("findmnt --noheadings --output TARGET --source /dev/sdc").stdout.split()
    return [*at, *moved.databases(host)]


def lab(*names: str) -> None:
    """Run playbooks of the lab on all hosts, a few at a time."""
    for name in names:
        began = time.monotonic()
        done = play("fleet-lab", INVENTORY, *FORKS, playbook=SHARED / f"{name}.yml")
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr
        say(f"fleet: {name} took {time.monotonic() - began:.0f} s")


def plant() -> None:
    """What is wrong with three of the hosts."""
    host_of(TWO_COPIES).check_output(
        f"{UNDER} cp /data/state/system.duckdb . && echo other > notes.txt; cd /"
    )
    host_of(ILL).check_output(
        f"set -eu; cd /opt/agnes; cat > docker-compose.ops.yml <<'END'\n{NEVER}END\n"
        "sed -i '/^COMPOSE_FILE=/s/$/:docker-compose.ops.yml/' .env; "
        "docker compose --profile full --profile tls up --detach --wait app scheduler ws-gateway caddy"
    )
    host_of(BACK).check_output(f"mkdir -p /run/agnes-host; echo commit.before:eio > {FAILPOINT}")


def mend() -> None:
    """The cause of each trouble is taken away."""
    host_of(TWO_COPIES).check_output(f"{UNDER} rm system.duckdb notes.txt; cd /")
    host_of(ILL).check_output("touch /data/uploads/mended")
    host_of(BACK).check_output(f"rm -f {FAILPOINT}*")


def rollout(label: str) -> dict[str, Any]:
    """Run the playbook: its code, its output on one line, its results, its report, and the order of turns."""
    for old in REPORTS.glob(f"{label}/*"):
        old.unlink()
    image = host_of(HOSTS[0]).check_output("docker image inspect --format '{{.Id}}' agnes-demo:1")
    given = [
        *GIVEN,
        "-e",
        f"rollout_report={REPORTS / label}",
        "-e",
        f"rollout_image_digest={image}",
    ]
    began = time.monotonic()
    done = play(f"fleet-{label}", INVENTORY, *FORKS, *given, playbook=PLAYBOOKS / "rollout.yml")
    say(f"fleet: the {label} rollout took {time.monotonic() - began:.0f} s")
    results = records.read(f"fleet-{label}", "rollout")
    (report,) = (REPORTS / label).glob("*.json")
    return {
        "code": done.returncode,
        "output": " ".join((done.stdout + done.stderr).split()),
        "turns": [record["host"] for record in results if record["task"] == "Turn | Begin"],
        "report": json.loads(report.read_text()),
        "page": report.with_suffix(".html").read_text(),
        "path": report,
    }


def said_of(run: dict[str, Any], name: str) -> dict[str, Any]:
    """What the report says of a host."""
    (own,) = (host for host in run["report"]["hosts"] if host["host"] == name)
    return dict(own)


@pytest.fixture(scope="module")
def fleet() -> Iterator[None]:
    """The hosts, three of them with trouble."""
    lab("create", "today", "clients")
    plant()
    yield
    if not KEEP:
        lab("destroy")


@pytest.fixture(scope="module")
def first(fleet: None) -> dict[str, Any]:
    """The rollout that has the trouble, and what the hosts that it must not touch are after it."""
    quiet = [TWO_COPIES, *UNTOUCHED]
    before = {name: state_of(name) for name in quiet}
    run = rollout("first")
    after = {name: state_of(name) for name in quiet}
    places = {name: place_of(name) for name in (ILL, BACK)}
    return {
        **run,
        "before": before,
        "after": after,
        "places": places,
        "ran": moved.services(host_of(BACK)),
        "ran_ill": moved.services(host_of(ILL)),
    }


@pytest.fixture(scope="module")
def second(first: dict[str, Any]) -> dict[str, Any]:
    """The rollout after what was wrong has been mended."""
    mend()
    return rollout("second")


def test_the_rollout_stops_within_its_limit(first: dict[str, Any]) -> None:
    assert first["code"] != 0, first["output"]
    # Canaries one after the other, then wave by wave; within a wave hosts are at it at once.
    turns = first["turns"]
    assert turns[:4] == [*CANARIES, *WAVES[0]], first["output"]
    assert sorted(turns[4:]) == sorted(WAVES[1])
    assert first["report"]["counts"] == {
        "back": 2, "refused": 1, "untouched": 2, "done": 5,
    }, first["output"]  # fmt: skip
    halt = f"AH207: hosts have failed or can't be reached (2: {ILL}, {BACK}), and rollout_max_failures allows 1"
    (run,) = first["report"]["runs"]
    assert run["halt"].startswith(halt)
    assert run["ended"]
    assert all(code in first["page"] for code in ("AH069", "AH070", "AH089", "AH207"))
    assert [wave["began"] != "" for wave in first["report"]["waves"]] == [True] * 5 + [False]


def test_hosts_that_are_left_out_or_not_begun_are_as_before(first: dict[str, Any]) -> None:
    assert first["after"] == first["before"]
    assert said_of(first, TWO_COPIES)["code"] == "AH089"
    for name in UNTOUCHED:
        own = said_of(first, name)
        assert (own["outcome"], own["does"]) == ("untouched", ["copy"])
        assert own["message"].startswith("hosts have failed or can't be reached (2: ")


def test_a_move_that_fails_before_its_commit_went_back_and_the_stack_runs(
    first: dict[str, Any],
) -> None:
    assert said_of(first, BACK)["code"] == "AH069"
    assert first["places"][BACK] == ["/data/state"]
    assert first["ran"] == moved.RUNNING


def test_an_app_that_never_gets_healthy_in_flat_is_back_in_nested_with_what_was_written(
    first: dict[str, Any],
) -> None:
    own = said_of(first, ILL)
    assert (own["outcome"], own["code"]) == ("back", "AH070")
    assert "agnes-app-1 is unhealthy" in own["message"], own
    assert own["message"].endswith("it went back to layout nested, and the stack is healthy there")
    assert first["places"][ILL] == ["/data/state"]
    assert first["ran_ill"] == moved.RUNNING


def test_the_next_rollout_completes_it(second: dict[str, Any]) -> None:
    assert second["code"] == 0, second["output"]
    assert second["report"]["counts"] == {"done": 5, "nothing": 5}, second["output"]
    right = [host["host"] for host in second["report"]["hosts"] if host["outcome"] == "nothing"]
    assert sorted(right) == sorted(DONE)
    for name in HOSTS:
        seen = said_of(second, name)["proofs"]
        assert len(seen) == 3, seen


@pytest.mark.parametrize("name", HOSTS)
def test_no_row_was_lost_and_each_host_is_in_flat(second: dict[str, Any], name: str) -> None:
    assert second["report"]
    host = host_of(name)
    moved.check(host, LAYOUTS["flat"])
    say(f"fleet: clients of {name} waited {moved.longest_gap(host, 0):.1f} s at most")


def test_both_reports_are_joined_into_one(first: dict[str, Any], second: dict[str, Any]) -> None:
    for old in (REPORTS / "joined").glob("*"):
        old.unlink()
    reports = json.dumps({"rollout_reports": [str(run["path"]) for run in (first, second)]})
    given = ("-e", reports, "-e", f"rollout_report={REPORTS / 'joined'}")
    done = play("fleet-join", INVENTORY, *given, playbook=PLAYBOOKS / "join_reports.yml")
    assert done.returncode == 0, done.stdout
    (path,) = (REPORTS / "joined").glob("*.json")
    report = json.loads(path.read_text())
    assert report["counts"] == {"done": 5, "nothing": 5}
    assert len(report["runs"]) == 2


def test_two_shards_run_at_once_on_a_worker_over_ssh(
    second: dict[str, Any], tmp_path: Path
) -> None:
    """Two deployments, a job each, on a machine that has nothing of this one but what comes through the pipe."""
    assert second["code"] == 0
    shards = ("acme", "globex")
    hosts = {
        f"agnes-ten-{shard}-{number}": {"agnes_deployment": shard}
        for shard in shards
        for number in (1, 2)
    }
    folder = private(tmp_path / "private", hosts, **ON_THE_WORKER)
    (tmp_path / "worker").mkdir()
    began = time.monotonic()
    with worker(tmp_path / "worker") as call:
        runs = [
            subprocess.Popen(
                ["bash", "-o", "pipefail", "-c", SHARD.format(shard=shard, folder=folder, call=shlex.join(call))],
                cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
            for shard in shards
        ]  # fmt: skip
        said = [run.communicate()[0] for run in runs]
    say(f"fleet: two shards on a worker took {time.monotonic() - began:.0f} s")
    assert [run.returncode for run in runs] == [0, 0], "\n".join(said)
    reports = []
    for shard in shards:
        (path,) = (folder / "artifacts" / shard / "report").glob(f"rollout-*-{shard}.json")
        reports.append(json.loads(path.read_text()))
    joined = rollout_report.join(reports)
    assert {host["host"]: host["outcome"] for host in joined["hosts"]} == dict.fromkeys(
        hosts, "nothing"
    )
    assert [wave["kind"] for wave in joined["waves"]] == ["check"] * 2
    # They ran there, and at the same time.
    assert {run["controller"] for run in joined["runs"]} == {f"root@{NAME}"}
    first_end = min(run["at"] for run in joined["runs"])
    assert all(run["began"] < first_end for run in joined["runs"])
