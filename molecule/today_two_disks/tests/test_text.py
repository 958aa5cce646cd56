# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that are not UTF-8: uid 999 can make them, and runs, check runs and purges go on."""

from __future__ import annotations

import json
from typing import Any

import pytest
import records
from play import play

PURGE = records.ROOT / "playbooks" / "purge.yml"
ASIDE = "/data/.agnes-host-aside"
NAMED = ASIDE + r"/old\xff"
MAKE = rf"""
state=$(sed -n 's/^STATE_DIR=//p' /opt/agnes/.env)
for name in 'caf\351' 'x\033[2J' '\377'; do
  setpriv --reuid 999 --regid 999 --clear-groups touch "${{state:-/data/state}}/$(printf "$name")"
done
mkdir -p "$(printf '{ASIDE}/old\377/in')"
"""


@pytest.fixture(scope="module", autouse=True)
def names(host: Any) -> None:
    """Files in STATE_DIR and something set aside, each with a name that is no text."""
    host.check_output(MAKE)


@pytest.fixture(scope="module")
def run(name: str, facts: dict[str, Any], host: Any) -> Any:
    """A run while there is a third disk, made of a copy of the state disk as a snapshot is."""
    host.check_output("dd if=/dev/sdc of=/dev/sdd bs=1M count=64 conv=fsync status=none")
    try:
        return play(f"{name}-text", {name: facts})
    finally:
        host.check_output("wipefs --quiet --all /dev/sdd")


def test_a_run_and_a_check_run_go_on(name: str, facts: dict[str, Any], host: Any, run: Any) -> None:
    assert run.returncode == 0, run.stdout + run.stderr
    assert not [r for r in records.read(f"{name}-text", "site") if r["changed"]]
    host.check_output(
        r"cp -a /opt/agnes/.env /srv/ && printf 'SERVER_URL=caf\351\n' >>/opt/agnes/.env"
    )
    try:
        checked = play(f"{name}-text-check", {name: facts}, "--check", "--diff")
    finally:
        host.check_output("mv /srv/.env /opt/agnes/.env")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "has the same UUID" not in checked.stdout


def test_a_disk_with_the_uuid_of_a_mounted_one_is_named(run: Any) -> None:
    said = (
        "note: /dev/sdd has the same UUID as /dev/sdc, which is mounted at /data/state: the next boot may "
        "mount either of them; detach the copy, or give it another UUID"
    )
    assert said in " ".join(run.stdout.split())


def test_a_purge_lists_it_escaped_and_takes_the_escaped_name(
    name: str, facts: dict[str, Any], host: Any
) -> None:
    listed = play(f"{name}-text-list", {name: facts}, playbook=PURGE)
    assert listed.returncode == 0, listed.stdout + listed.stderr
    assert json.dumps(NAMED)[1:-1] in listed.stdout
    argument = json.dumps({"purge_paths": [NAMED]})
    done = play(f"{name}-text-purge", {name: facts}, "-e", argument, playbook=PURGE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert host.run(f"ls -d {ASIDE}/old*").rc != 0


def test_explain_names_a_state_disk_that_is_not_mounted_and_how_to_mount_it(host: Any) -> None:
    host.check_output("docker stop $(docker ps --quiet) && umount /data/state")
    try:
        said = host.check_output("agnes-host explain")
    finally:
        host.check_output("mount /data/state")
    assert "MISSING    /data/state: the state disk" in said
    assert "'mount /data/state', then run site.yml" in said.splitlines()[-1]
    assert "a plain directory" not in said
