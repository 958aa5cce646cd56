# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout in two shards at once, as docs/awx.md has it: one under ansible-runner run, one by transmit, worker and process.

The roles are stand-ins and the hosts are this machine (test_waves.py). The worker has a directory of its own, and
gets all that it knows through a pipe, as it would through SSH.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.agnes.host.plugins.filter.report import rollout_join
from ansible_collections.agnes.host.plugins.module_utils.core.host import waves

from . import test_waves
from .repo import ROOT, files, read
from .test_waves import DOCKER, FLOCK

collections = test_waves.collections
"""A fixture, which pytest looks for by its name here."""

needs_runner = pytest.mark.skipif(
    not shutil.which("ansible-runner"), reason="no ansible-runner here: 'make setup' installs it"
)
SHARDS = ("acme", "globex")
AS_DOCUMENTED = "{{ lookup('ansible.builtin.env', 'AWX_ISOLATED_DATA_DIR') }}/report"


def environment(tmp: Path, collections: Path) -> dict[str, str]:
    """What both controllers have: the collection, and commands that stand in for those of a host."""
    commands = tmp / "bin"
    commands.mkdir()
    for name, script in (("docker", DOCKER), ("flock", FLOCK)):
        (commands / name).write_text(script)
        (commands / name).chmod(0o755)
    return {
        **os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "PATH": f"{commands}:{os.environ['PATH']}",
    }  # fmt: skip


def private(tmp: Path) -> Path:
    """The directory that ansible-runner takes, with two deployments of one host each."""
    folder = tmp / "private"
    for name in ("inventory", "env", "project"):
        (folder / name).mkdir(parents=True)
    common = {
        "ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable,
        "fake_log": str(tmp / "log"),
    }  # fmt: skip
    deployments = {
        name: {"hosts": {f"{name}-1": {}}, "vars": {"agnes_deployment": name}} for name in SHARDS
    }  # fmt: skip
    inventory = {"agnes": {"vars": common, "children": deployments}}
    (folder / "inventory/hosts.json").write_text(json.dumps(inventory))
    (folder / "env/extravars").write_text(yaml.safe_dump({"rollout_report": AS_DOCUMENTED}))
    return folder


def report_of(folder: Path, shard: str) -> Path:
    (path,) = (folder / "artifacts" / shard / "report").glob(f"rollout-*-{shard}.json")
    return path


@needs_runner
def test_two_shards_run_at_once_and_their_reports_are_joined(
    collections: Path, tmp_path: Path
) -> None:
    folder, env = private(tmp_path), environment(tmp_path, collections)
    words = "{} -p agnes.host.rollout --ident {shard} --limit {shard}"
    own = words.format(shlex.quote(str(folder)), shard="acme")
    sent = words.format(shlex.quote(str(folder)), shard="globex")
    worker = f"ansible-runner worker --private-data-dir {shlex.quote(str(tmp_path / 'worker'))}"
    lines = (
        f"ansible-runner run {own}",
        f"ansible-runner transmit {sent} | {worker} | ansible-runner process {shlex.quote(str(folder))} --ident globex",
    )
    runs: list[Any] = [
        subprocess.Popen(
            ["bash", "-o", "pipefail", "-c", line], cwd=tmp_path, env=env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for line in lines
    ]  # fmt: skip
    said = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], "\n".join(said)
    # Each shard has its own canary, and no other host.
    assert set((tmp_path / "log").read_text().split()) == {"acme-1", "globex-1"}
    joined = rollout_join([json.loads(report_of(folder, shard).read_text()) for shard in SHARDS])
    assert {host["host"]: host["outcome"] for host in joined["hosts"]} == {
        "acme-1": "nothing",
        "globex-1": "nothing",
    }
    assert sorted(wave["name"] for wave in joined["waves"]) == [
        "canary of acme",
        "canary of globex",
    ]
    assert {run["name"] for run in joined["runs"]} == {"acme", "globex"} and joined["ended"]


def test_the_job_template_asks_for_what_a_rollout_reads() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", read("docs/awx.md"), re.DOTALL)
    template = yaml.safe_load(block)
    assert template["playbook"] in files()
    asked = {each["variable"]: each for each in template["survey_spec"]["spec"]}
    assert set(asked) < set(waves.VARIABLES)
    # AWX hands over a text for a text, and a number for an integer.
    waves.settings(
        {name: each["default"] for name, each in asked.items() if name in waves.SETTINGS}
    )
    for each in asked.values():
        assert {"question_name", "question_description", "required"} <= set(each)
        assert isinstance(each["default"], {"text": str, "integer": int}[each["type"]])
