# SPDX-License-Identifier: GPL-3.0-or-later
"""What containers of each kind see is foreseen, proved and kept, in nested, through a move, and after."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import records
from play import play

FILE = "/opt/agnes/docker-compose.services.yml"
ONE_OFF = "{{.Names}} {{.State}}"
READERS = ("reader-1", "heir-1", "worker-1", "worker-2", "app-1")


@pytest.fixture
def run(name: str, facts: dict[str, Any]) -> Callable[..., Any]:
    """Run site.yml on the host; returns what was done and how it ended."""

    def run(step: str, *arguments: str, **more: Any) -> Any:
        return play(f"{name}-{step}", {name: {**facts, **more}}, *arguments)

    return run


def refusal(name: str, step: str) -> str:
    failed = [r for r in records.read(f"{name}-{step}", "site") if r["status"] == "failed"]
    return str(failed[0]["msg"])


def said(done: Any) -> str:
    """What a run printed, without its line breaks."""
    return " ".join(done.stdout.split())


def ids(host: Any) -> set[str]:
    """The containers that run."""
    return set(host.check_output("docker ps --quiet --no-trunc").split())


def device(host: Any, container: str, path: str) -> str:
    return str(host.check_output(f"docker exec agnes-{container} stat -L -c %d {path}"))


def in_worker_1(host: Any, call: str) -> str:
    """Make a call of the C library among the mounts of agnes-worker-1; MAJ:MIN that it then has for state."""
    pid = host.check_output("docker inspect --format '{{.State.Pid}}' agnes-worker-1")
    # Not by a tool: its image has none that mounts.
    code = (
        "import ctypes, os; libc = ctypes.CDLL(None); "
        f"os.setns(os.open('/proc/{pid}/ns/mnt', os.O_RDONLY)); assert libc.{call} == 0"
    )
    host.check_output("python3 -c %s", code)
    return str(host.check_output("docker exec agnes-worker-1 stat -c %Hd:%Ld /data-state"))


def services_changed(name: str, step: str) -> dict[str, str]:
    """Service -> what it was before the run started it."""
    return {
        what.split()[1]: before
        for _module, what, before, _after in records.actions(
            records.read(f"{name}-{step}", "site"), name, check=step.endswith("-check")
        )
        if what.startswith("service ")
    }


def test_what_does_not_stay_up_is_told_alike_each_time_with_its_log_and_no_secret(
    name: str, facts: dict[str, Any], host: Any, run: Callable[..., Any]
) -> None:
    host.check_output("docker stop agnes-worker-2")
    host.check_output(
        "cd /opt/agnes && docker compose --profile '*' run --no-deps app true 2>/dev/null"
    )
    key = host.check_output("sed -n 's/^JWT_SECRET_KEY=//p' /opt/agnes/.env")
    asked = {"agnes_compose_timeout": 4, "agnes_compose_profiles": ["full", "tls", "loop"]}
    for step in ("loop-1", "loop-2"):
        done = run(step, **asked)
        assert done.returncode != 0
        assert re.search(
            r"AH145: services do not stay up: loop is (restarting|started again).*"
            r"its log ends with: .*no token, the key is \(hidden\)",
            refusal(name, step),
        ), refusal(name, step)
        assert key not in done.stdout + done.stderr
        # A sidecar without restart policy, and one with a policy of deploy, are well as they run.
        assert "sidecar" not in refusal(name, step)
    # One of two that was stopped is started by the first of them, and the one-off is nobody's trouble.
    assert services_changed(name, "loop-1") == {"loop": "absent", "worker": "to start"}
    assert services_changed(name, "loop-2") == {}
    host.check_output("docker rm --force agnes-loop-1")


def test_what_would_lie_over_the_state_is_in_the_plan(
    name: str, host: Any, run: Callable[..., Any]
) -> None:
    before = ids(host)
    host.check_output(f"cp {FILE} /srv/kept")
    host.check_output(f"sed -i 's|^  reader:|&\\n    tmpfs: [/data-state]|' {FILE}")
    done = run("tmpfs", "--check", "-e", "layout=flat")
    host.check_output(f"cp /srv/kept {FILE}")
    assert done.returncode != 0
    assert refusal(name, "tmpfs").startswith(
        "AH052: service 'reader' mounts something else (:/data-state:rw) at '/data-state'"
    )
    assert ids(host) == before


def test_a_one_off_that_runs_stops_a_move_in_its_plan(
    name: str, host: Any, run: Callable[..., Any]
) -> None:
    one_off = host.check_output(
        "cd /opt/agnes && docker compose run --detach --no-deps reader 2>/dev/null"
    ).split()[-1]
    before = ids(host)
    done = run("one-off", "--check", "-e", "layout=flat")
    assert done.returncode != 0
    assert re.match(
        r"AH146: .*: 'agnes-reader-run-\w+' \(/data\); wait until they exit, or stop them with "
        r"'docker stop agnes-reader-run-\w+'",
        refusal(name, "one-off"),
    )
    assert ids(host) == before
    host.check_output(f"docker rm --force {one_off}")


def test_a_move_keeps_what_each_of_them_sees(name: str, host: Any, run: Callable[..., Any]) -> None:
    host.check_output("docker stop agnes-worker-2")
    done = run("flat", "-e", "layout=flat")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "service 'caddy' has the data disk at /srv: in layout flat state is not in it" in said(
        done
    )
    assert re.search(
        r"container 'agnes-app-run-\w+' of 'docker compose run' was left behind and holds /data: "
        r"'docker rm agnes-app-run-\w+' removes it",
        said(done),
    )
    for container in READERS:
        assert f"agnes-{container}" in said(done).split("as seen inside of")[1]
    assert "sidecar: running (no health check)" in said(done)
    assert "worker: 2 running (no health check)" in said(done)


def test_who_sees_the_data_disk_sees_state_in_the_same_mode(host: Any) -> None:
    state = host.check_output("stat -c %d /data-state")
    for container in READERS:
        assert device(host, container, "/data-state") == state
        # The product's readers that do not know STATE_DIR come by the link.
        assert device(host, container, "/data/state/system.duckdb") == state
    for container in ("reader-1", "heir-1"):
        tried = host.run(f"docker exec --user 0 agnes-{container} touch /data-state/x")
        assert "Read-only file system" in tried.stderr
    assert host.run("docker exec agnes-caddy-1 test -e /data-state").rc != 0
    left = host.check_output(f"docker ps --all --format '{ONE_OFF}' --filter name=-run-")
    assert re.fullmatch(r"agnes-app-run-\w+ exited", left)


def test_one_of_two_that_sees_something_else_is_named_and_nothing_is_started(
    name: str, host: Any, run: Callable[..., Any]
) -> None:
    before = ids(host)
    number = in_worker_1(host, "mount(b'none', b'/data-state', b'tmpfs', 0, None)")
    try:
        done = run("wrong", "-e", "layout=flat")
    finally:
        in_worker_1(host, "umount2(b'/data-state', 0)")
    assert done.returncode != 0
    sentence = refusal(name, "wrong")
    seen = f"'agnes-worker-1' has '/data-state' on device {number} (the state disk is 7:"
    assert sentence.startswith(
        f"AH048: containers see something else than this host's disks: {seen}"
    )
    assert sentence.count("' on device ") == 1
    assert ids(host) == before
    assert services_changed(name, "wrong") == {}


def test_a_service_of_which_nothing_could_be_looked_at_is_named(
    name: str, host: Any, run: Callable[..., Any]
) -> None:
    before = ids(host)
    pid = host.check_output("docker inspect --format '{{.State.Pid}}' agnes-reader-1")
    # The docker of somebody who was asked just before the process ended, each time.
    host.check_output(
        'printf \'#!/bin/sh\n/usr/bin/docker "$@" | sed -E "s/(.Pid.: *)%s,/\\\\14194303,/"\n\''
        f" {pid} >/usr/local/sbin/docker && chmod +x /usr/local/sbin/docker"
    )
    try:
        done = run("gone", "-e", "layout=flat")
    finally:
        host.check_output("rm /usr/local/sbin/docker")
    assert done.returncode != 0
    assert refusal(name, "gone").startswith(
        "AH055: these services must see this host's disks, and it could not be proved that they do: "
        "'reader' (/data"
    )
    assert ids(host) == before


STALE = ("reader-1", "worker-1", "worker-2")
NOT_SEEN = "were started before their disk was mounted, and do not see it"


@pytest.fixture
def stale(host: Any) -> None:
    """The data disk was away when these were started, and was plugged in again."""
    names = " ".join(f"agnes-{each}" for each in STALE)
    host.check_output(f"docker stop {names} && umount /data && docker start {names}")


def test_shadowed_files_stop_the_run_and_nothing_is_started(
    name: str, host: Any, stale: None, run: Callable[..., Any]
) -> None:
    host.check_output(
        "chattr -i /data; mkdir /data/beats && echo 1 > /data/beats/worker && mount /data"
    )
    before = ids(host)
    done = run("shadowed", "-e", "layout=flat")
    assert done.returncode != 0
    assert re.match(
        r"AH147: .*\(agnes-reader-1, agnes-worker-1, agnes-worker-2\), and the mount at '/data' shadows "
        r".*\(found beats/worker\)",
        refusal(name, "shadowed"),
    ), refusal(name, "shadowed")
    assert ids(host) == before
    host.check_output(
        "mkdir /srv/root && mount --bind / /srv/root && mv /srv/root/data/beats /srv/ && "
        "umount /srv/root"
    )


def test_all_that_run_since_before_the_mount_are_named_in_the_plan_and_made_anew(
    name: str, host: Any, run: Callable[..., Any]
) -> None:
    # The run itself mounts the disk; who has held it all the time is left alone.
    host.check_output("umount /data")
    before, reason = ids(host), "to recreate, it was started before its disk was mounted"
    for step, arguments in (("stale-check", ("--check",)), ("stale", ())):
        done = run(step, *arguments, "-e", "layout=flat")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{NOT_SEEN}: {', '.join(f'agnes-{each}' for each in STALE)}; " in said(done)
        assert services_changed(name, step) == {"reader": reason, "worker": reason}
        if arguments:
            assert ids(host) == before
            assert host.run("mountpoint --quiet /data").rc != 0
    data = host.check_output("stat -c %d /data")
    for container in READERS:
        assert device(host, container, "/data") == data
