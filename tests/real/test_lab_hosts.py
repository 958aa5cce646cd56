# SPDX-License-Identifier: GPL-3.0-or-later
"""What an earlier run left of a test host is removed; one that runs for another checkout is not."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from records import ROOT
from strikes import docker

NAME = f"agnes-left-over-{os.getpid()}"
OWNERS = {"this checkout": str(ROOT), "another": "/srv/another/checkout", "not the lab": ""}
SLEEP = ["/usr/bin/sleep", "300"]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image of nothing: the programs are this machine's."""
    archive = tmp_path_factory.mktemp("image") / "empty.tar"
    tarfile.open(archive, "w").close()
    docker("import", str(archive), NAME)
    yield NAME
    docker("rmi", NAME)


@pytest.fixture(params=OWNERS)
def owner(request: pytest.FixtureRequest) -> str:
    """Who made the container."""
    return OWNERS[request.param]


@pytest.fixture(params=["runs", "stopped"])
def state(request: pytest.FixtureRequest, image: str, owner: str) -> Iterator[str]:
    """How the host is found, made by its owner."""
    programs = [f"--volume=/{name}:/{name}:ro" for name in ("usr", "lib", "lib64")]
    label = [f"--label=agnes.host.lab={owner}"] if owner else []
    docker("create", f"--name={NAME}", *label, *programs, image, *SLEEP)
    try:
        docker("start", NAME)
        if request.param == "stopped":
            docker("kill", NAME)
        yield request.param
    finally:
        docker("rm", "--force", NAME)


def removed(tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """The lab's own way to remove a host."""
    inventory, shared = tmp_path / "inventory.yml", ROOT / "molecule" / "shared"
    inventory.write_text(yaml.safe_dump({"agnes": {"hosts": {NAME: {}}}}))
    sources = [f"--inventory={shared / 'inventory.yml'}", f"--inventory={inventory}"]
    return subprocess.run(
        ["ansible-playbook", *sources, str(shared / "destroy.yml")],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
    )  # fmt: skip


def test_only_what_is_left_of_the_labs_hosts_is_removed(
    state: str, owner: str, tmp_path: Path
) -> None:
    done = removed(tmp_path)
    said = " ".join((done.stdout + done.stderr).split())
    there = docker("ps", "--all", "--quiet", f"--filter=name=^/{NAME}$") != ""
    left = not owner or (state == "runs" and owner != str(ROOT))
    assert (done.returncode != 0, there) == (left, left), done.stdout
    whose = f"runs for {owner}" if owner else "is no host of the lab"
    assert (f"container '{NAME}' {whose}; remove it yourself" in said) == left
