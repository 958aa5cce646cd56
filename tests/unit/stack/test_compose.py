# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo stack's Compose chains mount, as Compose itself merges them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HOST = Path(__file__).resolve().parents[2] / "stack" / "host"
DATA = ("bind", "/data", "/data", False)
WITH_CONFIG = {"app", "extract", "scheduler"}
SERVICES = {*WITH_CONFIG, "telegram-bot", "ws-gateway", "caddy"}


def _compose_missing() -> str:
    """Why `docker compose` can't be used here; empty if it can."""
    if not shutil.which("docker"):
        return "docker is not installed"
    done = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return "docker compose is not installed" if done.returncode else ""


pytestmark = pytest.mark.skipif(bool(_compose_missing()), reason=_compose_missing() or "present")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project directory called `agnes`, as on a host."""
    target = tmp_path / "agnes"
    shutil.copytree(HOST, target)
    (target / ".env").write_text("", "utf-8")
    return target


def _services(project: Path, *overlays: str) -> dict[str, Any]:
    """The merged services of base plus `overlays`."""
    files = ["docker-compose.yml", *(f"docker-compose.{name}.yml" for name in overlays)]
    command = ["docker", "compose"]
    for name in files:
        command += ["-f", name]
    command += ["--profile", "*", "config", "--format", "json"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    services: dict[str, Any] = json.loads(done.stdout)["services"]
    return services


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
    project: Path, overlay: str, extra: set[tuple[str, str, str, bool]], certs: str
) -> None:
    """Every service sees the host's disks, and no named data volume is left."""
    services = _services(project, "prod", overlay)
    assert set(services) == SERVICES
    config = ("bind", f"{project}/config", "/app/config", True)
    for name in SERVICES - {"caddy"}:
        wanted = {DATA, *extra} | ({config} if name in WITH_CONFIG else set())
        assert _mounts(services[name]) == wanted, name
    assert _mounts(services["caddy"]) == {
        ("bind", f"{project}/Caddyfile", "/etc/caddy/Caddyfile", True),
        ("bind", f"{project}/static", "/caddy-static", True),
        ("bind", certs, "/certs", True),
        ("bind", "/data", "/srv", True),
        ("volume", "caddy_data", "/data", False),
        ("volume", "caddy_config", "/config", False),
    }


@pytest.mark.parametrize("overlay", ["host-mount", "flat-mount"])
def test_overlay_keeps_the_targets_of_the_base(project: Path, overlay: str) -> None:
    """A replaced list forgets no mount of the base."""
    base = _services(project)
    merged = _services(project, "prod", overlay)
    for name, service in base.items():
        targets = {item["target"] for item in service["volumes"]}
        assert targets <= {item["target"] for item in merged[name]["volumes"]}, name


def test_last_overlay_wins(project: Path) -> None:
    """A chain with both layouts is the flat one: what an upgrade of the product computes."""
    both = _services(project, "prod", "host-mount", "tls", "flat-mount")
    flat = _services(project, "prod", "flat-mount")
    for name, service in flat.items():
        assert _mounts(both[name]) == _mounts(service), name


def test_tls_closes_the_port_of_the_app(project: Path) -> None:
    """Behind Caddy the app has no port of its own."""
    assert _services(project, "prod")["app"]["ports"]
    assert not _services(project, "prod", "tls")["app"].get("ports")


def test_shutdown_and_health(project: Path) -> None:
    """Grace and health check are the product's."""
    services = _services(project, "prod", "flat-mount")
    for name in ("app", "scheduler"):
        assert services[name]["stop_grace_period"] == "1m0s"
    health = services["app"]["healthcheck"]
    assert (health["interval"], health["retries"]) == ("30s", 3)
    assert (health["start_period"], health["start_interval"]) == ("3m0s", "1s")
    for name in ("scheduler", "caddy"):
        assert services[name]["depends_on"]["app"]["condition"] == "service_healthy"
    assert services["extract"]["restart"] == "no"
