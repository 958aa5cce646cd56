# SPDX-License-Identifier: GPL-3.0-or-later
"""A power cut and a boot without disks, of a host that holds back its stack alone: Docker and others run."""

from __future__ import annotations

import subprocess
import time
from typing import Any

import pytest
import records
from play import play
from test_guard import AWAY, MESSAGE, lines_of, parent, wait_for_boot, write

PERMIT = "/run/agnes-host-disks"
OTHER = "lab-other"
SHORT = "/etc/systemd/system/agnes-host-stack.service.d/short.conf"


def states(host: Any) -> dict[str, str]:
    """Container -> running, exited and so on."""
    lines = host.check_output("docker ps --all --format '{{.Names}} {{.State}}'").splitlines()
    return dict(line.split() for line in lines)


def wait_for(host: Any, container: str, shape: str, value: str) -> None:
    deadline = time.monotonic() + 90
    while host.check_output(f"docker inspect --format '{shape}' {container}") != value:
        assert time.monotonic() < deadline
        time.sleep(0.5)


@pytest.fixture(scope="module")
def wanted(name: str, facts: dict[str, Any]) -> dict[str, Any]:
    settings = {"agnes_compose_host_tools": False, "agnes_compose_guard": "stack"}
    return {name: {**facts, **settings}}


@pytest.fixture(scope="module")
def away(name: str, host: Any) -> tuple[list[str], str]:
    """The host after a power cut, and a boot at which both disks were away.

    What was on its root filesystem before, and the command that brings the disks back.
    """
    numbers = host.check_output("stat -c '%Hr %Lr' /dev/sdb /dev/sdc").splitlines()
    host.check_output(
        f"docker run --detach --name {OTHER} --restart always --entrypoint sleep agnes-demo:1 infinity && "
        "docker stop agnes-scheduler-1"
    )
    write(host, AWAY, "[Service]", "ExecStartPre=/bin/rm -f /dev/sdb /dev/sdc")
    write(host, SHORT, "[Service]", "ExecStart=", "ExecStart=agnes-host guard --wait 4 --start")
    before = parent(host)
    for command in (["kill", "--signal", "KILL"], ["start"]):
        subprocess.run(["docker", *command, name], check=True, capture_output=True)
    wait_for_boot(host)
    return before, "; ".join(f"mknod /dev/{disk} b {n}" for disk, n in zip(("sdb", "sdc"), numbers))


def test_a_run_makes_each_container_need_the_permit_and_a_check_run_has_said_so(
    name: str, wanted: dict[str, Any], host: Any
) -> None:
    check = play("host_tools-stack-check", wanted, "--check")
    assert "hold back the stack, no longer the engine: from the next start on" in check.stdout
    announced = records.actions(records.read("host_tools-stack-check", "site"), name, check=True)
    done = play("host_tools-stack", wanted)
    assert done.returncode == 0, done.stdout
    assert records.actions(records.read("host_tools-stack", "site"), name) == announced != set()
    shape = "{{.Name}} {{range .HostConfig.Mounts}}{{.Source}} {{end}}"
    lines = host.check_output(
        f"docker inspect --format '{shape}' $(docker ps --quiet)"
    ).splitlines()
    assert len(lines) == 3
    assert all(PERMIT in line.split() for line in lines), lines


def test_without_its_disks_docker_runs_and_others_but_not_the_stack(
    host: Any, away: tuple[list[str], str]
) -> None:
    containers = states(host)
    assert containers.pop(OTHER) == "running"
    assert len(containers) == 3
    assert set(containers.values()) == {"exited"}
    assert host.check_output("systemctl is-active docker ssh").split() == ["active", "active"]
    told = "AH181: this host's data disk (UUID "
    for where in (
        host.file(MESSAGE).content_string,
        lines_of(host, "agnes-host-guard"),
        lines_of(host, "agnes-host-stack"),
        host.run("systemctl status --no-pager --full agnes-host-stack").stdout,
    ):
        assert told in where
        assert "'systemctl start agnes-host-stack'" in where
    # Nor does anybody start it by hand, or write there.
    for command in ("docker start agnes-app-1", "cd /opt/agnes && docker compose up --detach app"):
        assert PERMIT in host.run(command).stderr
    assert "running" not in {v for k, v in states(host).items() if k != OTHER}
    assert parent(host) == away[0]


def test_when_they_are_back_one_command_starts_what_was_to_run_and_no_more(
    name: str, wanted: dict[str, Any], host: Any, away: tuple[list[str], str]
) -> None:
    other = host.check_output(f"docker inspect --format '{{{{.State.Pid}}}}' {OTHER}")
    host.check_output(f"rm {AWAY} {SHORT} && systemctl daemon-reload; {away[1]}")
    host.check_output("systemctl start agnes-host-stack")
    assert states(host) == {
        OTHER: "running", "agnes-app-1": "running", "agnes-caddy-1": "running", "agnes-scheduler-1": "exited",
    }  # fmt: skip
    assert host.check_output(f"docker inspect --format '{{{{.State.Pid}}}}' {OTHER}") == other
    assert not host.file(MESSAGE).exists
    # What dies from here on is the engine's matter, as on any host.
    host.check_output("kill -KILL $(docker inspect --format '{{.State.Pid}}' agnes-caddy-1)")
    wait_for(host, "agnes-caddy-1", "{{.RestartCount}} {{.State.Status}}", "1 running")
    wait_for(host, "agnes-app-1", "{{.State.Health.Status}}", "healthy")
    host.check_output(f"docker rm --force {OTHER} && docker start agnes-scheduler-1")
    done = play("host_tools-stack-again", wanted, "--check")
    assert done.returncode == 0, done.stdout
    assert (
        records.actions(records.read("host_tools-stack-again", "site"), name, check=True) == set()
    )
