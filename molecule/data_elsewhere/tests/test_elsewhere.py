# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows in a volume stop the run before a disk is touched; docs/bring-over.md brings them to the disks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from play import play

HOST = "agnes-data-elsewhere"
VOLUME = r"volume 'agnes_data' \(/var/lib/docker/volumes/agnes_data/_data; [\d.]+ [KMG]iB; newest file of \S+ \S+; "
DOWN = "cd /opt/agnes && docker compose --profile '*' down --timeout 90"

# The commands of docs/bring-over.md.
BRING_OVER = (
    "mkfs.ext4 -q -L agnes-data /dev/sdb",
    "mkdir -p /data && mount LABEL=agnes-data /data",
    "rsync -aHAX --numeric-ids /var/lib/docker/volumes/agnes_data/_data/ /data/",
    "echo UUID=$(blkid -s UUID -o value /dev/sdb) /data ext4 defaults,nofail 0 2 >> /etc/fstab",
)
COMPARE = "rsync -aHAXn --checksum --delete --itemize-changes /var/lib/docker/volumes/agnes_data/_data/ /data/"
EXCHANGE = "mv /dev/sdb /dev/other && mv /dev/sdc /dev/sdb && mv /dev/other /dev/sdc"


def refused(facts: dict[str, Any], *arguments: str) -> str:
    """The sentence with which a run stops."""
    done = play("data_elsewhere", {HOST: facts}, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    match = re.search(r"AH\d{3}: .*", done.stdout)
    assert match, done.stdout
    return match[0]


def untouched(host: Any) -> bool:
    """Whether both disks are blank and nothing is mounted."""
    blank = host.check_output("wipefs --no-act /dev/sdb /dev/sdc") == ""
    return blank and host.run("grep ' /data' /proc/self/mountinfo /etc/fstab").rc == 1


@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_the_volume_that_the_stack_runs_on_stops_the_run(
    host: Any, facts: dict[str, Any], arguments: tuple[str, ...]
) -> None:
    said = refused(facts, *arguments)
    wanted = rf"AH012: .*{VOLUME}in use by agnes-app-1 \(running\)\) has state/system\.duckdb"
    assert re.match(wanted, said), said
    assert "docs/bring-over.md" in said
    assert untouched(host)
    assert host.check_output("docker inspect -f '{{.State.Status}}' agnes-app-1") == "running"


def test_so_does_one_that_no_container_has(host: Any, facts: dict[str, Any]) -> None:
    host.check_output(DOWN)
    said = refused(facts)
    assert re.match(rf"AH012: .*{VOLUME}in no container\) has state/system\.duckdb", said), said
    assert untouched(host)


def test_a_plan_to_format_disks_does_not_hold_where_their_names_are_exchanged(
    host: Any, facts: dict[str, Any], tmp_path: Path
) -> None:
    left = {**facts, "disks_left_behind": ["agnes_data"]}
    planned = play(
        "data_elsewhere-plan", {HOST: {**left, "state_layout_plan_out": str(tmp_path)}}, "--check"
    )
    assert planned.returncode == 0, planned.stdout + planned.stderr
    path = tmp_path / f"agnes-plan-{HOST}.json"
    disks = json.loads(path.read_text("utf-8"))["disks"]
    assert [disk["action"] for disk in disks] == ["format", "format"]
    given = ("--extra-vars", f"plan={path}")
    holds = play("data_elsewhere-holds", {HOST: left}, "--check", *given)
    assert holds.returncode == 0, holds.stdout + holds.stderr
    host.check_output(EXCHANGE)
    try:
        said = refused(left, *given)
    finally:
        host.check_output(EXCHANGE)
    assert said.startswith(f"AH076: the plan '{path}' no longer holds"), said
    assert "(changed: devices)" in said
    assert untouched(host)


def test_the_recipe_brings_the_rows_to_the_disk(host: Any, facts: dict[str, Any]) -> None:
    for command in BRING_OVER:
        host.check_output(command)
    left = [line for line in host.check_output(COMPARE).splitlines() if "lost+found" not in line]
    assert left == []
    done = play("data_elsewhere-nested", {HOST: {**facts, "layout": "nested"}})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "left over, no container of the project uses it" in done.stdout
    rows = host.check_output("docker exec agnes-app-1 curl -fsS http://localhost:8000/api/rows")
    assert len(json.loads(rows)["ids"]) >= 5
    assert host.check_output("findmnt -no SOURCE /data").startswith("/dev/")
    kept = "test -e /var/lib/docker/volumes/agnes_data/_data/state/system.duckdb"
    assert host.run(kept).rc == 0
