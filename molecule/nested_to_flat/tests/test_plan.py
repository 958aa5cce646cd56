# SPDX-License-Identifier: GPL-3.0-or-later
"""The host is in flat again; it goes to nested by a plan that was shown before, and by nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import moved
import pytest
import records
from play import play

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

SECRET = "s3cr3t-of-the-backup"
FAILING = ["sh", "-c", f"echo {SECRET}; echo {SECRET} >&2; touch /srv/asked; exit 3"]
VERIFIED = "sh -c 'echo daily-7, verified; echo " + SECRET + "'"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the plan is written."""
    return tmp_path_factory.mktemp("plans")


@pytest.fixture
def run(name: str, facts: dict[str, Any], folder: Path) -> Callable[..., Any]:
    """Run site.yml on the host without the layout that the inventory has."""
    own = {key: value for key, value in facts.items() if key != "layout"}

    def run(step: str, *arguments: str, **more: Any) -> Any:
        done = play(f"{name}-{step}", {name: {**own, **more}}, "--diff", *arguments)
        assert SECRET not in done.stdout + done.stderr
        return done

    return run


def snapshot(host: Any) -> str:
    """What a run that is refused must leave as it is."""
    return str(
        host.check_output(
            "sha256sum /opt/agnes/.env /etc/fstab /var/lib/agnes-host/*.json && "
            "docker ps --all --format '{{.ID}} {{.Names}} {{.State}}' && findmnt --real && ls -A /var/lib/agnes-host"
        )
    )


def refusal(name: str, step: str) -> str:
    failed = [r for r in records.read(f"{name}-{step}", "site") if r["status"] == "failed"]
    return str(failed[0]["msg"])


def test_a_check_run_shows_the_plan_and_writes_it_down(
    name: str, host: Any, run: Callable[..., Any], folder: Path
) -> None:
    before = snapshot(host)
    done = run(
        "shown", "--check", "-e", "layout=nested",
        state_layout_plan_out=str(folder), state_layout_pre_move_command=FAILING,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for said in (
        "move state from /data-state (layout flat) to /data/state (layout nested)",
        "expected downtime: that of 'docker compose down' and 'up'",
        "last verified backup: not asked in a check run",
        f"this plan is in {folder}/agnes-plan-{name}.json",
    ):
        assert said in " ".join(done.stdout.split())
    content = json.loads((folder / f"agnes-plan-{name}.json").read_text())
    assert (content["host"], content["layout"]) == (name, "nested")
    assert not host.file("/srv/asked").exists
    assert snapshot(host) == before


def test_a_check_run_refuses_a_move_after_which_the_stack_could_not_start(
    name: str, host: Any, run: Callable[..., Any]
) -> None:
    """The tag of the image has been taken away since the containers were made."""
    host.check_output("docker tag agnes-demo:1 kept:1 && docker rmi agnes-demo:1")
    try:
        done = run("untagged", "--check", "-e", "layout=nested", agnes_compose_image="")
        assert done.returncode != 0
        assert refusal(name, "untagged").startswith("AH061: image 'agnes-demo:1' of service 'app'")
    finally:
        host.check_output("docker tag kept:1 agnes-demo:1 && docker rmi kept:1")


def test_a_plan_that_has_gone_stale_is_refused_and_nothing_is_changed(
    name: str, host: Any, run: Callable[..., Any], folder: Path
) -> None:
    host.check_output("docker stop agnes-ws-gateway-1")
    before = snapshot(host)
    done = run("stale", "-e", f"plan={folder}", state_layout_pre_move_command=FAILING)
    assert done.returncode != 0
    assert "AH076" in refusal(name, "stale")
    assert "(changed: services)" in refusal(name, "stale")
    assert not host.file("/srv/asked").exists
    assert snapshot(host) == before
    host.check_output("docker start agnes-ws-gateway-1")


def test_the_failure_of_the_command_before_a_move_stops_it_before_anything(
    name: str, host: Any, run: Callable[..., Any], folder: Path
) -> None:
    before = snapshot(host)
    done = run("stopped", "-e", f"plan={folder}", state_layout_pre_move_command=FAILING)
    assert done.returncode != 0
    assert refusal(name, "stopped").startswith(
        "AH078: state_layout_pre_move_command ended with code 3"
    )
    assert host.file("/srv/asked").exists
    assert snapshot(host) == before


OWN_COMPOSE = """
mkdir -p /srv/docker/cli-plugins
cat > /srv/docker/cli-plugins/docker-compose <<'END'
#!/bin/sh
cat /proc/self/cgroup >> /srv/docker/called
exec "$(ls /usr/libexec/docker/cli-plugins/docker-compose /usr/lib/docker/cli-plugins/docker-compose 2>/dev/null | head -n 1)" "$@"
END
cat > /srv/docker/python3 <<'END'
#!/bin/sh
DOCKER_CONFIG=/srv/docker exec /usr/bin/python3 "$@"
END
chmod +x /srv/docker/python3 /srv/docker/cli-plugins/docker-compose
"""
"""A DOCKER_CONFIG that brings a Compose of its own, which writes down whose child it is."""


def test_the_plan_is_applied_once(
    name: str, host: Any, run: Callable[..., Any], folder: Path
) -> None:
    """By a run with a Compose of its own: the unit that moves has the same one."""
    path = folder / f"agnes-plan-{name}.json"
    host.check_output(OWN_COMPOSE)
    done = run(
        "applied", "-e", f"plan={path}", state_layout_pre_move_command=VERIFIED,
        ansible_python_interpreter="/srv/docker/python3",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    called = host.check_output("cat /srv/docker/called").splitlines()
    of_the_unit = [line for line in called if "agnes-host-move.service" in line]
    assert 0 < len(of_the_unit) < len(called)
    assert "last verified backup: daily-7, verified" in done.stdout
    moved.check(host, LAYOUTS["nested"])
    before = snapshot(host)
    assert run("again", "-e", f"plan={path}").returncode != 0
    assert refusal(name, "again").startswith(f"AH077: the plan '{path}' looks done")
    assert snapshot(host) == before
