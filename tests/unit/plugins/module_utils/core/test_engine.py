# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines that can't serve a host, and what at boot would take it out of its layout."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.compose.engine import (
    check_start_interval,
    security_names,
    version_of,
    with_start_interval,
)
from ansible_collections.agnes.host.plugins.module_utils.core.compose.overlay import cut
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import EngineBefore25
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.layout.boot import lines_that_write

from .hosts import flat_host, host, nested_host


def engine(**differs: Any) -> dict[str, Any]:
    return {**host()["engine"], **differs}


WRONG = (
    "AH051: the Docker engine here is {}, where {}; use the distribution's docker.io or docker-ce"
)

TEST_ENGINES: list[Any] = [
    pytest.param(engine(), "", id="docker"),
    pytest.param(
        engine(error="the docker command is not installed"),
        "AH040: no usable Docker engine: the docker command is not installed; install and start one "
        "(the distribution's docker.io or docker-ce)", id="absent",
    ),
    pytest.param(
        engine(compose="docker-compose", compose_version="1.29.2"),
        "AH041: Docker Compose 1.29.2 is too old (wanted 2.24.4 or later, older ones ignore "
        "'!override' and would mount the wrong disk); install a newer one", id="compose-1",
    ),
    pytest.param(
        engine(docker="/snap/bin/docker"),
        WRONG.format("from snap (/snap/bin/docker)", "binds outside the home directory are hidden"),
        id="snap",
    ),
    pytest.param(
        engine(security=["seccomp", "rootless"]),
        WRONG.format("rootless", "uid 999 in a container is another uid on the disks"),
        id="rootless",
    ),
    pytest.param(
        engine(security=["seccomp", "userns"]),
        WRONG.format("with userns-remap", "uid 999 in a container is another uid on the disks"),
        id="userns",
    ),
    pytest.param(
        engine(here=False),
        WRONG.format(
            "in another place than this host ('/var/lib/docker' is not here)",
            "binds are of the container or the machine that it runs in",
        ),
        id="elsewhere",
    ),
    pytest.param(
        engine(platform="Podman"),
        WRONG.format(
            "podman", "restart policies do not outlive a boot and Compose is not all there"
        ),
        id="podman",
    ),
    pytest.param(
        engine(endpoint="tcp://elsewhere:2376", error="the engine does not answer (timeout)"),
        WRONG.format(
            "another one than this host's (tcp://elsewhere:2376)", "binds are on another host"
        ),
        id="remote",
    ),
    pytest.param(
        engine(swarm="active"),
        WRONG.format("a swarm node (active)", "the swarm may start containers by itself"),
        id="swarm",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "message"), TEST_ENGINES)
def test_engines(facts: Any, message: str) -> None:
    assert make_plan(host(engine=facts), {"layout": "flat"})["refusal"] == message


def test_versions() -> None:
    assert version_of("v2.26.1-4") == (2, 26, 1, 4)
    assert version_of("2.24.4") == (2, 24, 4)
    assert version_of("") == ()


def test_security_options_are_known_by_their_names() -> None:
    options = ["name=seccomp,profile=builtin", "name=cgroupns", "apparmor"]
    assert security_names(options) == ["seccomp", "cgroupns", "apparmor"]
    assert security_names(None) == []


def test_selinux_needs_a_type_to_mount_with() -> None:
    observed = host(selinux_enforcing=True, engine=engine(security=["selinux"]))
    assert make_plan(observed, {"layout": "flat"})["refusal"] == (
        "AH034: SELinux is enforcing and the engine confines containers by labels, so they could not "
        "use /data and /data-state; set disks_selinux_type to the type to mount them with, such as "
        "container_file_t (nothing is relabelled)"
    )
    assert not make_plan(observed, {"layout": "flat", "selinux_type": "container_file_t"})[
        "refusal"
    ]


SCRIPT = {"path": "/var/lib/cloud/instance/scripts/startup", "lines": [12, 40]}


def test_a_boot_script_that_writes_env_stops_a_layout_that_needs_state_dir() -> None:
    plan = make_plan(flat_host(boot_scripts=[SCRIPT]), {})
    assert plan["refusal"] == (
        "AH009: layout flat would be lost at the next boot, because /opt/agnes/.env is written "
        "anew without STATE_DIR, AGNES_TLS_FULLCHAIN_PATH by /var/lib/cloud/instance/scripts/startup "
        "(lines 12, 40); change that as docs/boot-script.md shows, then set "
        "state_layout_boot_script: handled"
    )
    assert not make_plan(flat_host(boot_scripts=[SCRIPT]), {"boot_script": "handled"})["refusal"]
    assert not make_plan(nested_host(boot_scripts=[SCRIPT]), {})["refusal"]


TEST_LINES: list[Any] = [
    ('cat > "$APP_DIR/.env" <<EOF\nA=1\nEOF\n', [1]),
    ("set -e\necho A=1 >> /opt/agnes/.env\n", [2]),
    ("echo A=1 | sudo tee -a /opt/agnes/.env >/dev/null\n", [1]),
    ("} > /opt/agnes/.env; chmod 600 /opt/agnes/.env\n", [1]),
    ("grep -m1 '^A=' /opt/agnes/.env\ncp .env .env.bak\n# cat > .env\n", []),
    ("cat > /opt/agnes/.env.example\n", []),
]


@pytest.mark.parametrize(("script", "expected"), TEST_LINES)
def test_lines_that_write(script: str, expected: list[int]) -> None:
    assert lines_that_write(script) == expected


def test_notes_say_what_stops_nothing() -> None:
    observed = nested_host(
        accounts={"user": "backup", "group": "systemd-journal"},
        data_volume={"name": "agnes_data", "bind": "/data"},
    )
    observed["env"]["values"]["COMPOSE_FILE"] = (
        "docker-compose.yml:docker-compose.flat-mount.yml:docker-compose.host-mount.yml"
    )
    assert make_plan(observed, {})["notes"] == [
        "uid 999 is account 'backup' on this host, which can read state files",
        "gid 999 is group 'systemd-journal' on this host, so 'ls -l' shows that name for files of state",
        "volume 'agnes_data' is left over and binds /data: its options can't be changed, no "
        "service may use it; 'docker volume rm agnes_data' removes it",
        "COMPOSE_FILE names docker-compose.flat-mount.yml and docker-compose.host-mount.yml; the "
        "last one counts, and is proved",
    ]


@pytest.mark.parametrize(
    ("version", "fine"),
    [("25.0.0", True), ("26.1.5+dfsg1", True), ("24.0.9", False), ("20.10.24+dfsg1", False), ("", False)],
)  # fmt: skip
def test_an_engine_before_25_starts_no_service_with_a_start_interval(
    version: str, fine: bool
) -> None:
    services = cut(
        {
            "services": {
                "app": {"healthcheck": {"test": ["CMD", "true"], "start_interval": "1s"}},
                "caddy": {"healthcheck": {"test": ["CMD", "true"]}},
                "bot": {"healthcheck": {"start_interval": "1s"}, "profiles": ["telegram"]},
            }
        }
    )["services"]
    assert with_start_interval(services, ["tls"]) == ["app"]
    assert with_start_interval(services, ["tls", "telegram"]) == ["app", "bot"]
    assert "start_interval" not in services["caddy"]
    check_start_interval([], version)
    if fine:
        check_start_interval(["app"], version)
    else:
        with pytest.raises(EngineBefore25):
            check_start_interval(["app"], version)
