# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of all scenarios share: the host, and its evidence when a check fails."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
import yaml
from looks import look

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import (
    LAYOUTS,
    Layout,
    state_dirs,
)

SCENARIO = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])


def hosts_of(group: dict[str, Any], variables: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Host -> its variables, with those of the groups that it is in."""
    own = {**variables, **(group.get("vars") or {})}
    hosts = {name: {**own, **(said or {})} for name, said in (group.get("hosts") or {}).items()}
    for child in (group.get("children") or {}).values():
        hosts |= hosts_of(child, own)
    return hosts


HOSTS = hosts_of(yaml.safe_load((SCENARIO / "inventory.yml").read_text())["agnes"], {})

EVIDENCE = (
    "journalctl --no-pager --lines 60",
    "findmnt --real",
    "docker ps --all",
    "for c in $(docker ps --all --quiet); do docker logs --tail 20 $c 2>&1; done",
)


@pytest.fixture(params=[*HOSTS], scope="session")
def name(request: pytest.FixtureRequest) -> str:
    """Each host of the scenario."""
    return str(request.param)


@pytest.fixture(scope="session")
def host(name: str) -> Any:
    """The host as testinfra sees it, by its container."""
    return testinfra.get_host(f"docker://{name}")


@pytest.fixture(scope="session")
def facts(name: str) -> dict[str, Any]:
    """The host's variables in the scenario's inventory."""
    return HOSTS[name]


@pytest.fixture(scope="session")
def layout(facts: dict[str, Any]) -> Layout:
    """The layout that the host must have: what the scenario asks for, or expects without asking."""
    return LAYOUTS[facts.get("layout") or facts["lab_layout"]]


@pytest.fixture(scope="session")
def containers(host: Any) -> dict[str, Any]:
    """Service -> what the engine says of its container."""
    ids = host.check_output("docker ps --all --quiet").split()
    inspected = json.loads(host.check_output(f"docker inspect {' '.join(ids)}"))
    return {item["Config"]["Labels"]["com.docker.compose.service"]: item for item in inspected}


@pytest.fixture(scope="session")
def seen(name: str, layout: Layout) -> dict[str, Any]:
    """What there is on the host to begin with, asked at once: one call costs as much as one question."""
    bases = ["/data", layout.state_dir]
    return look(
        name,
        paths=[
            *bases,
            *("/data/" + name for name in ("analytics", "extracts", "uploads", "tmp")),
            *(f"{layout.state_dir}/{name}" for name in ("certs", "certs/privkey.pem", "system.duckdb")),
            *state_dirs(), *layout.links, "/certs", "/opt/agnes/.env",
        ],
        texts=[
            "/etc/fstab", "/opt/agnes/.env", "/var/lib/agnes-host/record.json",
            f"{layout.state_dir}/.agnes-state.json",
        ],
        lists=["/data/extracts"],
        devices=["/dev/sdb", "/dev/sdc"],
        beats=bases,
    )  # fmt: skip


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the host's journal and the containers' logs to the report of a failed check."""
    outcome: Any = yield
    report = outcome.get_result()
    where = getattr(item, "funcargs", {}).get("host")
    if report.when == "call" and report.failed and where is not None:
        for command in EVIDENCE:
            done = where.run(command)
            report.sections.append((command, done.stdout + done.stderr))
