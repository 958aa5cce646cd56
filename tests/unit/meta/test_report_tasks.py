# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a rollout as playbooks write it on the controller, and several joined into one; no host is called."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import rollout_results as results
import yaml

from .repo import COLLECTIONS, ROOT

REPORT = f"{ROOT}/playbooks/tasks/report.yml"
DATA = "{{ result | agnes.host.rollout_report(ansible_play_hosts_all | map('extract', hostvars)) }}"


NAMES = ("rollout-20261128T210000Z-acme", "rollout-20261128T210000Z-glob_ex")


def writing(result: dict[str, Any], *times: bool, **more: Any) -> dict[str, Any]:
    """A play that writes a report, for each of ``times``: whether that is before the first wave."""
    tasks: list[dict[str, Any]] = [
        {
            "ansible.builtin.include_tasks": REPORT, "run_once": True,
            "vars": {"__rollout_report_data": DATA, "__rollout_report_new": new},
        }
        for new in times
    ]  # fmt: skip
    tasks.append({"ansible.builtin.debug": {"msg": "halt: {{ __rollout_halt | default('') }}."}})
    return {
        "hosts": "all",
        "gather_facts": False,
        "tasks": tasks,
        "vars": {"result": result, **more},
    }


def play(tmp: Path, plays: list[dict[str, Any]], **extra: Any) -> subprocess.CompletedProcess[str]:
    """Run plays for two hosts that are not there."""
    (tmp / "play.yml").write_text(yaml.safe_dump(plays))
    inventory = {
        "all": {
            "hosts": {"a": {}, "b": {}},
            "vars": {"ansible_become": True, "agnes_compose_secrets": {"KEY": "hunter22"}},
        }
    }
    (tmp / "hosts.yml").write_text(yaml.safe_dump(inventory))
    return subprocess.run(
        ["ansible-playbook", "--inventory", "hosts.yml", "play.yml", "-e", json.dumps(extra)],
        cwd=tmp, capture_output=True, text=True, check=False,
        env={
            **os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Two shards that write, one that can't in the middle, all joined, a check run, and one that can't at its begin."""
    tmp = tmp_path_factory.mktemp("reports")
    (tmp / "file").touch()
    acme, globex = results.few(), results.few()
    acme["hosts"] = acme["hosts"][:2]
    failed = "AH145: said hunter22"
    globex["hosts"] = [results.host("globex-1", "glob/ex", "failed", message=failed)]
    plays = [
        writing(acme, True, False),
        writing(globex, False),
        writing(acme, False, rollout_report="file/reports"),
        {"import_playbook": f"{ROOT}/playbooks/join_reports.yml"},
        writing({**acme, "check": True}, True),
        writing(acme, True, rollout_report="file/reports"),
    ]
    return tmp, play(tmp, plays, rollout_reports=[f"rollout-report/{name}.json" for name in NAMES])


def test_reports_are_written_for_their_owner_and_joined(done: Any) -> None:
    tmp, run = done
    # That of the check run has replaced none: a check run leaves nothing behind.
    written = {path.name: path for path in (tmp / "rollout-report").iterdir()}
    assert '"check": true' not in written[f"{NAMES[0]}.json"].read_text()
    every = [*NAMES, "joined-20261128T210000Z"]
    assert set(written) == {f"{name}.{kind}" for name in every for kind in ("html", "json")}
    assert {path.stat().st_mode & 0o777 for path in written.values()} == {0o640}
    assert not any(
        "hunter22" in text for text in [run.stdout, *map(Path.read_text, written.values())]
    )
    joined = json.loads(written["joined-20261128T210000Z.json"].read_text())
    assert [host["host"] for host in joined["hosts"]] == ["acme-1", "acme-2", "globex-1"]
    assert [run["name"] for run in joined["runs"]] == ["acme", "glob/ex"]
    assert "globex-1" in written["joined-20261128T210000Z.html"].read_text()


def test_a_report_that_can_not_be_written_lets_no_wave_begin_but_stops_none_that_has(
    done: Any,
) -> None:
    _tmp, run = done
    assert run.returncode == 0, run.stdout
    assert run.stdout.count('"msg": "the report can\'t be written: ') == 2, run.stdout
    # Both hosts, in four plays of five; in the last one no wave may begin.
    assert run.stdout.count('"msg": "halt: ."') == 8, run.stdout
    assert (
        run.stdout.count('"msg": "halt: the report can\'t be written, so no wave begins; ') == 2
    ), run.stdout
