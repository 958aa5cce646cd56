# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that runs shards of a rollout, reached over SSH: sshd, ansible-runner and the collection, and no more.

It is a container without network to the outside, so nothing is installed there: this machine's Python and .venv are mounted
read-only at their own paths and stand in for an installation of ansible-core and ansible-runner. The collection is the
artifact as it is published.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import artifact
from engine import cache
from records import ROOT

NAME = "agnes-ten-worker"
COMMANDS = ("ansible-runner", "ansible-playbook")
OPTIONS = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
SECONDS = 30
REPORT = "{{ lookup('ansible.builtin.env', 'AWX_ISOLATED_DATA_DIR') }}/report"
"""As docs/awx.md has it: the report comes back with the artifacts."""


def docker(*arguments: str) -> str:
    """The output of a docker command of this machine."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def address(name: str) -> str:
    """Of a container, on the engine's own network."""
    return docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", name)


def key() -> Path:
    """The lab's SSH key, with which each of its hosts lets one in."""
    return cache() / "ssh" / "key"


@contextmanager
def worker(folder: Path) -> Iterator[list[str]]:
    """Run the worker; the command that calls it. folder: an empty one, for the collection."""
    published, collections = folder / "published", folder / "collections"
    for each in (published, collections):
        each.mkdir()
    artifact.install(artifact.build(ROOT, published), collections)
    python, venv = Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve()
    links = "; ".join(f"ln -s {venv}/bin/{name} /usr/local/bin/" for name in COMMANDS)
    subprocess.run(["docker", "rm", "--force", NAME], capture_output=True, check=False)
    docker(
        "run", "--detach", f"--name={NAME}", f"--hostname={NAME}",
        f"--volume={python}:{python}:ro", f"--volume={venv}:{venv}:ro",
        f"--volume={collections}/ansible_collections:/usr/share/ansible/collections/ansible_collections:ro",
        f"--volume={key()}.pub:/etc/ssh/lab.pub:ro",
        "agnes-lab-host:trixie", "sh", "-euc", f"mkdir -p /run/sshd; {links}; exec /usr/sbin/sshd -D -e",
    )  # fmt: skip
    try:
        options = [part for option in OPTIONS for part in ("-o", option)]
        call = ["ssh", "-i", str(key()), *options, f"root@{address(NAME)}"]
        end = time.monotonic() + SECONDS
        while subprocess.run([*call, "true"], capture_output=True, check=False).returncode:
            if time.monotonic() > end:
                sys.exit(f"lab: {NAME} is not reached; see 'docker logs {NAME}'")
            time.sleep(0.5)
        yield call
    finally:
        docker("rm", "--force", NAME)


def private(folder: Path, hosts: Mapping[str, Mapping[str, Any]], **variables: Any) -> Path:
    """The directory that ansible-runner takes. hosts: name -> ``agnes_deployment`` and what else differs."""
    for name in ("inventory", "env", "project"):
        (folder / name).mkdir(parents=True)
    groups: dict[str, Any] = {}
    for name, said in hosts.items():
        group = groups.setdefault(str(said["agnes_deployment"]), {"hosts": {}})
        group["hosts"][name] = {**said, "ansible_host": address(name)}
    common = {
        "ansible_user": "operator", "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_common_args": " ".join(f"-o {option}" for option in OPTIONS), **variables,
    }  # fmt: skip
    inventory = {"agnes": {"vars": common, "children": groups}}
    (folder / "inventory" / "hosts.json").write_text(json.dumps(inventory))
    (folder / "env" / "extravars").write_text(json.dumps({"rollout_report": REPORT}))
    (folder / "env" / "ssh_key").write_text(key().read_text())
    (folder / "env" / "ssh_key").chmod(0o600)
    return folder
