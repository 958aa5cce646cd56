# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds of the playbooks and the roles' tasks, whatever the hosts are."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.move.plan_file import _SAID

from .repo import ROOT, below, load, read

ROLES = ("disks", "state_layout", "agnes_compose")


def run_playbook(inventory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook with the settings of the repository."""
    return subprocess.run(
        ["ansible-playbook", "--inventory", str(inventory), *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
    )  # fmt: skip


@pytest.mark.parametrize("playbook", ["site.yml", "playbooks/rollout.yml"])
def test_an_inventory_without_hosts_is_an_error(playbook: str, tmp_path: Path) -> None:
    empty = tmp_path / "hosts.yml"
    empty.write_text("other: {hosts: {elsewhere: }}\n")
    done = run_playbook(empty, playbook)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "no host in group 'agnes': put yours there" in done.stdout


def test_no_role_asks_the_command_line_whether_it_only_checks() -> None:
    """A play or a task can say check_mode, too; what a module has found does know (__disks_check)."""
    asking = [
        path.relative_to(ROOT).as_posix()
        for folder in ("roles", "playbooks")
        for path in (ROOT / folder).rglob("*.yml")
        if any("ansible_check_mode" in line.partition("#")[0] for line in path.open())
    ]
    # With --check a rollout ends after its plan, and leaves it there: a matter of the command line.
    assert sorted(asking) == ["playbooks/rollout.yml", "playbooks/tasks/plan.yml"]


def plays_and_tasks(found: Any) -> Iterator[dict[str, Any]]:
    """Every play, block and task of a file."""
    for each in found if isinstance(found, list) else []:
        yield each
        for key in ("tasks", "pre_tasks", "post_tasks", "block", "rescue", "always"):
            yield from plays_and_tasks(each.get(key))


def test_what_runs_on_the_controller_becomes_nobody_by_a_variable() -> None:
    """An inventory's ansible_become beats the keyword become; a variable of the task beats both."""
    local = [
        each
        for name in below("roles", "playbooks")
        if name.endswith(".yml") and "/meta/" not in name
        for each in plays_and_tasks(load(name))
        if "localhost" in (each.get("delegate_to"), each.get("hosts"))
    ]
    assert len(local) >= 2
    for each in local:
        assert each["vars"]["ansible_become"] is False, each["name"]


def test_a_plan_file_is_written_by_whoever_runs_ansible(tmp_path: Path) -> None:
    play = {
        "hosts": "agnes",
        "gather_facts": False,
        "become": True,
        "vars_files": [str(ROOT / "roles/disks/vars/main.yml"), str(tmp_path / "vars.json")],
        "tasks": [
            {"include_role": {"name": "agnes.host.state_layout", "tasks_from": "plan_file"}},
            {
                "assert": {
                    "that": "(lookup('file', __disks_plan_path) | from_json).host == inventory_hostname"
                }
            },
        ],
    }
    plan = {"layout": "flat", "move": {**dict.fromkeys(_SAID), "facts": {}}}
    out = str(tmp_path)
    (tmp_path / "vars.json").write_text(
        json.dumps({"disks_plan": plan, "plan": out, "state_layout_plan_out": out})
    )
    (tmp_path / "play.json").write_text(json.dumps([play]))
    (tmp_path / "hosts.yml").write_text(
        "all:\n  vars: {ansible_become: true, ansible_become_user: nobody, ansible_become_exe: /nowhere/sudo}\n"
        "agnes: {hosts: {h1: , eu/h2: }}\n"
    )
    done = run_playbook(tmp_path / "hosts.yml", str(tmp_path / "play.json"), "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    for name, host in (("h1", "h1"), ("eu%2Fh2", "eu/h2")):
        written = tmp_path / f"agnes-plan-{name}.json"
        assert json.loads(written.read_text())["host"] == host
        assert written.stat().st_mode & 0o777 == 0o600


def test_each_role_begins_with_the_one_preflight_that_runs_once_in_a_play() -> None:
    first = [load(f"roles/{role}/tasks/main.yml")[0] for role in ROLES]
    assert [task["ansible.builtin.import_role"] for task in first] == [
        {"name": "agnes.host.disks", "tasks_from": "preflight", "allow_duplicates": False}
    ] * len(ROLES)


def test_no_role_includes_another_one_that_includes_it() -> None:
    """Role disks is included by the others, and includes none; so there is no circle."""
    words = ("ansible.builtin.include_role", "ansible.builtin.import_role")
    included = {
        role: {
            task[word]["name"].rpartition(".")[2]
            for name in below(f"roles/{role}/tasks")
            for task in plays_and_tasks(load(name))
            for word in words
            if word in task
        }
        for role in ROLES
    }
    assert included["disks"] == {"disks"}
    assert {frozenset(found) for found in included.values()} == {frozenset({"disks"})}


def test_the_plan_is_made_at_one_place() -> None:
    """As a fact: a variable would be made anew by each task that names it."""
    made = [
        name
        for name in below("roles", "playbooks")
        if name.endswith(".yml") and "agnes.host.plan(" in read(name)
    ]
    assert made == ["roles/disks/tasks/decide.yml"]
