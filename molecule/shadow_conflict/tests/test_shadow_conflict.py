# SPDX-License-Identifier: GPL-3.0-or-later
"""Two copies of state: refused with evidence until somebody decides, for this host and that evidence."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import moved
import pytest
import records
from play import play

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

PURGE = records.ROOT / "playbooks" / "purge.yml"
ASIDE = "/data/.agnes-host-aside"
ON_THE_DISK = "/data-state/.agnes-host-aside"


def snapshot(host: Any) -> dict[str, Any]:
    """What a refused run must leave alone; the tree grows, because the stack runs."""
    taken: dict[str, Any] = json.loads(host.check_output("/usr/local/bin/lab-snapshot"))
    return {key: taken[key] for key in ("files", "containers", "mounts")}


def refusal(name: str, facts: dict[str, Any], label: str, *arguments: str, **more: str) -> str:
    """What a run said that was refused."""
    done = play(f"{name}-{label}", {name: {**facts, **more}}, *arguments)
    assert done.returncode != 0, done.stdout
    failed = [r for r in records.read(f"{name}-{label}", "site") if r["status"] == "failed"]
    assert len(failed) == 1, done.stdout
    assert not [r for r in records.read(f"{name}-{label}", "site") if r["changed"]]
    return str(failed[0]["msg"])


def decision(sentence: str, name: str, copy: str) -> str:
    """The decision that a refusal prints."""
    match = re.search(rf"{re.escape(name)}:{copy}:\w+", sentence)
    assert match, sentence
    return match.group()


@pytest.mark.parametrize("layout", ["", "flat"])
def test_it_is_refused_with_evidence_and_nothing_changes(
    name: str, facts: dict[str, Any], host: Any, layout: str
) -> None:
    before = snapshot(host)
    said = refusal(name, facts, f"refused{layout}", layout=layout)
    assert said.startswith("AH089: the mount at '/data/state' shadows what may be a second")
    assert "mounted (/dev/sdc): files open in no container, seen by none; rows: main.rows 3" in said
    assert "shadowed (/dev/sdb): files open in app" in said
    assert "rows not counted (in use by app" in said
    assert re.search(r"paths: \d+ same, \d+ only shadowed, \d+ only mounted, [1-9]\d* differ", said)
    assert snapshot(host) == before


def test_a_decision_for_others_or_for_other_evidence_decides_nothing(
    name: str, facts: dict[str, Any], host: Any
) -> None:
    before = snapshot(host)
    said = refusal(name, facts, "first", layout="flat")
    other = decision(said, name, "shadowed").replace(name, "agnes-other")
    argument = f"state_layout_authority={other}"
    assert refusal(name, facts, "other", "-e", argument, layout="flat").startswith("AH089")
    old = f"state_layout_authority={name}:shadowed:00000000"
    assert refusal(name, facts, "old", "-e", old, layout="flat").startswith("AH090")
    assert snapshot(host) == before


def test_the_copy_that_the_containers_work_with_is_moved_to_the_disk(
    name: str, facts: dict[str, Any], host: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    said = decision(refusal(name, facts, "again", layout="flat"), name, "shadowed")
    argument, since = f"state_layout_authority={said}", moved.now(host)
    checked = play(f"{name}-check", {name: {**facts, "layout": "flat"}}, "-e", argument, "--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    done = play(f"{name}-shadowed", {name: {**facts, "layout": "flat"}}, "-e", argument)
    assert done.returncode == 0, done.stdout + done.stderr
    moved.check(host, LAYOUTS["flat"])
    with capsys.disabled():
        print(
            f"\n  the shadowed copy counts: clients waited {moved.longest_gap(host, since):.2f} s"
        )
    again = play(f"{name}-shadowed-again", {name: {**facts, "layout": "flat"}})
    assert again.returncode == 0, again.stdout
    assert not [r for r in records.read(f"{name}-shadowed-again", "site") if r["changed"]]


def listed(name: str, facts: dict[str, Any], label: str) -> str:
    done = play(f"{name}-{label}", {name: facts}, playbook=PURGE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_both_are_listed_by_purge_and_kept_whole(
    name: str, facts: dict[str, Any], host: Any
) -> None:
    listing = listed(name, facts, "list")
    for folder in (ASIDE, ON_THE_DISK):
        assert f"{folder}/" in listing
        assert host.file(folder).mode == 0o700
        assert host.file(folder).uid == 0
    kept = host.check_output(f"find {ON_THE_DISK} -mindepth 2 -maxdepth 2 -name system.duckdb")
    assert len(kept.split()) == 1


def test_what_a_mount_in_use_shadows_is_a_note_and_goes_aside_by_decision(
    name: str, facts: dict[str, Any], host: Any
) -> None:
    back = play(f"{name}-back", {name: {**facts, "layout": "nested"}})
    assert back.returncode == 0, back.stdout + back.stderr
    host.check_output(
        "mount --bind /data /mnt && chattr -i /mnt/state && echo old > /mnt/state/system.duckdb && umount /mnt"
    )
    noted = play(f"{name}-noted", {name: facts})
    assert noted.returncode == 0, noted.stdout + noted.stderr
    assert "note: the mount at /data/state shadows what may be a second copy" in noted.stdout
    assert not [r for r in records.read(f"{name}-noted", "site") if r["changed"]]
    assert "TWO COPIES /data/state: mounted (/dev/sdc): files open in app" in host.check_output(
        "agnes-host explain"
    )
    said = decision(refusal(name, facts, "third", layout="flat"), name, "mounted")
    argument = f"state_layout_authority={said}"
    done = play(f"{name}-mounted", {name: {**facts, "layout": "flat"}}, "-e", argument)
    assert done.returncode == 0, done.stdout + done.stderr
    moved.check(host, LAYOUTS["flat"])
    kept = host.check_output(f"grep --recursive --files-with-matches '^old$' {ASIDE}")
    assert Path(kept).name == "system.duckdb"
