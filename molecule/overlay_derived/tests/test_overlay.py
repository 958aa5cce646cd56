# SPDX-License-Identifier: GPL-3.0-or-later
"""The derived overlay follows the product's files: nothing in it comes from a list of services."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import Layout

PROJECT = "/opt/agnes"
CONFIG = (f"{PROJECT}/config", "/app/config", True)
ADDED, DROPPED = "reports", "ws-gateway"

Bind = tuple[str, str, bool]
"""Source, target, read-only."""

DISKS: dict[str, set[Bind]] = {
    "flat": {("/data", "/data", False), ("/data-state", "/data-state", False)},
    "nested": {("/data", "/data", False)},
}
CERTS = {"flat": "/data-state/certs", "nested": "/data/state/certs"}


def wanted(layout: str) -> dict[str, set[Bind]]:
    """Service -> its binds, written out for this scenario's files."""
    disks, certs = DISKS[layout], CERTS[layout]
    return {
        "app": disks
        | {CONFIG, ("/srv/extra", "/extra", True), (certs, "/app-certs", True)}
        | {("/opt/shared", "/shared", False)},
        "extract": disks | {CONFIG},
        "scheduler": disks | {CONFIG},
        "telegram-bot": disks,
        ADDED: disks,
        "caddy": {
            (f"{PROJECT}/Caddyfile", "/etc/caddy/Caddyfile", True),
            (f"{PROJECT}/static", "/caddy-static", True),
            (certs, "/certs", True),
            ("/data", "/srv", True),
        },
    }


@pytest.fixture(scope="module")
def config(host: Any) -> dict[str, Any]:
    """What Compose makes of the chain in .env."""
    text = host.check_output(f"cd {PROJECT} && docker compose --profile '*' config --format json")
    resolved: dict[str, Any] = json.loads(text)
    return resolved


def test_each_service_mounts_exactly_what_the_layout_says(
    config: dict[str, Any], layout: Layout
) -> None:
    binds = {
        name: {
            (mount["source"], mount["target"], bool(mount.get("read_only")))
            for mount in service["volumes"]
            if mount["type"] == "bind"
        }
        for name, service in config["services"].items()
    }
    assert binds == wanted(layout.name)


def test_only_caddys_own_named_volumes_are_left(config: dict[str, Any]) -> None:
    volumes = {
        (name, mount["source"])
        for name, service in config["services"].items()
        for mount in service["volumes"]
        if mount["type"] == "volume"
    }
    assert volumes == {("caddy", "caddy_data"), ("caddy", "caddy_config")}


def test_the_overlay_has_the_added_service_and_not_the_dropped_one(
    host: Any, layout: Layout
) -> None:
    text = host.file(f"{PROJECT}/{layout.overlay}").content_string
    assert f'"{ADDED}":' in text
    assert DROPPED not in text


@pytest.mark.parametrize("service", ["app", "scheduler", "telegram-bot", ADDED, "caddy"])
def test_each_bind_is_on_its_device_inside_the_container(
    host: Any, layout: Layout, service: str
) -> None:
    for source, target, _read_only in wanted(layout.name)[service]:
        inside = host.check_output(f"docker exec agnes-{service}-1 stat -c %d:%i {target}")
        assert inside == host.check_output(f"stat -c %d:%i {source}"), target
    state, data = (host.check_output(f"stat -c %d {p}") for p in (layout.state_dir, "/data"))
    assert state != data


def test_the_added_service_writes_to_both_disks(host: Any, layout: Layout) -> None:
    for base in ("/data", layout.state_dir):
        assert host.file(f"{base}/beats/{ADDED}").is_file, base


def test_a_compose_file_that_the_chain_does_not_name_is_not_placed(host: Any) -> None:
    placed = host.check_output(
        f"ls /srv/artifacts {PROJECT} | grep -Fx docker-compose.gcp-logging.yml"
    )
    assert placed.splitlines() == ["docker-compose.gcp-logging.yml"]
    assert not host.file(f"{PROJECT}/docker-compose.gcp-logging.yml").exists


def test_the_dropped_service_has_no_container(containers: dict[str, Any]) -> None:
    assert DROPPED not in containers
    assert ADDED in containers
