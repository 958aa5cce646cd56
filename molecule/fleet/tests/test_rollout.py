# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/rollout.yml on three hosts: one is refused, then its disk is wiped and the run repeated."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import artifact
import pytest
import records
import testinfra
from play import LAB_VARIABLES, play

from ansible_collections.agnes.host.plugins.module_utils.core.host.rollout_report import join

RUN = "fleet"
PLAYBOOK = records.ROOT / "playbooks" / "rollout.yml"
INVENTORY = records.ROOT / "molecule" / "fleet" / "inventory.yml"
WAVE, CANARY, REFUSED = "agnes-fleet-acme-1", "agnes-fleet-acme-2", "agnes-fleet-globex-1"
REPORTS = records.ROOT / ".cache" / "fleet-reports"
CHECKED = "Check what the inventory says"
TAKE = "Take the hosts, so that one rollout at a time has them"
PLAN = "Plan every host, read-only"
ROLLOUT = "Roll out, canaries first, then in waves"
SUMMARY = "Say how each host came out, and end with an error if one is not as it shall be"
GATE = (
    "Gate | STATE_DIR is on the state disk in each container",
    "Gate | Each container runs the image that is wanted",
    "Gate | See that the row is among them",
)


def rollout(*arguments: str) -> dict[str, Any]:
    """Run the playbook: its code, its output on one line each, what was planned, what was done, and its report."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    there = {*REPORTS.iterdir()}
    given = "-e", f"rollout_report={REPORTS}", "-e", f"rollout_image_digest={image_of(WAVE)}"
    done = play(RUN, INVENTORY, *given, *arguments, playbook=PLAYBOOK)
    (report,) = (path for path in {*REPORTS.iterdir()} - there if path.suffix == ".json")
    results = records.read(RUN, "rollout")
    return {
        "code": done.returncode,
        "report": json.loads(report.read_text()),
        "page": report.with_suffix(".html").read_text(),
        "output": done.stdout + done.stderr,
        "all": results,
        "planned": [record for record in results if record["play"] == PLAN],
        "done": [record for record in results if record["play"] == ROLLOUT],
    }


def turns(rolled_out: dict[str, Any]) -> list[tuple[str, str]]:
    """Host and task, in order, of what was done in the turns of hosts; not what only puts them in order."""
    return [
        (record["host"], record["task"])
        for record in rolled_out["done"]
        if not record["task"].startswith(
            (
                "Wave | ",
                "Report | ",
                "Keep what is known",
                "Write the report",
                "Roll out wave by wave",
            )
        )
    ]


def host_of(name: str) -> Any:
    """A host as testinfra sees it."""
    return testinfra.get_host(f"docker://{name}")


def image_of(name: str) -> str:
    """The id of the stack's image on a host."""
    return str(host_of(name).check_output("docker image inspect --format '{{.Id}}' agnes-demo:1"))


@pytest.fixture(scope="module")
def first() -> dict[str, Any]:
    """The run with one host refused, and what that host's disk had after it."""
    rolled_out = rollout()
    rolled_out["refused_disk"] = host_of(REFUSED).check_output(
        "blkid -p -o value -s LABEL /dev/sdb"
    )
    return rolled_out


@pytest.fixture(scope="module")
def second(first: dict[str, Any]) -> dict[str, Any]:
    """The run after the refused host's disk was wiped by hand."""
    # All of it: the backups of an ext4 superblock alone would have it refused again.
    host_of(REFUSED).check_output("blkdiscard --force /dev/sdb")
    return rollout()


def test_each_host_has_one_line_that_says_what_would_be_done(first: dict[str, Any]) -> None:
    lines = (
        rf"{WAVE} +acme +wave +format +- +flat: \d+ changes: /dev/sdb, ",
        rf"{CANARY} +acme +canary +format +- +flat: \d+ changes: /dev/sdb, ",
        rf"{REFUSED} +globex +refused +refuse +- +AH022: refusing to format '/dev/sdb' for /data: it is not "
        r"proved blank, found ext4 labelled 'old'; ",
        r"3 hosts: format 2, refuse 1",
    )
    for line in lines:
        assert len(re.findall(line, first["output"])) == 1, first["output"]


def test_a_disk_to_format_that_is_named_as_the_kernel_numbers_it_is_noted(
    first: dict[str, Any],
) -> None:
    named = "disks_state_device names '/dev/sdc', which may be another disk after the next boot; a link in /dev/disk/by-id"
    assert named in first["output"], first["output"]


def test_every_host_is_planned_before_the_first_is_touched(first: dict[str, Any]) -> None:
    plays = [record["play"] for record in first["all"] if record["host"] != "localhost"]
    assert list(dict.fromkeys(plays)) == [CHECKED, TAKE, PLAN, ROLLOUT, SUMMARY]
    assert all(record["check"] for record in first["planned"])
    assert records.hosts(first["planned"]) == {WAVE, CANARY, REFUSED}


@pytest.mark.parametrize("name", [WAVE, CANARY])
def test_the_plan_is_what_was_done(first: dict[str, Any], name: str) -> None:
    planned = records.actions(first["planned"], name, check=True)
    done = records.actions(first["done"], name)
    assert done
    assert planned == done


def test_the_canary_and_its_gate_come_before_the_wave(first: dict[str, Any]) -> None:
    taken = turns(first)
    order = [name for name, _task in taken]
    assert list(dict.fromkeys(order)) == [CANARY, WAVE]
    assert order == sorted(order, key=[CANARY, WAVE].index)
    for name in (CANARY, WAVE):
        tasks = [task for host, task in taken if host == name]
        assert set(GATE) < set(tasks)
        assert tasks[-1] == "Turn | End"


def test_the_refused_host_is_named_and_left_alone(first: dict[str, Any]) -> None:
    assert first["code"] != 0
    assert REFUSED not in [name for name, _task in turns(first)]
    assert first["refused_disk"] == "old"
    failed = [(r["host"], r["msg"]) for r in first["all"] if r["status"] == "failed"]
    assert [name for name, _why in failed] == [REFUSED] * 2
    assert failed[-1][1].startswith("refused: AH022: refusing to format")
    assert f'"done      2: {WAVE}, {CANARY}"' in first["output"]
    assert f'"refused   1: {REFUSED}"' in first["output"]


def test_the_second_run_goes_on_where_the_first_stopped(second: dict[str, Any]) -> None:
    assert second["code"] == 0, second["output"]
    assert f'"done      1: {REFUSED}"' in second["output"]
    assert f'"nothing   2: {WAVE}, {CANARY}"' in second["output"]
    for name in (WAVE, CANARY):
        assert records.actions(second["planned"], name, check=True) == set()
        assert records.actions(second["done"], name) == set()
        assert re.search(
            rf"{name} +acme +\w+ +nothing +- +flat: nothing to change", second["output"]
        )
    assert records.actions(second["done"], REFUSED) != set()


@pytest.mark.parametrize(
    ("name", "state_dir"),
    [(WAVE, "/data-state"), (CANARY, "/data-state"), (REFUSED, "/data/state")],
)
def test_each_host_is_healthy_with_its_state_where_its_deployment_has_it(
    second: dict[str, Any], name: str, state_dir: str
) -> None:
    assert second["done"]
    there = host_of(name)
    health = there.check_output("docker inspect --format '{{.State.Health.Status}}' agnes-app-1")
    assert health == "healthy"
    inside = there.check_output(f"docker exec agnes-app-1 stat -c %d:%i {state_dir}/system.duckdb")
    assert inside == there.check_output(f"stat -c %d:%i {state_dir}/system.duckdb")


def test_the_report_says_what_became_of_each_host_in_one_run_and_in_both(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    reports = [run["report"] for run in (first, second)]
    assert reports[0]["counts"] == {"refused": 1, "done": 2}
    hosts = {host["host"]: host for host in reports[0]["hosts"]}
    assert hosts[REFUSED]["code"] == "AH022"
    assert hosts[REFUSED]["began"] == ""
    assert "Attach a blank disk" in first["page"]
    for name in (WAVE, CANARY):
        own = hosts[name]
        assert own["does"] == ["format"]
        assert own["downtime_seconds"] is None
        assert "/dev/sdb" in {change["what"] for change in own["changed"]}
        assert len(own["proofs"]) == 3
        assert "agnes-app-1" in own["proofs"][0]
        assert own["proofs"][1].endswith(f"names: agnes-demo:1 ({image_of(name)})")
        assert own["began"]
        assert own["ended"]
    assert [wave["kind"] for wave in reports[0]["waves"]] == ["canary", "wave"]
    joined = join(reports)
    assert joined["counts"] == {"done": 1, "nothing": 2}
    # What the product and the host keep to themselves is in neither.
    secret = host_of(WAVE).check_output("grep ^JWT_SECRET_KEY= /opt/agnes/.env").partition("=")[2]
    assert len(secret) > 8
    assert secret not in json.dumps(reports) + first["page"] + second["page"]


def test_another_image_and_a_host_out_of_reach_are_found_in_the_plan_and_no_wave_begins(
    second: dict[str, Any], tmp_path: Path
) -> None:
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    hosts = {"agnes-fleet-away": away, CANARY: {"rollout_image_digest": f"sha256:{'0' * 64}"}}
    more = tmp_path / "more.json"
    more.write_text(json.dumps({"acme": {"hosts": hosts}}))
    done = play(
        f"{RUN}-limit",
        INVENTORY,
        "--inventory",
        str(more),
        "-e",
        "rollout_report=",
        playbook=PLAYBOOK,
    )
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    other = f"AH230: the app's image 'agnes-demo:1' is {image_of(CANARY)} on this host, and rollout_image_digest wants sha256:0"
    assert f"{CANARY} acme refused refuse - {other}" in said, said
    halt = "AH207: hosts have failed or can't be reached (1: agnes-fleet-away), and rollout_max_failures allows 0"
    assert f"stopped: {halt}" in said
    assert '"lost 1: agnes-fleet-away"' in said
    assert f'"refused 1: {CANARY}"' in said
    assert f'"untouched 2: {WAVE}, {REFUSED}"' in said
    results = records.read(f"{RUN}-limit", "rollout")
    assert not [record for record in results if record["task"] == "Turn | Begin"]


def test_the_collection_as_it_is_published_finds_nothing_to_change(
    second: dict[str, Any], tmp_path: Path
) -> None:
    """Built, installed where nothing else is, and run from there on a host that is right."""
    assert second["code"] == 0
    published, collections = tmp_path / "published", tmp_path / "collections"
    for folder in (published, collections):
        folder.mkdir()
    artifact.install(artifact.build(records.ROOT, published), collections)
    command = [
        "ansible-playbook", "agnes.host.site", "--check", "--limit", WAVE,
        "--inventory", str(LAB_VARIABLES), "--inventory", str(INVENTORY),
    ]  # fmt: skip
    done = artifact.run(command, tmp_path, ANSIBLE_COLLECTIONS_PATH=str(collections))
    assert re.search(rf"{WAVE} +: ok=\d+ +changed=0 +unreachable=0 +failed=0", done), done
