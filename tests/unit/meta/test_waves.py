# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/rollout.yml as it is, with roles that are stand-ins and hosts that are this machine.

How Ansible behaves where a host fails or is lost decides whether the rest of a fleet is touched: that is
tried here, without a host of the lab.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from .repo import ROOT

PLAN = "Plan every host, read-only"
OWN = "Roll out, canaries first, then in waves"
LOST = f"{{{{ 'ssh' if ansible_play_name == '{OWN}' else 'local' }}}}"

DISKS: list[dict[str, Any]] = [
    {
        "ansible.builtin.command": {
            "argv": ["sh", "-c", "echo {{ inventory_hostname }} >>{{ fake_log }}"]
        }
    },
    {
        "ansible.builtin.set_fact": {
            "disks_plan": {
                "layout": "{{ fake_layout | default('flat', true) }}",
                "move": "{{ fake_move | default({}) }}",
                "disks": [],
                "needs": "{{ [] if fake_right | default(false) else ['stack'] }}",
                "parts": {"stack": "{{ fake_stack | default({}) }}"},
            }
        }
    },
    {
        "ansible.builtin.assert": {
            "that": "not fake_refused | default(false)",
            "fail_msg": "AH022: refused",
        }
    },
]
STATE: dict[str, Any] = {
    "proved": {"agnes-app-1": ["/state"]},
    "images": {
        "agnes:1": {
            "id": "sha256:new", "digests": [], "services": ["app"],
            "running": {"agnes-app-1": "sha256:{{ fake_runs | default('new') }}"},
        },
    },
}  # fmt: skip
STACK: list[dict[str, Any]] = [
    {
        "ansible.builtin.assert": {
            "that": f"not fake_fails | default(false) or ansible_play_name != '{OWN}'",
            "fail_msg": "AH049: service 'app' is ill",
        }
    },
    {
        "ansible.builtin.set_fact": {
            "__agnes_compose_stack": STATE,
            "__agnes_compose_started": STATE,
        }
    },
]
MOVE = {
    "source": "nested", "target": "flat", "direction": "forward", "steps": [], "downtime": "none", "bytes": 0,
}  # fmt: skip
SEEN_AFTER: list[dict[str, Any]] = [
    {
        "ansible.builtin.assert": {
            "that": "not fake_stuck | default(false)",
            "fail_msg": "AH121: it has not ended",
        }
    },
    {
        "ansible.builtin.set_fact": {
            "disks_plan": {"layout": "{{ __disks_instead }}", "move": MOVE, "disks": []}
        }
    },
]
MOVES: list[dict[str, Any]] = [
    {
        "ansible.builtin.command": {
            "argv": ["sh", "-c", "echo {{ inventory_hostname }} to {{ __disks_instead }} >>{{ fake_log }}"]
        }
    },
]  # fmt: skip
PROVE: list[dict[str, Any]] = [
    {
        "ansible.builtin.command": {
            "argv": ["sh", "-c", "echo look {{ inventory_hostname }} >>{{ fake_log }}"]
        }
    },
]
DOCKER = """#!/bin/sh
# Not written where nothing changes: another host's look may be at the same time.
case $1 in ps) echo c1;; inspect) echo "c1 $(cat "$0.restarts")"; [ -z "$RESTARTS" ] || echo "$RESTARTS" >"$0.restarts";; esac
"""
FLOCK = """#!/bin/sh
# Tells which lease is on the host: the one that is to be taken, or another.
printf %s "${HELD:-$8}"
"""


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection with its playbooks and plugins, and stand-ins for its roles."""
    top = tmp_path_factory.mktemp("collections")
    own = top / "ansible_collections/agnes/host"
    own.mkdir(parents=True)
    for name in ("playbooks", "plugins", "meta", "galaxy.yml"):
        (own / name).symlink_to(ROOT / name)
    tasks = {
        "disks": {"main": DISKS, "observe": SEEN_AFTER},
        "state_layout": {"main": [], "move": MOVES},
        "agnes_compose": {"main": STACK, "prove": PROVE, "deploy": []},
    }
    for role, files in tasks.items():
        (own / "roles" / role / "tasks").mkdir(parents=True)
        for name in ("meta", "defaults"):
            (own / "roles" / role / name).symlink_to(ROOT / "roles" / role / name)
        for name, content in files.items():
            (own / f"roles/{role}/tasks/{name}.yml").write_text(yaml.safe_dump(content))
    return top


class Run:
    """A rollout of some hosts: its code, its output, and the hosts that were touched, in order."""

    def __init__(
        self, collections: Path, tmp: Path, hosts: Mapping[str, Any], *more: str, **env: str
    ) -> None:
        log, commands = tmp / "log", tmp / "bin"
        commands.mkdir()
        for name, script in (("docker", DOCKER), ("flock", FLOCK)):
            (commands / name).write_text(script)
            (commands / name).chmod(0o755)
        (commands / "docker.restarts").write_text("0\n")
        log.touch()
        common = {
            "ansible_connection": "local", "ansible_become": False, "fake_log": str(log), "fake_stack": STATE,
            "ansible_python_interpreter": sys.executable, "ansible_port": 9, "ansible_host": "127.0.0.1",
        }  # fmt: skip
        deployments: dict[str, Any] = {}
        for name, differs in hosts.items():
            group = deployments.setdefault(name[0] * 3, {"hosts": {}})
            group["vars"] = {"agnes_deployment": name[0] * 3}
            group["hosts"][name] = differs
        # Each report takes a second; a check run writes none by itself.
        report = () if "--check" in more else ("-e", "rollout_report=")
        inventory = tmp / "hosts.json"
        inventory.write_text(json.dumps({"agnes": {"vars": common, "children": deployments}}))
        done = subprocess.run(
            ["ansible-playbook", "--inventory", str(inventory), "agnes.host.rollout", *report, *more],
            cwd=tmp, capture_output=True, text=True, check=False,
            env={
                **os.environ, **env, "ANSIBLE_COLLECTIONS_PATH": str(collections),
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "0",
                "PATH": f"{commands}:{os.environ['PATH']}",
            },
        )  # fmt: skip
        self.code, self.output = done.returncode, done.stdout + done.stderr
        self.touched = log.read_text().splitlines()


def test_canaries_come_first_are_watched_and_then_come_the_waves(
    collections: Path, tmp_path: Path
) -> None:
    hosts = {
        "a1": {"rollout_image_digest": "sha256:new"}, "a2": {"rollout_canary": True}, "a3": {"fake_runs": "old", "fake_move": MOVE, "fake_stuck": True},
        "b1": {}, "b2": {"fake_refused": True}, "b3": {"rollout_image_digest": "sha256:other"},
        "b4": {"agnes_compose_timeout": "soon"},
    }  # fmt: skip
    run = Run(collections, tmp_path, hosts, "-e", "rollout_waves=1", "-e", "rollout_soak=1")
    assert run.touched[:2] == ["a2", "b1"], run.output
    assert sorted(run.touched[2:4]) == ["look a2", "look b1"]
    assert run.touched[4:] == ["a1", "a3"]
    assert run.code == 2
    assert "HOST  DEPLOYMENT  STAGE    DOES     COPIES  WHAT, AND WHY" in run.output
    assert "b2    bbb         refused  refuse   -       AH022: refused" in run.output
    other = "AH230: the app's image 'agnes:1' is sha256:new on this host, and rollout_image_digest wants sha256:other"
    assert f"b3    bbb         refused  refuse   -       {other}" in run.output
    typed = "Validation of arguments failed: argument 'agnes_compose_timeout' is of type str"
    assert f"b4    bbb         refused  refuse   -       {typed}" in run.output
    assert "7 hosts: move 1, refuse 3, nothing 3" in run.output
    old = "AH231: containers run another image than their service names: 'agnes-app-1' runs old, and 'agnes:1' is new"
    for line in (
        "nothing   3: a1, a2, b1",
        "refused   3: b2, b3, b4",
        "b2: refused: AH022: refused",
        f"a3: failed: Gate | Each container runs the image that is wanted: {old}",
    ):
        assert f'"{line}' in run.output
    assert "; it did not go back to layout nested: AH121: it has not ended" in run.output


def test_hosts_that_are_right_are_checked_together_by_what_the_plan_has_seen(
    collections: Path, tmp_path: Path
) -> None:
    right = {"fake_right": True}
    hosts = {"a1": right, "a2": {**right, "fake_runs": "old"}, "a3": {}, "b1": right}
    run = Run(collections, tmp_path, hosts, "-e", "rollout_max_failures=1")
    assert '"check of hosts that are right: a1, a2, b1"' in " ".join(run.output.split())
    assert "a1    aaa         check   nothing" in run.output
    assert run.touched == ["a3"], run.output
    assert '"nothing   3: a1, a3, b1"' in run.output
    assert "a2: failed: Gate | Each container runs the image that is wanted: AH231: " in run.output
    assert run.code == 2


def test_failed_and_lost_hosts_of_all_waves_are_counted_together(
    collections: Path, tmp_path: Path
) -> None:
    """A wave that is lost whole ends nothing by itself, and one failure more ends it all."""
    hosts: dict[str, Any] = {f"a{number}": {} for number in range(1, 5)}
    hosts["a2"] = {"ansible_connection": LOST}
    hosts["a3"] = {"fake_fails": True, "fake_move": MOVE}
    given = "-e", json.dumps({"rollout_waves": 1, "rollout_max_failures": 1})
    run = Run(collections, tmp_path, hosts, *given, "-e", "rollout_report=reports")
    # Wave 1 is a2, which is lost; wave 2 has a failure; so wave 3 does not begin.
    assert run.touched == ["a1", "a3", "a3 to nested"], run.output
    why = "AH207: hosts have failed or can't be reached (2: a2, a3), and rollout_max_failures allows 1"
    for line in (
        "nothing   1: a1", "failed    1: a3", "lost      1: a2", "untouched 1: a4",
        "a3: failed: ", f"stopped: {why}",
    ):  # fmt: skip
        assert f'"{line}' in run.output, run.output
    assert "AH049: service 'app' is ill" in run.output
    assert f"untouched: {why}" in run.output
    assert run.code != 0
    (data,) = (tmp_path / "reports").glob("rollout-*-aaa.json")
    report = json.loads(data.read_text())
    assert report["counts"] == {"back": 1, "lost": 1, "untouched": 1, "nothing": 1}
    (said,) = report["runs"]
    assert (
        said["ended"]
        and said["halt"]
        == f"{why}, so no further wave begins; correct the cause, or leave them out with --limit, and run again"
    )
    assert [wave["began"] != "" for wave in report["waves"]] == [True, True, True, False]
    hosts_of = {host["host"]: host for host in report["hosts"]}
    assert hosts_of["a3"]["code"] == "AH049" and hosts_of["a3"]["message"] == (
        "service 'app' is ill; it went back to layout nested, and the stack is healthy there"
    )
    assert hosts_of["a3"]["proofs"] == []
    assert "agnes-app-1" in hosts_of["a1"]["proofs"][0]
    assert hosts_of["a1"]["proofs"][1].endswith("service names: agnes:1 (sha256:new)")
    assert "service &#39;app&#39; is ill" in data.with_suffix(".html").read_text()


@pytest.mark.parametrize(("go_back", "then"), [(True, ["a1 to nested"]), (False, [])])
def test_a_canary_that_restarts_while_it_is_watched_ends_the_rollout_whatever_the_limit(
    collections: Path, tmp_path: Path, go_back: bool, then: list[str]
) -> None:
    said = {"rollout_soak": 1, "rollout_max_failures": 5, "rollout_go_back": go_back}
    hosts = {"a1": {"fake_move": MOVE}, "a2": {}}
    run = Run(collections, tmp_path, hosts, "-e", json.dumps(said), RESTARTS="1")
    assert run.touched == ["a1", "look a1", *then], run.output
    assert "a1: failed: in the soak: a container has restarted by itself" in run.output
    assert "AH208: the canary has failed or can't be reached (a1)" in run.output
    assert run.code == 2


def test_where_another_rollout_has_a_host_nothing_is_even_planned(
    collections: Path, tmp_path: Path
) -> None:
    lease = {"user": "ops", "controller": "ctl-1", "pid": 7, "at": "today", "machine": "another"}
    run = Run(collections, tmp_path, {"a1": {}, "a2": {}}, HELD=json.dumps(lease))
    assert "AH209: another rollout has the hosts a1, a2: that of ops@ctl-1 (process 7" in run.output
    assert run.code == 2 and "PLAY [Plan every host" not in run.output


@pytest.mark.parametrize(
    ("there", "old", "wanted"),
    [(None, "", "new"), ("other", "", "other"), ("other", "gone", "other"), ("gone", "gone", "new"), ("", "", "new")],
)  # fmt: skip
def test_a_lease_is_taken_from_nobody_who_was_not_asked_about(
    tmp_path: Path, there: str | None, old: str, wanted: str
) -> None:
    """The shell lines that do it, in another directory."""
    lease, folder = tmp_path / "agnes-host" / "rollout.json", tmp_path / "agnes-host"
    if there is not None:
        folder.mkdir()
        lease.write_text(there)

    def shell(file: str, name: str, *arguments: str) -> str:
        script = next(
            task["vars"][name] for task in yaml.safe_load((ROOT / file).read_text()) if "vars" in task
        )  # fmt: skip
        script = script.replace("/run/agnes-host", str(folder))
        return subprocess.run(
            ["sh", "-euc", script, "lease", *arguments], capture_output=True, text=True, check=True
        ).stdout

    assert shell("playbooks/tasks/lease.yml", "__rollout_take", "new", old) == wanted
    assert lease.read_text() == wanted
    shell("playbooks/tasks/release.yml", "__rollout_give", "new")
    assert lease.exists() == (wanted == "other")
