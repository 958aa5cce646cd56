# SPDX-License-Identifier: GPL-3.0-or-later
"""The root disk is lost, the two others are there: nothing is made anew that is on them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from play import play

HOST = "agnes-consents"
LOSE_ROOT = """
cd /opt/agnes && docker compose --profile '*' down --timeout 90
umount /data-state /data && chattr -i /data-state /data && rmdir /data-state /data
sed -i '/x-agnes.host/d' /etc/fstab
rm -rf /opt/agnes /var/lib/agnes-host
"""
# A mount that replays a journal, or only counts itself, writes to the superblock.
HEADS = "for disk in /dev/sdb /dev/sdc; do head -c 64M $disk | sha256sum; done"
FORGET = {"disks_adopt": [], "disks_format": [], "disks_state_device": "/dev/sdc"}


@pytest.fixture(scope="module")
def before(host: Any) -> dict[str, Any]:
    """What was known on the root disk before it was lost."""
    disks = {
        name: host.check_output(f"blkid -s UUID -o value /dev/{name}") for name in ("sdb", "sdc")
    }
    record = json.loads(host.check_output("cat /var/lib/agnes-host/record.json"))
    host.check_output(LOSE_ROOT)
    return {**disks, "instance": record["instance_id"]}


def said(facts: dict[str, Any], *arguments: str, **differs: Any) -> str:
    """The sentence with which a run stops."""
    done = play("consents-new-root", {HOST: {**facts, **FORGET, **differs}}, *arguments)
    match = re.search(r"AH\d{3}: .*", done.stdout)
    assert match, done.stdout + done.stderr
    return match[0]


def untouched(host: Any) -> bool:
    """Whether nothing is mounted, listed or recorded."""
    mounted = host.run("grep ' /data' /proc/self/mountinfo /etc/fstab")
    return mounted.rc == 1 and not host.file("/var/lib/agnes-host").exists


def test_both_disks_are_recognised_in_one_sentence(
    host: Any, facts: dict[str, Any], before: dict[str, Any]
) -> None:
    sentence = said(facts)
    wanted = (
        r"AH038: .*'/dev/sdb' \(.*ext4 labelled 'agnes-data', UUID \S+\) has its data, .*"
        rf"'/dev/sdc' \(.*\) has its state, instance {before['instance']}, epoch 1, last written [-\d]+ .*"
        rf"disks_adopt: \[{before['sdb']}, {before['sdc']}\]"
    )
    assert re.match(wanted, sentence), sentence
    assert "disks_format" not in sentence
    assert untouched(host)


@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_exchanged_disks_are_refused_though_both_are_adopted(
    host: Any, facts: dict[str, Any], before: dict[str, Any], arguments: tuple[str, ...]
) -> None:
    sums = host.check_output(HEADS)
    both = [before["sdb"], before["sdc"]]
    exchanged = {"disks_data_device": "/dev/sdc", "disks_state_device": "/dev/sdb"}
    sentence = said(facts, *arguments, disks_adopt=both, **exchanged)
    assert sentence.startswith("AH036: '/dev/sdc' is to be the data disk at /data, but"), sentence
    assert ".agnes-state.json at its top (active)" in sentence
    assert untouched(host)
    assert host.check_output(HEADS) == sums


def test_the_plan_of_a_check_run_is_applied_and_the_instance_taken_over(
    host: Any, facts: dict[str, Any], before: dict[str, Any], tmp_path: Path
) -> None:
    # An inventory may name hosts as its paths do; a file can't be called so.
    named = f"eu/{HOST}"
    both = [before["sdb"], before["sdc"]]
    adopted = {**facts, **FORGET, "disks_adopt": both, "ansible_host": HOST}
    out = {**adopted, "state_layout_plan_out": str(tmp_path)}
    # The cloud's own rules give this name to a disk that it takes back with the machine.
    local = "/dev/disk/by-id/google-local-ssd-0"
    host.check_output(f"mkdir -p $(dirname {local}) && ln -s ../../sdc {local}")
    done = play("consents-new-root", {named: out}, "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    note = "/dev/sdc for state is ephemeral (what is on it is gone when the machine is stopped)"
    assert note in " ".join(done.stdout.split())
    path = tmp_path / f"agnes-plan-eu%2F{HOST}.json"
    planned = [(disk["action"], disk["uuid"]) for disk in json.loads(path.read_text())["disks"]]
    assert planned == [("mount", before["sdb"]), ("mount", before["sdc"])]
    assert untouched(host)

    done = play("consents-new-root", {named: adopted}, "--extra-vars", f"plan={path}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"instance {before['instance']} of the marker on /dev/sdc is taken over" in done.stdout
    record = json.loads(host.check_output("cat /var/lib/agnes-host/record.json"))
    assert record["instance_id"] == before["instance"]
    assert host.check_output("cat /data-state/kept.txt") == "kept"
