# SPDX-License-Identifier: GPL-3.0-or-later
"""A host as the product's set-up left it, adopted while its keepers work; to flat and back."""

from __future__ import annotations

import re
from typing import Any

import field
import pytest
from play import play

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

POSTGRES = """\
services:
  postgres:
    image: agnes-demo:1
    command: [sleep, infinity]
    restart: unless-stopped
    stop_grace_period: 1s
    volumes: [postgres_data:/var/lib/postgresql/data]
volumes:
  postgres_data:
    driver: local
    driver_opts: {type: none, o: bind, device: /data/postgres}
"""
"""A stand-in for the product's database server: only what the chain and the advice depend on."""


@pytest.fixture(scope="module", autouse=True)
def second_project(name: str) -> Any:
    """Whatever is done to the host, its other project is left alone."""
    before = field.other(name)
    yield
    assert field.other(name) == before


def test_it_was_adopted_and_its_ticks_change_nothing(
    name: str, host: Any, facts: dict[str, Any]
) -> None:
    field.check(name, host, LAYOUTS["nested"])
    field.drift(host)
    field.check(name, host, LAYOUTS["nested"])
    field.calm(name, "drifted", facts, "nested")


@pytest.mark.parametrize(
    ("layout", "noted"), [("flat", ["TLS rotation", "state applier", "watchdog"]), ("nested", [])]
)
def test_it_moves_and_its_ticks_leave_it_there(
    name: str, host: Any, facts: dict[str, Any], layout: str, noted: list[str]
) -> None:
    field.move(name, facts, layout, noted=noted)
    field.check(name, host, LAYOUTS[layout])
    field.drift(host)
    field.check(name, host, LAYOUTS[layout])
    field.calm(name, f"{layout}-drifted", facts, layout)


def test_the_migration_finds_the_database(host: Any) -> None:
    """Where it found none it would end green, and the product would begin anew."""
    said = host.check_output(
        "cd /opt/agnes && docker compose run --rm --no-deps --no-TTY data-migrate"
    )
    assert said == "source found"


def test_a_database_in_a_container_is_kept_and_its_host_not_moved(
    name: str, host: Any, facts: dict[str, Any]
) -> None:
    """The product's upgrade starts it, and leaves it out of COMPOSE_FILE in .env."""
    files = {
        "/opt/agnes/docker-compose.postgres.yml": POSTGRES,
        "/opt/agnes/docker-compose.postgres-host-mount.yml": "services: {postgres: {}}\n",
        "/data/state/instance.yaml": "database:\n  backend: side_car\n",
    }
    for path, text in files.items():
        host.check_output(f"printf %s '{text}' > {path}")
    field.await_ticks(host)
    server = host.check_output("docker inspect --format '{{.Id}}' agnes-postgres-1")
    assert any("names another chain" in line for line in field.warned(host))

    done = play(f"{name}-side-car", {name: {**facts, "layout": "nested"}}, "--diff")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search(r"(?i)orphan|\brm\b.*postgres|postgres.*\brm\b", done.stdout), done.stdout
    (chain,) = re.findall(r"(?m)^COMPOSE_FILE=(.*)$", host.file("/opt/agnes/.env").content_string)
    assert chain.strip("\"'").split(":")[2:5] == [
        "docker-compose.postgres.yml", "docker-compose.host-mount.yml",
        "docker-compose.postgres-host-mount.yml",
    ]  # fmt: skip
    assert field.warned(host) == []
    assert host.check_output("docker inspect --format '{{.Id}}' agnes-postgres-1") == server

    hosts = {name: {**facts, "layout": "flat"}}
    refused = play(f"{name}-side-car-flat", hosts, "--check")
    assert refused.returncode == 2
    assert (
        "AH060: instance.yaml in '/data/state' names database backend 'side_car'" in refused.stdout
    )
