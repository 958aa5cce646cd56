# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds of the playbooks and the roles' tasks, whatever the hosts are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

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


@pytest.mark.parametrize("playbook", ["site.yml", "playbooks/rollout.yml", "playbooks/audit.yml"])
def test_an_inventory_without_hosts_is_an_error(playbook: str, tmp_path: Path) -> None:
    empty = tmp_path / "hosts.yml"
    empty.write_text("other: {hosts: {elsewhere: }}\n")
    done = run_playbook(empty, playbook)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "no host in group 'agnes': put yours there" in done.stdout


MISTAKES = {
    "agnes": {
        "vars": {"ansible_host": "192.0.2.1", "vault_disks_adopt": "mine"},
        "children": {
            "acme": {
                "vars": {"agnes_deployment": "acme", "state_layuot_wanted": "flat"},
                "hosts": {"a1": {"rollout_canary": True}, "a2": {"rollout_canary": True}},
            },
            "globex": {
                "hosts": {"g1": {"disks_data_device": "/dev/sdc", "rollout_wave": 5}},
                "vars": {"rollout_max_fail": 10},
            },
        },
    }
}
SAID = (
    "AH200: variables are set that nothing reads: 'rollout_max_fail' (g1; did you mean rollout_max_failures?), "
    "'rollout_wave' (g1; did you mean rollout_waves?), 'state_layuot_wanted' (a1, a2; did you mean state_layout_wanted?)",
    "AH201: the deployment of g1 is none, while others are in acme",
    "AH202: deployment 'acme' has more than one host with rollout_canary (a1, a2)",
    "AH203: disks_data_device and disks_state_device are both '/dev/sdc' (g1)",
)


@pytest.mark.parametrize("playbook", ["site.yml", "playbooks/rollout.yml"])
def test_mistakes_in_an_inventory_are_said_before_a_host_is_called(
    playbook: str, tmp_path: Path
) -> None:
    hosts = tmp_path / "hosts.json"
    hosts.write_text(json.dumps(MISTAKES))
    done = run_playbook(hosts, playbook, "--limit", "agnes")
    assert done.returncode == 2, done.stdout + done.stderr
    for sentence in SAID:
        assert sentence in done.stdout
    assert "UNREACHABLE" not in done.stdout
    # The last play that began is the check.
    assert (
        done.stdout.count("PLAY [") == 2 and "PLAY [Check what the inventory says]" in done.stdout
    )


def test_the_example_inventory_is_one_that_can_be_meant(tmp_path: Path) -> None:
    """Copied as a user would, its vault encrypted as it says, and a host left out of nothing."""
    example, password = tmp_path / "fleet", tmp_path / "password"
    shutil.copytree(ROOT / "inventories/example", example)
    password.write_text("a password\n")
    vaults = sorted(example.glob("group_vars/*/vault.yml"))
    assert vaults
    for vault in vaults:
        command = ["ansible-vault", "encrypt", "--vault-password-file", str(password), str(vault)]
        subprocess.run(command, check=True, capture_output=True)
        assert vault.read_text().startswith("$ANSIBLE_VAULT")
    given = ["--vault-password-file", str(password)]
    done = run_playbook(example, "playbooks/hosts.yml", *given)
    assert done.returncode == 0, done.stdout + done.stderr
    listed = subprocess.run(
        ["ansible-inventory", "--inventory", str(example), "--list", *given],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    inventory = json.loads(listed.stdout)
    hosts = inventory["_meta"]["hostvars"]
    wanted = {
        (each.get("agnes_deployment"), each.get("state_layout_wanted")) for each in hosts.values()
    }
    assert wanted == {
        ("acme", "flat"), ("globex", "nested"), ("initech", "nested"), ("hooli", "undecided"),
    }  # fmt: skip
    for name, each in hosts.items():
        assert name in inventory[each["agnes_deployment"]]["hosts"], name


DYNAMIC = "inventories/example-dynamic"


def test_the_dynamic_example_sorts_hosts_into_deployments_by_what_the_cloud_says() -> None:
    done = run_playbook(ROOT / DYNAMIC, "playbooks/hosts.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    listed = subprocess.run(
        ["ansible-inventory", "--inventory", DYNAMIC, "--list"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert "WARNING" not in listed.stderr, listed.stderr
    inventory = json.loads(listed.stdout)
    assert inventory["acme"]["hosts"] == ["vm-1", "vm-2"] and inventory["globex"]["hosts"] == [
        "vm-3"
    ]
    assert set(inventory["agnes"]["children"]) >= {"acme", "globex"}
    hosts = inventory["_meta"]["hostvars"]
    assert [hosts[name]["agnes_deployment"] for name in ("vm-1", "vm-3")] == ["acme", "globex"]
    assert hosts["vm-1"]["rollout_canary"] and not hosts["vm-2"]["rollout_canary"]


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


def plays_and_tasks(value: Any) -> Iterator[dict[str, Any]]:
    """Every play, block and task of a file."""
    for each in value if isinstance(value, list) else []:
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


def test_an_audit_lists_hosts_that_are_away_and_what_their_inventory_has_wrong(
    tmp_path: Path,
) -> None:
    away = "ansible_host: 127.0.0.1, ansible_port: 1, ansible_become: true"
    (tmp_path / "hosts.yml").write_text(
        f"agnes: {{hosts: {{h1: {{{away}}}, h2: {{{away}, agnes_compose_secrets: a word}}}}}}\n"
    )
    report = tmp_path / "report.json"
    arguments = ("playbooks/audit.yml", "--check", "-e", f"audit_report={report}")
    done = run_playbook(tmp_path / "hosts.yml", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "2 hosts: 3 errors, 0 warnings, 0 notes" in done.stdout
    assert report.stat().st_mode & 0o777 == 0o600
    written = json.loads(report.read_text())
    codes = {
        name: [each["code"] for each in host["findings"]] for name, host in written["hosts"].items()
    }
    assert codes == {"h1": ["AH210"], "h2": ["AH210", "AH211"]}
    assert "a word" not in done.stdout + done.stderr + report.read_text()
    done = run_playbook(tmp_path / "hosts.yml", *arguments, "-e", "audit_fail_on=never")
    assert done.returncode == 0, done.stdout + done.stderr


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
    assert {frozenset(roles) for roles in included.values()} == {frozenset({"disks"})}


def test_the_plan_is_made_at_one_place() -> None:
    """As a fact: a variable would be made anew by each task that names it."""
    made = [
        name
        for name in below("roles", "playbooks")
        if name.endswith(".yml") and "agnes.host.plan(" in read(name)
    ]
    assert made == ["roles/disks/tasks/decide.yml"]


@pytest.mark.parametrize("role", ROLES)
def test_each_task_of_a_role_has_its_tag_and_what_comes_first_is_never_left_out(role: str) -> None:
    """Static imports pass their tags on, dynamic includes don't unless they say so."""
    for task in load(f"roles/{role}/tasks/main.yml")[1:]:
        assert task["tags"] == [role], task["name"]
        include = task.get("ansible.builtin.include_tasks")
        assert include is None or include["apply"] == {"tags": [role]}, task["name"]
    always = [
        "roles/disks/tasks/" + name for name in ("preflight", "observe", "decide", "pre_move")
    ]
    for name in [f"roles/{each}/tasks/main.yml" for each in ROLES]:
        assert load(name)[0]["tags"] == ["always"], name
    for name in [*(f"{each}.yml" for each in always), "roles/agnes_compose/tasks/prove.yml"]:
        assert [task["tags"] for task in load(name)] == [["always"]] * len(load(name)), name
    for play in load("playbooks/hosts.yml"):
        assert play["tags"] == ["always"], play["name"]


MOVES, FRESH, CALM = (
    {"needs": ["project", "stack", "caddy"], "move": {"new": True}},
    {"needs": ["proof", "disks", "tree", "project", "stack", "caddy"], "move": {}},
    {"needs": [], "move": {}},
)
TAGS: tuple[tuple[str, str, dict[str, Any], str, str], ...] = (
    ("all", "", FRESH, "", ""),
    ("disks", "", FRESH, "state_layout agnes_compose", ""),
    ("state_layout", "", FRESH, "disks agnes_compose", "disks"),
    ("state_layout disks", "", FRESH, "agnes_compose", ""),
    ("agnes_compose", "", FRESH, "disks state_layout", "disks state_layout"),
    ("disks agnes_compose", "", FRESH, "state_layout", "state_layout"),
    ("all", "disks", FRESH, "disks", "disks"),
    ("all", "agnes_compose", FRESH, "agnes_compose", ""),
    ("agnes_compose", "", MOVES, "disks state_layout", "state_layout"),
    ("state_layout", "", MOVES, "disks agnes_compose", ""),
    ("agnes_compose", "", CALM, "disks state_layout", ""),
    ("plan", "", FRESH, "disks state_layout agnes_compose", ""),
    ("tagged", "", FRESH, "", ""),
)
"""--tags, --skip-tags, a plan, the roles that are left out, and those of them that would have to come first."""


@pytest.mark.parametrize(("tags", "skipped", "plan", "left_out", "first"), TAGS)
def test_a_role_that_has_something_to_do_is_left_out_only_if_none_comes_after_it(
    tags: str, skipped: str, plan: dict[str, Any], left_out: str, first: str
) -> None:
    loader = DataLoader()
    said = loader.load_from_file(str(ROOT / "roles/disks/vars/main.yml"), trusted_as_template=True)
    given = {"ansible_run_tags": {*tags.split()}, "ansible_skip_tags": {*skipped.split()}}
    templar = Templar(loader, {**said, **given, "disks_plan": plan})
    assert templar.template(said["__disks_left_out"]) == left_out.split()
    assert templar.template(said["__disks_skipped_first"]) == first.split()
    assert templar.template(said["__disks_only"]) == (
        [f"note: --tags or --skip-tags leave out of this: role {', role '.join(left_out.split())}"]
        if left_out
        else []
    )


@pytest.mark.parametrize(
    ("playbook", "arguments"),
    [
        ("rollout", ("--tags", "disks")),
        ("audit", ("--skip-tags", "agnes_compose")),
        ("purge", ("--tags", "disks")),
    ],
)
def test_no_tag_makes_a_part_of_a_playbook_that_is_whole(
    playbook: str, arguments: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "hosts.yml").write_text("agnes: {hosts: {h1: {ansible_host: 192.0.2.1}}}\n")
    command = (f"playbooks/{playbook}.yml", "--limit", "h1", *arguments)
    done = run_playbook(tmp_path / "hosts.yml", *command)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "only site.yml can be run in parts, so run this playbook without --tags" in done.stdout
    assert "UNREACHABLE" not in done.stdout
