# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the collection's playbooks on hosts of the lab, as a test does between its looks."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from records import RECORDED, ROOT

LAB_VARIABLES = ROOT / "molecule" / "shared" / "inventory.yml"


Hosts = Mapping[str, Mapping[str, Any]] | Path


def prepared(
    name: str, hosts: Hosts, *arguments: str, playbook: Path = ROOT / "site.yml"
) -> tuple[list[str], dict[str, str]]:
    """The command that runs ``playbook`` on ``hosts``, and its environment.

    hosts: an inventory's path, or name -> variables of each host.
    """
    if isinstance(hosts, Path):
        inventory = hosts
    else:
        inventory = ROOT / ".cache" / f"{name}.json"
        inventory.parent.mkdir(exist_ok=True)
        group = {"hosts": {host: dict(variables) for host, variables in hosts.items()}}
        inventory.write_text(json.dumps({"agnes": group}), "utf-8")
    folder = RECORDED / name
    for old in folder.glob("*.jsonl"):
        old.unlink()
    command = [
        "ansible-playbook", str(playbook), *arguments,
        "--inventory", str(LAB_VARIABLES), "--inventory", str(inventory),
    ]  # fmt: skip
    env = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests" / "lab" / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "recorded",
        "AGNES_LAB_RECORDED": str(folder),
    }
    return command, env


def play(
    name: str, hosts: Hosts, *arguments: str, playbook: Path = ROOT / "site.yml"
) -> subprocess.CompletedProcess[str]:
    """Run ``playbook`` on ``hosts``; what ran is recorded as ``name``."""
    command, env = prepared(name, hosts, *arguments, playbook=playbook)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=env)


def start(
    name: str, hosts: Hosts, *arguments: str, playbook: Path = ROOT / "site.yml"
) -> subprocess.Popen[bytes]:
    """The same in the background and in a process group of its own, for one that is to be killed; the log is in .cache."""
    command, env = prepared(name, hosts, *arguments, playbook=playbook)
    log = ROOT / ".cache" / f"{name}.log"
    with log.open("wb") as output:
        return subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=output, stderr=output, start_new_session=True
        )
