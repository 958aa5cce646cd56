# SPDX-License-Identifier: GPL-3.0-or-later
"""What processes in other mount namespaces see: proved by device, and told apart when it is wrong."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.compose.stack_errors import (
    NothingProved,
    StaleHolds,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import (
    WrongDiskInContainer,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import Layout
from ansible_collections.agnes.host.plugins.module_utils.system.compose import proof

from .conftest import Filesystem

Seeing = Callable[[str], dict[str, Any]]


@pytest.fixture
def layout(filesystem: Filesystem, tmp_path: Path) -> Layout:
    """A data disk, with a state disk on top, as a layout."""
    data = filesystem("ext4", "data", mib=32)
    (data / "state").mkdir()
    (data / "state" / "db.lock").touch()
    subprocess.run(["mount", "-t", "tmpfs", "state", str(data / "state")], check=True)
    mounts = {"data": str(data), "state": str(data / "state")}
    return Layout("odd", mounts, mounts["state"], "odd.yml")


@pytest.fixture
def seeing(layout: Layout) -> Iterator[Seeing]:
    """Makes a container of the service app: a process that changes its own mounts first."""
    running: list[subprocess.Popen[bytes]] = []

    def make(script: str) -> dict[str, Any]:
        full = f"{script or ':'} && echo ready && exec sleep 60"
        process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", full, layout.state_dir],
            stdout=subprocess.PIPE,
        )
        running.append(process)
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        name = f"agnes-app-{len(running)}"
        return {"name": name, "service": "app", "status": "running", "exit_code": 0,
                "pid": process.pid, "paths": {}, "mounts": [], "one_off": False}  # fmt: skip

    yield make
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def services(layout: Layout) -> dict[str, Any]:
    """One that mounts the whole data disk, where the host has it."""
    data = layout.mounts["data"]
    volumes = [{"type": "bind", "source": data, "target": data}]
    return {"app": {"volumes": volumes, "restart": "always", "scale": 2}}


def prove(layout: Layout, services: dict[str, Any], *containers: dict[str, Any]) -> proof.Proof:
    return proof.prove(services, ["app"], {"app": list(containers)}, layout, "/opt/agnes")


def test_each_container_is_looked_at(
    layout: Layout, services: dict[str, Any], seeing: Seeing
) -> None:
    both = [layout.mounts["data"], layout.state_dir]
    proof_of = prove(layout, services, seeing(""), seeing(""))
    assert proof_of.proved == {"agnes-app-1": both, "agnes-app-2": both}


@pytest.mark.parametrize(
    "script",
    [
        pytest.param('mount -t tmpfs other "$0"', id="something-over-state"),
        pytest.param('umount "$0"', id="not-mounted"),
        pytest.param('mount -t tmpfs x "$0/.."', id="something-over-data"),
    ],
)  # fmt: skip
def test_one_of_two_that_sees_something_else_is_named(
    layout: Layout, services: dict[str, Any], seeing: Seeing, script: str
) -> None:
    right, wrong = seeing(""), seeing(script)
    with pytest.raises(WrongDiskInContainer) as refused:
        prove(layout, services, right, wrong)
    assert f"'agnes-app-2' has '{layout.state_dir}' on device" in str(refused.value)
    assert "agnes-app-1" not in str(refused.value)


def test_a_link_that_only_leads_to_the_disk_outside_is_no_proof(
    layout: Layout, services: dict[str, Any], seeing: Seeing, tmp_path: Path
) -> None:
    """By a plain stat below /proc/PID/root an absolute link goes on in our own root."""
    (tmp_path / "root" / "data").mkdir(parents=True)
    (tmp_path / "root" / "data" / "state").symlink_to(layout.state_dir)
    container = seeing("")
    # What chroot does, without a program in the new root: a process that has changed its root.
    child = os.fork()
    if not child:
        os.chroot(tmp_path / "root")
        os.chdir("/")
        signal.pause()
    try:
        container["pid"] = child
        volumes = [{"type": "bind", "source": layout.state_dir, "target": "/data/state"}]
        with pytest.raises(WrongDiskInContainer):
            prove(layout, {"app": {"volumes": volumes}}, container)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_what_runs_since_before_the_mount_is_told_from_what_sees_a_third_thing(
    layout: Layout, services: dict[str, Any], seeing: Seeing
) -> None:
    before, third = seeing('umount "$0"'), seeing('mount -t tmpfs other "$0"')
    stale = proof.stale(services, {"app": [seeing(""), before, third]}, layout)
    assert stale == {layout.state_dir: [before["name"]]}
    # The shadowed lock is a leftover of the product's scripts.
    proof.check_shadowed(stale)


def test_a_check_run_tells_it_while_the_disk_is_yet_to_be_mounted(
    layout: Layout, services: dict[str, Any], seeing: Seeing
) -> None:
    """One that has the disk since before it was unmounted is right when it is mounted again."""
    right, third = seeing(""), seeing('mount -t tmpfs other "$0/.."')
    subprocess.run(["umount", layout.state_dir], check=True)
    before = seeing("")
    stale = proof.stale(services, {"app": [right, before, third]}, layout, [layout.mounts["state"]])
    assert stale == {layout.state_dir: [before["name"]]}


def test_files_that_it_may_have_written_are_named(
    layout: Layout, services: dict[str, Any], seeing: Seeing
) -> None:
    before = seeing('umount "$0" && mkdir "$0/sub" && echo x > "$0/sub/rows"')
    stale = proof.stale(services, {"app": [before]}, layout)
    with pytest.raises(StaleHolds) as refused:
        proof.check_shadowed(stale)
    assert refused.value.facts["found"] == "sub/rows"


def test_one_that_has_ended_meanwhile_is_not_said_to_see_a_wrong_disk(
    layout: Layout, services: dict[str, Any], seeing: Seeing
) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    ended = {**seeing(""), "pid": gone.pid}
    proof_of = prove(layout, services, seeing(""), ended)
    assert proof_of.unproved == {ended["name"]: "it ended while it was looked at"}
    with pytest.raises(NothingProved, match=r"'app' \("):
        prove(layout, services, ended)


def test_what_nothing_shows_is_named(
    layout: Layout, services: dict[str, Any], seeing: Seeing
) -> None:
    paused = {**seeing(""), "status": "paused"}
    for containers in ([], [paused]):
        with pytest.raises(NothingProved, match=r"'app' \("):
            prove(layout, services, *containers)
    done = {**paused, "status": "exited"}
    once = {"app": {**services["app"], "restart": "no"}}
    proof_of = prove(layout, once, done)
    assert (proof_of.proved, proof_of.unproved) == (
        {}, {"agnes-app-1": "it has ended, as it should"},
    )  # fmt: skip
