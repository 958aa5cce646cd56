# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo stack's Compose chains mount, as the Compose of a test host merges them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from records import ROOT

SEED = ROOT / "tests" / "stack" / "host"
PROJECT = "/srv/seed/agnes"
"""A project directory called `agnes`, as on a host, beside the one that is provisioned."""

DATA = ("bind", "/data", "/data", False)
WITH_CONFIG = {"app", "extract", "scheduler"}
SERVICES = {*WITH_CONFIG, "telegram-bot", "ws-gateway", "caddy"}

Services = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def services(name: str, host: Any) -> Services:
    """Overlays -> the merged services of base plus these, all profiles on."""
    host.check_output(f"rm -rf {PROJECT} && mkdir -p {PROJECT}")
    subprocess.run(["docker", "cp", f"{SEED}/.", f"{name}:{PROJECT}"], check=True)
    host.check_output(f"touch {PROJECT}/.env")

    def resolve(*overlays: str) -> dict[str, Any]:
        files = ["docker-compose.yml", *(f"docker-compose.{name}.yml" for name in overlays)]
        chain = " ".join(f"-f {file}" for file in files)
        command = f"cd {PROJECT} && docker compose {chain} --profile '*' config --format json"
        resolved: dict[str, Any] = json.loads(host.check_output(command))["services"]
        return resolved

    return resolve


def _mounts(service: dict[str, Any]) -> set[tuple[str, str, str, bool]]:
    """Type, source, target and read-only of each mount."""
    return {
        (item["type"], item["source"], item["target"], item.get("read_only", False))
        for item in service["volumes"]
    }


@pytest.mark.parametrize(
    ("overlay", "extra", "certs"),
    [
        ("host-mount", set(), "/data/state/certs"),
        ("flat-mount", {("bind", "/data-state", "/data-state", False)}, "/data-state/certs"),
    ],
)
def test_mounts(
    services: Services, overlay: str, extra: set[tuple[str, str, str, bool]], certs: str
) -> None:
    """Every service sees the host's disks, and no named data volume is left."""
    resolved = services("prod", overlay)
    assert set(resolved) == SERVICES
    config = ("bind", f"{PROJECT}/config", "/app/config", True)
    for name in SERVICES - {"caddy"}:
        wanted = {DATA, *extra} | ({config} if name in WITH_CONFIG else set())
        assert _mounts(resolved[name]) == wanted, name
    assert _mounts(resolved["caddy"]) == {
        ("bind", f"{PROJECT}/Caddyfile", "/etc/caddy/Caddyfile", True),
        ("bind", f"{PROJECT}/static", "/caddy-static", True),
        ("bind", certs, "/certs", True),
        ("bind", "/data", "/srv", True),
        ("volume", "caddy_data", "/data", False),
        ("volume", "caddy_config", "/config", False),
    }


@pytest.mark.parametrize("overlay", ["host-mount", "flat-mount"])
def test_overlay_keeps_the_targets_of_the_base(services: Services, overlay: str) -> None:
    """A replaced list forgets no mount of the base."""
    base = services()
    merged = services("prod", overlay)
    for name, service in base.items():
        targets = {item["target"] for item in service["volumes"]}
        assert targets <= {item["target"] for item in merged[name]["volumes"]}, name


def test_last_overlay_wins(services: Services) -> None:
    """A chain with both layouts is the flat one: what an upgrade of the product computes."""
    both = services("prod", "host-mount", "tls", "flat-mount")
    flat = services("prod", "flat-mount")
    for name, service in flat.items():
        assert _mounts(both[name]) == _mounts(service), name


def test_tls_closes_the_port_of_the_app(services: Services) -> None:
    """Behind Caddy the app has no port of its own."""
    assert services("prod")["app"]["ports"]
    assert not services("prod", "tls")["app"].get("ports")


def test_shutdown_and_health(services: Services) -> None:
    """Grace and health check are the product's."""
    resolved = services("prod", "flat-mount")
    for name in ("app", "scheduler"):
        assert resolved[name]["stop_grace_period"] == "1m0s"
    health = resolved["app"]["healthcheck"]
    assert (health["interval"], health["retries"]) == ("30s", 3)
    assert (health["start_period"], health["start_interval"]) == ("3m0s", "1s")
    for name in ("scheduler", "caddy"):
        assert resolved[name]["depends_on"]["app"]["condition"] == "service_healthy"
    assert resolved["extract"]["restart"] == "no"
